"""The plan names every packet that a wanted frame depends on, in any order of coding."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.errors import VideoTooLargeError
from vidsearch.media.display import Clock, Points
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.media.pyav.plan import (
    DROP,
    FEED,
    START,
    TAKE,
    plan_packets,
    why_no_plan,
)
from vidsearch.media.pyav.survey import Survey
from vidsearch.media.pyav.timetable import Presentation, presentation
from vidsearch.testing.clips import write_clip


class Stream:
    """A made-up stream that knows what each of its frames depends on."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.keys: list[bool] = []
        self.needs: list[set[int]] = []
        """Positions of all packets that a frame depends on, itself included."""

    def add(self, stamp: int, *, key: bool = False, refers_to: tuple[int, ...] = ()) -> int:
        position = len(self.stamps)
        self.stamps.append(stamp)
        self.keys.append(key)
        self.needs.append({position}.union(*(self.needs[other] for other in refers_to)))
        return position

    def index(self, **changes: object) -> PacketIndex:
        count = len(self.stamps)
        values = {
            "stamps": np.array(self.stamps, dtype=np.int64),
            "stamped": np.ones(count, dtype=np.bool_),
            "evened": False,
            "keys": np.array(self.keys, dtype=np.bool_),
            "shown": np.ones(count, dtype=np.bool_),
            "corrupt": np.zeros(count, dtype=np.bool_),
            "holes": np.zeros(0, dtype=np.int64),
            "sizes": np.ones(count, dtype=np.int64),
            "decoding": np.arange(count, dtype=np.int64),
            "durations": np.zeros(count, dtype=np.int64),
            "times_decoding": False,
            "is_broadcast": False,
            "holds": np.array([], dtype=np.int64),
            "missing": {},
            "mislabelled": False,
            "reorders": True,
            "interlaced_rate": None,
            "time_base": Fraction(1, 10),
            "start": 0,
            "begin": 0.0,
            "step": 0.1,
            "first_decoding": 0,
            "reconfigured": False,
            "brings_palette": False,
            "errors_are_told": False,
        }
        return PacketIndex(**{**values, **changes})


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """GOPs of I, P and B frames; with B-frames in a pyramid, open or closed, at uneven times."""
    stream = Stream()
    stamp = draw(st.integers(-5, 50))
    before: int | None = None  # the last frame that a leading picture may refer to
    for _ in range(draw(st.integers(1, 5))):
        leading = draw(st.integers(0, 3)) if before is not None else 0
        times = [stamp := stamp + draw(st.integers(1, 4)) for _ in range(leading + 1)]
        anchor = stream.add(times[-1], key=True)
        for time in draw(st.permutations(times[:-1])):
            assert before is not None
            last = stream.add(time, refers_to=(before, anchor))
            before = draw(st.sampled_from([before, last]))
        for _ in range(draw(st.integers(0, 4))):
            depth = draw(st.integers(0, 4))
            times = [stamp := stamp + draw(st.integers(1, 4)) for _ in range(depth + 1)]
            past, anchor = anchor, stream.add(times[-1], refers_to=(anchor,))
            references = [past, anchor]
            for time in draw(st.permutations(times[:-1])):
                picture = stream.add(time, refers_to=tuple(references))
                if draw(st.booleans()):
                    references.append(picture)
        before = anchor
    return stream


@given(stream=streams(), data=st.data())
def test_frames_that_a_sampled_frame_depends_on_are_decoded(
    stream: Stream, data: st.DataObject
) -> None:
    index = stream.index()
    assert reason_of(index) is None
    everything = range(len(index))
    wanted = data.draw(st.sets(st.sampled_from(everything)))
    actions = plan_packets(index.stamps, index.keys, np.array(sorted(wanted), dtype=np.int64))

    assert {i for i in everything if actions[i] & TAKE} == wanted
    decoded: set[int] = set()
    for i in everything:
        if actions[i] & START:
            assert stream.keys[i]
            decoded = set()  # the decoder forgets
        if actions[i] != DROP:
            decoded.add(i)
        if i in wanted:
            assert stream.needs[i] <= decoded
    # Wanted frames come out in the order in which they are asked for.
    runs = np.cumsum(actions & START > 0)
    first = {
        run: min(stream.stamps[i] for i in wanted if runs[i] == run)
        for run in set(runs[list(wanted)])
    }
    last = {run: max(stream.stamps[i] for i in wanted if runs[i] == run) for run in first}
    ordered = sorted(first)
    assert all(last[a] < first[b] for a, b in itertools.pairwise(ordered))


