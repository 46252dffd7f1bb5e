"""Packets of which a part reads as zeros: what was never written or downloaded of a file.

Some codecs decode any bytes to something, and none of them writes many zeros in a row.
"""

from __future__ import annotations

from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.nal_units import NalUnits

__all__ = ["ZeroedPackets"]

_DECODE_ANYTHING = frozenset({"hevc", "vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d"})
_MANY = bytes(64)
_BEGIN = bytes(16)


class ZeroedPackets:
    """Takes the packets of a stream, in order.

    Args:
        video: the stream is its.
    """

    def __init__(self, video: Video) -> None:
        codec = video.stream.codec_context
        self.applies = codec.name in _DECODE_ANYTHING
        """Whether such packets have to be looked for."""
        self._units = (
            NalUnits(codec.extradata or b"", is_hevc=True) if codec.name == "hevc" else None
        )
        self._position = -1
        self._ends_in_zeros = False
        self.found: list[int] = []
        """Positions of such packets."""

    def add(self, packet: memoryview) -> None:
        """Look at the next one."""
        self._position += 1
        content = bytes(packet)
        if self._ends_in_zeros and content.startswith(_BEGIN):
            self.found.append(self._position - 1)
        self._ends_in_zeros = False
        begin = content.find(_MANY)
        if begin < 0:
            return
        rest = content[begin:].lstrip(b"\0")
        # Zeros at the end may fill a packet up, and those before a start code do.
        self._ends_in_zeros = not rest
        if rest and not (self._units and self._units.may_fill_up(content, begin)):
            self.found.append(self._position)
