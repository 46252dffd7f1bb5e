"""The NAL units of H.264 and HEVC packets, and what they say before a picture is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "SLICE_HEAD",
    "UNIT_HEAD",
    "Bits",
    "NalUnits",
    "SequenceParameters",
    "frame_number",
    "h264_units",
]

UNIT_HEAD = 128
"""Bytes of a unit that are read."""
SLICE_HEAD = 24
"""Bytes of a slice that hold its number."""
_START_CODE = b"\0\0\1"
_WITH_CHROMA_FORMAT = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles, ITU-T H.264, 7.3.2.1.1."""
_444 = 3
_ANY_ASPECT = 255
"""An aspect ratio that follows as two numbers."""


class NalUnits:
    """Splits the packets of a stream.

    Args:
        extradata: of the codec; it says whether a unit comes after its length or a start code.
        is_hevc: whether the codec is HEVC.
    """

    def __init__(self, extradata: bytes, *, is_hevc: bool) -> None:
        self._length = 0
        if extradata[:1] == b"\1" and len(extradata) > 22:  # avcC and hvcC, ISO/IEC 14496-15
            self._length = (extradata[21 if is_hevc else 4] & 3) + 1
        elif extradata[:1] == b"\1" and len(extradata) > 4:
            self._length = (extradata[4] & 3) + 1

    def of(self, packet: memoryview) -> Iterator[bytes]:
        """The beginnings of the units in a packet."""
        if not self._length:
            yield from self._after_start_codes(bytes(packet))
            return
        at = 0
        while (begin := at + self._length) < len(packet):
            at = begin + int.from_bytes(packet[at:begin], "big")
            if at > begin:
                yield bytes(packet[begin : min(at, begin + UNIT_HEAD)])

    def may_fill_up(self, packet: bytes, begin: int) -> bool:
        """Whether zeros that begin at a byte of a packet may stand behind a unit."""
        if not self._length:
            return packet[begin:].lstrip(b"\0").startswith(b"\1")  # the next start code
        at = 0
        while (start := at + self._length) <= begin:
            at = start + int.from_bytes(packet[at:start], "big")
            if at > begin:
                return not any(packet[begin:at])
        return False

    @staticmethod
    def _after_start_codes(packet: bytes) -> Iterator[bytes]:
        at = packet.find(_START_CODE)
        while at >= 0:
            begin = at + len(_START_CODE)
            head = packet[begin : begin + UNIT_HEAD].partition(_START_CODE)[0]
            if head:
                yield head
            # A start code may begin within the head and end after it.
            at = packet.find(_START_CODE, max(begin, begin + len(head) - 2))


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """What the slices of an H.264 stream are read with."""

    bits: int
    """Of a frame number."""
    has_gaps: bool
    """Frame numbers may be left out."""
    has_planes: bool
    """The planes of a picture are coded apart."""
    may_interlace: bool
    """Frames may be interlaced, or be called so in their messages."""

    @classmethod
    def of(cls, unit: bytes) -> SequenceParameters | None:
        """Read a sequence parameter set; ``None`` if it is damaged."""
        read = Bits(unit)
        try:
            profile = read.fixed(32) >> 16 & 0xFF
            read.number()
            has_planes = False
            if profile in _WITH_CHROMA_FORMAT:
                has_planes = _chroma(read)
            bits = read.number() + 4
            match read.number():
                case 0:
                    read.number()
                case 1:
                    read.fixed(1)
                    read.number(), read.number()
                    for _ in range(read.number()):
                        read.number()
            read.number()
            has_gaps = bool(read.fixed(1))
        except ValueError:
            return None
        try:
            may_interlace = _may_interlace(read)
        except ValueError:
            may_interlace = True
        return cls(bits, has_gaps, has_planes, may_interlace)


