"""How the packets of an MPEG transport stream lie in its file, and which programs they are of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PACKET", "SYNC", "Layout", "layout_of", "streams_beside"]

PACKET = 188
"""Bytes of a packet (ISO/IEC 13818-1, 2.4.3)."""
SYNC = 0x47
"""Its first byte."""
_SIZES = (PACKET, 192, 204)
"""With what some programs put around it: cameras and discs a time in front of it, receivers a
checksum behind it."""
_ENOUGH = 4
"""Packets in a row that tell where they lie."""
_HEAD_BYTES = 1 << 20
_PAT = 0
_STUFFING = b"\xff"
_STARTS, _HAS_FIELD, _HAS_PAYLOAD = 0x40, 0x20, 0x10
_PID = 0x1FFF


@dataclass(frozen=True, slots=True)
class Layout:
    """Where packets lie in a file."""

    begin: int
    """Of the first whole one, in bytes."""
    size: int
    """Bytes from one to the next."""

    def is_cut_off(self, size: int) -> bool:
        """Whether a file of so many bytes ends within a packet."""
        return 0 < (size - self.begin) % self.size < PACKET


def layout_of(path: Path) -> Layout | None:
    """That of a file; ``None`` where it does not begin with a row of packets."""
    with path.open("rb") as file:
        return _layout(file.read(_SIZES[-1] * _ENOUGH))


def streams_beside(path: Path, stream: int) -> frozenset[int] | None:
    """Numbers (PIDs) of the streams of the programs that a stream is in, with its own.

    Recordings of a whole frequency hold several programs, each with a clock of its own.

    Args:
        path: of a transport stream.
        stream: number of the stream.

    Returns:
        ``None`` where the file holds but one program, or does not say.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    layout = _layout(head[: _SIZES[-1] * _ENOUGH])
    if layout is None:
        return None
    tables: dict[int, frozenset[int]] = {}
    maps: set[int] | None = None
    sections: dict[int, bytes] = {}
    for pid, payload, starts in _payloads(head, layout):
        if pid != _PAT and (maps is None or pid not in maps or pid in tables):
            continue
        if starts:
            sections[pid] = payload[1 + payload[0] :] if payload else b""
        elif pid in sections:
            sections[pid] += payload
        section = _whole(sections.get(pid, b""))
        if section is None:
            continue
        if pid == _PAT:
            maps = maps or _maps(section)
            if len(maps) < 2:
                return None
        else:
            tables[pid] = _streams(section)
        if maps is not None and len(tables) == len(maps):
            break
    own = [each for each in tables.values() if stream in each]
    return frozenset(number for each in own for number in each) if own else None


def _layout(head: bytes) -> Layout | None:
    for size in _SIZES:
        for begin in range(min(size, max(len(head) - (_ENOUGH - 1) * size, 0))):
            if head[begin::size][:_ENOUGH] == bytes([SYNC] * _ENOUGH):
                return Layout(begin, size)
    return None


def _payloads(head: bytes, layout: Layout) -> Iterator[tuple[int, bytes, bool]]:
    """The stream of each packet, what it carries, and whether a section begins in that."""
    for at in range(layout.begin, len(head) - PACKET + 1, layout.size):
        packet = head[at : at + PACKET]
        if packet[0] != SYNC or not packet[3] & _HAS_PAYLOAD:
            continue
        begin = 4 + (1 + packet[4] if packet[3] & _HAS_FIELD else 0)
        pid = int.from_bytes(packet[1:3], "big") & _PID
        yield pid, packet[begin:], bool(packet[1] & _STARTS)


def _whole(data: bytes) -> bytes | None:
    """A section without its checksum, once all of it is there; empty where none begins."""
    if data[:1] == _STUFFING:
        return b""
    if len(data) < 3:
        return None
    end = 3 + (int.from_bytes(data[1:3], "big") & 0xFFF)
    return data[: end - 4] if end <= len(data) else None


def _maps(section: bytes) -> set[int]:
    """Of the table of programs: where the table of each one's streams is."""
    entries = (section[at : at + 4] for at in range(8, len(section) - 3, 4))
    return {
        int.from_bytes(entry[2:], "big") & _PID
        for entry in entries
        if any(entry[:2])  # else it is the network's
    }


def _streams(section: bytes) -> frozenset[int]:
    """Of the table of a program's streams: their numbers."""
    found = set()
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while at + 5 <= len(section):
        found.add(int.from_bytes(section[at + 1 : at + 3], "big") & _PID)
        at += 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF)
    return frozenset(found)
