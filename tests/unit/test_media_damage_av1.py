"""Missing and damaged packets in AV1, whose frames bear order hints. OpenCV does not read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.damage_clips import (
    AV1,
    WRONG,
    Clip,
    difference,
    everything,
    gop_of,
    read,
)
from tests.remuxing import dropped, evenly_timed

from vidsearch.media.pyav.av1_headers import OrderHints
from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.demuxing import packets_of


@pytest.fixture(params=AV1)
def clip(request: pytest.FixtureRequest) -> Clip:
    return AV1[request.param]


@pytest.fixture
def whole(clip: Clip, tmp_path: Path) -> Path:
    return clip.write(tmp_path).rename(tmp_path / f"intact-{clip.name}")


def _assert_costs(path: Path, whole: Path, begin: float, end: float) -> None:
    clean = everything(whole)
    pictures, summary = read(path)
    assert 1 <= summary.damaged == summary.points - len(pictures) <= 6
    left_out = {round(k / 5, 1) for k in range(40)} - set(pictures)
    assert all(begin <= time < end for time in left_out)
    assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


def test_the_order_hints_count_the_frames(whole: Path) -> None:
    with opened(whole) as video:
        hints = OrderHints(video.stream.codec_context.extradata or b"")
        found = [hints.of(memoryview(packet)) for packet in packets_of(video)]
    assert found == list(range(80))
    assert hints.count == 128


def test_an_intact_clip_has_no_damage(whole: Path) -> None:
    pictures, summary = read(whole)
    assert (len(pictures), summary.damaged) == (40, 0)


def test_a_missing_key_frame_costs_its_gop(tmp_path: Path, clip: Clip, whole: Path) -> None:
    path = clip.write(tmp_path, dropped(30))
    _assert_costs(path, whole, *gop_of(whole, 3))


@pytest.mark.parametrize("gone", [(33,), (31, 32, 33, 34), (38, 39, 40, 41)])
def test_missing_packets_cost_the_rest_of_their_gop(
    tmp_path: Path, clip: Clip, whole: Path, gone: tuple[int, ...]
) -> None:
    path = clip.write(tmp_path, dropped(*gone))
    _assert_costs(path, whole, gone[0] / 10, gop_of(whole, gone[-1] // 10)[1])


def test_packets_missing_in_the_last_gop_are_counted(
    tmp_path: Path, clip: Clip, whole: Path
) -> None:
    path = clip.write(tmp_path, dropped(71, 72, 73))
    _assert_costs(path, whole, 7.0, 8.0)


def test_missing_packets_are_counted_though_time_stamps_are_even(
    tmp_path: Path, clip: Clip, whole: Path
) -> None:
    holed = clip.write(tmp_path, dropped(31, 32, 33, 34))
    path = evenly_timed(holed, tmp_path / f"even-{clip.name}", rate=10)
    clean = list(everything(whole).values())
    pictures, summary = read(path)
    assert 1 <= summary.damaged == summary.points - len(pictures) <= 5
    assert all(min(difference(each, own) for own in clean) < WRONG for each in pictures.values())


def test_a_key_frame_that_is_shown_again_in_place_of_a_damaged_one_is_left_out(
    tmp_path: Path, clip: Clip, whole: Path
) -> None:
    # The frame after a key frame holds those that later packets only show.
    path = clip.write(
        tmp_path, lambda number, data: data[:12] + bytes(len(data) - 12) if number == 31 else data
    )
    _assert_costs(path, whole, 3.0, 4.0)
