"""Packets that an AVI file lacks. FFmpeg counts on, which times those after them too early."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from vidsearch.media.pyav.container import Video
from vidsearch.media.riff import RIFF, parts_of

__all__ = ["lost_bytes", "missing_time_of_avi"]

_HEADER = 8
"""Bytes of a chunk's name and size."""
_INDEX = b"idx1"
_LISTS = (RIFF, b"LIST")
_LIST_HEADER = 12


def missing_time_of_avi(
    video: Video, places: Sequence[int], sizes: Sequence[int], decoding: Sequence[int]
) -> dict[int, int]:
    """How long the packets would take that are missing before each, in the stream's unit of time,
    by its position in the order of decoding. The position after the last one is that of what is
    cut off.

    The file's index tells. Without one, the header tells how long the stream was, and the row of
    chunks where it breaks: all are taken to be missing at the first break.

    Args:
        video: was demuxed to its end.
        places: where each packet's content lies in the file.
        sizes: theirs, in bytes.
        decoding: time stamps, which count the chunks that are there.
    """
    if "avi" not in video.container.format.name or not decoding:
        return {}
    step = _usual_step(decoding)
    lacking = video.stream.frames - decoding[-1] - step
    if lacking <= 0:
        return {}
    entries = video.stream.index_entries
    times = {entry.pos + _HEADER: entry.timestamp for entry in entries}
    if any(time > decoding[-1] for time in times.values()):
        missing, gone = {}, 0
        for position, (place, time) in enumerate(zip(places, decoding, strict=True)):
            if (more := times.get(place, 0) - time - gone) > 0:
                missing[position] = more
                gone += more
        rest = lacking - gone
        return missing | ({len(places): rest} if rest >= step else {})
    is_shorter = lost_bytes(video.path) >= max(lacking // step, 1) * _HEADER
    first = _first_break(video, places, sizes, is_shorter=is_shorter)
    if first is not None:
        return {first: lacking}
    return {len(places): lacking} if is_shorter and lacking >= step else {}


def _usual_step(decoding: Sequence[int]) -> int:
    """Units from packet to packet: one, but where empty chunks lie between the frames."""
    steps = Counter(after - before for before, after in pairwise(decoding) if after > before)
    return steps.most_common(1)[0][0] if steps else 1


def lost_bytes(path: Path) -> int:
    """How much shorter the file is than it says."""
    with path.open("rb") as file:
        said = max((end for _, end in parts_of(file)), default=0)
    return max(said - path.stat().st_size, 0)


def _first_break(
    video: Video, places: Sequence[int], sizes: Sequence[int], *, is_shorter: bool
) -> int | None:
    """The position of the first packet that does not follow the one before.

    Args:
        video: the file is its.
        places: where each packet's content lies in the file.
        sizes: theirs, in bytes.
        is_shorter: whether a part of the file is missing; else one may have been overwritten by
            zeros. Otherwise, chunks that do not follow each other are an oddity of the writer.
    """
    with video.path.open("rb") as file:
        for position in range(1, len(places)):
            end = places[position] - _HEADER
            at = places[position - 1] + sizes[position - 1]
            at += at & 1  # chunks begin at even places
            while at < end:
                name, length = _chunk(file, at)
                if not any(name):
                    return position
                at += _LIST_HEADER if name in _LISTS else _HEADER + length + (length & 1)
            if at != end and is_shorter:
                return position
        if not is_shorter:
            return None
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
    return next((at for at, (size, named) in enumerate(matches) if size != named), None)


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    file.seek(at)
    header = file.read(_HEADER)
    return header[:4], int.from_bytes(header[4:], "little")
