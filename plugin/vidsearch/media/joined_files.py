"""Files of one format that were put one after the other, where FFmpeg reads the first alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from vidsearch.media.flv import size_by_header
from vidsearch.media.mp4_boxes import holds_several_files
from vidsearch.media.riff import AVI, RIFF, parts_of

__all__ = ["joined_form"]

_FLV = b"FLV\1"
_FLV_TAGS = 13
"""Where they begin."""
_TAG_HEADER, _TAG_END = 11, 4
_TAGS = frozenset({8, 9, 18})
"""Sound, picture and data."""
_MOST_TAGS = 10_000_000
"""Tags or frames that are looked at; a day of live video has about six million."""
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""Name of the object that a file begins with."""
_ASF_HEADER = 24
"""Bytes of an object's name and size."""
_MXF = bytes.fromhex("060e2b34020501010d0102010102")
"""What the name of a header partition begins with."""
_MXF_SET = _MXF[:4]
_MXF_NAME = 16
_MXF_FOOTER = 24
"""Where a partition says where the last one is, in bytes of its content."""
_NUT = b"nut/multimedia container\0"
_NUT_BEGIN = _NUT + bytes.fromhex("4e4d7a561f5f04ad")
"""With the name of the header that follows it."""
_IVF = b"DKIF"
_IVF_FRAMES = 32
"""Where they begin."""
_IVF_FRAME = 12
"""Bytes of a frame's header."""
_MOST_OBJECTS = 10_000
_HEAD_BYTES = 64
_BLOCK_BYTES = 1 << 20


def joined_form(path: Path) -> str | None:
    """What the files are; ``None`` for a single one."""
    status = path.stat()
    return _joined_form(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _joined_form(path: Path, size: int, changed: int) -> str | None:
    """A file is opened several times, and some formats are read frame by frame."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        for first, form, follows in _FORMS:
            if head.startswith(first):
                return form if follows(file) else None
    return "MP4 or MOV" if holds_several_files(path) else None


def _end(file: BinaryIO) -> int:
    """File systems refuse to seek to any number that a header says."""
    return os.fstat(file.fileno()).st_size


def _flv_follows(file: BinaryIO) -> bool:
    at = size_by_header(Path(file.name))
    if at is None:
        at = _FLV_TAGS
        for _ in range(_MOST_TAGS):
            file.seek(at)
            header = file.read(_TAG_HEADER)
            if len(header) < _TAG_HEADER or header[0] not in _TAGS:
                break
            at += _TAG_HEADER + int.from_bytes(header[1:4], "big") + _TAG_END
    if at >= _end(file):
        return False
    file.seek(at)
    return file.read(len(_FLV)) == _FLV


def _avi_follows(file: BinaryIO) -> bool:
    return [form for form, _ in parts_of(file)].count(AVI) > 1


def _asf_follows(file: BinaryIO) -> bool:
    at, end = 0, _end(file)
    for _ in range(_MOST_OBJECTS):
        if at >= end:
            break
        file.seek(at)
        header = file.read(_ASF_HEADER)
        if at and header.startswith(_ASF):
            return True
        size = int.from_bytes(header[len(_ASF) :], "little")
        if size < _ASF_HEADER:  # written live, or none
            break
        at += size
    return False


def _mxf_follows(file: BinaryIO) -> bool:
    """Behind the last partition, of which the first one tells where it is, if it was finished."""
    _, begin, _ = _mxf_set(file, 0)
    file.seek(begin + _MXF_FOOTER)
    at, end = int.from_bytes(file.read(8), "big"), _end(file)
    for _ in range(_MOST_OBJECTS):
        if not 0 < at < end:
            break
        name, begin, size = _mxf_set(file, at)
        if name.startswith(_MXF):
            return True
        at = begin + size if name.startswith(_MXF_SET) else 0
    return False


def _mxf_set(file: BinaryIO, at: int) -> tuple[bytes, int, int]:
    """Its name, where its content begins, and how many bytes that has (SMPTE ST 336)."""
    file.seek(at)
    header = file.read(_MXF_NAME + 9)
    name, sizes = header[:_MXF_NAME], header[_MXF_NAME:]
    if not sizes or sizes[0] < 0x80:
        return name, at + _MXF_NAME + 1, int.from_bytes(sizes[:1], "big")
    count = sizes[0] & 0x7F
    return name, at + _MXF_NAME + 1 + count, int.from_bytes(sizes[1 : 1 + count], "big")


def _nut_follows(file: BinaryIO) -> bool:
    file.seek(1)
    content = b""
    while block := file.read(_BLOCK_BYTES):
        content = content[1 - len(_NUT_BEGIN) :] + block
        if _NUT_BEGIN in content:
            return True
    return False


def _ivf_follows(file: BinaryIO) -> bool:
    at = _IVF_FRAMES
    for _ in range(_MOST_TAGS):
        file.seek(at)
        header = file.read(_IVF_FRAME)
        if header.startswith(_IVF):
            return True
        if len(header) < _IVF_FRAME:
            break
        at += _IVF_FRAME + int.from_bytes(header[:4], "little")
    return False


_FORMS: tuple[tuple[bytes, str, Callable[[BinaryIO], bool]], ...] = (
    (_FLV, "FLV", _flv_follows),
    (RIFF, "AVI", _avi_follows),
    (_ASF, "ASF or WMV", _asf_follows),
    (_MXF, "MXF", _mxf_follows),
    (_NUT, "NUT", _nut_follows),
    (_IVF, "IVF", _ivf_follows),
)
"""First bytes, what the form is called, and whether another file of it follows."""
