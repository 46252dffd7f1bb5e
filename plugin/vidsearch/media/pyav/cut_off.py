"""When a file would end that has lost its rest."""

from __future__ import annotations

import re
from pathlib import Path

from vidsearch.media.flv import size_by_header
from vidsearch.media.mp4_boxes import is_fragmented
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.packets import PacketIndex

__all__ = ["cut_off_at"]

_MOST_DELAY_SECONDS = 1.0
"""Of the last frame to be decoded, before the end of a stream."""
_HEAD_BYTES = 4096
_SEGMENT = b"\x18\x53\x80\x67"
"""Matroska's element that holds all others; its size follows."""
_LENGTH = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def cut_off_at(video: Video, index: PacketIndex) -> float | None:
    """Seconds, as a player counts; ``None`` where nothing is missing, or where the file does not
    tell: its header has to give its length in time and in bytes. What is written live has neither.

    Args:
        video: was demuxed to its end.
        index: its packets.
    """
    length = _length(video, index)
    return None if length is None else index.begin + length


def _length(video: Video, index: PacketIndex) -> float | None:
    """From the first frame to the end."""
    form = video.container.format.name
    if "mp4" in form:
        return _of_mp4(video)
    if not len(index):
        return None
    unit = float(index.time_base)
    if "avi" in form:
        is_cut = len(index) in index.missing
        return (video.stream.frames - int(index.decoding[0])) * unit if is_cut else None
    if "matroska" in form:
        size, end = _matroska_size(video.path), _matroska_end(video)
    elif "flv" in form:
        size, end = size_by_header(video.path), video.container.duration
        end = end / 1e6 if end else None
    else:
        return None
    if size is None or end is None or size <= video.path.stat().st_size:
        return None
    stamps = index.stamps[index.stamped]
    return end - int(stamps.min()) * unit if len(stamps) else None


def _of_mp4(video: Video) -> float | None:
    """Only a file whose index comes first knows, or one of fragments that tells its length."""
    stream = video.stream
    if not stream.duration or not stream.time_base:
        return None
    entries = stream.index_entries
    if not len(entries):
        return None
    last = entries[len(entries) - 1]
    promised = float(stream.duration * stream.time_base)
    is_cut = last.pos + last.size > video.path.stat().st_size
    if float(last.timestamp * stream.time_base) > promised - _MOST_DELAY_SECONDS and not is_cut:
        return None
    if is_fragmented(video.path):  # whole fragments may be missing; the duration is a time stamp
        return promised - float((stream.start_time or 0) * stream.time_base)
    return promised if is_cut else None


def _matroska_size(path: Path) -> int | None:
    """Bytes of the whole file; ``None`` where it was written live."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(head) or not head[at]:
        return None
    count = 9 - head[at].bit_length()  # of the bytes that hold the size
    size = int.from_bytes(head[at : at + count], "big") & ((1 << 7 * count) - 1)
    return None if size == (1 << 7 * count) - 1 else at + count + size


def _matroska_end(video: Video) -> float | None:
    """The latest time stamp, of the track where it is named."""
    found = _LENGTH.match(video.stream.metadata.get("DURATION", ""))
    if found:
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return video.container.duration / 1e6 if video.container.duration else None
