"""Transport streams that lack packets, or were joined."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.broadcast_clips import SIZES, wrapped
from tests.damage_clips import (
    WRONG,
    assert_costs,
    difference,
    everything,
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


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("name", ["h264-ts", "hevc-ts", "mpeg2-ts"])
class TestPacketsOfCamerasAndReceivers:
    """With other bytes between them."""

    def test_joined_streams_have_no_damage(self, tmp_path: Path, name: str, kind: str) -> None:
        clip, whole, _ = intact(name, tmp_path)
        path = tmp_path / clip.name
        path.write_bytes(wrapped(2 * whole.read_bytes(), kind))
        for decoder in ("pyav", "opencv"):
            pictures, summary = read(path, decoder)
            assert (len(pictures), summary.damaged) == (80, 0)

    def test_lost_packets_cost_a_gop(self, tmp_path: Path, name: str, kind: str) -> None:
        """Sixteen of them, so that the counter goes on, and parts of two others."""
        clip, whole, keys = intact(name, tmp_path)
        packets = _transport_packets(whole)
        video = [n for n, each in enumerate(packets) if _stream(each) == 256]
        starts = [at for at, n in enumerate(video) if packets[n][1] & 0x40]
        first = starts[keys[4]] + 2
        size = SIZES[kind]
        content = wrapped(whole.read_bytes(), kind)
        begin, end = size * video[first] + 100, size * video[first + 16] + 60
        path = tmp_path / clip.name
        path.write_bytes(content[:begin] + content[end:])
        clean = everything(whole)
        results = [read(path, decoder) for decoder in ("pyav", "opencv")]
        assert results[0][1] == results[1][1]
        for pictures, summary in results:
            assert summary.damaged > 0
            assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())

    def test_a_stream_that_is_cut_off_ends_before_that_frame(
        self, tmp_path: Path, name: str, kind: str
    ) -> None:
        clip, whole, keys = intact(name, tmp_path)
        content = wrapped(whole.read_bytes(), kind)
        path = tmp_path / clip.name
        path.write_bytes(content)
        with av.open(str(path)) as container:
            places = [packet.pos for packet in container.demux(video=0) if packet.size]
        begin, end = places[keys[6]], places[keys[6] + 1]
        cut = begin + (end - begin) // 2
        cut += 20 - (cut - places[0]) % SIZES[kind]  # within a packet
        path.write_bytes(content[:cut])
        clean = everything(whole)
        for pictures, summary in [read(path, decoder) for decoder in ("pyav", "opencv")]:
            assert summary.damaged == 0
            assert summary.end_seconds == pytest.approx(gop_of(whole, 6)[0] - 0.1, abs=0.11)
            assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


def _transport_packets(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _stream(packet: bytes | bytearray) -> int:
    return (packet[1] & 31) << 8 | packet[2]
