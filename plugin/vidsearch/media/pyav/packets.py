"""The packets of a video stream, without their content."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.display import FALLBACK_STEP, LONGEST_HOLD
from vidsearch.media.pyav.container import Video

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["cut_off_at", "PacketIndex", "packets_of", "read_packets", "step_of"]

_PROGRESSIVE = 1
"""FFmpeg's ``AV_FIELD_PROGRESSIVE``; 0 is unknown."""
_NO_STAMP = -(2**63)
_VP8_SHOWN = 0x10
"""Bit of a VP8 packet's first byte: a frame that is not shown is only referred to."""


@dataclass(frozen=True, slots=True, repr=False)
class PacketIndex:
    """What demuxing alone tells: 19 bytes per packet, in order of decoding."""

    stamps: NDArray[np.int64]
    """Presentation time stamps in ``time_base``; 0 where ``stamped`` is false."""
    stamped: NDArray[np.bool_]
    """Whether a packet has a time stamp."""
    keys: NDArray[np.bool_]
    """Whether decoding can start there, as the container or the parser says."""
    shown: NDArray[np.bool_]
    """Whether its frame is meant for display: not cut off by an edit list."""
    corrupt: NDArray[np.bool_]
    """Whether the container knows that a packet is not whole."""
    sizes: NDArray[np.int64]
    """Bytes."""
    format: str
    """The container's, as FFmpeg names it."""
    reorders: bool
    """The codec may hold frames back, to present them in another order."""
    interlaced_rate: float | None
    """Frames per second, 0 if unknown, of H.264 that is interlaced, where a packet may hold half a
    frame; else ``None``."""
    time_base: Fraction
    """Seconds per unit of the stamps."""
    last_duration: float
    """Seconds that the last frame on display stays there."""
    first_decoding: int
    """Decoding time stamp of the first packet, to go back to it."""
    reconfigured: bool
    """The decoder is given new parameters on the way."""

    def __len__(self) -> int:
        return len(self.sizes)


def read_packets(video: Video) -> PacketIndex:
    """Demux the whole stream; nothing is decoded.

    What the container cannot deliver (a file that was cut off) ends the index.
    """
    import av

    stamps, sizes = array("q"), array("q")
    keys, shown, corrupt = bytearray(), bytearray(), bytearray()
    is_vp8 = video.stream.codec_context.name in {"vp8", "libvpx"}
    last, last_duration, first_decoding = _NO_STAMP, 0, None
    reconfigured = False
    try:
        for packet in packets_of(video):
            size, stamp = packet.size, packet.pts
            if not sizes:
                first_decoding = packet.dts
            visible = not packet.is_discard
            if is_vp8 and visible:
                visible = bool(memoryview(packet)[0] & _VP8_SHOWN)
            reconfigured = reconfigured or (len(sizes) > 0 and packet.has_sidedata("new_extradata"))
            stamps.append(_NO_STAMP if stamp is None else stamp)
            sizes.append(size)
            keys.append(packet.is_keyframe)
            shown.append(visible)
            corrupt.append(packet.is_corrupt)
            if visible and stamp is not None and stamp > last:
                last, last_duration = stamp, packet.duration or 0
    except av.FFmpegError:
        pass  # what was read so far is what there is
    time_base = video.stream.time_base or Fraction(1)
    raw = np.frombuffer(stamps, dtype=np.int64)
    stamped = raw != _NO_STAMP
    duration = float(last_duration * time_base)
    return PacketIndex(
        stamps=np.where(stamped, raw, 0),
        stamped=stamped,
        keys=np.frombuffer(keys, dtype=np.bool_),
        shown=np.frombuffer(shown, dtype=np.bool_),
        corrupt=np.frombuffer(corrupt, dtype=np.bool_),
        sizes=np.frombuffer(sizes, dtype=np.int64),
        format=video.container.format.name,
        reorders=bool(video.stream.codec_context.has_b_frames),
        interlaced_rate=_interlaced_rate(video),
        time_base=time_base,
        last_duration=duration if 0 < duration <= LONGEST_HOLD else step_of(video),
        first_decoding=_NO_STAMP if first_decoding is None else first_decoding,
        reconfigured=reconfigured,
    )


def _interlaced_rate(video: Video) -> float | None:
    codec = video.stream.codec_context
    if codec.name != "h264" or getattr(codec, "field_order", 0) <= _PROGRESSIVE:
        return None
    return float(codec.framerate or video.stream.guessed_rate or 0)


def cut_off_at(video: Video) -> float | None:
    """When a file would end that has lost its rest: seconds by the header of its stream.

    Only an MP4 file whose index comes first knows; ``None`` where nothing is missing, or
    where it cannot be told.
    """
    stream = video.stream
    if "mp4" not in video.container.format.name or not stream.duration or not stream.time_base:
        return None
    entries = stream.index_entries
    if not len(entries):
        return None
    last = entries[len(entries) - 1]
    if last.pos + last.size <= video.path.stat().st_size:
        return None
    return float(stream.duration * stream.time_base)


def packets_of(video: Video) -> Iterator[Packet[Any]]:
    """The stream's packets that hold something, from where the container is read on: an empty one
    would tell the codec that the end is reached, as does the one that PyAV adds at the end.
    """
    while True:
        try:
            yield from (packet for packet in video.container.demux(video.stream) if packet.size)
        except IndexError:
            # PyAV stops at the first packet of a stream that begins later (a broadcast that gets
            # another sound). It is passed over.
            continue
        return


def step_of(video: Video) -> float:
    """Usual time between two frames in seconds."""
    return 1 / video.fps if video.fps else FALLBACK_STEP
