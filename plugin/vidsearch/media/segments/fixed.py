"""Segments of a fixed length."""

from __future__ import annotations

import math

import numpy as np

from vidsearch.media.segments.spans import SegmentSpan, Times, checked_times, spans_at

__all__ = ["fixed_segments"]


def fixed_segments(
    pts_seconds: Times, *, duration: float, length: float, limit: int, overlap: float = 0.0
) -> tuple[SegmentSpan, ...]:
    """Segments of ``length`` seconds that start every ``length - overlap`` seconds.

    Every frame belongs to at least one segment (to exactly one without overlap), no segment is
    empty, the first starts at 0 and the last ends at ``duration`` (or at the last frame's time,
    where a header understates it).

    - A tail shorter than half of ``length - overlap`` joins the segment before it.
    - More than ``limit`` segments: all grow evenly until ``limit`` are enough; the overlap stays.
    - A segment that adds no frame to the one before it (a frame held on display for longer than
      ``length``, or a sampling rate below one frame per segment) joins that one.

    Args:
        pts_seconds: each frame's time in seconds, ascending (equal neighbours are fine).
        duration: of the video, in seconds.
        length: of a segment, in seconds.
        limit: maximum number of segments.
        overlap: seconds that neighbouring segments share.

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
        return spans_at(starts, times, end=end)

    ends = np.append(starts[1:] + overlap, end)
    firsts = np.searchsorted(times, starts)
    lasts = np.append(np.searchsorted(times, ends[:-1]), times.size)
    segments: list[SegmentSpan] = []
    for i in range(count):
        if lasts[i] > (segments[-1].last if segments else 0):
            start = float(starts[i]) if segments else 0.0
            segments.append(SegmentSpan(start, float(ends[i]), int(firsts[i]), int(lasts[i])))
        elif segments:
            held = segments[-1]
            segments[-1] = SegmentSpan(held.start, float(ends[i]), held.first, held.last)
    return tuple(segments)


def _count(whole: float) -> int:
    # A tail of exactly half a step stands on its own; rounding errors must not decide that.
    return max(1, math.floor(whole + 0.5 + 1e-9))
