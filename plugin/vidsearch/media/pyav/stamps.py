"""Time stamps that broadcast streams give to some of their packets only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_STAMP", "are_repeated", "filled_in"]

NO_STAMP = -(2**63)
"""In place of a time stamp, where a packet has none."""


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
