"""What holds for moments that follow the content, whatever finds their boundaries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidsearch.media import SegmentSpan


def assert_sound(
    segments: Sequence[SegmentSpan],
    times: NDArray[np.float64],
    *,
    duration: float,
    length: float,
    limit: int,
) -> None:
    """They cover the video and its frames without gap or overlap, within the bounds of length."""
    assert 1 <= len(segments) <= limit
    assert (segments[0].start, segments[0].first) == (0, 0)
    assert (segments[-1].end, segments[-1].last) == (duration, len(times))
    for before, after in itertools.pairwise(segments):
        assert before.end == after.start
        assert before.last == after.first
    for segment in segments:
        assert segment.last > segment.first
        assert segment.start <= times[segment.first]
        assert times[segment.last - 1] <= segment.end
    if len(segments) > 1:
        assert min(w.end - w.start for w in segments) >= length / 4 * (1 - 1e-6)
    unseen = float(np.diff(times, prepend=0, append=duration).max())
    longest = max(w.end - w.start for w in segments)
    assert longest <= 2 * max(length, duration / limit) * (1 + 1e-5) + 2 * unseen
