"""Decoded frames and the seam that yields them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the decoding child process does without pydantic
    from vidsearch.config import SourceSettings

__all__ = [
    "DEFAULT_LIMITS",
    "Cue",
    "Decoder",
    "FrameBatch",
    "MediaLimits",
    "MediaReader",
    "Sampling",
    "VideoInfo",
]

Sampling = Literal["played-at", "notebook"]
"""Which frames are taken, for k = 0, 1, …:

- ``played-at``: the one on display at ``k / rate`` seconds by presentation time, counted from the
  first frame ("played at" in torchcodec's words);
- ``notebook``: number ``floor(k * int(fps) / rate)`` in order of presentation, as the CLIP4Clip
  notebook takes them, whose steps are not quite a second at 29.97 fps.
"""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a decoder refuses to go beyond, with :class:`~vidsearch.errors.VideoTooLargeError`."""

    max_seconds: float = 12 * 3600.0
    max_pixels: int = 8192 * 4320
    """Of one frame, as coded."""

    @classmethod
    def of(cls, settings: SourceSettings) -> MediaLimits:
        """Those of the section ``sources``."""
        return cls(max_seconds=settings.max_seconds, max_pixels=settings.max_pixels)


DEFAULT_LIMITS = MediaLimits()


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
    damaged: int = 0
    """Sampling points of the whole video whose own frame does not decode, so that the frame before
    stands in for it or the point is left out; known with the last batch."""

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


@dataclass(frozen=True, slots=True)
class Cue:
    """A line of subtitles."""

    start: float
    """Seconds from the first frame of the video."""
    end: float
    """Seconds."""
    text: str
    """Plain words: no markup, no line breaks, never empty."""


@runtime_checkable
class Decoder(Protocol):
    """Reads frames at a fixed rate from a local video file; ``pts_seconds`` is each frame's own
    time, counted from the first frame of the stream.
    """

    @property
    def name(self) -> str:
        """Short name for settings and logs, for example ``"pyav"``."""
        ...

    def probe(self, path: Path) -> VideoInfo:
        """Read the container's header.

        Raises:
            SourceNotFoundError: no file there.
            VideoOpenError: not a readable video.
            VideoTooLargeError: its header says so.
        """
        ...

    def frames(
        self,
        path: Path,
        *,
        rate: float = 1.0,
        batch_size: int = 16,
        sampling: Sampling = "played-at",
    ) -> Iterator[FrameBatch]:
        """Yield the sampled frames in batches of at most ``batch_size``; memory stays flat.

        The last batch carries ``end_seconds``, the length of the video as it was read, and
        ``damaged``.

        Raises:
            SourceNotFoundError: no file there.
            VideoOpenError: not a readable video.
            NoFramesError: not one frame decodes.
            VideoDamagedError: too large a share of the points is damaged; raised at the end.
            VideoTooLargeError: too long, or frames too large.
            ValueError: ``rate`` or ``batch_size`` is not positive, or an unknown ``sampling``.
        """
        ...


@runtime_checkable
class MediaReader(Decoder, Protocol):
    """A decoder that also reads what else ingestion needs of a file."""

    def cues(self, path: Path) -> tuple[Cue, ...]:
        """Lines of the file's text subtitle track, in order; empty where it has none.

        Raises:
            SourceNotFoundError: no file there.
            VideoOpenError: not a readable video.
        """
        ...

    def shots(self, path: Path) -> tuple[float, ...]:
        """Times of the cuts in seconds, ascending, without 0 and the end.

        Raises:
            MissingExtraError: PySceneDetect is not installed (extra ``shots``).
            VideoError: as for :meth:`frames`.
        """
        ...

    def close(self) -> None:
        """Give up what is held (a child process); the reader can be used again afterwards."""
        ...
