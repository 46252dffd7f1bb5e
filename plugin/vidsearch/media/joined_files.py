"""Files of one format that were put one after the other, where FFmpeg reads the first alone."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from vidsearch.media.flv import size_by_header
from vidsearch.media.mp4_boxes import holds_several_files

__all__ = ["MOST_PARTS", "joined_form"]

_FLV = b"FLV\1"
_FLV_TAGS = 13
"""Where they begin."""
_TAG_HEADER, _TAG_END = 11, 4
_TAGS = frozenset({8, 9, 18})
"""Sound, picture and data."""
_MOST_TAGS = 10_000_000
"""That are looked at; a day of live video has about six million."""
_RIFF, _AVI = b"RIFF", b"AVI "
_RIFF_HEADER = 8
MOST_PARTS = 10_000
"""Of an AVI file, each of which is about a gigabyte."""


def joined_form(path: Path) -> str | None:
    """What the files are; ``None`` for a single one."""
    with path.open("rb") as file:
        head = file.read(12)
        status = os.fstat(file.fileno())
        if head.startswith(_FLV):
            return "FLV" if _flv_follows(path, status.st_size, status.st_mtime_ns) else None
        if head[:4] == _RIFF and head[8:] == _AVI:
            return "AVI" if _avi_follows(file, status.st_size) else None
    return "MP4 or MOV" if holds_several_files(path) else None


@lru_cache(maxsize=32)
def _flv_follows(path: Path, size: int, changed: int) -> bool:
    """A file is opened several times, and one that was written live is read tag by tag."""
    at = size_by_header(path)
    with path.open("rb") as file:
        if at is None:
            at = _end_of_tags(file)
        if at >= size:  # file systems refuse to seek to any number that a header says
            return False
        file.seek(at)
        return file.read(len(_FLV)) == _FLV


def _end_of_tags(file: BinaryIO) -> int:
    at = _FLV_TAGS
    for _ in range(_MOST_TAGS):
        file.seek(at)
        header = file.read(_TAG_HEADER)
        if len(header) < _TAG_HEADER or header[0] not in _TAGS:
            break
        at += _TAG_HEADER + int.from_bytes(header[1:4], "big") + _TAG_END
    return at


def _avi_follows(file: BinaryIO, size: int) -> bool:
    """Whether another file follows; a part of the same one is called otherwise (AVIX)."""
    at = 0
    for _ in range(MOST_PARTS):
        if at + _RIFF_HEADER >= size:
            break
        file.seek(at)
        header = file.read(_RIFF_HEADER + 4)
        if header[:4] != _RIFF:
            return False
        if at and header[8:] == _AVI:
            return True
        length = int.from_bytes(header[4:8], "little")
        at += _RIFF_HEADER + length + (length & 1)
    return False
