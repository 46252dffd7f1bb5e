"""Missing frames of MPEG-4, told by the times in the headers of its frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from tests.clock_clips import packed, write
from tests.damage_clips import (
    MPEG,
    POINTS,
    RATE,
    SECONDS,
    WRONG,
    Clip,
    difference,
    everything,
    read,
)
from tests.remuxing import Change, dropped, evenly_timed, remuxed

from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.demuxing import packets_of
from vidsearch.media.pyav.vop_times import Vop, VopTimes

_VOP = b"\0\0\1\xb6"
_P, _B = 1, 2
CONTAINERS = ("avi", "mkv", "mp4", "ts")


def _clip(container: str, **options: str) -> Clip:
    return Clip(f"c.{container}", "mpeg4", {**MPEG, **options})


def _whole(clip: Clip, folder: Path) -> Path:
    return clip.write(folder).rename(folder / f"intact-{clip.name}")


def _packets(path: Path) -> list[bytes]:
    with opened(path) as video:
        return [bytes(packet) for packet in packets_of(video)]


def _vops(path: Path) -> list[Vop | None]:
    with opened(path) as video:
        times = VopTimes(video.stream.codec_context.extradata or b"")
        found = [times.of(memoryview(packet)) for packet in packets_of(video)]
    assert not times.is_packed
    return found


def _second_frames(path: Path) -> list[int]:
    """Of five of the eight GOPs, the packet of the P-frame after the key frame. Too many GOPs have
    a hole then to know how long one should be.
    """
    with opened(path) as video:
        keys = [n for n, packet in enumerate(packets_of(video)) if packet.is_keyframe]
    kinds = [data[data.index(_VOP) + len(_VOP)] >> 6 for data in _packets(path)]
    return [kinds.index(_P, key) for key in keys[1:6]]


@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("container", ["avi", "mp4"])
def test_the_times_in_the_headers_are_those_of_the_frames(
    tmp_path: Path, container: str, bf: str
) -> None:
    vops = _vops(_clip(container, bf=bf).write(tmp_path))
    times = [vop.time for vop in vops if vop is not None and vop.is_coded]
    assert sorted(times) == list(range(RATE * SECONDS))
    assert (times == sorted(times)) == (bf == "0")
    assert any(vop is not None and vop.is_b for vop in vops) == (bf == "2")


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_frames_that_b_frames_lack_cost_the_rest_of_their_gops(
    tmp_path: Path, container: str, decoder: str
) -> None:
    clip = _clip(container)
    whole = _whole(clip, tmp_path)
    path = clip.write(tmp_path, dropped(*_second_frames(whole)))
    clean = everything(whole)
    pictures, summary = read(path, decoder)
    assert 15 <= summary.damaged <= 25
    assert summary.points == SECONDS * POINTS
    for time, picture in pictures.items():
        # AVI times the decoding: where B-frames do not decode, a key frame seems to come later.
        near = clean.values() if container == "avi" else [clean[time]]
        assert min(difference(picture, each) for each in near) < WRONG, time


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_groups_that_are_missing_with_all_their_b_frames_are_counted(
    tmp_path: Path, container: str
) -> None:
    """In half of the GOPs: no B-frame lacks another, but all GOPs last as long as a whole one."""
    clip = _clip(container)
    whole = _whole(clip, tmp_path)
    with opened(whole) as video:
        keys = [n for n, packet in enumerate(packets_of(video)) if packet.is_keyframe]
    gone = [keys[gop] + number for gop in (1, 3, 5, 6) for number in (3, 4, 5)]
    kinds = [data[data.index(_VOP) + len(_VOP)] >> 6 for data in _packets(whole)]
    assert [kinds[number] for number in gone] == [_P, _B, _B] * 4
    path = clip.write(tmp_path, dropped(*gone))
    clean = everything(whole)
    for decoder in ("pyav", "opencv"):
        pictures, summary = read(path, decoder)
        assert 12 <= summary.damaged <= 20
        assert summary.points == SECONDS * POINTS
        assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_they_are_counted_though_time_stamps_are_even(tmp_path: Path, decoder: str) -> None:
    clip = _clip("mkv")
    whole = _whole(clip, tmp_path)
    holed = clip.write(tmp_path, dropped(*_second_frames(whole)))
    path = evenly_timed(holed, tmp_path / "even.mkv", rate=RATE)
    clean = list(everything(whole).values())
    pictures, summary = read(path, decoder)
    assert summary.damaged == summary.points - len(pictures) >= 15
    for picture in pictures.values():
        assert min(difference(picture, each) for each in clean) < WRONG


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize(("bf", "later"), [("0", 0), ("2", 0), ("2", 1)])
@pytest.mark.parametrize("container", ["avi", "mkv"])
def test_frames_that_are_not_coded_are_no_damage(
    tmp_path: Path, container: str, bf: str, later: int, decoder: str
) -> None:
    clip = _clip(container, bf=bf)
    whole = _whole(clip, tmp_path)
    change = _not_coded(*_second_frames(whole), later=later)
    path = remuxed(whole, tmp_path / clip.name, change)
    assert sum(vop is not None and not vop.is_coded for vop in _vops(path)) == 5
    assert read(path, decoder)[1].damaged == 0


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("container", ["avi", "mkv", "mp4"])
def test_packed_frames_are_no_damage(tmp_path: Path, container: str, decoder: str) -> None:
    times = [Fraction(n, 25) for n in range(100)]
    plain = write(tmp_path / "c.avi", times, codec="mpeg4", rate=25, bf="1", g="200")
    path = packed(plain, tmp_path / f"packed.{container}")
    assert read(path, decoder)[1].damaged == 0


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_b_frames_at_a_joint_are_no_damage(tmp_path: Path, decoder: str) -> None:
    clip = _clip("ts")
    whole = _whole(clip, tmp_path)
    with opened(whole) as video:
        keys = [n for n, packet in enumerate(packets_of(video)) if packet.is_keyframe]
    first = clip.write(tmp_path, dropped(*range(keys[4], len(_packets(whole))))).read_bytes()
    # It begins with B-frames that refer to what was cut off, and earlier than the first one ends.
    second = clip.write(tmp_path, dropped(*range(keys[2]))).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(first + second)
    assert read(path, decoder)[1].damaged == 0


def _not_coded(*numbers: int, later: int = 0) -> Change:
    """Have the headers of packets say that the frame before is shown once more, and name a time
    that is so many frames too late, as some programs do.
    """

    def change(number: int, data: bytes) -> bytes:
        if number not in numbers:
            return data
        begin = data.index(_VOP) + len(_VOP)
        bits = "".join(f"{byte:08b}" for byte in data[begin : begin + 8])
        seconds = bits.index("0", 2)
        time = seconds + 1 + 1
        marker = time + (RATE - 1).bit_length()
        coded = marker + 1
        assert bits[coded] == "1"
        within = int(bits[time:marker], 2) + later
        assert within < RATE
        header = f"{bits[:time]}{within:0{marker - time}b}{bits[marker:coded]}00"
        header += "1" * (-len(header) % 8)
        return data[:begin] + int(header, 2).to_bytes(len(header) // 8, "big")

    return change
