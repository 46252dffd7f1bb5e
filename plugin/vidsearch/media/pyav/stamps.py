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
    """Times of decoding, those between two that are known spread evenly."""
    known = np.flatnonzero(times != NO_STAMP)
    if len(known) > 1:
        step = float(np.median(np.diff(times[known]) / np.diff(known)))
    at = np.arange(len(times))
    between = np.interp(at, known, times[known])
    before, after = np.minimum(at - known[0], 0), np.maximum(at - known[-1], 0)
    filled: NDArray[np.int64] = np.round(between + (before + after) * step).astype(np.int64)
    return filled
