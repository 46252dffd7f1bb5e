"""The unit vectors of the sampled frames of a video, or of a time range of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders import mean_unit
from vidsearch.errors import NoFramesError
from vidsearch.media.frames import checked_repeats

__all__ = ["FrameVectors"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameVectors:
    """What is known of the frames of a time range once they are encoded.

    Raises:
        ValueError: there are not as many times as frames, or times descend.
    """

    pts_seconds: NDArray[np.float64]
    """Time of each frame in seconds from the beginning of the file, shape ``(m,)``."""
    vectors: NDArray[np.float32]
    """Of the pictures that the frames show, shape ``(n, dims)``, each row of unit length."""
    end_seconds: float
    """Where the range ends: the end of the video as it was read, or ``stop`` where that is
    earlier."""
    damaged: int
    """Sampling points of the range that are left out: their own frame is damaged or missing."""
    points: int
    """Sampling points of the range, damaged ones included."""
    width: int
    """Of the video as displayed, in pixels."""
    height: int
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Number of frames in a row that show each picture, shape ``(n,)``; 1 for each if not given."""
    begin_seconds: float = 0.0
    """When the first picture of the video comes on display."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", checked_repeats(self.repeats, len(self.vectors)))
        if self.vectors.ndim != 2 or self.pts_seconds.shape != (self.repeats.sum(),):
            raise ValueError(
                f"vectors of shape (n, dims) need n times, not {self.vectors.shape} and "
                f"{self.pts_seconds.shape}, for pictures that {self.repeats.sum()} frames show"
            )
        if (np.diff(self.pts_seconds) < 0).any():
            raise ValueError("the times of the frames descend")

    def __len__(self) -> int:
        return len(self.pts_seconds)

    def __repr__(self) -> str:
        return (
            f"FrameVectors({len(self)} frames, {self.damaged} of {self.points} points damaged, "
            f"to {self.end_seconds:.2f} s, {self.width}x{self.height})"
        )

    @classmethod
    def joined(cls, ranges: Sequence[FrameVectors]) -> FrameVectors:
        """The vectors of ranges that follow each other, as of one range.

        Raises:
            ValueError: no ranges, ranges in another order, or vectors of different lengths.
        """
        return cls(
            pts_seconds=np.concatenate([each.pts_seconds for each in ranges]),
            vectors=np.concatenate([each.vectors for each in ranges]),
            end_seconds=ranges[-1].end_seconds,
            damaged=sum(each.damaged for each in ranges),
            points=sum(each.points for each in ranges),
            width=ranges[0].width,
            height=ranges[0].height,
            repeats=np.concatenate([each.repeats for each in ranges]),
            begin_seconds=ranges[0].begin_seconds,
        )

    def mean(self, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """The unit mean of the frames from ``first`` to before ``last``, shape ``(dims,)``.

        Raises:
            NoFramesError: there is no frame.
        """
        if not len(self):
            raise NoFramesError(f"no frame of the first {self.end_seconds:g} s decodes")
        pictures, counts = np.unique(self._pictures()[first:last], return_counts=True)
        return mean_unit(self.vectors[pictures], weights=counts)

    def expanded(self) -> NDArray[np.float32]:
        """The vector of each frame, shape ``(m, dims)``."""
        return self.vectors[self._pictures()]

    def _pictures(self) -> NDArray[np.int64]:
        """Number of the picture that each frame shows."""
        return np.repeat(np.arange(len(self.vectors)), self.repeats)
