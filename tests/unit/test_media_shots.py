"""Moments that end at the cuts, and the search for them."""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.moments import assert_sound
from tests.remuxing import dropped, remuxed

from vidsearch.errors import (
    MissingExtraError,
    NoFramesError,
    SourceNotFoundError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media.frames import MediaLimits
from vidsearch.media.segments import SegmentSpan, find_shots, shot_segments
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.odd_clips import Track, write_tracks

_LIMITS = MediaLimits()
needs_scenedetect = pytest.mark.skipif(
    importlib.util.find_spec("scenedetect") is None, reason="the extra `shots` is not installed"
)


def spans(
    cuts: list[float], *, duration: float, length: float = 10, limit: int = 512
) -> list[tuple[float, float]]:
    times = np.arange(math.ceil(duration), dtype=np.float64)
    segments = shot_segments(times, cuts, duration=duration, length=length, limit=limit)
    return [(segment.start, segment.end) for segment in segments]


def test_segments_end_at_the_very_times_of_the_cuts() -> None:
    segments = shot_segments([0, 1, 2, 3, 4, 5, 6], [3.04, 5.96], duration=9, length=10, limit=512)
    assert segments == (
        SegmentSpan(0, 3.04, 0, 4),
        SegmentSpan(3.04, 5.96, 4, 6),
        SegmentSpan(5.96, 9, 6, 7),
    )


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ([], [(0, 9), (9, 18), (18, 27)]),  # long shots are split evenly
        ([8.5], [(0, 8.5), (8.5, 27)]),
        ([3.5], [(0, 3.5), (3.5, 15.25), (15.25, 27)]),
        ([8, 9, 10, 18], [(0, 8), (8, 18), (18, 27)]),  # short ones join what follows
        ([1, 14], [(0, 14), (14, 27)]),
        ([14, 26], [(0, 14), (14, 27)]),  # or what comes before, at the end
        ([14, 14, 8], [(0, 8), (8, 14), (14, 27)]),  # in any order
        ([-3, 0, 14, 27, 40], [(0, 14), (14, 27)]),
    ],
)
def test_long_and_short_shots_are_split_and_joined(
    cuts: list[float], expected: list[tuple[float, float]]
) -> None:
    assert spans(cuts, duration=27) == expected


def test_the_shortest_neighbours_are_joined_beyond_the_limit() -> None:
    cuts = [9, 14, 18, 30, 36]
    assert spans(cuts, duration=46, limit=5) == [(0, 9), (9, 18), (18, 30), (30, 36), (36, 46)]
    assert spans(cuts, duration=46, limit=1) == [(0, 46)]


def test_a_shot_between_two_sampled_frames_joins_the_one_before() -> None:
    segments = shot_segments([0, 10, 20], [11, 14, 18], duration=30, length=10, limit=9)
    assert segments == (SegmentSpan(0, 18, 0, 2), SegmentSpan(18, 30, 2, 3))


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=120),
    cuts=st.lists(st.floats(-10, 2000), max_size=120),
    tail=st.floats(0, 60),
    length=st.floats(0.5, 60),
    limit=st.integers(1, 40),
)
def test_any_windows_cover_the_video_within_their_bounds(
    gaps: list[float], cuts: list[float], tail: float, length: float, limit: int
) -> None:
    times = np.cumsum(gaps)
    duration = float(times[-1] + tail)
    segments = shot_segments(times, cuts, duration=duration, length=length, limit=limit)
    assert_sound(segments, times, duration=duration, length=length, limit=limit)


@pytest.mark.parametrize("cut", [math.nan, math.inf])
def test_invalid_cuts_are_refused(cut: float) -> None:
    with pytest.raises(ValueError, match="cuts must be finite"):
        shot_segments([0, 1], [cut], duration=2, length=10, limit=5)


def _scenes(tmp_path: Path, times: list[Fraction], cuts: list[int], **options: object) -> Path:
    """A clip with a new picture from each frame number of ``cuts`` on; something always moves."""
    rng = np.random.default_rng(1)
    grounds = rng.integers(0, 256, (len(cuts) + 1, 6, 8, 3), dtype=np.uint8)

    def picture(number: int) -> NDArray[np.uint8]:
        ground = grounds[sum(number >= cut for cut in cuts)]
        image = ground.repeat(16, axis=0).repeat(16, axis=1)
        left = number % 100
        image[40:56, left : left + 16] = 255
        return image

    return write_clip(tmp_path / "scenes.mkv", times, picture=picture, **options)  # type: ignore[arg-type]


@needs_scenedetect
@pytest.mark.parametrize("threads", [1, 2])
def test_cuts_are_found_at_their_first_frame(tmp_path: Path, threads: int) -> None:
    times = [Fraction(i, 25) for i in range(200)]
    clip = _scenes(tmp_path, times, [50, 75, 160], rate=25)
    assert find_shots(clip, limits=_LIMITS, threads=threads) == pytest.approx([2.0, 3.0, 6.4])


