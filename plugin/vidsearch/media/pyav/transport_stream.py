"""What an MPEG transport stream tells of packets that were lost (ISO/IEC 13818-1, 2.4.3)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_cut_off", "is_whole"]

_PACKET = 188
_SYNC = 0x47
_HAS_FIELD, _HAS_PAYLOAD = 0x20, 0x10
_LONGEST = 1 << 24
"""Bytes of one frame in the file, with what lies between."""


def is_cut_off(path: Path) -> bool:
    """Whether a file of packets of 188 bytes ends within one."""
    with path.open("rb") as file:
        head = file.read(2 * _PACKET + 1)
    return head[::_PACKET] == bytes([_SYNC] * 3) and path.stat().st_size % _PACKET > 0


def is_whole(path: Path, stream: int, begin: int, end: int | None = None) -> bool:
    """Whether nothing is lost of the frame that begins at a byte of the file, up to where the next
    one begins. Its last packet is filled up, unless it happens to end exactly there.

    Args:
        path: of the file.
        stream: number of the stream (PID).
        begin: of the frame, in bytes.
        end: of it; ``None``: the file's.
    """
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(_LONGEST if end is None else min(max(end - begin, 0), _LONGEST))
    counter: int | None = None
    filled_up = False
    for at in range(0, len(data) - _PACKET + 1, _PACKET):
        if data[at] != _SYNC:  # other packets than those of 188 bytes
            return False
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF != stream:
            continue
        flags = data[at + 3]
        if not flags & _HAS_PAYLOAD:
            continue
        if counter is not None and flags & 15 not in (counter, (counter + 1) & 15):
            return False
        counter, filled_up = flags & 15, bool(flags & _HAS_FIELD)
    return filled_up
