"""Segments that end at the cuts."""

from __future__ import annotations

import numpy as np

from vidsearch.media.segments.merging import merged
from vidsearch.media.segments.spans import (
    SHORTEST,
    SegmentSpan,
    Times,
    checked_times,
    spans_at,
    split_evenly,
)

__all__ = ["shot_segments"]


def shot_segments(
    pts_seconds: Times, cuts: Times, *, duration: float, length: float, limit: int
) -> tuple[SegmentSpan, ...]:
    """Segments that begin and end at the cuts, at the very times given.

    They cover the video without gap or overlap, and every frame belongs to exactly one.

    - A shot shorter than a quarter of ``length`` is joined to what follows it; at the end of the
      video, to what comes before.
    - A shot longer than twice ``length`` is cut into equal parts near ``length``.
    - A segment that holds no frame joins the one before it.
    - More than ``limit`` segments: the neighbours that are shortest together are joined first; none
      grows beyond twice ``length``, or twice ``duration / limit`` where that is longer.

    Args:
        pts_seconds: each frame's time in seconds, ascending (equal neighbours are fine).
        cuts: times of the cuts in seconds, in any order; what is not within the video is ignored.
        duration: of the video, in seconds.
        length: wished for, in seconds.
        limit: maximum number of segments.

    Raises:
        ValueError: as for :func:`~vidsearch.media.segments.fixed.fixed_segments`, or a cut that is
            not finite.
    """
    times, end = checked_times(pts_seconds, duration=duration, length=length, limit=limit)
    wanted = np.unique(np.asarray(cuts, dtype=np.float64))
    if not np.isfinite(wanted).all():
        raise ValueError("cuts must be finite times in seconds")
    shortest = SHORTEST * length
    starts = [0.0]
    for cut in wanted.tolist():
        if shortest <= cut - starts[-1] and shortest <= end - cut:
            starts.append(cut)
    segments = spans_at(split_evenly(starts, end=end, length=length), times, end=end)
    return merged(segments, length=length, limit=limit, cost=lambda a, b: b.end - a.start)
