"""Decodes a whole stream, for where no plan applies or a plan failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidsearch.media.display import Clock
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.codec import prepare
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.packets import packets_of, step_of
from vidsearch.media.pyav.survey import Survey

if TYPE_CHECKING:
    import av

__all__ = ["FrontToBack", "Seen"]


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A frame that came out of the codec."""

    frame: av.VideoFrame
    number: int
    """In order of presentation."""
    seconds: float
    """When it comes on display, from the stream's start."""
    lost: int
    """Packets since the frame before that did not decode."""


class FrontToBack:
    """Iterates once over what decodes, in order of presentation; the rest is passed over.

    Args:
        video: at its beginning.
        survey: numbers and times of the frames; without one they are counted and clocked.
        limits: for the codec.
        threads: of the codec.
    """

    def __init__(
        self, video: Video, survey: Survey | None, *, limits: MediaLimits, threads: int
    ) -> None:
        self._video = video
        self._survey = survey
        self._codec = prepare(video, limits=limits, threads=threads)
        self._step = step_of(video)
        self.lost = 0
        """Packets that did not decode, so far."""

    def __iter__(self) -> Iterator[Seen]:
        clock = Clock(self._step)
        is_avi = self._video.container.format.name == "avi"
        number, lost_before = -1, 0
        for frame in self._frames():
            lost, lost_before = self.lost - lost_before, self.lost
            # The time of decoding is better than none, or than one that AVI made up.
            stamp = frame.dts if frame.pts is None or (is_avi and not self._survey) else frame.pts
            if self._survey is not None and stamp is not None:
                number = self._survey.number(stamp)
                if number >= 0:
                    yield Seen(frame, number, float(self._survey.seconds[number]), lost)
                continue
            number += 1 + lost
            time = None if stamp is None else float(stamp * (self._video.stream.time_base or 0))
            yield Seen(frame, number, clock.tick(time, lost=lost), lost)

    def duration(self, seen: Seen) -> float:
        """Seconds that the last frame stays on display."""
        survey = self._survey
        if survey is not None and seen.number == len(survey.seconds) - 1:
            return survey.end - seen.seconds
        return self._step

    def _frames(self) -> Iterator[av.VideoFrame]:
        import av

        packets = packets_of(self._video)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # cut off; what was read so far is what there is
            try:
                yield from self._codec.decode(packet)
            except av.FFmpegError:
                self.lost += 1
            if packet is None:
                return
