"""What the boxes of an MP4 or MOV file say that FFmpeg keeps to itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["has_external_data", "is_encrypted", "is_mp4", "is_still_picture", "lacks_index"]

_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"})
_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
_NESTING = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"})
_ENCRYPTED = frozenset({b"encv", b"drmi"})
_COUNTED_HEADER = 8
"""Version, flags and number of entries, which come before the entries of a table."""
_MOST_BOXES = 10_000
_OWN_DATA = 1
_SHORT_ALIAS = 150
"""Bytes of an alias without a path."""

_Box = tuple[bytes, int, int]
"""Type, and where its content begins and ends in the file."""


def is_mp4(path: Path) -> bool:
    """Whether the file begins like an MP4 or MOV."""
    with path.open("rb") as file:
        return file.read(8)[4:] in _FIRST_BOXES


def is_still_picture(path: Path) -> bool:
    """Whether it is a HEIF or AVIF file with one picture, which FFmpeg opens like a video."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:] in _STILL_BRANDS


def lacks_index(path: Path) -> bool:
    """Whether it is an MP4 or MOV whose index (``moov``) is missing: nothing of it can be read."""
    with path.open("rb") as file:
        boxes = [kind for kind, _, _ in _boxes(file, 0, path.stat().st_size)]
    return bool(boxes) and boxes[0] in _FIRST_BOXES and b"moov" not in boxes


def is_encrypted(path: Path) -> bool:
    """Whether a video track is encrypted (Common Encryption); FFmpeg would decode noise."""
    with path.open("rb") as file:
        return any(
            kind in _ENCRYPTED
            for begin, end in _find(file, 0, path.stat().st_size, b"stsd")
            for kind, _, _ in _boxes(file, begin + _COUNTED_HEADER, end)
        )


def has_external_data(path: Path) -> bool:
    """Whether a track keeps its data in another file (an alias of QuickTime that leads elsewhere).

    Other kinds of data references are rare; FFmpeg reads their data from the same file.
    """
    with path.open("rb") as file:
        return any(
            kind == b"alis" and last - first > _SHORT_ALIAS and not _flags(file, first) & _OWN_DATA
            for begin, end in _find(file, 0, path.stat().st_size, b"dref")
            for kind, first, last in _boxes(file, begin + _COUNTED_HEADER, end)
        )


def _find(file: BinaryIO, begin: int, end: int, wanted: bytes) -> Iterator[tuple[int, int]]:
    for kind, first, last in _boxes(file, begin, end):
        if kind == wanted:
            yield first, last
        elif kind in _NESTING:
            yield from _find(file, first, last, wanted)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[_Box]:
    for _ in range(_MOST_BOXES):
        file.seek(begin)
        header = file.read(16)
        if begin + 8 > end or len(header) < 8:
            return
        size, content = int.from_bytes(header[:4], "big"), begin + 8
        if size == 1:  # the size does not fit into 32 bits, and follows
            size, content = int.from_bytes(header[8:16], "big"), begin + 16
        last = begin + size if size else end  # 0: up to the end
        if last < content:
            return
        yield header[4:8], content, min(last, end)
        begin = last


def _flags(file: BinaryIO, begin: int) -> int:
    file.seek(begin)
    return int.from_bytes(file.read(4), "big") & 0xFFFFFF
