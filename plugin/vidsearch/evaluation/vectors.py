"""The vectors of an evaluation: of captions, and of the videos that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import EvaluationError
from vidsearch.evaluation.places import Places, find_places
from vidsearch.evaluation.variants import Variant
from vidsearch.npy import load_npy

__all__ = ["DIRECTIONS", "Direction", "PairVectors", "read_vectors"]

Direction = Literal["text-to-video", "video-to-text"]
DIRECTIONS: tuple[Direction, ...] = ("text-to-video", "video-to-text")

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PairVectors:
    """Unit vectors of captions and videos.

    Raises:
        EvaluationError: shapes that do not fit each other.
    """

    texts: Vectors
    """Shape ``(n, dims)``."""
    videos: Vectors
    """Shape ``(m, dims)``."""
    video_of: NDArray[np.int64]
    """Number of the video that each caption is of, shape ``(n,)``."""

    def __post_init__(self) -> None:
        texts, videos = self.texts.shape, self.videos.shape
        if texts[1] != videos[1]:
            raise EvaluationError(
                f"the vectors of captions have {texts[1]} dims and those of videos {videos[1]}: "
                "they must be of one model"
            )
        if self.video_of.shape != (texts[0],):
            raise EvaluationError(
                f"{texts[0]} captions need as many numbers of videos, not {self.video_of.shape}"
            )
        low, high = int(self.video_of.min(initial=0)), int(self.video_of.max(initial=0))
        if not texts[0] or low < 0 or high >= videos[0]:
            raise EvaluationError(
                f"captions are of the videos {low} to {high}, but there are {videos[0]}, from 0 on"
            )

    def places(self, variant: Variant, direction: Direction) -> Places:
        """Where the right items lie.

        ``text-to-video``: a query for each caption, ranking all videos. ``video-to-text``: a query
        for each video that has captions, ranking all captions; the best of its own counts.
        """
        videos = np.arange(len(self.videos))
        if direction == "text-to-video":
            scorer = variant.scorer(self.texts, self.videos)
            return find_places(scorer, wanted=self.video_of, gallery=videos)
        asked = self.groups(direction)
        scorer = variant.scorer(self.videos[asked], self.texts)
        return find_places(scorer, wanted=asked, gallery=self.video_of)

    def groups(self, direction: Direction) -> NDArray[np.int64]:
        """The video that each query is of or about: queries of one video vary together."""
        return self.video_of if direction == "text-to-video" else np.unique(self.video_of)


def read_vectors(texts: Path, videos: Path, video_of: Path | None = None) -> PairVectors:
    """Vectors from ``.npy`` files, scaled to unit length.

    Args:
        texts: shape ``(n, dims)``, one row per caption.
        videos: shape ``(m, dims)``, one row per video.
        video_of: whole numbers, shape ``(n,)``: the row of the video of each caption. Without it
            the files have as many rows, and each caption is of the video in its row.

    Raises:
        EvaluationError: a file cannot be read, or they do not fit each other.
    """
    captions, clips = _unit(texts), _unit(videos)
    if video_of is not None:
        numbers = load_npy(video_of, error=EvaluationError)
        if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
            raise EvaluationError(f"{video_of} must hold whole numbers, one per caption")
        return PairVectors(captions, clips, numbers.astype(np.int64))
    if len(captions) != len(clips):
        raise EvaluationError(
            f"{texts} has {len(captions)} rows and {videos} {len(clips)}: give as many, or say "
            "with --video-of which video each caption is of"
        )
    return PairVectors(captions, clips, np.arange(len(clips)))


def _unit(path: Path) -> Vectors:
    found = load_npy(path, error=EvaluationError)
    if found.ndim != 2 or found.dtype.kind not in "fiu" or not found.size:
        raise EvaluationError(
            f"{path} must hold a vector in each row, not an array of {found.dtype} with the shape "
            f"{found.shape}"
        )
    exact = found.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    wrong = ~(np.isfinite(lengths) & (lengths > 0))
    if wrong.any():
        raise EvaluationError(
            f"{path}: {int(wrong.sum())} of {len(found)} vectors have no direction, the first in "
            f"row {int(np.argmax(wrong))}"
        )
    unit: Vectors = (exact / lengths).astype(np.float32)
    return unit
