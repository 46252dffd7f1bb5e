"""Transport streams that lack packets, or were joined."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.damage_clips import (
    assert_costs,
    gop_of,
    intact,
    read,
)

from vidsearch.media.pyav.transport_stream import is_whole

av = pytest.importorskip("av")


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("name", ["h264-ts", "h264-intra-ts", "hevc-ts", "mpeg2-ts"])
def test_a_key_frame_that_lacks_transport_packets_costs_its_gop(
    tmp_path: Path, name: str, lost: int, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    packets = _transport_packets(whole)
    starts = [n for n, each in enumerate(packets) if _stream(each) == 256 and each[1] & 0x40]
    first = starts[keys[4]] + 2
    path = tmp_path / clip.name
    path.write_bytes(b"".join(packets[:first] + packets[first + lost :]))
    assert_costs(path, whole, gop_of(whole, 4), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_part_that_is_missing_is_seen_though_the_counter_goes_on(
    tmp_path: Path, decoder: str
) -> None:
    clip, whole, keys = intact("hevc-ts", tmp_path)
    packets = _transport_packets(whole)
    video = [n for n, each in enumerate(packets) if _stream(each) == 256]
    starts = [at for at, n in enumerate(video) if packets[n][1] & 0x40]
    first = starts[keys[4]] + 2
    begin, end = 188 * video[first] + 100, 188 * video[first + 16] + 60
    content = whole.read_bytes()
    path = tmp_path / clip.name
    path.write_bytes(content[:begin] + content[end:])
    assert_costs(path, whole, gop_of(whole, 4), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-ts", "h264-intra-ts", "hevc-ts", "mpeg2-ts"])
def test_transport_streams_that_are_joined_have_no_damage(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = tmp_path / clip.name
    path.write_bytes(2 * whole.read_bytes())
    assert read(path, decoder)[1].damaged == 0
    # Its counter begins anew at a key frame, as in the parts of a stream that is cut for HLS.
    packets = _transport_packets(whole)
    starts = [n for n, each in enumerate(packets) if _stream(each) == 256 and each[1] & 0x40]
    for number in range(starts[keys[4]], len(packets)):
        if _stream(packet := bytearray(packets[number])) == 256:
            packet[3] = packet[3] & 0xF0 | (packet[3] + 5) & 15
            packets[number] = bytes(packet)
    path.write_bytes(b"".join(packets))
    pictures, summary = read(path, decoder)
    assert (len(pictures), summary.damaged) == (40, 0)


@pytest.mark.parametrize(
    ("field", "is_filled_up"),
    [
        (b"\0", True),
        (b"\1\0", False),
        (b"\2\0\xff", True),
        (b"\7\x10" + bytes(6), False),
        (b"\x09\x10" + bytes(6) + b"\xff\xff", True),
        (b"\x05\2\3abc", False),
        (b"\xff\3" + b"\xff" * 182, False),
    ],
    ids=["one-byte", "flags", "filled", "clock", "clock-filled", "private", "noise"],
)
def test_a_frame_ends_in_a_packet_that_is_filled_up(
    tmp_path: Path, field: bytes, is_filled_up: bool
) -> None:
    path = tmp_path / "one.ts"
    path.write_bytes((b"\x47\x41\0\x30" + field).ljust(188, b"\xaa")[:188])
    assert is_whole(path, 256, 0) is is_filled_up


def _transport_packets(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _stream(packet: bytes | bytearray) -> int:
    return (packet[1] & 31) << 8 | packet[2]
