"""A segment of a video, and what all ways of cutting share.

Whatever the way, every frame belongs to a segment, no segment is empty, the first starts at 0 and
the last ends at the video's end. Without overlap every frame belongs to exactly one segment, and
each segment starts where the one before it ends. A frame at a boundary belongs to the segment that
starts there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LONGEST",
    "SHORTEST",
    "Times",
    "SegmentSpan",
    "checked_times",
    "split_evenly",
    "spans_at",
]

SHORTEST = 0.25
"""Segments that follow the content are at least this share of ``length``."""
LONGEST = 2.0
"""And at most this multiple of it."""
_CLOSE = 1e-9

Times = Sequence[float] | NDArray[np.float64]
"""Seconds, ascending."""


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """A run of sampled frames and the stretch of the video they stand for."""

    start: float
    """Seconds."""
    end: float
    """Seconds; without overlap the next segment's start."""
    first: int
    """Index of the first frame."""
    last: int
    """Index after the last frame."""


def checked_times(
    pts_seconds: Times, *, duration: float, length: float, limit: int
) -> tuple[NDArray[np.float64], float]:
    """The frames' times as an array, and the video's end.

    The end is ``duration``, or the last frame's time where a header understates it.

    Raises:
        ValueError: no frames, times that descend, are negative or not finite, a negative
            ``duration``, or ``length`` or ``limit`` not positive.
    """
    times = np.asarray(pts_seconds, dtype=np.float64)
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"segments need a row of frame times, not shape {times.shape}")
    if not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) < 0).any():
        raise ValueError("frame times must be finite, not negative, and ascend")
    if not math.isfinite(duration) or duration < 0:
        raise ValueError(f"duration must be a time in seconds, not {duration}")
    if not math.isfinite(length) or length <= 0 or limit < 1:
        raise ValueError(f"length and limit must be positive, not {length} and {limit}")
    return times, max(float(duration), float(times[-1]))


def spans_at(starts: Times, times: NDArray[np.float64], *, end: float) -> tuple[SegmentSpan, ...]:
    """Segments without overlap that begin at ``starts``, the first of which is 0.

    A segment that holds no frame joins the one before it, or the one after it at the beginning.
    """
    begins = np.asarray(starts, dtype=np.float64)
    # Index of the segment that each frame falls into, then only the segments that got one.
    owner = np.searchsorted(begins, times, side="right") - 1
    firsts = np.flatnonzero(np.diff(owner, prepend=-1))
    edges = [0.0, *(float(begins[owner[first]]) for first in firsts[1:]), end]
    bounds = [*(int(first) for first in firsts), int(times.size)]
    return tuple(
        SegmentSpan(start=edges[i], end=edges[i + 1], first=bounds[i], last=bounds[i + 1])
        for i in range(len(firsts))
    )


def split_evenly(starts: Sequence[float], *, end: float, length: float) -> list[float]:
    """The starts, with stretches beyond ``LONGEST`` lengths cut into equal parts."""
    cut: list[float] = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        span = stop - start
        parts = 1 if span <= LONGEST * length * (1 + _CLOSE) else round(span / length)
        cut += [start + span * part / parts for part in range(parts)]
    return cut