@given(stream=streams(), data=st.data())
def test_only_packets_from_the_key_frame_to_the_sampled_frame_are_decoded(
    stream: Stream, data: st.DataObject
) -> None:
    index = stream.index()
    wanted = data.draw(st.sets(st.sampled_from(range(len(index))), min_size=1))
    actions = plan_packets(index.stamps, index.keys, np.array(sorted(wanted), dtype=np.int64))
    allowed: set[int] = set()
    for i in wanted:
        start = max(
            k for k in range(i + 1) if stream.keys[k] and stream.stamps[k] <= stream.stamps[i]
        )
        allowed |= set(range(start, i + 1))
    assert set(np.flatnonzero(actions).tolist()) <= allowed
    starts = np.flatnonzero(actions & START)
    for start in starts:  # what is displayed before the frame that we start at is left out
        end = min([s for s in starts if s > start], default=len(index))
        run = np.arange(start, end)
        assert (index.stamps[run[actions[run] != DROP]] >= index.stamps[start]).all()


def test_a_closed_gop_is_decoded_up_to_the_wanted_frame() -> None:
    # Presented as I b B b P, decoded as I P B b b.
    stamps = np.array([0, 4, 2, 1, 3, 5, 9, 7, 6, 8])
    keys = np.array([True, *[False] * 4, True, *[False] * 4])
    actions = plan_packets(stamps, keys, np.array([3, 5]))
    assert actions.tolist() == [FEED | START, FEED, FEED, TAKE, DROP, TAKE | START, *[DROP] * 4]


def test_a_leading_picture_of_an_open_gop_needs_the_gop_before() -> None:
    # The second key frame is displayed after the two that follow it.
    stamps = np.array([0, 1, 2, 5, 3, 4, 6])
    keys = np.array([True, False, False, True, False, False, False])
    wanted = np.array([4])
    assert plan_packets(stamps, keys, wanted).tolist() == [
        FEED | START,
        *[FEED] * 3,
        TAKE,
        DROP,
        DROP,
    ]
    later = plan_packets(stamps, keys, np.array([6]))
    assert later.tolist() == [DROP, DROP, DROP, FEED | START, DROP, DROP, TAKE]
    both = plan_packets(stamps, keys, np.array([3, 5]))
    assert both.tolist() == [FEED | START, FEED, FEED, TAKE, FEED, TAKE, DROP]


def test_nothing_is_decoded_where_nothing_is_wanted() -> None:
    none = np.array([], dtype=np.int64)
    assert plan_packets(np.array([0, 1]), np.array([True, False]), none).tolist() == [DROP, DROP]


def plain(count: int = 6, *, gop: int = 3) -> Stream:
    stream = Stream()
    for i in range(count):
        stream.add(10 * i, key=i % gop == 0, refers_to=() if i % gop == 0 else (i - 1,))
    return stream


def reason_of(index: PacketIndex) -> str | None:
    """Why a stream is read front to back."""
    order = presentation(index)
    return order if isinstance(order, str) else why_no_plan(index, order)


def changed(values: np.ndarray, at: int, value: object) -> np.ndarray:
    values = values.copy()
    values[at] = value
    return values


def test_frames_are_ordered_by_time_stamp() -> None:
    stream = Stream()
    for stamp in (0, 30, 10, 20, 40):
        stream.add(stamp, key=stamp == 0)
    order = presentation(stream.index(shown=np.array([True, True, True, True, False])))
    assert isinstance(order, Presentation)
    assert order.packets.tolist() == [0, 2, 3, 1]
    assert order.stamps.tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("field", "at", "value", "reason"),
    [
        ("stamped", 2, False, "without time stamps"),
        ("shown", slice(None), False, "no packet"),
    ],
)
def test_time_stamps_without_an_order_give_no_plan(
    field: str, at: int, value: object, reason: str
) -> None:
    index = plain().index()
    index = plain().index(**{field: changed(getattr(index, field), at, value)})
    order = presentation(index)
    assert isinstance(order, str)
    assert reason in order


