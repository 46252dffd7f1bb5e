"""Decodes a whole stream, for where no plan applies or a plan failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.codec import prepare
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.packets import packets_of

if TYPE_CHECKING:
    import av

__all__ = ["FrontToBack", "Seen"]


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A frame that came out of the codec."""

    frame: av.VideoFrame
    number: int
    """In order of presentation."""
    seconds: float
    """When it comes on display, from the stream's start."""
    lost: int
    """Packets since the frame before that did not decode."""


class FrontToBack:
    """Iterates once over what decodes, in order of presentation; the rest is passed over.

    Args:
        video: at its beginning.
        times: of its frames.
        limits: for the codec.
        threads: of the codec.
    """

    def __init__(
        self, video: Video, times: FrameTimes, *, limits: MediaLimits, threads: int
    ) -> None:
        self._video = video
        self._times = times
        self._codec = prepare(video, limits=limits, threads=threads)
        self.lost = 0
        """Packets that did not decode, so far."""

    def __iter__(self) -> Iterator[Seen]:
        times, lost_before = self._times, 0
        for frame in self._frames():
            lost, lost_before = self.lost - lost_before, self.lost
            # The time of decoding is better than none, or than one that was made up.
            stamp = frame.dts if frame.pts is None or times.by_decoding else frame.pts
            if times.advance(stamp, lost=lost):
                yield Seen(frame, times.number, times.seconds, lost)

    def _frames(self) -> Iterator[av.VideoFrame]:
        import av

        packets = packets_of(self._video)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # cut off; what was read so far is what there is
            try:
                yield from self._codec.decode(packet)
            except av.FFmpegError:
                self.lost += 1
            if packet is None:
                return
