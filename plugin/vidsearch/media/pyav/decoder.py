"""The decoder on PyAV."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError, VideoOpenError
from vidsearch.media.batches import Batches
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
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.cut_off import cut_off_at
from vidsearch.media.pyav.damage import Damage, why_damaged
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.media.pyav.picture import Pictures
from vidsearch.media.pyav.plan import why_no_plan
from vidsearch.media.pyav.planned import PlanFailedError, planned_frames
from vidsearch.media.pyav.sequential import FrontToBack, Seen
from vidsearch.media.pyav.survey import Survey
from vidsearch.media.pyav.timetable import Presentation, presentation

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

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`. One frame is decoded: it knows whether
        the picture is turned.
        """
        with opened(path) as video:
            _refuse_by_header(video, self._limits)
            return video.info()

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`. The packets are read, and none decoded."""
        with opened(path) as video:
            index = read_packets(video)
        order = presentation(index)
        if isinstance(order, str):
            reason: str | None = order
        elif len(order.seconds) < (order.end - index.begin) * _SPARSE:
            reason = "its pictures are held, and each range would read them again"
        else:
            reason = _why_not_by_plan(index, order)
        if reason:
            _log.info("%s cannot be read from its middle: %s", path.name, reason)
        return reason is None

    def _batches(
        self, path: Path, request: FrameRequest
    ) -> Generator[FrameBatch, None, FrameSummary]:
        batches = Batches(request.batch_size)
        with opened(path) as video:
            _refuse_by_header(video, self._limits)
            index = read_packets(video)
            points = request.points(fps=video.fps, begin=index.begin)
            survey, reason = _survey(video, index, points, self._limits)
            promised = cut_off_at(video, index)
            if survey and not reason:
                missing = points.missing(survey.order.end, promised)
                total = len(survey.numbers) + missing
                self._refuse_damaged(request, path, missing, total)
                try:
                    yield from self._by_plan(video, survey, points, batches)
                    yield from batches.rest()
                    return points.summary(end=survey.order.end, damaged=missing, total=total)
                except PlanFailedError as error:
                    reason = str(error)
        _log.info("%s is decoded from front to back: %s", path.name, reason)
        with opened(path) as video:
            summary = yield from self._front_to_back(
                video, index, survey, points, batches, promised=promised
            )
        self._refuse_damaged(request, path, summary.damaged, summary.points)
        yield from batches.rest()
        return summary

    def _refuse_damaged(self, request: FrameRequest, path: Path, damaged: int, total: int) -> None:
        if request.is_whole:
            refuse_damaged(path.name, damaged, total, most=self._max_damaged)

    def _by_plan(
        self, video: Video, survey: Survey, points: Points, batches: Batches
    ) -> Iterator[FrameBatch]:
        if not len(survey.numbers):
            return
        runs = [(number, len(list(same))) for number, same in groupby(survey.numbers.tolist())]
        frames = planned_frames(
            video,
            survey.index,
            survey.actions(),
            survey.order.stamps[[number for number, _ in runs]].tolist(),
            limits=self._limits,
            threads=self._threads,
        )
        draw = _Draw(video, self._limits, stretched=points.stretched)
        for (number, times), frame in zip(runs, frames, strict=True):
            for _ in range(times):
                points.done += 1
                seconds = float(survey.order.seconds[number])
                yield from batches.add(seconds, partial(draw, frame), number=number)

    def _front_to_back(
        self,
        video: Video,
        index: PacketIndex,
        survey: Survey | None,
        points: Points,
        batches: Batches,
        *,
        promised: float | None,
    ) -> Generator[FrameBatch, None, FrameSummary]:
        draw = _Draw(video, self._limits, stretched=points.stretched)
        order = survey.order if survey else None
        times = FrameTimes(index, order)
        damage = Damage(video, index)
        stream = FrontToBack(
            video, times, damage=damage, limits=self._limits, threads=self._threads
        )
        shown = _Shown(survey, points, damage, step=index.step)
        held: Seen | None = None
        for seen in stream:
            refuse_too_long(video.name, seen.seconds, self._limits)
            position = points.place(seen.number, seen.seconds)
            if held is None:
                shown.begin(position)
            else:
                for _ in range(points.due(position)):
                    if shown.next_is_right(held, followed_by=seen):
                        yield from _taken(held, draw, batches)
            held = seen
            if points.is_done:
                break
        if held is None:
            raise NoFramesError(_no_frames_message(video, index))
        end = times.end
        for _ in range(points.due(points.end(seconds=end, frames=held.number + 1))):
            if shown.next_is_right(held, followed_by=None):
                yield from _taken(held, draw, batches)
        damaged, total = shown.totals()
        # Points whose packets are there, but do not decode, are among these totals.
        there = max(end, survey.order.end if survey else end)
        missing = 0 if points.is_done else points.missing(there, promised)
        return points.summary(end=end, damaged=damaged + missing, total=total + missing)


def _taken(seen: Seen, draw: _Draw, batches: Batches) -> Iterator[FrameBatch]:
    return batches.add(seen.seconds, partial(draw, seen.frame), number=seen.number)


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


class _Shown:
    """Tells which points show their own frame as it should be, while a stream is read front to
    back, and counts the others.
    """

    def __init__(
        self, survey: Survey | None, points: Points, damage: Damage, *, step: float
    ) -> None:
        self._survey = survey
        self._points = points
        self._damage = damage
        self._step = step
        self._count = points.done - points.first
        self._damaged = 0

    def begin(self, first: float) -> None:
        """Leave out the points before the position of the first frame.

        Where nothing is damaged, the stream begins with frames that refer to others before it.
        """
        left_out = self._points.begin(first)
        self._count += left_out
        self._damaged += left_out if self._damage.is_found else 0

    def next_is_right(self, held: Seen, *, followed_by: Seen | None) -> bool:
        """Whether the next point shows ``held``, and that frame is the point's own and trusted."""
        is_right = held.is_trusted and (
            self._is_own(held, followed_by) or not self._damage.explains_missing_frames
        )
        self._points.done += 1
        self._count += 1
        self._damaged += not is_right
        return is_right

    def totals(self) -> tuple[int, int]:
        """Points that are damaged, and all points."""
        total = self._count if self._survey is None else len(self._survey.numbers)
        lacking = total - self._count if self._damage.explains_missing_frames else 0
        return self._damaged + lacking, total

    def _is_own(self, held: Seen, followed_by: Seen | None) -> bool:
        points = self._points
        if self._survey is not None:
            numbers, at = self._survey.numbers, points.done - points.first
            if at >= len(numbers) or numbers[at] != held.number:
                return False
        if followed_by is None or not (
            followed_by.is_after_hole
            or not followed_by.is_trusted
            or (followed_by.lost and self._survey is None)
        ):
            return True
        usual = 1 if points.by_number else self._step
        next_place = points.place(held.number, held.seconds) + usual
        return points.position(points.done) < next_place - EPSILON


def _survey(
    video: Video, index: PacketIndex, points: Points, limits: MediaLimits
) -> tuple[Survey | None, str | None]:
    """What the packets tell, and why the stream is read front to back nevertheless."""
    order = presentation(index)
    if isinstance(order, str):
        return None, order
    survey = Survey.of(video, index, order, points, limits=limits)
    return survey, _why_not_by_plan(index, order)


def _why_not_by_plan(index: PacketIndex, order: Presentation) -> str | None:
    return why_no_plan(index, order) or why_damaged(index)


def _refuse_by_header(video: Video, limits: MediaLimits) -> None:
    refuse_too_many_pixels(video.name, *video.coded_size, limits)
    refuse_too_long(video.name, video.promised, limits)


def _no_frames_message(video: Video, index: PacketIndex) -> str:
    count = video.stream.frames or len(index)
    width, height = video.coded_size
    promise = f"promises {count} frames" if count else "opens as a video"
    return (
        f"{video.name} {promise} of {width}x{height} (codec {video.stream.codec_context.name}), "
        f"but no frame decodes: the file is damaged or cut off"
    )
