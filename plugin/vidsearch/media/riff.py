"""The parts of an AVI file: chunks named RIFF, each of about a gigabyte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["AVI", "RIFF", "parts_of"]

RIFF = b"RIFF"
AVI = b"AVI "
"""Form of the first part; that of later ones is another (AVIX)."""
_HEADER = 8
"""Bytes of a chunk's name and size."""
_FORM = 4
_MOST_PARTS = 10_000


def parts_of(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The form of each part, and the byte that it says it ends before, which may lie beyond the
    file's end. What is none ends the row.
    """
    end = 0
    for _ in range(_MOST_PARTS):
        file.seek(end)
        header = file.read(_HEADER + _FORM)
        if len(header) < _HEADER or not header.startswith(RIFF):
            return
        length = int.from_bytes(header[len(RIFF) : _HEADER], "little")
        end += _HEADER + length + (length & 1)  # chunks begin at even places
        yield header[_HEADER:], end
