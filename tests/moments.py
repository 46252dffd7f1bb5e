"""What holds for moments that follow the content, whatever finds their boundaries."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidsearch.media import Window


def assert_sound(
    windows: Sequence[Window],
    times: NDArray[np.float64],
    *,
    duration: float,
    length: float,
    limit: int,
) -> None:
    """They cover the video and its frames without gap or overlap, within the bounds of length."""
    assert 1 <= len(windows) <= limit
    assert (windows[0].start, windows[0].first) == (0, 0)
    assert (windows[-1].end, windows[-1].last) == (duration, len(times))
    for before, after in itertools.pairwise(windows):
        assert before.end == after.start
        assert before.last == after.first
    for window in windows:
        assert window.last > window.first
        assert window.start <= times[window.first]
        assert times[window.last - 1] <= window.end
    if len(windows) > 1:
        assert min(w.end - w.start for w in windows) >= length / 4 * (1 - 1e-6)
    unseen = float(np.diff(times, prepend=0, append=duration).max())
    longest = max(w.end - w.start for w in windows)
    assert longest <= 2 * max(length, duration / limit) * (1 + 1e-5) + 2 * unseen
