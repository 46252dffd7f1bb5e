"""Transport streams as cameras, discs and receivers store them, made of plain ones."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SIZES", "multiplexed", "wrapped"]

_PACKET = 188
SIZES = {"camera": 192, "receiver": 204}
"""Bytes from packet to packet: with a time in front of each, or a checksum behind it."""
_PAT, _SDT = 0, 17
_PAT_EVERY = 20


def wrapped(content: bytes, kind: str) -> bytes:
    """A transport stream with other bytes between its packets.

    Args:
        content: packets of 188 bytes.
        kind: one of ``SIZES``.
    """
    filling = bytes(SIZES[kind] - _PACKET)
    before, after = (filling, b"") if kind == "camera" else (b"", filling)
    return b"".join(before + packet + after for packet in _packets(content))


def multiplexed(path: Path, *programs: Path) -> Path:
    """The programs of several files in one, as on one frequency; each keeps its clock.

    Args:
        path: is written.
        programs: of one program each, with numbers of streams that no other file has.
    """
    rows, entries = [], b""
    for number, program in enumerate(programs, 1):
        packets = _packets(program.read_bytes())
        tables = next(each for each in packets if _stream(each) == _PAT)
        entries += number.to_bytes(2, "big") + tables[15:17]
        kept = [each for each in packets if _stream(each) not in (_PAT, _SDT)]
        rows += [(at / len(kept), number, each) for at, each in enumerate(kept)]
    header = b"\0" + (0xB000 | 9 + len(entries)).to_bytes(2, "big") + b"\0\1\xc1\0\0"
    section = header + entries
    section += _checksum(section).to_bytes(4, "big")
    content = b""
    for at, (_, _, packet) in enumerate(sorted(rows)):
        if at % _PAT_EVERY == 0:
            counter = at // _PAT_EVERY & 15
            content += (b"\x47\x40\0" + bytes([0x10 | counter]) + b"\0" + section).ljust(
                _PACKET, b"\xff"
            )
        content += packet
    path.write_bytes(content)
    return path


def _packets(content: bytes) -> list[bytes]:
    return [content[at : at + _PACKET] for at in range(0, len(content), _PACKET)]


def _stream(packet: bytes) -> int:
    return (packet[1] & 31) << 8 | packet[2]


def _checksum(data: bytes) -> int:
    """ISO/IEC 13818-1, annex A."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum >> 31 else 0)) & 0xFFFFFFFF
    return checksum
