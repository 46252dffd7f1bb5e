"""Packets that an AVI file lacks. FFmpeg counts on, which times those after them too early."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from vidsearch.media.pyav.container import Video

__all__ = ["missing_packets_of_avi"]

_HEADER = 8
"""Bytes of a chunk's name and size."""
_INDEX = b"idx1"
_LISTS = (b"RIFF", b"LIST")
_LIST_HEADER = 12


def missing_packets_of_avi(
    video: Video, places: Sequence[int], sizes: Sequence[int], decoding: Sequence[int]
) -> dict[int, int]:
    """How many packets are missing before each, by its position in the order of decoding. The
    position after the last one is that of what is cut off.

    The file's index tells. Without one, the header tells how many there were, and the row of chunks
    where it breaks: all are taken to be missing at the first break.

    Args:
        video: was demuxed to its end.
        places: where each packet's content lies in the file.
        sizes: theirs, in bytes.
        decoding: time stamps, which count packets.
    """
    if "avi" not in video.container.format.name or not decoding:
        return {}
    lacking = video.stream.frames - decoding[-1] - 1
    if lacking <= 0:
        return {}
    entries = video.stream.index_entries
    if len(entries) > decoding[-1] + 1:
        numbers = {entry.pos + _HEADER: entry.timestamp for entry in entries}
        missing, gone = {}, 0
        for position, (place, number) in enumerate(zip(places, decoding, strict=True)):
            if (more := numbers.get(place, 0) - number - gone) > 0:
                missing[position] = more
                gone += more
        return missing | ({len(places): lacking - gone} if lacking > gone else {})
    if _lost_bytes(video.path) < lacking * _HEADER:
        return {}
    return {_first_break(video, places, sizes): lacking}


def _lost_bytes(path: Path) -> int:
    """How much shorter the file is than it says."""
    size, end = path.stat().st_size, 0
    with path.open("rb") as file:
        while end < size:
            name, length = _chunk(file, end)
            if name != b"RIFF":
                return 0
            end += _HEADER + length
    return end - size


def _first_break(video: Video, places: Sequence[int], sizes: Sequence[int]) -> int:
    """The position of the first packet that does not follow the one before."""
    with video.path.open("rb") as file:
        for position in range(1, len(places)):
            end = places[position] - _HEADER
            at = places[position - 1] + sizes[position - 1]
            at += at & 1  # chunks begin at even places
            while at < end:
                name, length = _chunk(file, at)
                at += _LIST_HEADER if name in _LISTS else _HEADER + length + (length & 1)
            if at != end:
                return position
        # What is missing may begin and end at the same place of a chunk.
        last = places[-1] + sizes[-1]
        name, length = _chunk(file, last + (last & 1))
        entries = file.read(length) if name == _INDEX else b""
    own = b"%02d" % video.stream.index
    indexed = [
        size
        for name, size in struct.iter_unpack("<4s8xI", entries[: len(entries) // 16 * 16])
        if name[:2] == own and size
    ]
    matches = zip(sizes, indexed, strict=False)
    return next((at for at, (size, named) in enumerate(matches) if size != named), len(places))


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    file.seek(at)
    header = file.read(_HEADER)
    return header[:4], int.from_bytes(header[4:], "little")
