"""Holes in streams whose frames bear no numbers, and held frames, which are none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from tests.damage_clips import (
    POINTS,
    SECONDS,
    WRONG,
    difference,
    everything,
    intact,
    read,
)

from vidsearch.testing.clips import write_clip

FRAMES = [Fraction(number, 10) for number in range(80)]


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["vp8", "vp9", "mpeg4-mkv", "h264-mkv", "hevc-mkv"])
def test_bytes_that_are_missing_in_matroska_cost_the_rest_of_their_gop(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, _ = intact(name, tmp_path)
    content = whole.read_bytes()
    first, last = (len(content) * share // 100 for share in (41, 55))
    path = tmp_path / clip.name
    path.write_bytes(content[:first] + content[last:])
    clean = everything(whole)
    pictures, summary = read(path, decoder)
    assert summary.points == SECONDS * POINTS
    assert summary.damaged == summary.points - len(pictures) >= 5
    assert max(pictures) == pytest.approx(SECONDS - 1 / POINTS)
    assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(
    "times",
    [
        [time for time in FRAMES if not 3 <= time < 4],
        [time for time in FRAMES if time < 3 or int(10 * time) % 2 == 0],
        [time for time in FRAMES if int(10 * time) % 7 or time < 1],
    ],
    ids=["pause", "half-the-rate", "dropped"],
)
def test_frames_that_are_held_are_no_damage(
    tmp_path: Path, times: list[Fraction], codec: str
) -> None:
    is_mpeg4 = codec == "mpeg4"
    path = write_clip(
        tmp_path / ("held.mkv" if is_mpeg4 else "held.webm"),
        times,
        codec=codec,
        rate=10,
        time_base=Fraction(1, 10),
        options={"g": "10"} if is_mpeg4 else {"g": "10", "deadline": "realtime", "cpu-used": "8"},
    )
    _, summary = read(path)
    assert summary.damaged == 0
