"""The decoder on OpenCV: reads a file once, front to back, and never seeks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError, VideoOpenError
from vidsearch.media.batches import Batches
from vidsearch.media.capture import Capture, errors_are_heard, opened
from vidsearch.media.display import BatchDecoder, FrameRequest, refuse_too_many_pixels
from vidsearch.media.frames import (
    DEFAULT_LIMITS,
    FrameBatch,
    FrameSummary,
    MediaLimits,
    VideoInfo,
)
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.container import opened as opened_by_pyav
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.picture import Turn, turn_of
from vidsearch.media.pyav.survey import duration
from vidsearch.media.pyav.trusted_frames import PointFrame, TrustedFrames, refuse_by_header
from vidsearch.media.pyav.wide_gamut import is_exotic
from vidsearch.media.streams import is_picture

if TYPE_CHECKING:
    import av

__all__ = ["OpenCvDecoder"]

_log = logging.getLogger(__name__)
_PROGRESSIVE = (0, 1)
"""Field orders "unknown" and "progressive"."""
_MOST_LATE = 4
"""Frames, whose pictures are held meanwhile."""
_INSTEAD = "set ingest.decoder to pyav"
_INTERLACED = "is interlaced, which OpenCV shows as noise"
_BOTTOM_UP = "has rows that are stored from the bottom up, of which OpenCV writes beyond its memory"


class OpenCvDecoder(BatchDecoder):
    """Reads with ``cv2.VideoCapture`` on FFmpeg. The plainest way, and the reference for others.

    Rotation is applied; transparency is dropped. OpenCV does not tell which frames are damaged, and
    not always when they are shown, so PyAV reads the file, too, as for
    :class:`~vidsearch.media.pyav.PyAvDecoder`, and OpenCV gives the pictures of the same frames.
    HEVC, VP8 and VP9, in which only a missing frame shows damage, are decoded by OpenCV alone until
    one is missing, and so is H.264 in a decoding process of its own, until the codec says that
    something is wrong.

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
        with _checked(path) as (video, turn):
            refuse_by_header(video, self._limits)
            late = video.late_picture
            seconds = duration(video)
        with opened(path, threads=self._threads, late_picture=late, turn=turn) as capture:
            return replace(capture.info, duration=seconds)

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`: never."""
        return False

    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]:
        batches, lacking = Batches(request.batch_size), 0
        with _checked(path) as (video, turn):
            frames = TrustedFrames(
                video,
                request,
                limits=self._limits,
                max_damaged=self._max_damaged,
                threads=self._threads,
                are_drawn=False,
                are_errors_heard=errors_are_heard(),
            )
            late = video.late_picture
            with opened(path, threads=self._threads, late_picture=late, turn=turn) as capture:
                pictures = _Pictures(capture, frames, limits=self._limits)
                for point in frames:
                    _refuse_not_shown(video, point)
                    image = pictures.of(point)
                    if pictures.is_doubtful and frames.may_be_doubted:
                        frames.doubt()
                    elif image is None:
                        lacking += 1
                    else:
                        draw = partial(_given, image)
                        yield from batches.add(point.seconds, draw, number=point.number)
                if lacking and pictures.count == 0:
                    raise NoFramesError(capture.no_frames_message())
        summary = replace(frames.summary, damaged=frames.summary.damaged + lacking)
        if lacking:
            frames.refuse_damaged(summary.damaged, summary.points)
        yield from batches.rest()
        return summary


def _given(image: NDArray[np.uint8], _: object) -> NDArray[np.uint8]:
    return image


@dataclass(frozen=True, slots=True, repr=False)
class _Read:
    """A frame that was read before its turn."""

    seconds: float
    lost: int
    image: NDArray[np.uint8] | None


class _Pictures:
    """Finds OpenCV's pictures of frames that are asked for in order of presentation."""

    def __init__(self, capture: Capture, frames: TrustedFrames, *, limits: MediaLimits) -> None:
        self._capture = capture
        self._frames = frames
        self._limits = limits
        self._times = FrameTimes(frames.index, frames.order)
        self.count = 0
        """Frames that came out so far."""
        self.is_doubtful = False
        """Some did not, a packet did not decode, or the codec said that something is wrong."""
        self._errors = capture.errors if frames.is_damage_told else None
        self._given = -1
        self._image: NDArray[np.uint8] | None = None
        self._ahead_of_time: deque[_Read] = deque()
        """Frames that were read while one was looked for that came late."""
        self._current: _Read | None = None
        """The current frame, if it is one of these."""

    def of(self, point: PointFrame) -> NDArray[np.uint8] | None:
        """The picture of a frame; ``None`` if it does not come out."""
        if point.number == self._given:
            return self._image
        self._given, self._image = point.number, None
        while (ahead := self._ahead(point)) > 0 and self._read():
            pass
        if not ahead:
            self._image = self._current.image if self._current else self._drawn()
        elif ahead < 0:
            self._image = self._late(point)
        if self._image is not None:
            height, width = self._image.shape[:2]
            refuse_too_many_pixels(self._capture.name, width, height, self._limits)
        return self._image

    def _ahead(self, point: PointFrame) -> int:
        """How far ahead of the current frame another one is; 0 if it is the same."""
        if point.ordinal is None or self._times.is_exact:
            return point.number - self._times.number
        return point.ordinal + 1 - self.count

    def _drawn(self) -> NDArray[np.uint8] | None:
        return self._capture.image(stretched=self._frames.points.stretched)

    def _late(self, point: PointFrame) -> NDArray[np.uint8] | None:
        """The picture of a frame that comes out after later ones, as behind a key frame of H.264
        that does not decode; ``None`` if it does not.
        """
        waiting = self._ahead_of_time
        if self._current is None:
            self._current = _Read(self._capture.seconds, self._capture.lost, self._drawn())
        for number in range(_MOST_LATE):
            if number == len(waiting):
                if not self._capture.read():
                    break
                told = self._capture.seconds, self._capture.lost
                waiting.append(_Read(*told, self._drawn()))
            if self._times.number_at(waiting[number].seconds) == point.number:
                return waiting[number].image
        return None

    def _read(self) -> bool:
        self._current = self._ahead_of_time.popleft() if self._ahead_of_time else None
        if self._current:
            seconds, lost = self._current.seconds, self._current.lost
        elif self._capture.read():
            seconds, lost = self._capture.seconds, self._capture.lost
        else:
            self.is_doubtful = True
            return False
        self.count += 1
        before = self._times.number
        self._times.advance_to(seconds, lost=lost)
        has_gap = lost > 0 or self._times.number > before + 1
        is_wrong = self._errors is not None and self._capture.errors > self._errors
        self.is_doubtful = self.is_doubtful or has_gap or is_wrong
        return True


@contextmanager
def _checked(path: Path) -> Iterator[tuple[Video, Turn | None]]:
    """The stream that OpenCV reads, and how its pictures are turned on display; call it before
    OpenCV opens the file.

    For interlaced frames and for colours that swscale refuses, OpenCV (4.14 and 5.0, not 4.10)
    hands out memory that nothing was written to; BGR that is stored from the bottom up ends the
    process; it takes cover art for a video, and decodes what is encrypted to noise. It reads the
    first video stream of several: where that is not the one that the other decoder reads, a warning
    is logged.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video, or one that OpenCV cannot show.
        MissingExtraError: PyAV is not installed.
    """
    with opened_by_pyav(path) as main:
        first: Any = next(
            each
            for each in main.container.streams.video
            if each.codec_context is not None and not is_picture(each)
        )
        video = replace(main, stream=first)
        order = getattr(first.codec_context, "field_order", 0)  # since PyAV 18.1
        if order not in _PROGRESSIVE:
            raise VideoOpenError(f"{path.name} {_INTERLACED}; {_INSTEAD}")
        frame = video.first_frame()
        reason = _why_not_shown(frame) if frame is not None else None
        if reason:
            raise VideoOpenError(f"{path.name} {reason}; {_INSTEAD}")
        if first.index != main.stream.index:
            _log.warning(
                "%s has several video streams; OpenCV reads the first one, number %d, not the "
                "main one, number %d; %s to read that",
                path.name,
                first.index,
                main.stream.index,
                _INSTEAD,
            )
        yield video, turn_of(frame) if frame is not None else None


def _refuse_not_shown(video: Video, point: PointFrame) -> None:
    """Raise VideoOpenError if OpenCV cannot show a frame that comes later."""
    reason = _why_not_shown(point.frame) if point.frame is not None else None
    if reason:
        raise VideoOpenError(f"{video.name} {reason}, at {point.seconds:.1f} s; {_INSTEAD}")


def _why_not_shown(frame: av.VideoFrame) -> str | None:
    if frame.interlaced_frame:
        return _INTERLACED
    if frame.format.name == "bgr24" and frame.planes[0].line_size < 0:
        return _BOTTOM_UP
    if is_exotic(frame):
        return "has colours that OpenCV shows as noise (neither RGB nor plain luma and chroma)"
    return None
