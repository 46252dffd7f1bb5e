"""Decodes a whole stream, for where no plan applies or a plan failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.codec import prepare
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.damage import Damage
from vidsearch.media.pyav.demuxing import packets_of
from vidsearch.media.pyav.frame_times import FrameTimes

if TYPE_CHECKING:
    import av
    from av.packet import Packet

__all__ = ["FrontToBack", "Seen"]


_ORDER_THEMSELVES = frozenset({"h264", "hevc"})
"""Codecs that number their frames in the order of presentation, whatever the time stamps."""
_MOST_EARLY = 4
"""Frames that are held back, as others that come later may be to be shown sooner."""


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A frame that came out of the codec."""

    frame: av.VideoFrame
    ordinal: int
    """How many frames came out before it, of which some may not be shown."""
    number: int
    """In order of presentation."""
    seconds: float
    """When it comes on display, as a player counts."""
    lost: int
    """Packets since the frame before that did not decode."""
    is_after_hole: bool
    """Frames between the one before and this one are missing."""
    is_trusted: bool
    """It shows what it should."""


@dataclass(frozen=True, slots=True, repr=False)
class _Out:
    """A frame as it comes out of the codec; see :class:`Seen`."""

    frame: av.VideoFrame
    ordinal: int
    position: int
    lost: int
    is_after_hole: bool
    is_trusted: bool


def _number(numbered: tuple[int, _Out]) -> int:
    return numbered[0]


class FrontToBack:
    """Iterates once over what decodes, in order of presentation; the rest is passed over.

    Args:
        video: at its beginning.
        times: of its frames.
        damage: tells which of them are trusted.
        limits: for the codec.
        threads: of the codec.
        are_drawn: whether the frames' pixels are of use.
    """

    def __init__(
        self,
        video: Video,
        times: FrameTimes,
        *,
        damage: Damage,
        limits: MediaLimits,
        threads: int,
        are_drawn: bool = True,
    ) -> None:
        from av.codec.context import Flags

        self._video = video
        self._times = times
        self._damage = damage
        self._codec = prepare(video, limits=limits, threads=threads, are_drawn=are_drawn)
        self._codec.flags |= Flags.copy_opaque  # a frame brings its packet's position with it
        self.lost = 0
        """Packets that did not decode, so far."""

    def __iter__(self) -> Iterator[Seen]:
        times = self._times
        for out in self._in_order():
            frame = out.frame
            # The time of decoding is better than one that was made up, or than none at all.
            is_by_dts = times.by_decoding or (frame.pts is None and times.order is None)
            stamp = frame.dts if is_by_dts else frame.pts
            if times.advance(stamp, lost=out.lost, position=out.position):
                yield Seen(
                    frame,
                    out.ordinal,
                    times.number,
                    times.seconds,
                    out.lost,
                    out.is_after_hole,
                    out.is_trusted,
                )

    def _in_order(self) -> Iterator[_Out]:
        """What comes out, in order of presentation. Where frames of H.264 are missing, or a key
        frame does not decode, some come out before others that are to be shown sooner: they depend
        on what is missing.
        """
        early: list[tuple[int, _Out]] = []
        latest = -1
        orders_itself = self._video.stream.codec_context.name in _ORDER_THEMSELVES
        for out in self._out():
            number = self._times.number_of(out.frame.pts, after=latest)
            if number is None:
                yield out
                continue
            is_early = number > latest + 1 and (
                not out.is_trusted or self._times.is_behind_gap(number)
            )
            if orders_itself and is_early and len(early) < _MOST_EARLY:
                early.append((number, out))
                continue
            if any(number < other for other, _ in early):
                first = min(each.position for other, each in early if number < other)
                self._damage.depends_on_missing(first)
                early = [
                    (other, replace(each, is_trusted=each.is_trusted and other < number))
                    for other, each in early
                ]
            yield from (each for other, each in sorted(early, key=_number) if other < number)
            early = [each for each in early if each[0] > number]
            latest = max(number, latest)
            yield out
        yield from (other for _, other in sorted(early, key=_number))

    def _out(self) -> Iterator[_Out]:
        lost_before, position_before = 0, -1
        for ordinal, (frame, position, is_trusted) in enumerate(self._frames()):
            lost, lost_before = self.lost - lost_before, self.lost
            is_after_hole = self._damage.is_hole_between(position_before, position)
            position_before = max(position_before, position)
            yield _Out(frame, ordinal, position, lost, is_after_hole, is_trusted)

    def _frames(self) -> Iterator[tuple[av.VideoFrame, int, bool]]:
        """Frames, the positions of their packets, and whether they are trusted."""
        import av

        packets = packets_of(self._video)
        position = -1
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # cut off; what was read so far is what there is
            if packet is not None:
                position += 1
                # PyAV tells these apart by their address, in all videos of the process at once.
                # Small numbers have one address each.
                packet.opaque = (position,)
                self._damage.feed(packet, position)
            try:
                for frame in self._decoded(packet):
                    own = frame.opaque[0] if isinstance(frame.opaque, tuple) else position
                    yield from self._damage.trusted(frame, own)
            except av.FFmpegError:
                self.lost += 1
                self._damage.lost(position if self._codec.thread_count == 1 else None)
            if packet is None:
                yield from self._damage.rest()
                return

    def _decoded(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return self._codec.decode(packet)
        except BlockingIOError:  # a filter of the codec keeps a packet that did not decode
            self._codec.flush_buffers()
            return self._codec.decode(packet)
