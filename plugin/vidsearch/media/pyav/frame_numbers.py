"""Packets that a stream lacks, told by the numbers that its frames bear.

Those of H.264 count the frames that others may refer to, in the order of decoding; those of HEVC,
AV1, MPEG-1 and -2 count all frames of a GOP in the order of display. Those of MPEG-4 are times, and
a frame may be held.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from vidsearch.media.pyav.av1_headers import OrderHints
from vidsearch.media.pyav.codec import skips_exactly
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.hevc_headers import PictureOrder
from vidsearch.media.pyav.nal_units import (
    UNIT_HEAD,
    NalUnits,
    SequenceParameters,
    frame_number,
    h264_units,
)
from vidsearch.media.pyav.vop_times import VopTimes

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["FrameNumbers", "References", "frame_numbers", "missing_in"]

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
_UNKNOWN = -1
_ENDLESS = 1 << 62
_MOST_IRREGULAR = 0.25
"""Share of the frames whose distance in numbers may differ from the usual one; in a stream with
more, the numbers do not count frames."""


class FrameNumbers(Protocol):
    """Takes the packets of a stream, in order."""

    tell_all: bool
    """Whether they show every hole; else, only some."""

    @property
    def errors_are_told(self) -> bool:
        """See :attr:`~vidsearch.media.pyav.packets.PacketIndex.errors_are_told`."""

    def add(self, packet: Packet[Any]) -> None:
        """Read the number of its frame."""

    def missing(self) -> list[int] | None:
        """Positions, in the order of decoding, of the packets that others are missing before;
        ``None`` if no frame bears a number.
        """


def frame_numbers(video: Video) -> FrameNumbers | None:
    """Those of a stream; ``None`` if its codec has none."""
    codec = video.stream.codec_context
    match codec.name:
        case "h264":
            return _H264(codec.extradata or b"")
        case "hevc":
            return _Hevc(codec.extradata or b"")
        case "av1" | "libdav1d":
            return _Av1(codec.extradata or b"")
        case "mpeg1video" | "mpeg2video":
            return _Mpeg()
        case "mpeg4":
            return _Mpeg4(codec.extradata or b"")
    return None


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


class _H264:
    """By the frame number (ITU-T H.264, 7.4.3)."""

    tell_all = True

    def __init__(self, extradata: bytes) -> None:
        self._parameters: SequenceParameters | None = None
        self._sets: set[bytes] = set()
        """Those so far."""
        self._may_interlace = False
        self._configure(extradata)
        self._before: int | None = None
        self._position = -1
        self._missing: list[int] = []

    def add(self, packet: Packet[Any]) -> None:
        self._position += 1
        if packet.has_sidedata("new_extradata"):
            self._configure(bytes(packet.get_sidedata("new_extradata")))
        for unit in self._units.of(memoryview(packet)):
            kind = unit[0] & 31
            if kind == _SLICE:
                self._slice(unit)
                return
            if kind == _IDR_SLICE:
                self._before = 0
                return
            if kind == _SPS:
                self._take(unit)
        if packet.is_keyframe:  # its number is not found
            self._before = None

    def missing(self) -> list[int]:
        return self._missing

    @property
    def errors_are_told(self) -> bool:
        return len(self._sets) == 1 and not self._may_interlace

    def _configure(self, extradata: bytes) -> None:
        self._units = NalUnits(extradata, is_hevc=False)
        self._parameters = None
        for unit in reversed(h264_units(extradata)):  # the first one last
            if unit[0] & 31 == _SPS:
                self._take(unit)

    def _take(self, unit: bytes) -> None:
        """Go on with other parameters."""
        parameters = SequenceParameters.of(unit)
        self._parameters = parameters or self._parameters
        self._sets.add(unit[:UNIT_HEAD].rstrip(b"\0"))
        self._may_interlace |= parameters is None or parameters.may_interlace

    def _slice(self, unit: bytes) -> None:
        parameters = self._parameters
        number = frame_number(unit, parameters) if parameters else None
        if number is None or parameters is None:
            return
        count = 1 << parameters.bits
        ahead = 0 if self._before is None else (number - self._before) % count
        if ahead > 1 and not parameters.has_gaps:
            self._missing.append(self._position)
        self._before = number if unit[0] & _REFERENCE else (number - 1) % count


class _InOrderOfDisplay(ABC):
    """By numbers that count the frames of a GOP in the order of display.

    Between two GOPs nothing is told: streams are cut and joined there.
    """

    tell_all = True
    errors_are_told = False

    def __init__(self) -> None:
        self._numbers = array("q")
        self._gops = [0]

    def add(self, packet: Packet[Any]) -> None:
        if packet.is_keyframe and self._numbers:
            self._gops.append(len(self._numbers))
        number = self._number(memoryview(packet))
        self._numbers.append(_UNKNOWN if number is None else number)

    def missing(self) -> list[int] | None:
        if all(number == _UNKNOWN for number in self._numbers):
            return None
        gops = [self._gop(*ends) for ends in pairwise([*self._gops, len(self._numbers)])]
        in_order = [sorted(gop.values()) for gop in gops]
        steps = Counter(later - sooner for each in in_order for sooner, later in pairwise(each))
        del steps[0]
        if not steps:
            return []
        ((usual, count),) = steps.most_common(1)
        if count < (1 - _MOST_IRREGULAR) * steps.total():
            return []
        return [position for gop in gops for position in missing_in(gop, usual)]

    @abstractmethod
    def _number(self, packet: memoryview) -> int | None:
        """That of a frame; ``None`` if it is not found."""

    @property
    @abstractmethod
    def _count(self) -> int:
        """The numbers are modulo this."""

    def _gop(self, begin: int, end: int) -> dict[int, int]:
        """The numbers of a GOP by position, without their overflow."""
        numbers = {}
        latest, count = 0, self._count
        for position in range(begin, end):
            if (number := self._numbers[position]) != _UNKNOWN:
                latest += (number - latest + count // 2) % count - count // 2
                numbers[position] = latest
        return numbers


class _Mpeg(_InOrderOfDisplay):
    """By the temporal reference of MPEG-1 and -2."""

    @property
    def _count(self) -> int:
        return 1024

    def _number(self, packet: memoryview) -> int | None:
        head = bytes(packet[:_MPEG_HEAD])
        at = head.find(_PICTURE) + len(_PICTURE)
        if len(_PICTURE) <= at <= len(head) - 2:
            return head[at] << 2 | head[at + 1] >> 6
        return None


class _Hevc(_InOrderOfDisplay):
    """By the picture order count."""

    def __init__(self, extradata: bytes) -> None:
        super().__init__()
        self._order = PictureOrder(extradata)

    def _number(self, packet: memoryview) -> int | None:
        return self._order.of(packet)

    @property
    def _count(self) -> int:
        return self._order.count


class _Av1(_InOrderOfDisplay):
    """By the order hint."""

    def __init__(self, extradata: bytes) -> None:
        super().__init__()
        self._hints = OrderHints(extradata)

    def _number(self, packet: memoryview) -> int | None:
        return self._hints.of(packet)

    @property
    def _count(self) -> int:
        return self._hints.count


class _Mpeg4(_InOrderOfDisplay):
    """By the times in the frames' headers.

    A time that is left out proves nothing: a frame may be held. But of the last two frames before a
    B-frame that are none, in the order of decoding, it comes on display after one and before the
    other. If it does not, another one is missing. Where one is, times that are left out are taken
    for missing frames, too.
    """

    tell_all = False

    def __init__(self, extradata: bytes) -> None:
        super().__init__()
        self._times = VopTimes(extradata)
        self._latest = self._earlier = -1
        """Times of the last frame that is no B-frame, and of the one before it."""
        self._is_coded = self._is_earlier_coded = False
        """Whether these are coded."""
        self._referred_to: int | None = None
        """The same, where B-frames are known to come before it."""
        self._b_frames = 0
        self._position = -1
        self._orphans: list[int] = []
        """Positions of the B-frames that come after it."""

    def _number(self, packet: memoryview) -> int | None:
        self._position += 1
        vop = self._times.of(packet)
        if vop is None:
            self._referred_to = None
            return None
        if not vop.is_b:
            # Programs give any time to frames that are not coded, and where the clock goes back,
            # recordings were joined: B-frames may be left of the one whose beginning was cut off.
            is_next = vop.is_coded and vop.time > self._latest
            self._referred_to = vop.time if is_next else None
            self._earlier, self._latest = self._latest, vop.time
            self._is_earlier_coded, self._is_coded = self._is_coded, vop.is_coded
        elif self._referred_to is not None:
            self._b_frames += 1
            # Not every program counts whole seconds from the same frame.
            second = self._times.second
            is_off = any(self._earlier < vop.time + by < self._latest for by in (second, -second))
            # FFmpeg passes over a B-frame with the time of one of these.
            is_after = vop.time >= self._earlier or not self._is_earlier_coded
            is_between = is_after and vop.time <= self._referred_to
            if not is_between and not is_off:
                self._orphans.append(self._position)
        return vop.time

    def missing(self) -> list[int] | None:
        is_regular = len(self._orphans) <= _MOST_IRREGULAR * self._b_frames
        if not self._orphans or not is_regular or self._times.is_packed:
            return []
        return sorted({*self._orphans, *(super().missing() or [])})

    @property
    def _count(self) -> int:
        return _ENDLESS


def missing_in(gop: dict[int, int], step: int) -> set[int]:
    """Positions that packets are missing before.

    Args:
        gop: the numbers of its frames, which count them in the order of display, by position.
        step: from one number to the next.
    """
    missing = set()
    in_order = sorted(gop, key=lambda position: (gop[position], position))
    for before, after in pairwise(in_order):
        if gop[after] - gop[before] > step:
            missing.add(_last_complete(gop, gop[before]) + 1)
        elif gop[after] == gop[before] and after > before + 1:  # else two fields of a frame
            missing.add(after)  # a key frame is missing
    return missing


def _last_complete(gop: dict[int, int], last: int) -> int:
    """The last packet that cannot depend on frames that are missing after the number ``last``: of
    those that come before any later number, the one with the highest.
    """
    found = next(iter(gop))
    for position, number in gop.items():
        if number > last:
            break
        if number > gop[found]:
            found = position
    return found
