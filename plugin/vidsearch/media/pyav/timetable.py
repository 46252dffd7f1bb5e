"""When each frame of a stream comes on display, as its packets tell. Pure functions.

Containers differ in what a gap between two time stamps means. The packets of transport and program
streams carry a clock that may start anew anywhere, as where two recordings were joined; in others
the time stamps are a timetable, and a frame with a gap behind it is held for that long. The table
"Clocks" in docs/media.md lists the cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vidsearch.media.pyav.packets import LAG_FRAMES, LONGEST_LAG, PacketIndex
from vidsearch.media.pyav.stamps import CLOCK_BACK, LONGEST_BROADCAST_GAP, REORDERED

__all__ = ["Presentation", "presentation"]

_A_FRAME = 0.75
"""Of the frame's usual duration; a field takes half of it."""
_MOST_DELAY = 64
"""Packets; no codec displays a frame further from its place in the order of decoding."""
_MOST_JOINTS = 1000
"""Recordings in a file; with more, its time stamps are noise."""
_LONGEST_HOLD = 6 * 3600.0
"""Seconds; a longer hold is believed only where the file gives it as a frame's duration."""
_NEAR = 1.0
"""Seconds. A clock that leaps ahead and returns to within so much of where it was, was wrong."""

_Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class Presentation:
    """The frames of a stream in the order in which they come on display."""

    packets: NDArray[np.int64]
    """Position of each frame's packet in the index."""
    stamps: NDArray[np.int64]
    """Time stamp of each frame, ascending within a part."""
    parts: tuple[int, ...]
    """Number of the first frame of each part: the first is 0, others follow a leap of the clock."""
    seconds: NDArray[np.float64]
    """When each frame comes on display, as a player counts; never descending."""
    end: float
    """When the last one leaves it, in seconds."""

    def number(self, stamp: int, *, after: int = -1) -> int:
        """Of the frame that has a time stamp; -1 without one.

        Args:
            stamp: of a frame that came out of the codec.
            after: number of the frame that came out before; it tells frames of one time stamp and
                parts of the same times apart.
        """
        if after + 1 < len(self.stamps) and self.stamps[after + 1] == stamp:
            return after + 1
        part = int(np.searchsorted(self.parts, max(after, 0), side="right")) - 1
        ends = (*self.parts[part + 1 :], len(self.stamps))
        late = -1
        for begin, end in zip(self.parts[part:], ends, strict=True):
            number = begin + int(np.searchsorted(self.stamps[begin:end], stamp, side="right")) - 1
            if number >= begin and self.stamps[number] == stamp:
                if number > after - _MOST_DELAY:
                    return number
                late = number
        return late


def presentation(index: PacketIndex) -> Presentation | str:
    """The order of presentation, or a reason why the time stamps do not tell it."""
    packets = np.flatnonzero(index.shown)
    if not len(packets):
        return "no packet holds a picture"
    if not (index.evened or index.stamped[packets].all()):
        return "packets without time stamps"
    if index.reorders and index.times_decoding and not _inferred_well(index):
        return "AVI does not time frames that are decoded in another order"
    stamps = index.stamps[packets]
    if len(stamps) > 1 and (stamps == stamps[0]).all():
        return "one time stamp for all frames"
    joints = _joints(index, packets)
    part = np.searchsorted(joints, np.arange(len(packets)), side="right")
    order = np.lexsort((stamps, part))
    moved = np.abs(order - np.arange(len(order))).max()
    if moved > _MOST_DELAY or len(joints) > _MOST_JOINTS:
        return "time stamps that jump back"
    packets, stamps = packets[order], stamps[order]
    rate = index.interlaced_rate
    inside = np.delete(np.diff(stamps), joints - 1)
    if rate is not None and (inside * float(index.time_base) * rate < _A_FRAME).any():
        return "interlaced H.264 with a field per packet"
    # Times of presentation are inferred there: FFmpeg gives a frame that of the next packet, which
    # may come long after.
    decoding = index.decoding[packets]
    times = decoding[np.lexsort((decoding, part))] if index.times_decoding else stamps
    seconds = _seconds(index, packets, times, joints)
    return Presentation(
        packets=packets,
        stamps=stamps,
        parts=(0, *joints.tolist()),
        seconds=seconds[:-1],
        end=float(seconds[-1]),
    )


