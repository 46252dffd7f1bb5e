"""Clips that are damaged at random: both decoders agree, and no wrong picture passes for right.

A few of what ``python -m tests.media_fuzz`` goes through; bytes that are changed to others are not
among them, as some codecs decode any bytes to something.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.media_fuzz import STREAMS, damaged_copy, outcome

_FAULTS = ("bytes", "zeros", "cut")
_NAMES = ("h264-mkv", "h264-ts", "hevc-ts", "mpeg2-ts", "mpeg4-asp-avi", "vp8", "vp9", "flv1-flv")

# libvpx in real time encodes as thoroughly as it has time: the VP8 and VP9 clips of a busy machine
# are others, and are damaged in other places.
pytestmark = pytest.mark.flaky(reruns=1)


@pytest.mark.parametrize("fault", _FAULTS)
@pytest.mark.parametrize("name", _NAMES)
def test_what_is_given_of_a_damaged_clip_is_right_or_damage_is_told(
    tmp_path: Path, name: str, fault: str
) -> None:
    for seed in range(2):
        whole, path = damaged_copy(STREAMS[name], fault, seed, tmp_path)
        result = outcome(whole, path)
        assert result.agree, seed
        assert result.refused or result.damaged or not result.wrong + result.misplaced, seed


@pytest.mark.parametrize("seed", [29, 35, 42])
def test_damage_that_counters_do_not_show_is_seen_by_both_decoders(
    tmp_path: Path, seed: int
) -> None:
    """Of the last frames of a transport stream, and of one that lacks a multiple of 16 packets."""
    result = outcome(*damaged_copy(STREAMS["hevc-ts"], "bytes", seed, tmp_path))
    assert result.agree
    assert not result.wrong + result.misplaced


@pytest.mark.parametrize(
    ("name", "fault", "seed"), [("h264-pyramid", "packets", 2), ("h264-flv", "bytes", 3)]
)
def test_frames_that_come_out_before_sooner_ones_are_damaged(
    tmp_path: Path, name: str, fault: str, seed: int
) -> None:
    """A key frame is missing, and the numbers of the frames go on by chance."""
    result = outcome(*damaged_copy(STREAMS[name], fault, seed, tmp_path))
    assert result.agree
    assert not result.wrong + result.misplaced
    assert result.damaged
