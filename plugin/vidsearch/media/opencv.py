"""The decoder on OpenCV: reads a file once, front to back, and never seeks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError, VideoOpenError
from vidsearch.media.batches import Batches
from vidsearch.media.capture import Capture, opened
from vidsearch.media.display import (
    EPSILON,
    BatchDecoder,
    FrameRequest,
    Points,
    refuse_damaged,
    refuse_too_long,
    refuse_too_many_pixels,
)
from vidsearch.media.frames import (
    DEFAULT_LIMITS,
    FrameBatch,
    FrameSummary,
    MediaLimits,
    VideoInfo,
)
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.container import opened as opened_by_pyav
from vidsearch.media.pyav.cut_off import cut_off_at
from vidsearch.media.pyav.damage import WHOLE, lacks_its_start, untrusted
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.media.pyav.timetable import presentation
from vidsearch.media.pyav.wide_gamut import is_exotic
from vidsearch.media.streams import is_picture

if TYPE_CHECKING:
    import av

__all__ = ["OpenCvDecoder"]

_log = logging.getLogger(__name__)
_PROGRESSIVE = (0, 1)
"""Field orders "unknown" and "progressive"."""
_INSTEAD = "set ingest.decoder to pyav"
_LOOKAHEAD_FRAMES = 3


class OpenCvDecoder(BatchDecoder):
    """Reads with ``cv2.VideoCapture`` on FFmpeg. The plainest way, and the reference for others.

    Times are those of :class:`~vidsearch.media.pyav.PyAvDecoder`, from the packets. Rotation is
    applied; transparency is dropped. OpenCV does not tell frames that
    the codec patched up: of damage, only what the packets tell is left out and counted.

    A range, too, is decoded from the first frame of the video on.

    Args:
        limits: what is refused.
        max_damaged: share of the sampling points whose own frame may fail to decode.
        threads: of the codec.
    """

    name = "opencv"

    def __init__(
        self,
        *,
        limits: MediaLimits = DEFAULT_LIMITS,
        max_damaged: float = 0.5,
        threads: int = 1,
    ) -> None:
        self._limits = limits
        self._max_damaged = max_damaged
        self._threads = threads

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        with _checked(path) as video:
            _refuse_by_header(video, self._limits)
            late = video.late_picture
            duration = video.duration
        with opened(path, threads=self._threads, late_picture=late) as capture:
            return replace(capture.info, duration=duration)

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`: never."""
        return False

    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]:
        with _checked(path) as video:
            _refuse_by_header(video, self._limits)
            index, late = read_packets(video), video.late_picture
            points = request.points(fps=video.fps, begin=index.begin)
            is_whole = video.stream.codec_context.name in WHOLE
            promised = cut_off_at(video, index)
            from_start = lacks_its_start(video, index)
        batches = Batches(request.batch_size)
        capture = partial(opened, path, threads=self._threads, late_picture=late)
        sampler = _Sampler(
            capture, index, points, from_start=from_start, is_whole=is_whole, limits=self._limits
        )
        for held, image in sampler:
            draw = partial(_given, image)
            yield from batches.add(held.seconds, draw, number=held.number)
        missing = 0 if points.is_done else points.missing(sampler.end_seconds, promised)
        damaged, total = sampler.damaged + missing, points.done - points.first + missing
        if request.is_whole:
            refuse_damaged(path.name, damaged, total, most=self._max_damaged)
        yield from batches.rest()
        return points.summary(end=sampler.end_seconds, damaged=damaged, total=total)


def _given(image: NDArray[np.uint8], _: object) -> NDArray[np.uint8]:
    return image


class _TooSparseError(Exception):
    """A frame stayed on display for longer than was looked ahead."""


@dataclass(slots=True)
class _Held:
    """The frame that is on display until the next one comes."""

    number: int
    position: int
    seconds: float
    image: NDArray[np.uint8] | None
    """``None`` where it was not expected to be wanted."""
    own_until: float = math.inf
    """Position from which the frame on display is one that does not decode."""


