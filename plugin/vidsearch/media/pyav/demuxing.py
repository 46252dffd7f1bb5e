"""Demuxing a video stream: its packets, and what each says of itself."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.frame_numbers import FrameNumbers, frame_numbers
from vidsearch.media.pyav.stamps import NO_STAMP
from vidsearch.media.pyav.transport_stream import is_cut_off, is_whole
from vidsearch.media.pyav.zeroed import ZeroedPackets

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["Demuxed", "demuxed", "packets_of"]

_PACKED = re.compile(rb"DivX\d+(Build|b)\d+p")
"""In front of a key frame of MPEG-4; FFmpeg, too, goes by it."""
_HEAD_BYTES = 512
_VP8_SHOWN = 0x10
"""Bit of a VP8 packet's first byte: a frame that is not shown is only referred to."""
_THEORA_HEADER = 0x80
"""Bit of a Theora packet's first byte: what a file begins with, where another one was joined on."""
_THEORA_COMMENT = b"\x81theora"
"""The one of these that the codec does not take."""


@dataclass(slots=True, repr=False)
class Demuxed:
    """What the packets of a stream say of themselves, in order of decoding."""

    numbers: FrameNumbers | None
    """Of their frames, where the codec has some."""
    zeroed: ZeroedPackets
    may_be_packed: bool
    """MPEG-4 with B-frames."""
    packed: bool
    """A packet holds two frames of it."""
    stamps: array[int] = field(default_factory=lambda: array("q"))
    """Presentation time stamps; :data:`NO_STAMP` where there is none, as in ``decoding``."""
    decoding: array[int] = field(default_factory=lambda: array("q"))
    durations: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))
    """Bytes of the file before each; 0 where it shares the place of the one before."""
    keys: bytearray = field(default_factory=bytearray)
    shown: bytearray = field(default_factory=bytearray)
    corrupt: bytearray = field(default_factory=bytearray)
    """Whether FFmpeg marks it as not whole."""
    reconfigured: bool = False
    """The decoder is given new parameters on the way."""
    brings_palette: bool = False
    """A palette comes with a packet. FFmpeg gives that of AVI, MOV and Matroska once, with the
    first packet after opening, and not after a seek."""

    def add(self, packet: Packet[Any], *, shown: bool) -> None:
        """The next one; ``shown``: its frame is meant for display."""
        if self.may_be_packed and packet.is_keyframe and not self.packed:
            self.packed = bool(_PACKED.search(bytes(memoryview(packet)[:_HEAD_BYTES])))
        if self.sizes and not self.reconfigured:
            self.reconfigured = packet.has_sidedata("new_extradata")
        if not self.brings_palette:
            self.brings_palette = packet.has_sidedata("palette")
        stamp, decoded = packet.pts, packet.dts
        self.stamps.append(NO_STAMP if stamp is None else stamp)
        self.decoding.append(NO_STAMP if decoded is None else decoded)
        self.durations.append(packet.duration or 0)
        self.sizes.append(packet.size)
        self.places.append(packet.pos or 0)
        self.keys.append(packet.is_keyframe)
        self.shown.append(shown)
        self.corrupt.append(packet.is_corrupt)
        if self.numbers:
            self.numbers.add(packet)
        if self.zeroed.applies:
            self.zeroed.add(memoryview(packet))


def demuxed(video: Video) -> Demuxed:
    """Demux the whole stream; nothing is decoded.

    What the container cannot deliver (a file that was cut off) ends it.
    """
    import av

    codec = video.stream.codec_context
    may_be_packed = codec.name == "mpeg4" and bool(codec.has_b_frames)
    packed = bool(_PACKED.search(codec.extradata or b""))
    read = Demuxed(frame_numbers(video), ZeroedPackets(video), may_be_packed, packed)
    is_vp8, is_theora = codec.name in {"vp8", "libvpx"}, codec.name == "theora"
    try:
        for packet in packets_of(video):
            shown = not packet.is_discard
            if is_vp8 and shown:
                shown = bool(memoryview(packet)[0] & _VP8_SHOWN)
            if is_theora and memoryview(packet)[0] & _THEORA_HEADER:
                shown, read.reconfigured = False, True
            read.add(packet, shown=shown)
    except av.FFmpegError:
        pass  # what was read so far is what there is
    return read


def packets_of(video: Video) -> Iterator[Packet[Any]]:
    """The stream's packets that hold something, from where the container is read on: an empty one
    would tell the codec that the end is reached, as does the one that PyAV adds at the end. Those
    that the file was cut off in are left out.
    """
    packets = _packets_of(video)
    if video.container.format.name != "mpegts":
        yield from packets if video.is_broadcast else _without_half(packets)
        return
    if not is_cut_off(video.path):
        yield from packets
        return
    last: list[Packet[Any]] = []
    for packet in packets:
        # One without a place shares that of the one before. What follows a cut is often taken for
        # the beginning of another frame.
        if packet.pos is not None:
            yield from last
            last = []
        last.append(packet)
    if last and (last[0].pos is None or is_whole(video.path, video.stream.id, last[0].pos)):
        yield from last


def _without_half(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """All but the last where FFmpeg marks it, as there are fewer bytes of it than named."""
    import av

    held: Packet[Any] | None = None
    broken: av.FFmpegError | None = None
    try:
        for packet in packets:
            if held is not None:
                yield held
            held = packet
    except av.FFmpegError as error:
        broken = error  # the packet before it is whole all the same
    if held is not None and not held.is_corrupt:
        yield held
    if broken is not None:
        raise broken


def _packets_of(video: Video) -> Iterator[Packet[Any]]:
    is_theora = video.stream.codec_context.name == "theora"
    while True:
        try:
            for packet in video.container.demux(video.stream):
                comment = is_theora and bytes(memoryview(packet)[: len(_THEORA_COMMENT)])
                if packet.size and comment != _THEORA_COMMENT:
                    yield packet
        except IndexError:
            # PyAV stops at the first packet of a stream that begins later (a broadcast that gets
            # another sound). It is passed over.
            continue
        return
