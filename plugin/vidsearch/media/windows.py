"""Cut a video into moments of a fixed length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window", "fixed_windows"]


@dataclass(frozen=True, slots=True)
class Window:
    """A run of sampled frames and the stretch of the video they stand for."""

    start: float
    """Seconds."""
    end: float
    """Seconds; the next window's start."""
    first: int
    """Index of the first frame."""
    last: int
    """Index after the last frame."""


def fixed_windows(
    pts_seconds: Sequence[float] | NDArray[np.float64],
    *,
    duration: float,
    length: float,
    limit: int,
) -> tuple[Window, ...]:
    """Windows of ``length`` seconds that cover the video without gap or overlap.

    Every frame belongs to exactly one window, no window is empty, the first starts at 0 and the
    last ends at ``duration`` (or at the last frame's time, where a header understates it).

    - A tail shorter than half of ``length`` joins the window before it.
    - More than ``limit`` windows: all grow evenly until ``limit`` are enough.
    - A window that holds no frame (a frame held on display for longer than ``length``, or a
      sampling rate below one frame per window) joins the window before it.

    Args:
        pts_seconds: each frame's time in seconds, ascending (equal neighbours are fine).
        duration: of the video, in seconds.
        length: of a window, in seconds.
        limit: most windows.

    Raises:
        ValueError: no frames, times that descend, are negative or not finite, a negative
            ``duration``, or ``length`` or ``limit`` not positive.
    """
    times = np.asarray(pts_seconds, dtype=np.float64)
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"windows need a row of frame times, not shape {times.shape}")
    if not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) < 0).any():
        raise ValueError("frame times must be finite, not negative, and ascend")
    if not math.isfinite(duration) or duration < 0:
        raise ValueError(f"duration must be a time in seconds, not {duration}")
    if not math.isfinite(length) or length <= 0 or limit < 1:
        raise ValueError(f"length and limit must be positive, not {length} and {limit}")

    end = max(float(duration), float(times[-1]))
    count = _window_count(end, length)
    if count > limit:
        length, count = end / limit, limit
    starts = np.arange(count) * length
    # Index of the window that each frame falls into, then only the windows that got one.
    owner = np.searchsorted(starts, times, side="right") - 1
    firsts = np.flatnonzero(np.diff(owner, prepend=-1))
    edges = [0.0, *(float(starts[owner[first]]) for first in firsts[1:]), end]
    bounds = [*(int(first) for first in firsts), int(times.size)]
    return tuple(
        Window(start=edges[i], end=edges[i + 1], first=bounds[i], last=bounds[i + 1])
        for i in range(len(firsts))
    )


def _window_count(duration: float, length: float) -> int:
    whole = duration / length
    # A tail of exactly half a window stands on its own; rounding errors must not decide that.
    return max(1, math.floor(whole + 0.5 + 1e-9))
