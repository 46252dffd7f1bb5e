"""Which packets have to be decoded for the frames that are wanted. Pure functions.

A frame depends on packets before it in the order of decoding, back to a key frame: its *GOP
prefix*. Frames are numbered in the order of presentation; packets lie in the order of decoding,
which differs where a stream has B-frames. In an *open GOP*, packets that follow a key frame come on
display before it and depend on the GOP before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.pyav.packets import PacketIndex
from vidsearch.media.pyav.timetable import Presentation

__all__ = [
    "DROP",
    "FEED",
    "START",
    "TAKE",
    "plan_packets",
    "why_no_plan",
]

DROP, FEED, TAKE = 0, 1, 2
"""What is done with a packet: nothing; it is decoded for others' sake; its frame is wanted."""
START = 4
"""Added where the decoder starts anew, at a key frame."""


def why_no_plan(index: PacketIndex, order: Presentation) -> str | None:
    """A reason why decoding cannot start at this stream's key frames; ``None`` if it can."""
    if not index.stamped.all():
        return "packets without time stamps"
    if not index.keys[0]:
        return "the first packet is no key frame"
    if index.mislabelled:
        return "MPEG-4 whose frames have each other's time stamps"
    if index.reconfigured:
        return "the codec's parameters change"
    if index.brings_palette:
        return "a palette that comes with a packet"
    keys = np.flatnonzero(index.keys)
    latest = np.maximum.accumulate(index.stamps)
    if (index.stamps[keys[1:]] <= latest[keys[1:] - 1]).any():
        return "key frames that come on display before earlier packets"
    if (index.stamps < index.stamps[0]).any():
        return "frames that come on display before the first key frame"
    if (order.stamps[1:] < order.stamps[:-1]).any():
        return "time stamps that jump back"
    if (order.stamps[1:] == order.stamps[:-1]).any():
        return "frames with the same time stamp"
    return None


def plan_packets(
    stamps: NDArray[np.int64], keys: NDArray[np.bool_], wanted: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """What to do with each packet.

    Args:
        stamps: presentation time stamp per packet, in the order of decoding. A key frame's is
            above those of all packets before it.
        keys: which packets are key frames; the first is, and none is displayed before it.
        wanted: positions of the packets whose frames are wanted.

    Returns:
        One of ``DROP``, ``FEED``, ``TAKE`` per packet, plus ``START`` where the decoder starts.
    """
    actions = np.full(len(stamps), DROP, dtype=np.uint8)
    wanted = np.unique(wanted)
    if not len(wanted):
        return actions
    at = np.flatnonzero(keys)
    # The last key frame that is both decoded and displayed no later.
    before = np.searchsorted(at, wanted, side="right") - 1
    displayed = np.searchsorted(stamps[at], stamps[wanted], side="right") - 1
    first = at[np.minimum(before, displayed)]
    # Where a later prefix begins within an earlier one, both are one run.
    first = np.minimum.accumulate(first[::-1])[::-1]
    begins = np.flatnonzero(np.concatenate([[True], first[1:] > wanted[:-1]]))
    ends = np.concatenate([begins[1:] - 1, [len(wanted) - 1]])
    for begin, end in zip(begins, ends, strict=True):
        start, stop = first[begin], wanted[end] + 1
        # Frames displayed before the key frame that decoding starts at depend on what is left out.
        run = stamps[start:stop] >= stamps[start]
        actions[start:stop][run] = FEED
        actions[start] |= START
    actions[wanted] = TAKE | (actions[wanted] & START)
    return actions
