"""Windows cover a video, and every frame has one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsearch.media import Window, fixed_windows


def spans(windows: tuple[Window, ...]) -> list[tuple[float, float]]:
    return [(window.start, window.end) for window in windows]


def seconds(count: int) -> list[float]:
    return [float(i) for i in range(count)]


def test_whole_windows() -> None:
    windows = fixed_windows(seconds(30), duration=30, length=10, limit=512)
    assert spans(windows) == [(0, 10), (10, 20), (20, 30)]
    assert [(w.first, w.last) for w in windows] == [(0, 10), (10, 20), (20, 30)]


def test_a_frame_on_the_border_belongs_to_the_later_window() -> None:
    windows = fixed_windows([0.0, 10.0, 19.999], duration=20, length=10, limit=512)
    assert [(w.first, w.last) for w in windows] == [(0, 1), (1, 3)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (24.9, [(0, 10), (10, 24.9)]),
        (25.0, [(0, 10), (10, 20), (20, 25)]),
        (3.0, [(0, 3)]),
        (14.9, [(0, 14.9)]),
    ],
)
def test_a_short_tail_joins_the_window_before_it(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    windows = fixed_windows(seconds(math.ceil(duration)), duration=duration, length=10, limit=512)
    assert spans(windows) == expected


def test_windows_grow_evenly_beyond_the_limit() -> None:
    windows = fixed_windows(seconds(100), duration=100, length=1, limit=4)
    assert spans(windows) == [(0, 25), (25, 50), (50, 75), (75, 100)]


def test_a_frame_held_for_long_makes_one_long_window() -> None:
    windows = fixed_windows([0, 1, 1, 1, 1, 35], duration=40, length=10, limit=512)
    assert spans(windows) == [(0, 30), (30, 40)]
    assert [(w.first, w.last) for w in windows] == [(0, 5), (5, 6)]


def test_a_single_frame() -> None:
    assert fixed_windows([0.0], duration=0.04, length=10, limit=1) == (Window(0.0, 0.04, 0, 1),)


def test_an_understated_duration_is_corrected() -> None:
    (window,) = fixed_windows([0, 1, 2, 3], duration=2, length=10, limit=1)
    assert window.end == 3


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0, 50), min_size=1, max_size=200),
    tail=st.floats(0, 100),
    length=st.floats(0.1, 100),
    limit=st.integers(1, 50),
)
def test_properties(gaps: list[float], tail: float, length: float, limit: int) -> None:
    times = np.cumsum([0.0, *gaps])
    duration = float(times[-1] + tail)
    windows = fixed_windows(times, duration=duration, length=length, limit=limit)

    assert windows[0].start == 0
    assert windows[-1].end == duration
    assert windows[0].first == 0
    assert windows[-1].last == len(times)
    for before, after in itertools.pairwise(windows):
        assert before.end == after.start
        assert before.last == after.first
    for window in windows:
        assert window.last > window.first
        assert window.start <= window.end
        assert times[window.first] >= window.start
        assert times[window.last - 1] <= window.end
    assert len(windows) <= limit
    # Only the last may be shorter than asked for, and not below half of it.
    assert all(w.end - w.start >= length * (1 - 1e-6) for w in windows[:-1])
    if len(windows) > 1:
        last = windows[-1]
        assert last.end - last.start >= length / 2 * (1 - 1e-6)


@pytest.mark.parametrize(
    ("times", "settings"),
    [
        ([], {}),
        ([[0.0]], {}),
        ([1.0, 0.5], {}),
        ([-1.0, 0.5], {}),
        ([0.0, math.nan], {}),
        ([0.0], {"duration": -1}),
        ([0.0], {"duration": math.inf}),
        ([0.0], {"length": 0}),
        ([0.0], {"limit": 0}),
    ],
)
def test_senseless_input(times: list, settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        fixed_windows(times, **{"duration": 1.0, "length": 10.0, "limit": 5, **settings})


def test_overlapping_windows() -> None:
    windows = fixed_windows(seconds(30), duration=30, length=10, limit=512, overlap=5)
    assert spans(windows) == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30)]
    assert [(w.first, w.last) for w in windows] == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (30.9, [(0, 10), (6, 16), (12, 22), (18, 30.9)]),  # less than half a step is left
        (31, [(0, 10), (6, 16), (12, 22), (18, 28), (24, 31)]),
        (9, [(0, 9)]),
        (3, [(0, 3)]),
    ],
)
def test_the_tail_of_overlapping_windows(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    times = seconds(math.ceil(duration))
    windows = fixed_windows(times, duration=duration, length=10, limit=512, overlap=4)
    assert spans(windows) == expected


def test_overlapping_windows_grow_beyond_the_limit_and_keep_their_overlap() -> None:
    windows = fixed_windows(seconds(102), duration=102, length=10, limit=4, overlap=2)
    assert spans(windows) == [(0, 27), (25, 52), (50, 77), (75, 102)]


def test_an_overlapping_window_without_a_frame_of_its_own_joins_the_one_before() -> None:
    windows = fixed_windows([0, 1, 2, 31], duration=40, length=10, limit=512, overlap=5)
    assert spans(windows) == [(0, 30), (25, 40)]
    assert [(w.first, w.last) for w in windows] == [(0, 3), (3, 4)]


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0, 50), min_size=1, max_size=200),
    tail=st.floats(0, 100),
    length=st.floats(0.1, 100),
    share=st.floats(0, 0.95),
    limit=st.integers(1, 50),
)
def test_properties_of_overlapping_windows(
    gaps: list[float], tail: float, length: float, share: float, limit: int
) -> None:
    times = np.cumsum(gaps)
    duration = float(times[-1] + tail)
    overlap = share * length
    windows = fixed_windows(times, duration=duration, length=length, limit=limit, overlap=overlap)

    assert 1 <= len(windows) <= limit
    assert (windows[0].start, windows[0].first) == (0, 0)
    assert (windows[-1].end, windows[-1].last) == (duration, len(times))
    for window in windows:
        assert window.last > window.first
        assert window.start <= times[window.first]
        assert times[window.last - 1] <= window.end
    for before, after in itertools.pairwise(windows):
        assert before.start < after.start <= before.end < after.end
        assert before.first <= after.first <= before.last < after.last
        assert before.end - after.start >= overlap * (1 - 1e-6) - 1e-9


@pytest.mark.parametrize("overlap", [-1, 10, 11, math.nan])
def test_senseless_overlap(overlap: float) -> None:
    with pytest.raises(ValueError, match="overlap must be"):
        fixed_windows([0.0], duration=1.0, length=10.0, limit=5, overlap=overlap)
