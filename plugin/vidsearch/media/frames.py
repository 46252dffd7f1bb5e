"""What is read of a media file (frames, subtitles, cuts), and the protocols of what reads it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidsearch.defaults import BATCH_SIZE, MAX_PIXELS, MAX_SECONDS

if TYPE_CHECKING:  # the decoding child process does without pydantic
    from vidsearch.config import SourceSettings

__all__ = [
    "DEFAULT_LIMITS",
    "Cue",
    "Decoder",
    "FrameBatch",
    "FrameStream",
    "FrameSummary",
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
  notebook takes them, whose steps are not quite a second at 29.97 fps. Pixels that are not square
  stay as they are stored, as in the notebook; ``played-at`` stretches them as players do.
"""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a decoder refuses to go beyond, with :class:`~vidsearch.errors.VideoTooLargeError`."""

    max_seconds: float = MAX_SECONDS
    max_pixels: int = MAX_PIXELS
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
class FrameSummary:
    """What is known once all frames of a reading were given."""

    end_seconds: float | None
    """Where the stream ends, in seconds, as it was read rather than as the header says. ``None``
    for a range that stops before it: at or before the last sampling point of the video."""
    damaged: int
    """Sampling points of the range that are left out: their own frame is missing or damaged (it
    does not decode, was patched up by the codec, or is predicted from such a frame)."""
    points: int
    """Sampling points of the range, damaged ones included."""


class FrameStream(Iterator[FrameBatch]):
    """The frames of one reading, batch by batch, and afterwards its summary::

        with decoder.frames(path) as frames:
            for batch in frames:
                ...
        print(frames.summary.end_seconds)

    A reading that is left early is given up by :meth:`close`, at the end of a ``with`` block, or
    when nothing refers to it any more.

    Args:
        batches: returns the summary when it has yielded the last batch.
    """

    def __init__(self, batches: Generator[FrameBatch, None, FrameSummary]) -> None:
        self._batches = batches
        self._summary: FrameSummary | None = None

    def __next__(self) -> FrameBatch:
        try:
            return next(self._batches)
        except StopIteration as end:
            self._summary = self._summary or end.value
            raise

    @property
    def summary(self) -> FrameSummary:
        """What is known of the whole reading.

        Raises:
            RuntimeError: not all batches were taken.
        """
        if self._summary is None:
            raise RuntimeError("the summary is known after the last batch; read all batches first")
        return self._summary

    def close(self) -> None:
        """Give the reading up: its file is closed, and its decoder does no more work."""
        self._batches.close()

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


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

    def can_seek(self, path: Path) -> bool:
        """Whether a range is read without decoding the video from its beginning.

        Raises:
            SourceNotFoundError, VideoOpenError: as for :meth:`probe`.
        """
        ...

    def frames(
        self,
        path: Path,
        *,
        rate: float = 1.0,
        batch_size: int = BATCH_SIZE,
        sampling: Sampling = "played-at",
        start: float = 0.0,
        stop: float | None = None,
    ) -> FrameStream:
        """Read the sampled frames in batches of at most ``batch_size``; memory stays flat.

        A batch is shorter at the end, and where the picture size changes.

        ``start`` and ``stop`` choose the points ``k`` with ``start <= k / rate < stop``, in both
        samplings. They give the same frames as a reading of the whole video gives for these
        points, so that ranges that follow each other add up to it. A range without a frame, such as
        one beyond the end, is empty.

        Args:
            path: of the file.
            rate: sampling points per second.
            batch_size: frames per batch.
            sampling: which frames.
            start: of the range, in seconds from the first frame.
            stop: of the range, in seconds; ``None`` reads to the end.

        Raises:
            SourceNotFoundError: no file there.
            VideoOpenError: not a readable video.
            NoFramesError: not one frame of the video decodes, as far as it was read; or, of a whole
                video, not one that was wanted.
            VideoDamagedError: too large a share of the points is damaged; raised at the end, and
                for whole videos only. Whoever joins ranges has ``damaged`` and ``points``.
            VideoTooLargeError: too long, or frames too large.
            ValueError: ``rate`` or ``batch_size`` is not positive, an unknown ``sampling``, or no
                range.
        """
        ...


@runtime_checkable
class MediaReader(Decoder, Protocol):
    """A decoder that also reads what else ingestion needs of a file."""

    def cues(self, path: Path, *, languages: Sequence[str] | None = None) -> tuple[Cue, ...]:
        """Lines of the file's text subtitle track, in order; empty where it has none.

        Args:
            path: of the file.
            languages: only of a track of one of these, the first that there is; ``None`` takes any.

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