@needs_scenedetect
def test_times_count_from_the_first_frame_whatever_the_frame_rate(tmp_path: Path) -> None:
    steps = itertools.cycle([20, 90, 33, 150, 7, 41])
    times = list(itertools.accumulate((Fraction(next(steps), 1000) for _ in range(149)), initial=5))
    clip = _scenes(tmp_path, times, [60, 111], time_base=Fraction(1, 1000))
    expected = [float(times[60] - 5), float(times[111] - 5)]
    assert find_shots(clip, limits=_LIMITS) == pytest.approx(expected, abs=1e-3)


@needs_scenedetect
@pytest.mark.parametrize("matrix", [8, 10])
def test_colours_that_swscale_does_not_know(tmp_path: Path, matrix: int) -> None:
    def label(stream: Any) -> None:
        stream.codec_context.colorspace = matrix

    plain = write_tracks(tmp_path / "plain.mp4", Track())
    labelled = write_tracks(tmp_path / "labelled.mp4", Track(prepare=label))
    assert find_shots(labelled, limits=_LIMITS) == find_shots(plain, limits=_LIMITS)


@needs_scenedetect
def test_cuts_between_drawn_scenes_are_found(tmp_path: Path) -> None:
    from vidsearch.demo import Shot, scenes, write_clip

    rng, seconds = random.Random(4), [3.1, 7.4, 2.2, 5.0]
    shots = [
        Shot(scene=scene, seconds=s, seed=rng.randrange(99))
        for scene, s in zip(scenes(4, seed=17), seconds, strict=True)
    ]
    clip = write_clip(tmp_path / "drawn.mp4", shots)
    expected = list(itertools.accumulate(seconds))[:-1]
    assert find_shots(clip, limits=_LIMITS) == pytest.approx(expected)


@needs_scenedetect
def test_cuts_of_a_real_clip_are_found(shared: Path) -> None:
    clip = shared / "clips" / "vitrivr_color_test.mp4"
    assert find_shots(clip, limits=_LIMITS) == pytest.approx([1.0, 2.0])


@needs_scenedetect
def test_video_without_cuts_has_no_shots(red: Path) -> None:
    assert find_shots(red, limits=_LIMITS) == ()


@needs_scenedetect
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (MediaLimits(max_seconds=5), "6 s long.*max_seconds"),
        (MediaLimits(max_pixels=3000), "64x48"),
    ],
)
def test_video_beyond_the_limits_is_refused(red: Path, limits: MediaLimits, message: str) -> None:
    with pytest.raises(VideoTooLargeError, match=message):
        find_shots(red, limits=limits)


@needs_scenedetect
def test_missing_file_or_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        find_shots(tmp_path / "absent.mp4", limits=_LIMITS)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoOpenError):
        find_shots(tmp_path / "text.mp4", limits=_LIMITS)


@needs_scenedetect
def test_video_that_lacks_its_only_key_frame_has_no_shots(tmp_path: Path) -> None:
    times = [Fraction(i, 10) for i in range(60)]
    whole = write_clip(
        tmp_path / "whole.mkv",
        times,
        picture=moving_frame,
        codec="mpeg4",
        rate=10,
        time_base=Fraction(1, 10),
        options={"g": "600", "sc_threshold": "1000000000"},
    )
    clip = remuxed(whole, tmp_path / "clip.mkv", dropped(0))
    assert find_shots(clip, limits=_LIMITS) == ()


@needs_scenedetect
def test_frames_after_missing_packets_are_passed_over(tmp_path: Path) -> None:
    times = [Fraction(i, 25) for i in range(200)]
    unit, options = Fraction(1, 25), {"g": "100", "bf": "0", "sc_threshold": "1000000000"}
    codec = {"codec": "mpeg2video", "rate": 25, "time_base": unit, "options": options}
    whole = _scenes(tmp_path, times, [50, 125], **codec)
    # Frames from there on, also that at 2 s, are not trusted until the key frame at 4 s.
    clip = remuxed(whole, tmp_path / "clip.mkv", dropped(30, 31))
    assert find_shots(clip, limits=_LIMITS) == pytest.approx([4.0, 5.0], abs=0.01)


@needs_scenedetect
def test_video_without_decodable_frames_is_refused(red: Path) -> None:
    data = bytearray(red.read_bytes())
    begin, size = (
        data.index(b"mdat") + 4,
        int.from_bytes(data[data.index(b"mdat") - 4 :][:4], "big"),
    )
    data[begin : begin + size - 8] = bytes(size - 8)
    red.write_bytes(data)
    with pytest.raises(NoFramesError, match=r"red\.mp4"):
        find_shots(red, limits=_LIMITS)


def test_missing_pyscenedetect_is_reported_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, red: Path
) -> None:
    for name in ("scenedetect", "scenedetect.common", "scenedetect.detectors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"finding cuts .*'vidsearch\[shots\]'"):
        find_shots(red, limits=_LIMITS)
