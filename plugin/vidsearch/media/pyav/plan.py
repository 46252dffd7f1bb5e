"""Which packets have to be decoded for the frames that are wanted. Pure functions.

A frame depends on packets before it in the order of decoding, back to a key frame: its *GOP
prefix*. Frames are numbered in the order of presentation; packets lie in the order of decoding,
which differs where a stream has B-frames. In an *open GOP*, packets that follow a key frame come on
display before it and depend on the GOP before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.pyav.packets import PacketIndex

__all__ = [
    "DROP",
    "FEED",
    "START",
    "TAKE",
    "Presentation",
    "plan_packets",
    "presentation",
    "why_no_plan",
]

DROP, FEED, TAKE = 0, 1, 2
"""What is done with a packet: nothing; it is decoded for others' sake; its frame is wanted."""
START = 4
"""Added where the decoder starts anew, at a key frame."""
_A_FRAME = 0.75
"""Of the frame's usual duration; a field takes half of it."""
_MOST_DELAY = 64
"""Packets; no codec displays a frame further from its place in the order of decoding."""


@dataclass(frozen=True, slots=True, repr=False)
class Presentation:
    """The frames of a stream in the order in which they come on display."""

    packets: NDArray[np.int64]
    """Position of each frame's packet in the index."""
    stamps: NDArray[np.int64]
    """Time stamp of each frame, ascending without equals."""


def presentation(index: PacketIndex) -> Presentation | str:
    """The order of presentation, or a reason why the time stamps do not tell it."""
    packets = np.flatnonzero(index.shown)
    if not len(packets):
        return "no packet holds a picture"
    if not index.stamped[index.shown].all():
        return "packets without time stamps"
    if index.format == "avi" and index.reorders and (np.diff(index.stamps) > 0).all():
        return "AVI does not time frames that are decoded in another order"
    order = np.argsort(index.stamps[packets], kind="stable")
    if np.abs(order - np.arange(len(order))).max() > _MOST_DELAY:
        return "time stamps that jump back"
    stamps = index.stamps[packets][order]
    gaps = np.diff(stamps)
    if (gaps == 0).any():
        return "frames with the same time stamp"
    rate = index.interlaced_rate
    if rate is not None and (gaps * float(index.time_base) * rate < _A_FRAME).any():
        return "interlaced H.264 with a field per packet"
    return Presentation(packets=packets[order], stamps=stamps)


def why_no_plan(index: PacketIndex) -> str | None:
    """A reason why decoding cannot start at this stream's key frames; ``None`` if it can.

    The stream must have passed :func:`presentation`.
    """
    if not index.stamped.all():
        return "packets without time stamps"
    if not index.keys[0]:
        return "the first packet is no key frame"
    if index.reconfigured:
        return "the codec's parameters change"
    keys = np.flatnonzero(index.keys)
    latest = np.maximum.accumulate(index.stamps)
    if (index.stamps[keys[1:]] <= latest[keys[1:] - 1]).any():
        return "key frames that come on display before earlier packets"
    if (index.stamps < index.stamps[0]).any():
        return "frames that come on display before the first key frame"
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
