"""Frames that share a packet of a transport or program stream: one time stamp for several."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from tests.clock_clips import assert_both_give, joined, write

from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.packets import read_packets

_FRAMES = 40
_X265 = "log-level=none:pools=1:keyint=10:min-keyint=10:open-gop=0"


def _clip(path: Path, codec: str, bf: str) -> Path:
    options = {"preset": "ultrafast"}
    if codec == "libx265":
        options["x265-params"] = f"{_X265}:bframes={bf}"
    elif codec == "mpeg2video":
        options = {}
    times = [Fraction(number, 10) for number in range(_FRAMES)]
    return write(path, times, codec=codec, bf=bf, **options)


def _sharing(source: Path, path: Path, *, count: int) -> Path:
    """A copy in which so many frames, in the order of decoding, share a packet (PES)."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        for begin in range(0, len(packets), count):
            copy: Any = av.Packet(b"".join(bytes(each) for each in packets[begin : begin + count]))
            for name in ("pts", "dts", "time_base", "is_keyframe"):
                setattr(copy, name, getattr(packets[begin], name))
            copy.stream = stream
            made.mux(copy)
    return path


def test_damage_of_a_packet_at_the_beginning_of_the_file_is_counted(tmp_path: Path) -> None:
    """FFmpeg names no other place where all frames share the first packet of a recording."""
    whole = _clip(tmp_path / "whole.ts", "mpeg2video", "0")
    content = _sharing(whole, tmp_path / "sharing.ts", count=_FRAMES).read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    pictures = [each for each in packets if each[1] & 0x1F == 1 and each[2] == 0]  # PID 256
    tables = [each for each in packets if each not in pictures]
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join([*pictures[:10], *pictures[11:], *tables]))
    with opened(path) as video:
        index = read_packets(video)
    assert index.corrupt.any()


def _assert_right(path: Path) -> None:
    points = list(range(0, _FRAMES, 2))
    expected = (points, [point / 10 for point in points], _FRAMES / 10)
    assert_both_give(path, expected, rate=5.0)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_frames_of_a_transport_stream_come_at_their_times(
    tmp_path: Path, codec: str, bf: str, count: int
) -> None:
    whole = _clip(tmp_path / "whole.ts", codec, bf)
    _assert_right(_sharing(whole, tmp_path / "sharing.ts", count=count))


@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_small_frames_of_a_program_stream_come_at_their_times(
    tmp_path: Path, codec: str, bf: str
) -> None:
    whole = _clip(tmp_path / "whole.ts", codec, bf)
    path = _sharing(whole, tmp_path / "sharing.vob", count=1)
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    assert places.count(None) > len(places) / 2  # a packet of 2 KiB holds several
    _assert_right(path)


@pytest.mark.parametrize("bf", ["0", "2"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_joined_streams_whose_frames_share_packets_have_no_damage(
    tmp_path: Path, codec: str, bf: str
) -> None:
    whole = _clip(tmp_path / "whole.ts", codec, bf)
    part = _sharing(whole, tmp_path / "part.ts", count=3)
    points = list(range(0, _FRAMES, 2))
    times = [point / 10 for point in range(0, 2 * _FRAMES, 2)]
    path = joined(tmp_path / "joined.ts", part, part)
    assert_both_give(path, (points * 2, times, 2 * _FRAMES / 10), rate=5.0)
