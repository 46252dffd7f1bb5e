"""Time stamps: what is believed of them, and those that only some packets of a broadcast have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CLOCK_BACK",
    "LONGEST_BROADCAST_GAP",
    "NO_STAMP",
    "REORDERED",
    "are_repeated",
    "filled_in",
]

NO_STAMP = -(2**63)
"""In place of a time stamp, where a packet has none."""
LONGEST_BROADCAST_GAP = 10.0
"""Seconds between two frames of a transport or program stream; after more, the clock was set
anew, as for the ``ffmpeg`` command (``-dts_delta_threshold``)."""
REORDERED = 17
"""Packets within which a stream with B-frames shows what it decoded first."""
_MOST_UNEVEN = 2.0
"""Times the usual step."""
CLOCK_BACK = 0.1
"""Seconds. A clock that goes back by more starts anew, as in the ``ffmpeg`` command."""


def are_repeated(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which packets have the time stamp of the one before or after."""
    same = (times[:-1] == times[1:]) & (times[1:] != NO_STAMP)
    repeated: NDArray[np.bool_] = np.append(same, False) | np.append(False, same)
    if repeated[times != NO_STAMP].all():
        repeated[:] = False  # nothing else is known
    return repeated


def filled_in(times: NDArray[np.int64], step: float) -> NDArray[np.int64]:
    """Times of decoding. Those between two that are known are spread evenly, but where they are far
    from the usual step: there a recording was joined on, or a frame is held behind those that share
    a packet.
    """
    known = np.flatnonzero(times != NO_STAMP)
    gaps, counts = np.diff(times[known]), np.diff(known)
    if len(known) > 1:
        step = float(np.median(gaps / counts))
    is_even = (gaps > 0) & (gaps <= _MOST_UNEVEN * step * counts)
    slopes = np.append(np.where(is_even, gaps / np.maximum(counts, 1), step), step)
    at = np.arange(len(times))
    before = np.maximum(np.searchsorted(known, at, side="right") - 1, 0)
    filled = times[known[before]] + (at - known[before]) * slopes[before]
    filled = np.where(at < known[0], times[known[0]] + (at - known[0]) * step, filled)
    rounded: NDArray[np.int64] = np.round(filled).astype(np.int64)
    return rounded