def _inferred_well(index: PacketIndex) -> bool:
    """Whether time stamps that FFmpeg inferred from types of frames are an order of presentation.

    The container times the decoding alone: the frames' times are then the same, one delay later,
    and other than in the order of decoding.
    """
    delays = np.sort(index.stamps) - index.decoding
    return bool(
        not index.mislabelled and (delays == delays[0]).all() and (np.diff(index.stamps) < 0).any()
    )


def _joints(index: PacketIndex, packets: _Positions) -> _Positions:
    """Where the clock goes back, as positions in ``packets``, in the order of decoding."""
    back = CLOCK_BACK / float(index.time_base)
    falls = np.diff(index.decoding[packets], prepend=index.decoding[packets[0]]) < -back
    if index.is_broadcast or not falls.any():
        return np.flatnonzero(falls)
    # Where FFmpeg works the times of decoding out by itself, they are not exact.
    stamps, keys = index.stamps[packets], index.keys[packets] & falls
    after = np.append(stamps, np.full(REORDERED - 1, np.iinfo(np.int64).max))
    coming = sliding_window_view(after, REORDERED).max(axis=1)
    joints: list[int] = []
    begin = 0
    while len(joints) <= _MOST_JOINTS:
        latest = np.maximum.accumulate(stamps[begin:])[:-1] - back
        rest = slice(begin + 1, None)
        found = np.flatnonzero((coming[rest] < latest) | (keys[rest] & (stamps[rest] < latest)))
        if not len(found):
            break
        begin += 1 + int(found[0])
        joints.append(begin)
    return np.array(joints, dtype=np.int64)


def _seconds(
    index: PacketIndex, packets: _Positions, stamps: NDArray[np.int64], joints: _Positions
) -> NDArray[np.float64]:
    """When each frame comes on display, in order of presentation, and when the last one leaves."""
    unit = float(index.time_base)
    gaps = np.diff(stamps)
    inside = np.delete(gaps, joints - 1)
    usual = float(np.median(inside[inside > 0])) if inside.any() else index.step / unit
    # Across a leap of the clock, and at the end, a frame stays for the duration of its packet.
    held = index.durations[packets].astype(np.float64)
    longest = LONGEST_BROADCAST_GAP if index.is_broadcast else _LONGEST_HOLD
    held[(held <= 0) | (held * unit > longest)] = usual
    stays = np.append(np.where(_leaps(index, packets, stamps, joints), held[:-1], gaps), held[-1])
    if index.mislabelled:  # an encoder was still waiting, see FrameTimes
        beginning = stays[:LAG_FRAMES]
        beginning[beginning <= (1 + LONGEST_LAG) * usual] = usual
    for position, units in index.missing.items():
        before = int(np.argmax(packets >= position)) - 1
        if before >= 0 and packets.max() >= position:
            stays[before] += units
    return index.begin + np.concatenate([[0.0], np.cumsum(stays)]) * unit


def _leaps(
    index: PacketIndex, packets: _Positions, stamps: NDArray[np.int64], joints: _Positions
) -> NDArray[np.bool_]:
    """Between which neighbours in the order of presentation the clock leaps, ahead or back."""
    unit = float(index.time_base)
    gaps = np.diff(stamps)
    leaps = np.zeros(len(gaps), dtype=np.bool_)
    for before in np.flatnonzero(gaps * unit > LONGEST_BROADCAST_GAP).tolist():
        if index.is_broadcast:
            leaps[before] = packets[before] not in index.holds
            continue
        # One that is longer than any frame is held for without the file saying so, or a leap there
        # and back.
        near = index.durations[packets[max(before - _MOST_DELAY, 0) : before + _MOST_DELAY]]
        is_named = near.max() * unit > _LONGEST_HOLD
        after = int(np.searchsorted(joints, before, side="right"))
        goes_back = after < len(joints) and (
            stamps[before] - _NEAR / unit <= stamps[joints[after]] < stamps[before + 1]
        )
        leaps[before] = goes_back or (gaps[before] * unit > _LONGEST_HOLD and not is_named)
    leaps[joints - 1] = True
    return leaps
