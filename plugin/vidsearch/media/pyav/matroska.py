"""Where a Matroska or WebM file lacks a part: there the row of its elements breaks (RFC 8794)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["breaks_of_matroska"]

_LONGEST_HEADER = 12
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_TOP = frozenset(
    {0x1A45DFA3, _CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770}
    | {0x1254C367}
)
"""What a file and a segment hold, beside padding; a cluster ends before each."""
_IN_CLUSTER = frozenset({0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF})
_ANYWHERE = frozenset({0xEC, 0xBF})
"""Padding and checksums."""
_MOST_BREAKS = 1000
_READ = 1 << 20


def breaks_of_matroska(path: Path) -> Iterator[tuple[int, int]]:
    """Yield for each break where the last element before it begins, and where the next one that
    FFmpeg finds does. The first of them may reach into what is missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        at = before = 0
        end: int | None = None  # of the cluster
        for _ in range(_MOST_BREAKS):
            is_beyond = False
            while at < size:
                name, length, header = _header(os.pread(file.fileno(), _LONGEST_HEADER, at))
                is_in_place = name in _ANYWHERE or (name in _IN_CLUSTER and end is not None)
                if name in _TOP or name == _SEGMENT:
                    is_in_place = end in (None, 0, at)
                if not is_in_place or not header:
                    break
                descends = name in {_SEGMENT, _CLUSTER}
                following = at + header + (0 if descends or length is None else length)
                # What is no header may look like one; what a file ends in is longer than it, too.
                is_beyond = following > (min(end, size) if end and at < end else size)
                if is_beyond:
                    break
                if name == _CLUSTER:
                    end = at + header + length if length is not None else 0
                elif name in _TOP or name == _SEGMENT:
                    end = None
                before, at = at, following
            if size - at < _LONGEST_HEADER:
                return
            at = _next_cluster(file.fileno(), at)
            if is_beyond and at >= size:
                return
            yield before, at
            end = None


def _header(data: bytes) -> tuple[int, int | None, int]:
    """An element's name, its length if it is known, and how long both are; 0: it is none."""
    width = 9 - data[0].bit_length()
    if width > 4 or len(data) <= width:
        return 0, None, 0
    size_width = 9 - data[width].bit_length()
    if size_width > 8 or len(data) < width + size_width:
        return 0, None, 0
    unknown = (1 << 7 * size_width) - 1
    length = int.from_bytes(data[width : width + size_width], "big") & unknown
    name = int.from_bytes(data[:width], "big")
    return name, None if length == unknown else length, width + size_width


def _next_cluster(file: int, at: int) -> int:
    """Where the next cluster begins, or the end of the file."""
    name = _CLUSTER.to_bytes(4, "big")
    while data := os.pread(file, _READ, at):
        if (found := data.find(name)) >= 0:
            return at + found
        at += max(len(data) - len(name) + 1, 1)
    return at