def h264_units(extradata: bytes) -> list[bytes]:
    """The parameter sets that come before the first packet of an H.264 stream."""
    if extradata[:1] != b"\1":
        return [unit for unit in extradata.split(_START_CODE) if unit.rstrip(b"\0")]
    units, at = [], 5  # avcC, ISO/IEC 14496-15
    for mask in (31, 255):
        for _ in range(extradata[at] & mask if at < len(extradata) else 0):
            begin = at + 3
            at += 2 + int.from_bytes(extradata[at + 1 : begin], "big")
            units.append(extradata[begin : at + 1])
        at += 1
    return [unit for unit in units if unit]


def frame_number(unit: bytes, parameters: SequenceParameters) -> int | None:
    """The number in the header of an H.264 slice; ``None`` if it is damaged."""
    read = Bits(unit[1:SLICE_HEAD])
    try:
        read.pass_over(3)
        return read.fixed(2 * parameters.has_planes + parameters.bits) & (1 << parameters.bits) - 1
    except ValueError:
        return None


def _may_interlace(read: Bits) -> bool:
    """Of a sequence parameter set, from the picture's size on."""
    read.pass_over(2)
    if not read.fixed(1):  # frames alone
        return True
    read.fixed(1)
    if read.fixed(1):
        read.pass_over(4)
    if not read.fixed(1):
        return False
    if read.fixed(1) and read.fixed(8) == _ANY_ASPECT:
        read.fixed(32)
    if read.fixed(1):
        read.fixed(1)
    if read.fixed(1):
        read.fixed(4)
        if read.fixed(1):
            read.fixed(24)
    if read.fixed(1):
        read.pass_over(2)
    if read.fixed(1):
        read.fixed(65)
    has_buffers = [_pass_over_buffers(read) for _ in range(2)]
    if any(has_buffers):
        read.fixed(1)
    return bool(read.fixed(1))  # each picture says how it is shown


def _pass_over_buffers(read: Bits) -> bool:
    """Pass over the parameters of the hypothetical decoder's buffers; whether there are any."""
    if not read.fixed(1):
        return False
    count = read.number() + 1
    read.fixed(8)
    for _ in range(count):
        read.pass_over(2)
        read.fixed(1)
    read.fixed(20)
    return True


def _chroma(read: Bits) -> bool:
    """Pass over the chroma format; whether the planes are coded apart."""
    form = read.number()
    has_planes = form == _444 and bool(read.fixed(1))
    read.number(), read.number()
    read.fixed(1)
    if read.fixed(1):
        for each in range(12 if form == _444 else 8):
            if read.fixed(1):
                _pass_over_scaling_list(read, 16 if each < 6 else 64)
    return has_planes


def _pass_over_scaling_list(read: Bits, size: int) -> None:
    last = 8
    for _ in range(size):
        number = read.number()
        last = (last + (-1) ** (number + 1) * ((number + 1) // 2)) % 256
        if not last:  # the rest of the list repeats what comes before
            return


class Bits:
    """Reads the beginning of a NAL unit; raises ValueError beyond its end.

    Args:
        unit: its bytes.
        is_escaped: whether it has emulation prevention, which is passed over.
    """

    def __init__(self, unit: bytes, *, is_escaped: bool = True) -> None:
        content = unit.replace(b"\0\0\3", b"\0\0") if is_escaped else unit
        self._bits = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def fixed(self, count: int) -> int:
        """A number of so many bits."""
        self._left -= count
        if self._left < 0:
            raise ValueError("the unit ends")
        number = self._bits >> self._left
        self._bits &= (1 << self._left) - 1
        return number

    def number(self) -> int:
        """A number in Exp-Golomb code."""
        zeros = self._left - self._bits.bit_length()
        return self.fixed(2 * zeros + 1) - 1

    def pass_over(self, numbers: int) -> None:
        """So many numbers in Exp-Golomb code."""
        for _ in range(numbers):
            self._left -= 2 * (self._left - self._bits.bit_length()) + 1
            if self._left < 0:
                raise ValueError("the unit ends")
            self._bits &= (1 << self._left) - 1
