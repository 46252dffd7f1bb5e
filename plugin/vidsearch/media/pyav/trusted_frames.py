"""The frame of each sampling point that shows what it should. Both decoders give these."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from vidsearch.errors import NoFramesError
from vidsearch.media.display import (
    EPSILON,
    FrameRequest,
    Points,
    refuse_damaged,
    refuse_too_long,
    refuse_too_many_pixels,
)
from vidsearch.media.frames import FrameSummary, MediaLimits
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.damage import PATCH_NOTHING_UP, Damage, why_damaged
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.last_packets import Packets, packets_and_end
from vidsearch.media.pyav.packets import PacketIndex
from vidsearch.media.pyav.plan import why_no_plan
from vidsearch.media.pyav.planned import PlanFailedError, planned_frames
from vidsearch.media.pyav.sequential import FrontToBack, Seen
from vidsearch.media.pyav.survey import Survey
from vidsearch.media.pyav.timetable import Presentation, presentation

if TYPE_CHECKING:
    import av

__all__ = ["PointFrame", "TrustedFrames", "refuse_by_header", "why_not_by_plan"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class PointFrame:
    """The frame on display at a sampling point."""

    frame: av.VideoFrame | None
    """``None`` where frames are neither drawn nor have to be decoded to see damage."""
    number: int
    """In order of presentation."""
    seconds: float
    """When it comes on display, as a player counts."""
    ordinal: int | None = None
    """How many frames come out of the codec before it; ``None`` where not all are decoded."""


class TrustedFrames:
    """Iterates once over the points of a request whose frames are neither damaged nor missing.

    Only what these frames depend on is decoded; where that does not apply, the stream is decoded
    from front to back, and the reason is logged.

    Args:
        video: at its beginning.
        request: which points.
        limits: what is refused.
        max_damaged: share of the points that may be damaged or missing.
        threads: of the codec.
        are_drawn: whether the frames' pixels are of use. Without, only damage is looked for, in
            less time; and not at all where nothing but a missing frame, or a message of the codec,
            shows it. Who finds one missing, or hears such a message, then calls :meth:`doubt`.
        are_errors_heard: whether who draws the frames hears the codec's messages.
        packets: reads those of the video.

    Raises:
        VideoError: as :meth:`vidsearch.media.frames.Decoder.frames`.
    """

    def __init__(
        self,
        video: Video,
        request: FrameRequest,
        *,
        limits: MediaLimits,
        max_damaged: float,
        threads: int,
        are_drawn: bool = True,
        are_errors_heard: bool = False,
        packets: Callable[[Video], Packets] = packets_and_end,
    ) -> None:
        refuse_by_header(video, limits)
        self._video = video
        self._request = request
        self._limits = limits
        self._max_damaged = max_damaged
        self._threads = threads
        self._are_drawn = are_drawn
        self.summary = FrameSummary(end_seconds=None, damaged=0, points=0)
        """Of the reading, once all frames were given."""
        self.index, self._promised = packets(video)
        """The stream's packets."""
        self.points = request.points(fps=video.fps, begin=self.index.begin)
        """Those of the request."""
        order = presentation(self.index)
        self.order: Presentation | None = None if isinstance(order, str) else order
        """When its frames come on display, if the packets tell."""
        self._why_front_to_back = (
            order if isinstance(order, str) else why_not_by_plan(self.index, order)
        )
        codec = video.stream.codec_context.name
        self.is_damage_told = are_errors_heard and self.index.errors_are_told
        """Whether a message of the codec comes before each frame that is damaged."""
        are_vouched_for = self.is_damage_told or codec in PATCH_NOTHING_UP
        self._is_decoded = are_drawn or not are_vouched_for
        self._is_doubted = False

    def __iter__(self) -> Iterator[PointFrame]:
        self.summary = yield from self._frames()

    def _frames(self) -> Generator[PointFrame, None, FrameSummary]:
        points, survey = self.points, None
        if self.order is not None:
            survey = Survey.of(self._video, self.index, self.order, points, limits=self._limits)
        reason = self._why_front_to_back
        if survey and not reason:
            missing = points.missing(survey.order.end, self._promised)
            total = len(survey.numbers) + missing
            self.refuse_damaged(missing, total)
            try:
                yield from self._by_plan(survey)
                return points.summary(end=survey.order.end, damaged=missing, total=total)
            except PlanFailedError as error:
                reason = str(error)
        _log.info("%s is decoded from front to back: %s", self._video.name, reason)
        with self._video.reopened() as video:
            summary = yield from self._front_to_back(video, survey)
        self.refuse_damaged(summary.damaged, summary.points)
        return summary

    @property
    def may_be_doubted(self) -> bool:
        """Whether the points that are given now were not looked at for damage."""
        return not (self._is_decoded or self._is_doubted or self._why_front_to_back)

    def doubt(self) -> None:
        """Have the rest of the stream decoded, from the last point on: it is given again if it is
        right.
        """
        self._is_doubted = True

    def refuse_damaged(self, damaged: int, total: int) -> None:
        """Raise an error if too many points of a whole video are damaged."""
        if self._request.is_whole:
            refuse_damaged(self._video.name, damaged, total, most=self._max_damaged)

    def _by_plan(self, survey: Survey) -> Iterator[PointFrame]:
        if not len(survey.numbers):
            return
        if not self._is_decoded:
            yield from self._undecoded(survey)
            return
        runs = [(number, len(list(same))) for number, same in groupby(survey.numbers.tolist())]
        frames = planned_frames(
            self._video,
            survey.index,
            survey.actions(),
            survey.order.stamps[[number for number, _ in runs]].tolist(),
            limits=self._limits,
            threads=self._threads,
            are_drawn=self._are_drawn,
        )
        for (number, times), frame in zip(runs, frames, strict=True):
            for _ in range(times):
                self.points.done += 1
                yield PointFrame(frame, number, float(survey.order.seconds[number]))

    def _undecoded(self, survey: Survey) -> Iterator[PointFrame]:
        for number in survey.numbers.tolist():
            self.points.done += 1
            yield PointFrame(None, number, float(survey.order.seconds[number]))
            if self._is_doubted:
                self.points.done -= 1
                raise PlanFailedError("a frame does not come out, or the codec reports an error")

    def _front_to_back(
        self, video: Video, survey: Survey | None
    ) -> Generator[PointFrame, None, FrameSummary]:
        points, index = self.points, self.index
        times = FrameTimes(index, self.order)
        damage = Damage(video, index)
        stream = FrontToBack(
            video,
            times,
            damage=damage,
            limits=self._limits,
            threads=self._threads,
            are_drawn=self._are_drawn,
        )
        shown = _Shown(survey, points, damage, step=index.step)
        held: Seen | None = None
        for seen in stream:
            refuse_too_long(video.name, seen.seconds, self._limits)
            position = points.place(seen.number, seen.seconds)
            if held is None:
                shown.begin(position)
            else:
                yield from shown.until(position, held, followed_by=seen)
            held = seen
            if points.is_done:
                break
        if held is None:
            raise NoFramesError(_no_frames_message(video, index))
        end = times.end
        last = points.end(seconds=end, frames=held.number + 1)
        yield from shown.until(last, held, followed_by=None)
        damaged, total = shown.totals()
        # Points whose packets are there, but do not decode, are among these totals.
        there = max(end, survey.order.end if survey else end)
        missing = 0 if points.is_done else points.missing(there, self._promised)
        return points.summary(end=end, damaged=damaged + missing, total=total + missing)


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

    def until(
        self, position: float, held: Seen, *, followed_by: Seen | None
    ) -> Iterator[PointFrame]:
        """Of the points before a position, which show ``held``, those that it is right for."""
        for _ in range(self._points.due(position)):
            if self._next_is_right(held, followed_by):
                yield PointFrame(held.frame, held.number, held.seconds, held.ordinal)

    def totals(self) -> tuple[int, int]:
        """Points that are damaged, and all points."""
        total = self._count if self._survey is None else len(self._survey.numbers)
        lacking = total - self._count if self._damage.explains_missing_frames else 0
        return self._damaged + lacking, total

    def _next_is_right(self, held: Seen, followed_by: Seen | None) -> bool:
        is_right = held.is_trusted and (
            self._is_own(held, followed_by) or not self._damage.explains_missing_frames
        )
        self._points.done += 1
        self._count += 1
        self._damaged += not is_right
        return is_right

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


def why_not_by_plan(index: PacketIndex, order: Presentation) -> str | None:
    """A reason to decode a stream from front to back; ``None`` without one."""
    return why_no_plan(index, order) or why_damaged(index)


def refuse_by_header(video: Video, limits: MediaLimits) -> None:
    """Raise VideoTooLargeError if the header says that the video is beyond the limits."""
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