class _Sampler:
    """Iterates over the frames on display at the sampling points, and their pictures."""

    def __init__(
        self,
        capture: Callable[[], AbstractContextManager[Capture]],
        index: PacketIndex,
        points: Points,
        *,
        from_start: bool,
        is_whole: bool,
        limits: MediaLimits,
    ) -> None:
        self._opened = capture
        order = presentation(index)
        self._index = index
        self._order = None if isinstance(order, str) else order
        self._untrusted = frozenset[int]()
        if self._order is not None or len(index.holes):
            self._untrusted = untrusted(index, self._order, from_start=from_start)
        self._is_damage_found = is_whole
        """Whether a frame that does not come out is damaged, see :class:`Damage`."""
        self._points = points
        self._limits = limits
        self.end_seconds = 0.0
        self.damaged = 0

    def __iter__(self) -> Iterator[tuple[_Held, NDArray[np.uint8]]]:
        try:
            yield from self._read(convert_all=False)
        except _TooSparseError:
            # Rare (slide shows, screen recordings): read once more and convert every frame.
            yield from self._read(convert_all=True)

    def _read(self, *, convert_all: bool) -> Iterator[tuple[_Held, NDArray[np.uint8]]]:
        # Which frame is on display at a point is known only once the next one has been read, and
        # OpenCV converts the current frame only. Converting every frame costs up to as much as
        # decoding it, so only those shortly before a point are.
        points = self._points
        times = FrameTimes(self._index, self._order)
        held: _Held | None = None
        with self._opened() as capture:
            ahead = math.inf if convert_all else _LOOKAHEAD_FRAMES * capture.step
            while capture.read():
                if not times.advance_to(capture.seconds, lost=capture.lost):
                    continue
                refuse_too_long(capture.name, times.seconds, self._limits)
                position = points.place(times.number, times.seconds)
                if held is None:
                    # Points that no frame can be on display at.
                    left_out = points.begin(position)
                    if capture.lost or self._lacks_packets_before(times.number):
                        self.damaged += left_out
                else:
                    held.own_until = min(held.own_until, self._own_until(held, times, capture))
                    yield from self._shown(held, until=position)
                if points.by_number:
                    wanted = convert_all or points.position(points.done) <= times.number
                else:
                    wanted = points.position(points.done) < times.seconds + ahead
                image = self._image(capture) if wanted else None
                if image is not None or not wanted:
                    held = _Held(times.number, times.position, times.seconds, image)
                    if self._is_broken(times):
                        held.own_until = -math.inf
                elif held is not None:  # not convertible, so the frame before stays on display
                    held.own_until = min(held.own_until, position)
                if points.is_done:
                    return
            if held is None:
                raise NoFramesError(capture.no_frames_message())
            self.end_seconds = max(times.end, held.seconds)
            self._is_damage_found = self._is_damage_found or bool(self._untrusted)
            held.own_until = min(held.own_until, self._skipped_at(held, len(self._index)))
            until = points.end(seconds=self.end_seconds, frames=times.number + 1)
            yield from self._shown(held, until=until)

    def _own_until(self, held: _Held, times: FrameTimes, capture: Capture) -> float:
        """The position up to which the frame before the current one is shown for its own sake."""
        first, last = held.position, times.position
        if self._order is not None:
            first, last = held.number, times.number
        is_broken = not self._untrusted.isdisjoint(range(first + 1, last + 1))
        self._is_damage_found = self._is_damage_found or is_broken or capture.lost > 0
        before, after = held.position, times.position
        holes = self._index.holes
        if self._order is not None and len(holes):
            before = int(self._order.packets[: held.number + 1].max())
        until = self._skipped_at(held, times.number)
        is_after_hole = bool(((before < holes) & (holes <= after)).any())
        if is_broken or is_after_hole or (capture.lost and self._order is None):
            usual = 1 if self._points.by_number else self._index.step
            until = min(until, self._points.place(held.number, held.seconds) + usual)
        return until

    def _is_broken(self, times: FrameTimes) -> bool:
        """Whether the current frame depends on packets that are damaged or missing."""
        return (times.position if self._order is None else times.number) in self._untrusted

    def _skipped_at(self, held: _Held, number: int) -> float:
        """The position of the frame after ``held``, if that did not come out before a number."""
        order, following = self._order, held.number + 1
        if (
            order is None
            or not self._is_damage_found
            or following >= min(number, len(order.seconds))
        ):
            return math.inf
        return self._points.place(following, float(order.seconds[following]))

    def _lacks_packets_before(self, number: int) -> bool:
        """Whether frames before the first that comes out cannot be decoded without a key frame that
        is missing. Those of an intra refresh wait for its recovery point.
        """
        if self._order is None:
            return False
        position = self._order.packets[number]
        return bool(self._index.keys[position] and self._index.shown[:position].any())

    def _shown(self, held: _Held, *, until: float) -> Iterator[tuple[_Held, NDArray[np.uint8]]]:
        points = self._points
        for _ in range(points.due(until)):
            is_own = points.position(points.done) < held.own_until - EPSILON
            if is_own and held.image is None:
                raise _TooSparseError
            points.done += 1
            if is_own and held.image is not None:
                yield held, held.image
            else:
                self.damaged += 1

    def _image(self, capture: Capture) -> NDArray[np.uint8] | None:
        image = capture.image(stretched=self._points.stretched)
        if image is not None:
            refuse_too_many_pixels(capture.name, image.shape[1], image.shape[0], self._limits)
        return image


def _refuse_by_header(video: Video, limits: MediaLimits) -> None:
    refuse_too_many_pixels(video.name, *video.coded_size, limits)
    refuse_too_long(video.name, video.promised, limits)


@contextmanager
def _checked(path: Path) -> Iterator[Video]:
    """The stream that OpenCV reads; call it before OpenCV opens the file.

    For interlaced frames and for colours that swscale refuses, OpenCV (4.14 and 5.0, not 4.10)
    hands out memory that nothing was written to; it takes cover art for a video, and decodes what
    is encrypted to noise. It reads the first video stream of several: where that is not the one
    that the other decoder reads, a warning is logged.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video, or one that OpenCV cannot show.
        MissingExtraError: PyAV is not installed.
    """
    with opened_by_pyav(path) as video:
        frame = video.first_frame()
        reason = _why_not(video, frame) if frame is not None else None
        if reason:
            raise VideoOpenError(f"{path.name} {reason}; {_INSTEAD}")
        first: Any = next(
            each
            for each in video.container.streams.video
            if each.codec_context is not None and not is_picture(each)
        )
        if first.index != video.stream.index:
            _log.warning(
                "%s has several video streams; OpenCV reads the first one, number %d, not the "
                "main one, number %d; %s to read that",
                path.name,
                first.index,
                video.stream.index,
                _INSTEAD,
            )
        yield replace(video, stream=first)


def _why_not(video: Video, frame: av.VideoFrame) -> str | None:
    order = getattr(video.stream.codec_context, "field_order", 0)  # since PyAV 18.1
    if frame.interlaced_frame or order not in _PROGRESSIVE:
        return "is interlaced, which OpenCV shows as noise"
    if is_exotic(frame):
        return "has colours that OpenCV shows as noise (neither RGB nor plain luma and chroma)"
    return None
