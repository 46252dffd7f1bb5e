"""Numbers and times of frames as they come out of a codec, one after the other."""

from __future__ import annotations

import math

import numpy as np

from vidsearch.media.display import LONGEST_HOLD, Clock
from vidsearch.media.pyav.packets import LAG_FRAMES, LONGEST_LAG, PacketIndex
from vidsearch.media.pyav.stamps import LONGEST_BROADCAST_GAP
from vidsearch.media.pyav.timetable import Presentation, presentation

__all__ = ["FrameTimes"]


_A_GAP = 1.5
"""Of the usual time between two frames."""


class FrameTimes:
    """Looks frames up in the timetable, or counts and clocks them where the packets give none.

    Both decoders take their times from here, so that they agree.

    Args:
        index: the stream's packets.
        order: its timetable; ``None`` without one.
    """

    def __init__(self, index: PacketIndex, order: Presentation | None) -> None:
        self.order = order
        """The timetable."""
        self._unit = float(index.time_base)
        self._start = index.start
        self._stamped = bool(index.stamped.any())
        self.by_decoding = order is None and index.times_decoding
        """Whether frames are told by the time of decoding."""
        longest = LONGEST_BROADCAST_GAP if index.is_broadcast else LONGEST_HOLD
        step, self._lags = _pace(index) if self.by_decoding else (index.step, ())
        longest = LONGEST_HOLD if len(index.holds) else longest
        self._clock = Clock(step, begin=index.begin, longest=longest)
        # Stamps count the packets that are there; time goes on while others are missing.
        self._missing = index.missing if self.by_decoding else {}
        self._decoding = index.decoding
        self._without_stamp = frozenset(
            np.flatnonzero(~index.stamped).tolist() if index.evened else ()
        )
        self._first: int | None = None
        """Time stamp that the first frame came with: that of the packet that brought it out."""
        self.number = -1
        """Of the current frame, in order of presentation."""
        self.position = -1
        """Of its packet, in the order of decoding; near it, where there is no timetable."""
        self.seconds = 0.0
        """When it comes on display, as a player counts."""
        self._counts = order is not None and index.mislabelled
        self._is_brought_out = order is not None and index.times_decoding
        is_inferred = index.times_decoding and (
            index.reorders or not np.array_equal(index.stamps, index.decoding)
        )
        self.is_exact = not (order is None or index.mislabelled or is_inferred or index.evened)
        """Whether the time stamp of each frame names it."""
        self._delay: int | None = None if index.reorders else 0
        """Packets between a frame's own place and the packet that brings it out."""

    @classmethod
    def of(cls, index: PacketIndex) -> FrameTimes:
        """By the timetable where there is one."""
        order = presentation(index)
        return cls(index, None if isinstance(order, str) else order)

    def advance(self, stamp: int | None, *, lost: int, position: int | None = None) -> bool:
        """Go on to the frame that came out.

        Args:
            stamp: its time stamp.
            lost: packets since the frame before that did not decode.
            position: of its packet, where the codec tells.

        Returns:
            Whether it is shown. One before the first of the timetable is not, nor one between two
            of it, nor one that comes out after its time.
        """
        if position in self._without_stamp:
            stamp = None  # what FFmpeg gave it may be the stamp of another
        usual = self.number + 1 + lost
        if self.order is None:
            self.number = self.position = usual
            time = None
            if stamp is not None:
                waits = sum(stamp > lag for lag in self._lags)
                if self._missing:
                    self.position = self._position(stamp) if position is None else position
                gone = sum(each for at, each in self._missing.items() if self.position >= at)
                stamp = min([stamp, *self._beyond(self.position)])
                time = (stamp + gone) * self._unit - waits * self._clock.step
            self.seconds = self._clock.tick(time, lost=lost)
            return True
        number = -1
        if stamp is not None and not self._counts:
            number = self.order.number(stamp, after=self.number)
            if number < 0 > self.number and stamp < self.order.stamps[0]:
                return False
            if number < 0 and self.is_exact and self._is_between(stamp):
                return False
        if number < 0:
            number = min(usual, len(self.order.seconds) - 1)
        return number >= self.number and self._show(number)

    def _beyond(self, position: int) -> list[int]:
        """The time of the first packet behind the hole that follows a position, if one does. It
        brings out what is before the hole, though another may, where it does not decode.
        """
        holes = [at for at in self._missing if position < at < len(self._decoding)]
        return [int(self._decoding[min(holes)])] if holes else []

    def _is_between(self, stamp: int) -> bool:
        """Whether a frame would come between the current one and the next of the timetable."""
        assert self.order is not None
        stamps = self.order.stamps[max(self.number, 0) : self.number + 2]
        return len(stamps) == 2 and bool(stamps[0] < stamp < stamps[1])

    def _show(self, number: int) -> bool:
        assert self.order is not None
        number = min(number, len(self.order.seconds) - 1)
        self.number, self.seconds = number, float(self.order.seconds[number])
        self.position = int(self.order.packets[number])
        return True

    def number_of(self, stamp: int | None, *, after: int) -> int | None:
        """Of the frame that a time stamp names; ``None`` where it names none.

        Args:
            stamp: of a frame that came out.
            after: number of one that came out before.
        """
        if self.order is None or not self.is_exact or stamp is None:
            return None
        number = self.order.number(stamp, after=after)
        return number if number >= 0 else None

    def is_behind_gap(self, number: int) -> bool:
        """Whether the frame of the timetable before one is shown for longer than usual."""
        assert self.order is not None
        before, at = self.order.seconds[max(number - 1, 0)], self.order.seconds[number]
        return bool(at - before > _A_GAP * self._clock.step)

    def number_at(self, seconds: float) -> int | None:
        """As :meth:`number_of`, by what OpenCV tells; see :meth:`advance_to`."""
        if not math.isfinite(seconds):
            return None
        return self.number_of(round(seconds / self._unit) + self._start, after=self.number)

    def advance_to(self, seconds: float, *, lost: int) -> bool:
        """As :meth:`advance`, by what OpenCV tells: the time stamp in seconds from the start that
        the container names, 0 if unknown, and the time of decoding where the container has that.
        """
        unknown = seconds == 0 and self._stamped and not self._is_at_start()
        if unknown or self._counts or not math.isfinite(seconds):
            return self.advance(None, lost=lost)
        stamp = round(seconds / self._unit) + self._start
        if not self._is_brought_out:
            return self.advance(stamp, lost=lost)
        brought_out_by = int(np.searchsorted(self._decoding, stamp))
        if self._delay is None:
            self._delay = brought_out_by
        return self._show(max(brought_out_by - self._delay, self.number + 1))

    def _is_at_start(self) -> bool:
        """Whether the frame that came out may have the time stamp that the stream starts with."""
        if self.order is None or not self.is_exact:
            return self.number < 0
        if self.number < 0:  # OpenCV takes the time stamp 0 for none
            return self.order.stamps[0] != 0 or self._start == 0
        number = self.number_of(self._start, after=self.number)
        return number is not None and number > self.number

    def _position(self, stamp: int) -> int:
        """Of a frame's packet, by the time of the packet that brought the frame out."""
        self._first = stamp if self._first is None else self._first
        own = stamp - self._first + int(self._decoding[0])
        nearly = self._clock.step / self._unit / 2  # packets may be some units late
        return int(np.searchsorted(self._decoding, own - nearly))

    @property
    def end(self) -> float:
        """When the stream ends, in seconds, where the current frame is the last that decodes."""
        if self.order is not None:
            return self.order.end
        return self.seconds + self._clock.step


def _pace(index: PacketIndex) -> tuple[float, tuple[int, ...]]:
    """The usual seconds from frame to frame of a stream that is timed by its decoding, and the
    time stamps after which a packet is missing because the encoder was still waiting, once each.

    A packet that is missing later is a frame that was left out, and takes time. These do not: a
    frame that an encoder with B-frames holds back comes on display right after the one before.
    """
    steps = np.diff(index.decoding)
    if not (steps > 0).any():
        return index.step, ()
    usual = np.median(steps[steps > 0])
    waits = np.round(steps[:LAG_FRAMES] / usual).astype(int) - 1
    lags = np.repeat(index.decoding[: len(waits)], np.where(waits <= LONGEST_LAG, waits, 0).clip(0))
    return float(usual * index.time_base), tuple(lags.tolist())
