"""Times in the headers of MPEG-4 frames (VOPs; ISO/IEC 14496-2, 6.2.3 to 6.2.5)."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.media.pyav.nal_units import Bits

__all__ = ["Vop", "VopTimes"]

_START_CODE = b"\0\0\1"
_LAYERS = range(0x20, 0x30)
"""Start codes of the header of the stream (VOL)."""
_GROUP, _VOP = 0xB3, 0xB6
_VOP_START = _START_CODE + bytes([_VOP])
_HEAD = 64
"""Bytes behind a start code that are read."""
_MOST_HEADERS = 4096
"""Bytes in front of a frame."""
_OWN_ASPECT = 15
_RATE_BITS = 79
"""Of the bit rate and the buffer."""
_RECTANGLE = 0
_B = 2


@dataclass(frozen=True, slots=True)
class Vop:
    """What the header of a frame says."""

    time: int
    """When it comes on display, in units of the stream's own clock."""
    is_b: bool
    is_coded: bool
    """Else the frame before is shown once more."""


class VopTimes:
    """Reads the header of one frame after the other, in the order of decoding.

    Args:
        extradata: of the codec.
    """

    def __init__(self, extradata: bytes) -> None:
        self.second = 0
        """Units of the clock; 0 if unknown."""
        self._base = self._base_before = 0
        """Whole seconds of the last frame that is no B-frame, and of the one before it."""
        self.is_packed = False
        """A packet held more than one frame."""
        self._read(extradata)

    def of(self, packet: memoryview) -> Vop | None:
        """That of the first frame of a packet; ``None`` if it is not found."""
        data = bytes(packet)
        at = data.find(_VOP_START, 0, _MOST_HEADERS)
        if at < 0:
            return None
        self.is_packed = self.is_packed or data.find(_VOP_START, at + len(_VOP_START)) >= 0
        if at:
            self._read(data[:at])
        begin = at + len(_VOP_START)
        try:
            return self._vop(Bits(data[begin : begin + _HEAD], is_escaped=False))
        except ValueError:
            return None

    def _read(self, headers: bytes) -> None:
        for header in headers.split(_START_CODE)[1:]:
            read = Bits(header[1 : 1 + _HEAD], is_escaped=False)
            try:
                if header[:1] and header[0] in _LAYERS:
                    self.second = _units(read)
                elif header[:1] == bytes([_GROUP]):
                    hours, minutes, _, seconds = (read.fixed(bits) for bits in (5, 6, 1, 6))
                    self._base = 3600 * hours + 60 * minutes + seconds
            except ValueError:
                pass  # damaged

    def _vop(self, read: Bits) -> Vop | None:
        if not self.second:
            return None
        is_b = read.fixed(2) == _B
        seconds = 0
        while read.fixed(1):
            seconds += 1
        read.fixed(1)
        within = read.fixed(max((self.second - 1).bit_length(), 1))
        read.fixed(1)
        is_coded = bool(read.fixed(1))
        if not is_b:
            self._base_before = self._base
            self._base += seconds
        whole = self._base_before + seconds if is_b else self._base
        return Vop(whole * self.second + within, is_b=is_b, is_coded=is_coded)


def _units(read: Bits) -> int:
    """Those of the clock per second, of the header of a stream; 0 if its frames are no rectangles
    and their headers are others.
    """
    read.fixed(1 + 8)
    if read.fixed(1):
        read.fixed(4 + 3)
    if read.fixed(4) == _OWN_ASPECT:
        read.fixed(8 + 8)
    if read.fixed(1):
        read.fixed(2 + 1)
        if read.fixed(1):
            read.fixed(_RATE_BITS)
    if read.fixed(2) != _RECTANGLE:
        return 0
    read.fixed(1)
    return read.fixed(16)