def test_joined_streams_give_no_plan() -> None:
    stream = plain(200)
    stream.stamps = [*range(0, 1000, 10), *range(5, 1005, 10)]
    assert presentation(stream.index()) == "time stamps that jump back"


def test_avi_with_reordered_frames_gives_no_plan() -> None:
    assert "AVI" in str(presentation(plain().index(times_decoding=True)))
    assert isinstance(
        presentation(plain().index(times_decoding=True, reorders=False)), Presentation
    )


def test_frames_of_avi_keep_their_times_where_its_clock_goes_back() -> None:
    stream = Stream()
    times = [*range(30), *range(15, 45)]
    for number, time in enumerate(times):
        stream.add(time, key=number % 10 == 0)
    decoding = np.array(times, dtype=np.int64)
    order = presentation(stream.index(decoding=decoding, times_decoding=True, reorders=False))
    assert isinstance(order, Presentation)
    np.testing.assert_allclose(order.seconds, np.arange(60) / 10)


def test_a_field_per_packet_tells_no_order() -> None:
    frames = plain().index(interlaced_rate=1.0)  # a frame per second, as the stamps say
    assert isinstance(presentation(frames), Presentation)
    fields = plain().index(interlaced_rate=0.5)
    assert "field per packet" in str(presentation(fields))
    assert "field per packet" in str(presentation(plain().index(interlaced_rate=0.0)))


@pytest.mark.parametrize(
    ("field", "at", "value", "reason"),
    [
        ("keys", slice(None), False, "first packet is no key frame"),
        ("stamps", 1, -5, "before the first key frame"),
        ("stamps", 2, 35, "before earlier packets"),
        ("stamps", 2, 10, "the same time stamp"),
        ("mislabelled", ..., True, "each other's time stamps"),
    ],
)
def test_streams_that_cannot_start_at_key_frames_have_no_plan(
    field: str, at: Any, value: object, reason: str
) -> None:
    index = plain().index()
    assert reason_of(index) is None
    value = value if at is ... else changed(getattr(index, field), at, value)
    assert reason in str(reason_of(plain().index(**{field: value})))


def test_a_stream_whose_parameters_change_has_no_plan() -> None:
    assert reason_of(plain().index(reconfigured=True)) == "the codec's parameters change"


def test_a_stream_whose_packets_bring_a_palette_has_no_plan() -> None:
    assert reason_of(plain().index(brings_palette=True)) == "a palette that comes with a packet"


def clocked(stamps: list[float | None], **settings: float) -> list[float]:
    clock = Clock(0.04)
    return [clock.tick(stamp, **settings) for stamp in stamps]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([5.0, 5.04, 5.1], [0, 0.04, 0.1]),
        ([None, None, None], [0, 0.04, 0.08]),
        ([0.0, 0.04, 0.02, 0.12], [0, 0.04, 0.08, 0.12]),
        ([0.0, 3.0, 0.0, 0.1], [0, 3.0, 3.04, 3.14]),  # joined
        ([0.0, 36_000.0, 36_000.5], [0, 0.04, 0.54]),  # a leap
        ([0.0, 36_000.0, 0.08], [0, 0.04, 0.08]),  # a leap there and back
        ([0.0, 1800.0, 1800.1], [0, 1800.0, 1800.1]),  # held for long
    ],
)
def test_clock_gives_ascending_times(stamps: list[float | None], expected: list[float]) -> None:
    assert clocked(stamps) == pytest.approx(expected)


def test_clock_counts_lost_frames() -> None:
    assert clocked([None, None, None], lost=1) == pytest.approx([0, 0.08, 0.16])


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=50))
def test_clock_always_advances(stamps: list[float | None]) -> None:
    times = clocked([None if s is None or abs(s) > 1e9 else s for s in stamps])
    assert all(before < after for before, after in itertools.pairwise(times))
    assert all(after - before <= 3600 + 1e-3 for before, after in itertools.pairwise(times))


gaps = st.lists(st.floats(0.001, 3), min_size=1, max_size=40)


