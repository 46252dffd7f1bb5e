"""Which frame is on display at a sampling point, and when: the rules that all decoders share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vidsearch.defaults import BATCH_SIZE
from vidsearch.errors import NoFramesError, VideoDamagedError, VideoTooLargeError
from vidsearch.media.frames import FrameBatch, FrameStream, FrameSummary, MediaLimits, Sampling

__all__ = [
    "EPSILON",
    "FALLBACK_STEP",
    "LONGEST_HOLD",
    "BatchDecoder",
    "Clock",
    "FrameRequest",
    "Points",
    "refuse_damaged",
    "refuse_too_long",
    "refuse_too_many_pixels",
]

EPSILON = 1e-6
"""Seconds; times are doubles with a rounding error."""
FALLBACK_STEP = 1 / 25
"""Seconds from frame to frame where a file does not say."""
LONGEST_HOLD = 3600.0
"""Seconds. Time stamps of damaged streams leap by hours in one step. A :class:`Clock`, which sees
one frame at a time, takes a longer hold for that: the next frame comes one step later."""
_JUMP_BACK = 1.0
"""Seconds. Stamps that go back by more belong to another stream that was joined on; by less, they
are out of order."""
_END_TOLERANCE = 1e-3
"""Seconds; Matroska rounds time stamps to milliseconds, which must not add a frame at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRequest:
    """The arguments of :meth:`~vidsearch.media.frames.Decoder.frames`.

    Raises:
        ValueError: they make no sense.
    """

    rate: float
    batch_size: int
    sampling: Sampling
    start: float
    stop: float | None

    def __post_init__(self) -> None:
        if not self.rate > 0 or self.batch_size < 1:
            raise ValueError(
                f"rate and batch_size must be positive, not {self.rate} and {self.batch_size}"
            )
        if self.sampling not in get_args(Sampling):
            raise ValueError(f"sampling must be one of {get_args(Sampling)}, not {self.sampling!r}")
        stop = self.start if self.stop is None else self.stop
        if not 0 <= self.start <= stop < math.inf:
            raise ValueError(
                f"start and stop must be seconds with 0 <= start <= stop, "
                f"not {self.start} and {self.stop}"
            )

    @property
    def is_whole(self) -> bool:
        """Whether the whole video is read."""
        return self.start == 0 and self.stop is None

    def points(self, *, fps: float | None, begin: float) -> Points:
        """The sampling points of a video; see :class:`Points`."""
        return Points(
            rate=self.rate,
            sampling=self.sampling,
            fps=fps,
            begin=begin,
            start=self.start,
            stop=self.stop,
        )


class BatchDecoder(ABC):
    """A decoder that answers checked requests."""

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
        """See :class:`~vidsearch.media.frames.Decoder`."""
        request = FrameRequest(
            rate=rate, batch_size=batch_size, sampling=sampling, start=start, stop=stop
        )
        return FrameStream(self._batches(path, request))

    @abstractmethod
    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]: ...


