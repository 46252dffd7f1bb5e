"""What the boxes of an MP4 or MOV file say that FFmpeg keeps to itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "breaks_off_in",
    "has_external_data",
    "holds_several_files",
    "is_encrypted",
    "is_fragmented",
    "is_mp4",
    "is_still_picture",
    "lacks_index",
    "missing_fragments",
]

_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"})
_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
_NESTING = frozenset({b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"})
_ENCRYPTED = frozenset({b"encv", b"drmi"})
_HEADER = 8
_COUNTED_HEADER = 8
"""Version, flags and number of entries, which come before the entries of a table."""
_MOST_BOXES = 10_000
_MOST_OF_FRAGMENTS = 1_000_000
"""Boxes; a fragment has two or three, and may last for a fifth of a second."""
_OWN_DATA = 1
_ENDLESS = 1 << 62
_MOST_IRREGULAR = 1 / 3
"""Share of the fragments whose numbers may be missing, for them to count."""
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
        boxes = _Boxes(file, path.stat().st_size)
        kinds = [kind for kind, _, _ in boxes.among(0, boxes.size)]
    return bool(kinds) and kinds[0] in _FIRST_BOXES and b"moov" not in kinds


def breaks_off_in(path: Path) -> bytes | None:
    """The type of the box that an MP4 or MOV ends amid; ``None`` without one."""
    if not is_mp4(path):
        return None
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size)
        cut = (kind for kind, _, last in boxes.among(0, _ENDLESS) if boxes.size < last < _ENDLESS)
        return next(cut, None)


def is_fragmented(path: Path) -> bool:
    """Whether an MP4 is a row of fragments, each with an index of its own."""
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size)
        return any(kind == b"moof" for kind, _, _ in boxes.among(0, boxes.size))


def missing_fragments(path: Path) -> list[int]:
    """Where the fragments begin, in bytes, that others are missing before: their numbers leap."""
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size, most=_MOST_OF_FRAGMENTS)
        moofs = (begin for kind, begin, _ in boxes.among(0, boxes.size) if kind == b"moof")
        numbers = [(begin, boxes.number(begin)) for begin in moofs]
    steps = Counter(later - sooner for (_, sooner), (_, later) in pairwise(numbers))
    if not steps:
        return []
    ((usual, often),) = steps.most_common(1)
    if usual <= 0 or often < (1 - _MOST_IRREGULAR) * steps.total():
        return []
    return [begin for (_, sooner), (begin, later) in pairwise(numbers) if later - sooner > usual]


def holds_several_files(path: Path) -> bool:
    """Whether a whole MP4 or MOV follows another one. FFmpeg reads one index; but of a row of
    fragments it reads them all.
    """
    if not is_mp4(path):
        return False
    kinds: list[bytes] = []
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size)
        for kind, _, _ in boxes.among(0, boxes.size):
            if kind == b"moof":
                return False
            kinds.append(kind)
    return kinds.count(b"ftyp") > 1 < kinds.count(b"moov")


def is_encrypted(path: Path) -> bool:
    """Whether a video track is encrypted (Common Encryption); FFmpeg would decode noise."""
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size)
        return any(kind in _ENCRYPTED for kind, _, _ in boxes.entries(b"stsd"))


def has_external_data(path: Path) -> bool:
    """Whether a track keeps its data in another file (an alias of QuickTime that leads elsewhere).

    Other kinds of data references are rare; FFmpeg reads their data from the same file.
    """
    with path.open("rb") as file:
        boxes = _Boxes(file, path.stat().st_size)
        return any(
            kind == b"alis" and last - first > _SHORT_ALIAS and not boxes.flags(first) & _OWN_DATA
            for kind, first, last in boxes.entries(b"dref")
        )


class _Boxes:
    """Walks over the boxes of a file that may be anything: depth and number are bounded."""

    def __init__(self, file: BinaryIO, size: int, *, most: int = _MOST_BOXES) -> None:
        self._file = file
        self._left = most
        self.size = size

    def entries(self, table: bytes) -> Iterator[_Box]:
        """The entries of every table of that name in the index."""
        for begin, end in self._find(table, 0, self.size, depth=0):
            yield from self.among(begin + _COUNTED_HEADER, end)

    def among(self, begin: int, end: int) -> Iterator[_Box]:
        """The boxes that follow each other from ``begin`` to ``end``."""
        while begin + _HEADER <= end and self._left:
            self._left -= 1
            self._file.seek(begin)
            header = self._file.read(2 * _HEADER)
            if len(header) < _HEADER:
                return
            size, content = int.from_bytes(header[:4], "big"), begin + _HEADER
            if size == 1:  # the size does not fit into 32 bits, and follows
                size, content = int.from_bytes(header[8:], "big"), begin + 2 * _HEADER
            last = begin + size if size else end  # 0: up to the end
            if last < content:
                return
            yield header[4:8], content, min(last, end)
            begin = last

    def number(self, begin: int) -> int:
        """Of a fragment whose content begins there; its first box has it."""
        self._file.seek(begin + _HEADER + 4)
        return int.from_bytes(self._file.read(4), "big")

    def flags(self, begin: int) -> int:
        """The flags of a box whose content begins there."""
        self._file.seek(begin)
        return int.from_bytes(self._file.read(4), "big") & 0xFFFFFF

    def _find(self, table: bytes, begin: int, end: int, *, depth: int) -> Iterator[tuple[int, int]]:
        for kind, first, last in self.among(begin, end):
            if kind == table:
                yield first, last
            elif kind in _NESTING and depth < len(_NESTING):
                yield from self._find(table, first, last, depth=depth + 1)
