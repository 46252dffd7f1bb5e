"""Decoded frames and the seam that yields them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decoder", "FrameBatch", "VideoInfo"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says of its video stream; sizes are as displayed (rotation applied)."""

    width: int
    height: int
    duration: float | None
    """Seconds, or ``None`` where the container does not say."""
    fps: float | None
    """Average frames per second, or ``None`` where unknown."""


@dataclass(frozen=True, slots=True, repr=False)
class FrameBatch:
    """A run of decoded frames of one video, in order of presentation.

    Raises:
        ValueError: shapes or types do not fit together.
    """

    data: NDArray[np.uint8]
    """RGB pixels, shape ``(n, height, width, 3)``."""
    pts_seconds: NDArray[np.float64]
    """Presentation time of each frame in seconds from the start, shape ``(n,)``."""
    end_seconds: float | None = None
    """Where the stream ends, in seconds; known with its last batch only. Unlike the duration in
    the container's header this is what was read."""

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 4 or self.data.shape[3] != 3:
            raise ValueError(
                f"frames must be uint8 of shape (n, height, width, 3), "
                f"not {self.data.dtype} {self.data.shape}"
            )
        if self.pts_seconds.shape != self.data.shape[:1]:
            raise ValueError(
                f"{self.data.shape[0]} frames need as many pts_seconds, "
                f"not shape {self.pts_seconds.shape}"
            )

    def __len__(self) -> int:
        return int(self.data.shape[0])

    def __repr__(self) -> str:
        n, height, width, _ = self.data.shape
        return f"FrameBatch({n} frames of {width}x{height}, pts_seconds={self.pts_seconds})"


@runtime_checkable
class Decoder(Protocol):
    """Reads frames at a fixed rate from a local video file.

    The frame at sampling point ``t = k / rate`` is the one on display at ``t`` by presentation
    time ("played at" in torchcodec's words); ``pts_seconds`` is that frame's own time.
    """

    @property
    def name(self) -> str:
        """Short name for settings and logs, for example ``"opencv"``."""
        ...

    def probe(self, path: Path) -> VideoInfo:
        """Read the container's header.

        Raises:
            VideoNotFound: no file there.
            VideoOpenError: not a readable video.
        """
        ...

    def frames(
        self, path: Path, *, rate: float = 1.0, batch_size: int = 16
    ) -> Iterator[FrameBatch]:
        """Yield the sampled frames in batches of at most ``batch_size``; memory stays flat.

        The last batch carries ``end_seconds``, the length of the video as it was read.

        Raises:
            VideoNotFound: no file there.
            VideoOpenError: not a readable video.
            NoFramesError: not one frame decodes.
        """
        ...
