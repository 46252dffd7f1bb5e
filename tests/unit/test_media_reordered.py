"""Streams with B-frames whose container or codec tells little of their order."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from tests.clock_clips import assert_both_give, read, write
from tests.programs import ffmpeg


@pytest.mark.parametrize("every", [60, 600])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.nut"])
def test_a_time_lapse_with_b_frames_is_read(tmp_path: Path, name: str, every: int) -> None:
    """Of so few frames a second, FFmpeg takes a later one's time for the beginning of the file."""
    times = [every * number for number in range(12)]
    path = write(tmp_path / name, times, rate=Fraction(1, every))
    assert_both_give(path, (list(range(12)), times, 12.0 * every), rate=1 / every)


@pytest.mark.parametrize("sound", ["", "mp3", "pcm_s16le"])
def test_xvid_with_b_frames_begins_with_its_sound(tmp_path: Path, sound: str) -> None:
    """The encoder, which PyAV lacks, leaves chunks empty while it fills its queue."""
    whole = write(tmp_path / "whole.mkv", [Fraction(i, 25) for i in range(75)], rate=25, bf="0")
    path = tmp_path / "clip.avi"
    heard = ("-f", "lavfi", "-i", "sine=d=3", "-c:a", sound) if sound else ()
    picture = ("-c:v", "libxvid", "-bf", 2, "-g", 50, "-q:v", 2)
    ffmpeg("-i", whole, *heard, *picture, path)
    for decoder in ("pyav", "opencv"):
        assert read(decoder, path)[:2] == ([0, 25, 50], [0.0, 1.0, 2.0])
