"""Moments of a fixed length."""

from __future__ import annotations

import math

import numpy as np

from vidsearch.media.segments.window import Times, Window, checked_times, windows_at

__all__ = ["fixed_windows"]


def fixed_windows(
    pts_seconds: Times, *, duration: float, length: float, limit: int, overlap: float = 0.0
) -> tuple[Window, ...]:
    """Windows of ``length`` seconds that start every ``length - overlap`` seconds.

    Every frame belongs to at least one window (to exactly one without overlap), no window is empty,
    the first starts at 0 and the last ends at ``duration`` (or at the last frame's time, where a
    header understates it).

    - A tail shorter than half of ``length - overlap`` joins the window before it.
    - More than ``limit`` windows: all grow evenly until ``limit`` are enough; the overlap stays.
    - A window that adds no frame to the one before it (a frame held on display for longer than
      ``length``, or a sampling rate below one frame per window) joins that one.

    Args:
        pts_seconds: each frame's time in seconds, ascending (equal neighbours are fine).
        duration: of the video, in seconds.
        length: of a window, in seconds.
        limit: most windows.
        overlap: seconds that neighbouring windows share.

    Raises:
        ValueError: no frames, times that descend, are negative or not finite, a negative
            ``duration``, ``length`` or ``limit`` not positive, or an ``overlap`` that is negative
            or not below ``length``.
    """
    times, end = checked_times(pts_seconds, duration=duration, length=length, limit=limit)
    if not 0 <= overlap < length:
        raise ValueError(f"overlap must be from 0 to below {length}, not {overlap}")

    step = length - overlap
    count = _count(min((end - overlap) / step, limit + 1.0))
    if count > limit:
        step, count = (end - overlap) / limit, limit
    starts = np.arange(count, dtype=np.float64) * step
    if not overlap:
        return windows_at(starts, times, end=end)

    ends = np.append(starts[1:] + overlap, end)
    firsts = np.searchsorted(times, starts)
    lasts = np.append(np.searchsorted(times, ends[:-1]), times.size)
    windows: list[Window] = []
    for i in range(count):
        if lasts[i] > (windows[-1].last if windows else 0):
            start = float(starts[i]) if windows else 0.0
            windows.append(Window(start, float(ends[i]), int(firsts[i]), int(lasts[i])))
        elif windows:
            held = windows[-1]
            windows[-1] = Window(held.start, float(ends[i]), held.first, held.last)
    return tuple(windows)


def _count(whole: float) -> int:
    # A tail of exactly half a step stands on its own; rounding errors must not decide that.
    return max(1, math.floor(whole + 0.5 + 1e-9))
