"""Program streams whose time stamps FFmpeg gives to two packets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.damage_clips import read
from tests.unit.test_media_identity import CLIPS

av = pytest.importorskip("av")

_PACK, _VIDEO = 0xBA, 0xE2
_PICTURE = b"\x00\x00\x01\x01"
"""A start code of H.264, and the type of a picture that others do not start from."""


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_time_stamp_that_ffmpeg_gives_to_two_packets_is_no_damage(
    tmp_path: Path, decoder: str
) -> None:
    whole = CLIPS["h264-program"].write(tmp_path)
    pictures, summary = read(whole, decoder)
    assert summary.damaged == 0

    path = tmp_path / "split.vob"
    path.write_bytes(_with_split_start_code(whole.read_bytes()))
    assert _repeated_stamps(path) > _repeated_stamps(whole)
    again, other = read(path, decoder)
    assert other == summary
    assert list(again) == list(pictures)
    for time, picture in pictures.items():
        np.testing.assert_array_equal(again[time], picture)


def _with_split_start_code(data: bytes) -> bytes:
    """Let the start code of a picture begin at the end of the PES packet before its own.

    A multiplexer begins a PES packet wherever 2,048 bytes are full, now and then in a start code.
    """
    packets = list(_video_packets(data))
    for (before, end), (begin, last) in pairwise(packets[4:]):
        payload = begin + 9 + data[begin + 8]
        at = data.find(_PICTURE, payload, min(payload + 512, last))
        if at < 0 or not data[begin + 7] & 0x80:  # it has no time stamp
            continue
        moved = data[payload : at + 1]
        shorter = _resized(data[begin:last], -len(moved))
        header = payload - begin
        return (
            data[:before]
            + _resized(data[before:end], len(moved))
            + moved
            + data[end:begin]
            + shorter[:header]
            + shorter[header + len(moved) :]
            + data[last:]
        )
    raise AssertionError("no picture begins near the beginning of a PES packet with a time stamp")


def _video_packets(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each PES packet of the video begins and ends."""
    at = 0
    while at + 14 <= len(data):
        if (kind := data[at + 3]) == _PACK:
            end = at + 14 + (data[at + 13] & 7)
        else:
            end = at + 6 + int.from_bytes(data[at + 4 : at + 6], "big")
        if kind == _VIDEO:
            yield at, end
        at = end


def _resized(packet: bytes, by: int) -> bytes:
    """The packet with another length in its header."""
    length = int.from_bytes(packet[4:6], "big") + by
    return packet[:4] + length.to_bytes(2, "big") + packet[6:]


def _repeated_stamps(path: Path) -> int:
    with av.open(str(path)) as container:
        stamps = [packet.dts for packet in container.demux(video=0) if packet.size]
    return sum(one == other is not None for one, other in pairwise(stamps))
