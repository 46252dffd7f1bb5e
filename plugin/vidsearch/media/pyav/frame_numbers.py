"""Packets that a stream lacks, told by the numbers that its frames bear (H.264, MPEG-1 and -2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidsearch.media.pyav.codec import skips_exactly
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.nal_units import NalUnits, SequenceParameters, frame_number
from vidsearch.media.pyav.packets import PacketIndex, packets_of
from vidsearch.media.pyav.timetable import Presentation

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["References", "is_uneven", "missing_packets"]

_UNEVEN = 1.5
"""Times the usual distance of two frames, from which on there may have been one in between."""
_SLICE, _IDR_SLICE, _SPS = 1, 5, 7
"""Types of NAL units in H.264."""
_REFERENCE = 0x60
"""Bits in the first byte of a NAL unit in H.264."""
_HEVC_SLICES = 32
_HEVC_NON_REFERENCES = frozenset(range(0, 16, 2))
"""Types of NAL units in HEVC: all slices, and those of sub-layer non-reference pictures."""
_PICTURE = b"\0\0\1\0"
"""Start code in MPEG-1 and -2."""
_MPEG_HEAD = 1024
_MPEG_NUMBERS = 1024
_MPEG_B = 3


def is_uneven(order: Presentation) -> bool:
    """Whether the time from frame to frame leaves room for frames that are missing."""
    gaps = np.diff(order.seconds)
    return bool(len(gaps)) and bool(gaps.max() > _UNEVEN * np.median(gaps))


def missing_packets(path: Path, index: PacketIndex, order: Presentation | None) -> list[int]:
    """Positions, in the order of decoding, of the packets that others are missing before.

    Args:
        path: of the video, which is read once more.
        index: its packets.
        order: theirs, if they tell it.
    """
    # The packet in front of a hole reaches into it.
    known = sorted({each for at in index.missing if at < len(index) for each in (at - 1, at)})
    if index.corrupt[-1:].any() and not index.is_broadcast:  # cut off within it
        known.append(len(index) - 1)
    with opened(path) as video:
        name = video.stream.codec_context.name
        if name == "h264":
            return sorted({*known, *_missing_in_h264(video)})
        if name in {"mpeg1video", "mpeg2video"} and order is not None:
            return sorted({*known, *_missing_in_mpeg(video, index, order)})
    return known


class References:
    """Tells packets whose frames others may refer to."""

    def __init__(self, video: Video) -> None:
        codec = video.stream.codec_context
        self._name = codec.name if skips_exactly(video) else ""
        self._units = NalUnits(codec.extradata or b"", is_hevc=codec.name == "hevc")

    def may_be(self, packet: Packet[Any]) -> bool:
        """Whether a frame may refer to that of the packet."""
        if self._name == "h264":
            for unit in self._units.of(memoryview(packet)):
                if unit[0] & 31 in (_SLICE, _IDR_SLICE):
                    return bool(unit[0] & _REFERENCE)
            # If it was one, the numbers of the frames after it tell.
            return packet.is_keyframe
        if self._name == "hevc":
            for unit in self._units.of(memoryview(packet)):
                if (kind := unit[0] >> 1 & 63) < _HEVC_SLICES:
                    return kind not in _HEVC_NON_REFERENCES
        return True


def _missing_in_h264(video: Video) -> list[int]:
    """By the frame number, which counts frames that others may refer to (ITU-T H.264, 7.4.3)."""
    extradata = video.stream.codec_context.extradata or b""
    units = NalUnits(extradata, is_hevc=False)
    parameters = SequenceParameters.first_of(extradata)
    before: int | None = None
    missing = []
    for position, packet in enumerate(packets_of(video)):
        for unit in units.of(memoryview(packet)):
            kind = unit[0] & 31
            if kind == _SPS:
                parameters = SequenceParameters.of(unit) or parameters
            elif kind == _IDR_SLICE:
                before = 0
                break
            elif kind == _SLICE:
                number = frame_number(unit, parameters) if parameters else None
                if number is None or parameters is None:
                    break
                count = 1 << parameters.bits
                ahead = 0 if before is None else (number - before) % count
                if ahead > 1 and not parameters.has_gaps:
                    missing.append(position)
                before = number if unit[0] & _REFERENCE else (number - 1) % count
                break
        else:
            if packet.is_keyframe:  # its number is not found
                before = None
    return missing


def _missing_in_mpeg(video: Video, index: PacketIndex, order: Presentation) -> list[int]:
    """By the temporal reference, which counts the frames of a group in the order of display."""
    numbers = np.full(len(index), -1)
    is_b = np.zeros(len(index), dtype=np.bool_)
    for position, packet in zip(range(len(index)), packets_of(video), strict=False):
        head = bytes(memoryview(packet)[:_MPEG_HEAD])
        at = head.find(_PICTURE) + len(_PICTURE)
        if len(_PICTURE) <= at <= len(head) - 2:
            numbers[position] = head[at] << 2 | head[at + 1] >> 6
            is_b[position] = head[at + 1] >> 3 & 7 == _MPEG_B
    groups = np.cumsum(index.keys)
    missing = []
    first_b = len(index)
    for before, after in zip(order.packets[:-1].tolist(), order.packets[1:].tolist(), strict=True):
        first_b = min(first_b, before) if is_b[before] else len(index)
        is_known = numbers[before] >= 0 and numbers[after] >= 0
        counted = (numbers[after] - numbers[before]) % _MPEG_NUMBERS
        if is_known and groups[before] == groups[after] and counted != 1:
            # B-frames before the gap may refer to what is missing in it.
            missing.append(min(after, first_b))
    return sorted(missing)
