"""What is read of a media file (frames, subtitles, cuts), and the protocols of what reads it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
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
    "checked_repeats",
]

Sampling = Literal["played-at", "notebook"]
"""Which frames are taken, for k = 0, 1, …:

- ``played-at``: the one on display at ``k / rate`` seconds, as a player counts them ("played at" in
  torchcodec's words); none before the first picture;
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
    """Where the picture ends, in seconds from the file's beginning; ``None`` where the container
    does not say."""
    fps: float | None
    """Average frames per second, or ``None`` where unknown."""


@dataclass(frozen=True, slots=True, repr=False)
class FrameBatch:
    """A run of sampled frames of one video, in order of presentation.

    A picture that several frames in a row show is there once: one that is held, or that does not
    change from frame to frame.

    Raises:
        ValueError: shapes or types do not fit together.
    """

    data: NDArray[np.uint8]
    """RGB pixels of each picture, shape ``(n, height, width, 3)``."""
    pts_seconds: NDArray[np.float64]
    """Presentation time of each frame in seconds from the file's beginning, shape ``(m,)``."""
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Number of frames that show each picture, shape ``(n,)``; 1 for each if not given."""

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 4 or self.data.shape[3] != 3:
            raise ValueError(
                f"frames must be uint8 of shape (n, height, width, 3), "
                f"not {self.data.dtype} {self.data.shape}"
            )
        repeats = checked_repeats(self.repeats, len(self.data))
        object.__setattr__(self, "repeats", repeats)
        if self.pts_seconds.shape != (repeats.sum(),):
            raise ValueError(
                f"{repeats.sum()} frames need as many pts_seconds, "
                f"not shape {self.pts_seconds.shape}"
            )

    def __len__(self) -> int:
        """Number of pictures."""
        return int(self.data.shape[0])

    def __repr__(self) -> str:
        _, height, width, _ = self.data.shape
        frames = len(self.pts_seconds)
        return f"FrameBatch({frames} frames of {width}x{height}, pts_seconds={self.pts_seconds})"

    def only(self, pictures: Sequence[int]) -> FrameBatch:
        """Some of the pictures, each with the first frame that shows it.

        Args:
            pictures: their numbers, ascending.
        """
        first = np.cumsum(self.repeats) - self.repeats
        return FrameBatch(self.data[list(pictures)], self.pts_seconds[first[list(pictures)]])

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Time and picture of each frame."""
        pictures = (self.data[n] for n in np.repeat(np.arange(len(self)), self.repeats))
        return zip(self.pts_seconds.tolist(), pictures, strict=True)


def checked_repeats(repeats: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many frames show each of ``count`` pictures; one, where ``repeats`` is empty.

    Raises:
        ValueError: not as many numbers as pictures, or one below 1.
    """
    repeats = repeats if len(repeats) else np.ones(count, dtype=np.int64)
    if repeats.shape != (count,) or (repeats < 1).any():
        raise ValueError(f"{count} pictures need as many repeats from 1, not {repeats}")
    return repeats


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
    begin_seconds: float = 0.0
    """When the first picture of the video comes on display; 0 but where the sound begins first."""


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
    """Seconds from the beginning of the file."""
    end: float
    """Seconds."""
    text: str
    """Plain words: no markup, no line breaks, never empty."""


@runtime_checkable
class Decoder(Protocol):
    """Reads frames at a fixed rate from a local video file; ``pts_seconds`` is each frame's own
    time, counted as a player does: from the earliest start of a picture or sound of the file.
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
        """Whether ranges can be read apart: none decodes the video from its beginning, nor much of
        what the others do.

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
        """Read the sampled frames in batches of at most ``batch_size`` pictures; memory stays flat.

        A batch is shorter at the end, and where the picture size changes.

        ``start`` and ``stop`` choose the points ``k`` with ``start <= k / rate < stop``, in both
        samplings. They give the same frames as a reading of the whole video gives for these
        points, so that ranges that follow each other add up to it. A range without a frame, such as
        one beyond the end, is empty.

        Args:
            path: of the file.
            rate: sampling points per second.
            batch_size: pictures per batch.
            sampling: which frames.
            start: of the range, in seconds.
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
