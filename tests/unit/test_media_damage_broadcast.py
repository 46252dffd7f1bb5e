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


def _transport_packets(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _stream(packet: bytes | bytearray) -> int:
    return (packet[1] & 31) << 8 | packet[2]
