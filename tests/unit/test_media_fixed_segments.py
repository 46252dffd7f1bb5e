"""Segments cover a video, and every frame has one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsearch.media import SegmentSpan, fixed_segments


def spans(segments: tuple[SegmentSpan, ...]) -> list[tuple[float, float]]:
    return [(segment.start, segment.end) for segment in segments]


def seconds(count: int) -> list[float]:
    return [float(i) for i in range(count)]


def test_video_of_whole_windows_is_split_exactly() -> None:
    segments = fixed_segments(seconds(30), duration=30, length=10, limit=512)
    assert spans(segments) == [(0, 10), (10, 20), (20, 30)]
    assert [(w.first, w.last) for w in segments] == [(0, 10), (10, 20), (20, 30)]


def test_a_frame_on_the_border_belongs_to_the_later_window() -> None:
    segments = fixed_segments([0.0, 10.0, 19.999], duration=20, length=10, limit=512)
    assert [(w.first, w.last) for w in segments] == [(0, 1), (1, 3)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (24.9, [(0, 10), (10, 24.9)]),
        (25.0, [(0, 10), (10, 20), (20, 25)]),
        (3.0, [(0, 3)]),
        (14.9, [(0, 14.9)]),
    ],
)
def test_a_short_tail_joins_the_segment_before_it(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    segments = fixed_segments(seconds(math.ceil(duration)), duration=duration, length=10, limit=512)
    assert spans(segments) == expected


def test_segments_grow_evenly_beyond_the_limit() -> None:
    segments = fixed_segments(seconds(100), duration=100, length=1, limit=4)
    assert spans(segments) == [(0, 25), (25, 50), (50, 75), (75, 100)]


def test_a_frame_held_for_long_makes_one_long_window() -> None:
    segments = fixed_segments([0, 1, 1, 1, 1, 35], duration=40, length=10, limit=512)
    assert spans(segments) == [(0, 30), (30, 40)]
    assert [(w.first, w.last) for w in segments] == [(0, 5), (5, 6)]


def test_single_frame_is_one_window() -> None:
    assert fixed_segments([0.0], duration=0.04, length=10, limit=1) == (
        SegmentSpan(0.0, 0.04, 0, 1),
    )


def test_an_understated_duration_is_corrected() -> None:
    (segment,) = fixed_segments([0, 1, 2, 3], duration=2, length=10, limit=1)
    assert segment.end == 3


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0, 50), min_size=1, max_size=200),
    tail=st.floats(0, 100),
    length=st.floats(0.1, 100),
    limit=st.integers(1, 50),
)
def test_any_windows_cover_the_video_within_their_bounds(
    gaps: list[float], tail: float, length: float, limit: int
) -> None:
    times = np.cumsum([0.0, *gaps])
    duration = float(times[-1] + tail)
    segments = fixed_segments(times, duration=duration, length=length, limit=limit)

    assert segments[0].start == 0
    assert segments[-1].end == duration
    assert segments[0].first == 0
    assert segments[-1].last == len(times)
    for before, after in itertools.pairwise(segments):
        assert before.end == after.start
        assert before.last == after.first
    for segment in segments:
        assert segment.last > segment.first
        assert segment.start <= segment.end
        assert times[segment.first] >= segment.start
        assert times[segment.last - 1] <= segment.end
    assert len(segments) <= limit
    # Only the last may be shorter than asked for, and not below half of it.
    assert all(w.end - w.start >= length * (1 - 1e-6) for w in segments[:-1])
    if len(segments) > 1:
        last = segments[-1]
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
def test_invalid_input_is_refused(times: list, settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        fixed_segments(times, **{"duration": 1.0, "length": 10.0, "limit": 5, **settings})


def test_overlapping_windows_share_the_overlap() -> None:
    segments = fixed_segments(seconds(30), duration=30, length=10, limit=512, overlap=5)
    assert spans(segments) == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30)]
    assert [(w.first, w.last) for w in segments] == [(0, 10), (5, 15), (10, 20), (15, 25), (20, 30)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (30.9, [(0, 10), (6, 16), (12, 22), (18, 30.9)]),  # less than half a step is left
        (31, [(0, 10), (6, 16), (12, 22), (18, 28), (24, 31)]),
        (9, [(0, 9)]),
        (3, [(0, 3)]),
    ],
)
def test_short_tail_of_overlapping_windows_joins_the_window_before(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    times = seconds(math.ceil(duration))
    segments = fixed_segments(times, duration=duration, length=10, limit=512, overlap=4)
    assert spans(segments) == expected


def test_overlapping_segments_grow_beyond_the_limit_and_keep_their_overlap() -> None:
    segments = fixed_segments(seconds(102), duration=102, length=10, limit=4, overlap=2)
    assert spans(segments) == [(0, 27), (25, 52), (50, 77), (75, 102)]


def test_an_overlapping_segment_without_a_frame_of_its_own_joins_the_one_before() -> None:
    segments = fixed_segments([0, 1, 2, 31], duration=40, length=10, limit=512, overlap=5)
    assert spans(segments) == [(0, 30), (25, 40)]
    assert [(w.first, w.last) for w in segments] == [(0, 3), (3, 4)]


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0, 50), min_size=1, max_size=200),
    tail=st.floats(0, 100),
    length=st.floats(0.1, 100),
    share=st.floats(0, 0.95),
    limit=st.integers(1, 50),
)
def test_any_overlapping_windows_cover_the_video_within_their_bounds(
    gaps: list[float], tail: float, length: float, share: float, limit: int
) -> None:
    times = np.cumsum(gaps)
    duration = float(times[-1] + tail)
    overlap = share * length
    segments = fixed_segments(times, duration=duration, length=length, limit=limit, overlap=overlap)

    assert 1 <= len(segments) <= limit
    assert (segments[0].start, segments[0].first) == (0, 0)
    assert (segments[-1].end, segments[-1].last) == (duration, len(times))
    for segment in segments:
        assert segment.last > segment.first
        assert segment.start <= times[segment.first]
        assert times[segment.last - 1] <= segment.end
    for before, after in itertools.pairwise(segments):
        assert before.start < after.start <= before.end < after.end
        assert before.first <= after.first <= before.last < after.last
        assert before.end - after.start >= overlap * (1 - 1e-6) - 1e-9


@pytest.mark.parametrize("overlap", [-1, 10, 11, math.nan])
def test_invalid_overlap_is_refused(overlap: float) -> None:
    with pytest.raises(ValueError, match="overlap must be"):
        fixed_segments([0.0], duration=1.0, length=10.0, limit=5, overlap=overlap)