@given(gaps=gaps, last=st.floats(0.01, 3), rate=st.floats(0.1, 30), fps=st.floats(0.2, 120))
@pytest.mark.parametrize("sampling", ["played-at", "notebook"])
def test_points_taken_at_once_equal_points_taken_one_by_one(
    sampling: str, gaps: list[float], last: float, rate: float, fps: float
) -> None:
    """What the plan wants at once is what a pass over the frames gives one after the other."""
    seconds = np.cumsum([0.0, *gaps])
    end = float(seconds[-1]) + last
    at_once = Points(rate=rate, sampling=sampling, fps=fps).numbers(seconds, end=end)
    points = Points(rate=rate, sampling=sampling, fps=fps)
    points.begin(0)
    one_by_one: list[int] = []
    for number in range(len(seconds)):
        until = (
            points.place(number + 1, float(seconds[number + 1]))
            if number + 1 < len(seconds)
            else points.end(seconds=end, frames=len(seconds))
        )
        due = points.due(until)
        points.done += due
        one_by_one += [number] * due
    assert at_once.tolist() == one_by_one


@given(
    gaps=gaps,
    last=st.floats(0.01, 3),
    rate=st.floats(0.1, 30),
    cuts=st.lists(st.floats(0, 150), max_size=5).map(sorted),
)
@pytest.mark.parametrize("sampling", ["played-at", "notebook"])
def test_the_points_of_ranges_add_up_to_those_of_the_whole(
    sampling: str, gaps: list[float], last: float, rate: float, cuts: list[float]
) -> None:
    seconds = np.cumsum([0.0, *gaps])
    end = float(seconds[-1]) + last
    whole = Points(rate=rate, sampling=sampling, fps=25)
    numbers = whole.numbers(seconds, end=end)
    parts = [
        Points(rate=rate, sampling=sampling, fps=25, start=start, stop=stop)
        for start, stop in itertools.pairwise([0.0, *cuts, None])
    ]
    joined = np.concatenate([part.numbers(seconds, end=end) for part in parts])
    assert joined.tolist() == numbers.tolist()
    missing = sum(part.missing(end, end + 20) for part in parts)
    assert missing == whole.missing(end, end + 20)
    assert sum(part.begin(7.0) for part in parts) == whole.begin(7.0)


def test_the_plan_of_a_range_drops_what_comes_before_its_key_frame(tmp_path: Path) -> None:
    times = [Fraction(i, 10) for i in range(100)]
    path = write_clip(
        tmp_path / "clip.mp4", times, rate=10, options={"g": "10", "sc_threshold": "0"}
    )
    with opened(path) as video:
        index = read_packets(video)
        order = presentation(index)
        assert isinstance(order, Presentation)
        points = Points(rate=1, sampling="played-at", fps=10, start=4.5, stop=6.5)
        survey = Survey.of(video, index, order, points, limits=MediaLimits())
    assert survey.numbers.tolist() == [50, 60]
    assert np.flatnonzero(survey.actions()).tolist() == [50, 60]


@pytest.mark.parametrize(
    ("fps", "rate", "expected"),
    [
        (29.97, 1.0, [0, 29, 58, 87]),
        (30, 2.0, [0, 15, 30, 45, 60, 75, 90]),
        (0.5, 1.0, list(range(100))),  # the notebook divides by zero there
        (25, 30.0, [0, 0, 1, 2, 3]),
    ],
)
def test_notebook_points_are_frame_numbers(fps: float, rate: float, expected: list[int]) -> None:
    points = Points(rate=rate, sampling="notebook", fps=fps)
    numbers = points.numbers(np.arange(100) / 30, end=100 / 30).tolist()
    assert numbers[: len(expected)] == expected
    assert numbers[-1] < 100


def test_a_leap_per_packet_is_refused_before_memory_is_taken_for_it(tmp_path: Path) -> None:
    """Its points would take gigabytes."""
    times = [Fraction(3599 * i) for i in range(14)]
    path = write_clip(tmp_path / "leaps.mkv", times, rate=1)
    with opened(path) as video:
        index = read_packets(video)
        points = Points(rate=1e12, sampling="played-at", fps=25)
        order = presentation(index)
        assert isinstance(order, Presentation)
        with pytest.raises(VideoTooLargeError, match="max_seconds"):
            Survey.of(video, index, order, points, limits=MediaLimits(max_seconds=3600))
