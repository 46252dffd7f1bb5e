"""The decoder on PyAV."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import VideoOpenError
from vidsearch.media.batches import Batches
from vidsearch.media.display import BatchDecoder, FrameRequest, refuse_too_many_pixels
from vidsearch.media.frames import (
    DEFAULT_LIMITS,
    FrameBatch,
    FrameSummary,
    MediaLimits,
    VideoInfo,
)
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.last_packets import LastPackets
from vidsearch.media.pyav.picture import Pictures
from vidsearch.media.pyav.survey import duration
from vidsearch.media.pyav.timetable import presentation
from vidsearch.media.pyav.trusted_frames import TrustedFrames, refuse_by_header, why_not_by_plan

if TYPE_CHECKING:
    import av

__all__ = ["PyAvDecoder"]

_log = logging.getLogger(__name__)
_SPARSE = 0.5
"""Pictures per second, below which most ranges begin within one that is held."""


class PyAvDecoder(BatchDecoder):
    """Reads the packet index, then decodes only what the wanted frames depend on.

    Where that does not apply (no time stamps, no key frames, damage, …) the stream is decoded from
    front to back; the reason is logged at level ``INFO``. The frames are the same either way.

    Of a range, too, only what its frames depend on is decoded; where a stream is decoded from front
    to back, that begins at its first frame and ends with the range.

    Args:
        limits: what is refused.
        max_damaged: share of the sampling points whose own frame may fail to decode.
        threads: of the codec.
    """

    name = "pyav"

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
        self._packets = LastPackets()

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`. One frame is decoded: it knows whether
        the picture is turned.
        """
        with opened(path) as video:
            refuse_by_header(video, self._limits)
            return replace(video.info(), duration=duration(video))

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`. The packets are read, and none decoded."""
        with opened(path) as video:
            index, _ = self._packets.of(video)
        order = presentation(index)
        if isinstance(order, str):
            reason: str | None = order
        elif len(order.seconds) < (order.end - index.begin) * _SPARSE:
            reason = "its pictures are held, and each range would read them again"
        else:
            reason = why_not_by_plan(index, order)
        if reason:
            _log.info("%s cannot be read from its middle: %s", path.name, reason)
        return reason is None

    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]:
        batches = Batches(request.batch_size)
        with opened(path) as video:
            frames = TrustedFrames(
                video,
                request,
                limits=self._limits,
                max_damaged=self._max_damaged,
                threads=self._threads,
                packets=self._packets.of,
            )
            draw = _Draw(video, self._limits, stretched=frames.points.stretched)
            for point in frames:
                assert point.frame is not None
                shown = partial(draw, point.frame)
                yield from batches.add(point.seconds, shown, number=point.number)
        yield from batches.rest()
        return frames.summary


class _Draw:
    """Draws frames of one video; refuses those that are too large."""

    def __init__(self, video: Video, limits: MediaLimits, *, stretched: bool) -> None:
        self._video = video
        self._pictures: Pictures = video.pictures(stretched=stretched)
        self._limits = limits

    def __call__(self, frame: av.VideoFrame, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        import av

        name = self._video.name
        refuse_too_many_pixels(name, frame.width, frame.height, self._limits)
        try:
            return self._pictures.to_rgb(frame, out)
        except av.FFmpegError as error:
            raise VideoOpenError(
                f"{name} has pictures in the format {frame.format.name}, which cannot be turned "
                f"into RGB ({error.strerror})"
            ) from error