class Points:
    """The sampling points k, k + 1, … of a range, and how many of them have had their frame.

    A point has a position: ``k / rate`` in seconds, or a frame's number for ``notebook``. The frame
    of a point is the last one at or before its position, so a frame serves all points before the
    position of the next one. No point lies before the first picture, but where the video ends
    before the next one: then that shows its last frame.

    The notebook takes ``int(fps)``, and fails below one frame per second; here it is at least 1.
    It also stops at the number of frames that the header promises, right or wrong; here the stream
    decides.

    Args:
        rate: points per second.
        sampling: which frames.
        fps: frames per second of the video.
        begin: when its first picture comes on display, in seconds.
        start: of the range, in seconds.
        stop: of the range, in seconds; ``None`` reads to the end.
    """

    def __init__(
        self,
        *,
        rate: float,
        sampling: Sampling,
        fps: float | None,
        begin: float = 0.0,
        start: float = 0.0,
        stop: float | None = None,
    ) -> None:
        self.rate = rate
        self.by_number = sampling == "notebook"
        self.stretched = not self.by_number
        """Whether pixels that are not square are stretched on the sampled pictures."""
        self._interval = max(int(fps or 1 / FALLBACK_STEP), 1) / rate
        self._begin_seconds = begin
        self._begin = 0 if self.by_number else self._count(begin)
        self.stop = None if stop is None else self._count(stop)
        """The point after the last of the range; ``None`` reads to the end."""
        self.first = max(self._count(start), self._begin)
        if self.stop is not None:
            self.first = min(self.first, self.stop)
        """The first point of the range."""
        self.done = self.first
        """The next point to get its frame."""

    @property
    def is_done(self) -> bool:
        """Whether every point of the range has had its frame; never, where it has no end."""
        return self.stop is not None and self.done >= self.stop

    def place(self, number: int, seconds: float) -> float:
        """The position of a frame."""
        return number if self.by_number else seconds

    def position(self, k: int) -> float:
        """The position of a point."""
        return math.floor(k * self._interval) if self.by_number else k / self.rate

    def due(self, before: float) -> int:
        """How many points of the range, from ``done`` on, lie before a position."""
        k = self.done
        while k != self.stop and self.position(k) < before - EPSILON:
            k += 1
        return k - self.done

    def begin(self, first: float) -> int:
        """Leave out the points that no frame can be on display at, as the first one that decodes
        has the position ``first``. The last point before it is kept.

        Returns:
            How many of the range are left out.
        """
        k = self._begin
        while self.position(k) < first - EPSILON and self.position(k + 1) <= first + EPSILON:
            k += 1
        self._begin = k
        left_out = max(self._within(k) - self.done, 0)
        self.done += left_out
        return left_out

    def end(self, *, seconds: float, frames: int) -> float:
        """The position before which the last points lie; however short it is, a video has one."""
        if self.by_number:
            return frames
        return max(seconds - _END_TOLERANCE, self.position(self._begin) + 2 * EPSILON)

    def missing(self, end: float, promised: float | None) -> int:
        """How many points a file lacks that ends at ``end`` seconds in place of ``promised``."""
        if promised is None:
            return 0
        last, due = (
            self._within(math.ceil((seconds - _END_TOLERANCE) * self.rate))
            for seconds in (end, promised)
        )
        return max(0, due - last)

    def summary(self, *, end: float, damaged: int, total: int) -> FrameSummary:
        """Of a reading whose stream ends at ``end`` seconds, as far as it was read."""
        return FrameSummary(
            end_seconds=None if self.is_done else end,
            damaged=damaged,
            points=total,
            begin_seconds=self._begin_seconds,
        )

    def numbers(self, seconds: NDArray[np.float64], *, end: float) -> NDArray[np.int64]:
        """The number of the frame that each point of the range shows.

        Args:
            seconds: when each frame of the whole video comes on display, ascending.
            end: of the last one.
        """
        last = self.end(seconds=end, frames=len(seconds))
        count = math.ceil(last / self._interval if self.by_number else last * self.rate) + 1
        k = np.arange(self.first, self._within(count))
        if self.by_number:
            numbers: NDArray[np.int64] = np.floor(k * self._interval).astype(np.int64)
            return numbers[numbers < last]
        times = k / self.rate
        times = times[times < last - EPSILON]
        shown: NDArray[np.int64] = np.searchsorted(seconds, times + EPSILON, side="right") - 1
        return shown

    def _count(self, seconds: float) -> int:
        """How many points lie before a time."""
        return max(math.ceil((seconds - EPSILON) * self.rate), 0)

    def _within(self, k: int) -> int:
        """The point of the range that is nearest to ``k``, or the one after its last."""
        return max(k if self.stop is None else min(k, self.stop), self.first)


class Clock:
    """Turns the time stamps of frames in the order of presentation into times that ascend.

    Streams without time stamps (raw H.264) report none or the same one for every frame, joined
    streams jump back, damaged ones leap ahead: there a frame comes one step after the one before.
    """

    def __init__(self, step: float, *, begin: float = 0.0, longest: float = LONGEST_HOLD) -> None:
        self.step = step
        """Usual time between two frames in seconds."""
        self._longest = longest
        self.seconds = begin
        """When the current frame comes on display."""
        self._offset = 0.0
        self._started = False

    def tick(self, stamp: float | None, *, lost: int = 0) -> float:
        """The next frame's time; ``lost`` frames before it did not decode."""
        if not self._started:
            self._started = True
            self._offset = self.seconds
            if stamp is not None and math.isfinite(stamp):
                self._offset -= stamp
            return self.seconds
        usual = self.seconds + self.step * (1 + lost)
        if stamp is None or not math.isfinite(stamp):
            self.seconds = usual
            return usual
        seconds = stamp + self._offset
        if seconds < self.seconds - _JUMP_BACK or seconds > self.seconds + self._longest:
            self._offset = usual - stamp
            seconds = usual
        self.seconds = seconds if seconds > self.seconds else usual
        return self.seconds


def refuse_too_long(name: str, seconds: float | None, limits: MediaLimits) -> None:
    """Raises :class:`VideoTooLargeError` for a video of so many seconds, where that is too long."""
    if seconds is not None and seconds > limits.max_seconds + EPSILON:
        raise VideoTooLargeError(
            f"{name} is {seconds:.0f} s long, but no more than {limits.max_seconds:.0f} s are "
            f"allowed (sources.max_seconds)"
        )


def refuse_too_many_pixels(name: str, width: int, height: int, limits: MediaLimits) -> None:
    """Raises :class:`VideoTooLargeError` for a picture of that size, where that is too large."""
    if width * height > limits.max_pixels:
        raise VideoTooLargeError(
            f"{name} has pictures of {width}x{height}, but no more than {limits.max_pixels} pixels "
            f"are allowed (sources.max_pixels)"
        )


def refuse_damaged(name: str, damaged: int, points: int, *, most: float) -> None:
    """Raise VideoDamagedError where more than the share ``most`` of the points is damaged, and
    NoFramesError where all are.
    """
    if damaged > most * points:
        raise VideoDamagedError(
            f"{name}: {damaged} of {points} frames that were wanted are damaged or missing, more "
            f"than the share of {most:g} that is allowed (ingest.max_damaged)"
        )
    if damaged and damaged == points:
        raise NoFramesError(f"{name}: none of the {points} frames that were wanted is whole")
