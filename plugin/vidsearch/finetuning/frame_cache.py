"""Frames of videos as small squares on disk: each video is decoded once, not in every epoch."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from vidsearch.finetuning.examples import Pictures
from vidsearch.media import MediaReader, Sampling
from vidsearch.media.display import refuse_damaged
from vidsearch.media.file_store import FileStore
from vidsearch.media.pixels import PixelRecipe
from vidsearch.media.torch_pixels import clip_levels_torch

__all__ = ["FrameCache", "spread"]

_BATCH = 16
_FORMAT = 1
"""To be raised when the same bytes would give other pictures than before."""


def spread(number: int, most: int) -> list[int]:
    """At most ``most`` of ``number`` things in a row, evenly spread from the first to the last."""
    return [int(at) for at in np.linspace(0, number - 1, min(number, most))]


class FrameCache:
    """Pictures of videos by the content of their files.

    A video takes ``frames * 3 * size * size`` bytes: 1.8 MB for 12 frames of 224 pixels.

    Args:
        files: where they are kept.
        recipe: of the model: size of the square, and how frames become one.
        rate: frames per second that are looked at.
        sampling: which those are.
        frames: most of them that are kept of a video, evenly spread.
    """

    def __init__(
        self,
        files: FileStore,
        recipe: PixelRecipe,
        *,
        rate: float,
        sampling: Sampling,
        frames: int,
    ) -> None:
        self._files, self._recipe = files, recipe
        self._rate, self._sampling, self._frames = rate, sampling, frames
        way = (_FORMAT, recipe.size, recipe.resize, recipe.resample, rate, sampling, frames)
        self._way = hashlib.sha256(repr(way).encode()).hexdigest()[:16]

    def pictures(self, content: str) -> Pictures | None:
        """What is kept of a content; ``None`` if nothing is, or it is damaged.

        Raises:
            SourceUnavailableError: the place did not answer.
        """
        if (data := self._files.read(self._key(content))) is None:
            return None
        try:
            pictures: Pictures = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError):
            return None
        size = self._recipe.size
        whole = pictures.dtype == np.uint8 and pictures.shape[1:] == (3, size, size)
        return pictures if whole and len(pictures) else None

    def add(self, content: str, path: Path, reader: MediaReader, *, max_damaged: float) -> None:
        """Decode a video and keep its pictures.

        Args:
            content: hash of its bytes.
            path: of the file.
            reader: decodes it.
            max_damaged: share of its frames that may be damaged.

        Raises:
            VideoError: it cannot be read.
            SourceUnavailableError: the place that keeps pictures did not answer, or is full.
        """
        squares: list[Pictures] = []
        with reader.frames(
            path, rate=self._rate, sampling=self._sampling, batch_size=_BATCH
        ) as frames:
            for batch in frames:
                small = clip_levels_torch(batch.data, self._recipe).numpy()
                squares.append(np.repeat(small, batch.repeats, axis=0))
        summary = frames.summary
        refuse_damaged(path.name, summary.damaged, summary.points, most=max_damaged)
        every = np.concatenate(squares)
        file = io.BytesIO()
        np.save(file, every[spread(len(every), self._frames)])
        self._files.write(self._key(content), file.getvalue())

    def _key(self, content: str) -> str:
        return f"{content[:2]}/{content}-{self._way}.npy"
