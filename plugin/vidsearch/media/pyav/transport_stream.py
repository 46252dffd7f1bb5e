"""What an MPEG transport stream tells of packets that were lost (ISO/IEC 13818-1, 2.4.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from vidsearch.media.transport_packets import PACKET, SYNC, layout_of

__all__ = ["is_cut_off", "is_whole", "misaligned"]

_HAS_FIELD, _HAS_PAYLOAD = 0x20, 0x10
_FIELDS = {0x10: 6, 0x08: 6, 0x04: 1}
"""Bytes of the clocks and of the countdown in an adaptation field, by their flags."""
_OF_ANY_LENGTH = (0x02, 0x01)
"""Flags of what tells its length itself."""
_BEFORE = (0, 4, 16)
"""Bytes that may stand in front of a packet."""
_LONGEST = 1 << 24
"""Bytes of one frame in the file, with what lies between."""


def is_cut_off(path: Path) -> bool:
    """Whether a file that begins with a row of packets ends within one."""
    layout = layout_of(path)
    return layout is not None and layout.is_cut_off(path.stat().st_size)


def misaligned(path: Path, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Between which frames of a file a part of a packet is missing. Where 16 packets are missing
    beside, their counter shows nothing.

    Args:
        path: of the file.
        places: where each frame begins in it; 0 if it shares a place with the one before.

    Returns:
        Positions of the first frame that may lack something, and of the first behind it.
    """
    layout = layout_of(path)
    if layout is None:
        return
    known = [(position, place) for position, place in enumerate(places) if place]
    for (before, place), (after, other) in pairwise(known):
        if (other - place) % layout.size:
            yield before, after


def is_whole(path: Path, stream: int, begin: int, end: int | None = None) -> bool:
    """Whether nothing is lost of the frame that begins at a byte of the file, up to where the next
    one begins. Its last packet is filled up, unless it happens to end exactly there.

    Args:
        path: of the file.
        stream: number of the stream (PID).
        begin: of the frame, in bytes.
        end: of it; ``None``: the file's.
    """
    layout = layout_of(path)
    size = PACKET if layout is None else layout.size
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(_LONGEST if end is None else min(max(end - begin, 0), _LONGEST))
    counter: int | None = None
    filled_up = False
    # FFmpeg names the place of what stands in front of a packet.
    begins = (first for first in _BEFORE if data[first::size][:3].strip(bytes([SYNC])) == b"")
    for at in range(next(begins, 0), len(data) - PACKET + 1, size):
        if data[at] != SYNC:  # they lie otherwise here
            return False
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF != stream:
            continue
        flags = data[at + 3]
        if not flags & _HAS_PAYLOAD:
            continue
        if counter is not None and flags & 15 not in (counter, (counter + 1) & 15):
            return False
        counter, filled_up = flags & 15, _is_filled_up(data[at : at + PACKET])
    return filled_up


def _is_filled_up(packet: bytes) -> bool:
    """Whether the adaptation field of a packet is longer than what it says."""
    if not packet[3] & _HAS_FIELD:
        return False
    length = min(packet[4], PACKET - 5)
    if not length:
        return True
    flags = packet[5]
    said = 1 + sum(size for bit, size in _FIELDS.items() if flags & bit)
    for bit in _OF_ANY_LENGTH:
        if flags & bit and said < length:
            said += 1 + packet[5 + said]
    return length > said
