"""Carries a plan out: decodes the packets that it names, and gives the frames that are wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.codec import prepare, skips_exactly
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.damage import MOST_AHEAD, PREDICTED, B
from vidsearch.media.pyav.demuxing import packets_of
from vidsearch.media.pyav.packets import PacketIndex
from vidsearch.media.pyav.plan import START, TAKE

if TYPE_CHECKING:
    import av
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

__all__ = ["PlanFailedError", "planned_frames"]

_NO_START = "decoding cannot start at a key frame of it"
_MISSING = "a frame that is wanted does not decode"


class PlanFailedError(Exception):
    """The stream does not behave as its packets promise; the message says how."""


def planned_frames(
    video: Video,
    index: PacketIndex,
    actions: NDArray[np.uint8],
    wanted: Sequence[int],
    *,
    limits: MediaLimits,
    threads: int,
    are_drawn: bool = True,
) -> Iterator[av.VideoFrame]:
    """Yield the wanted frames, in order.

    Args:
        video: at its beginning, or demuxed to its end.
        index: its packets.
        actions: what to do with each.
        wanted: time stamps of the wanted frames, ascending.
        limits: for the codec.
        threads: of the codec.
        are_drawn: whether the frames' pixels are of use.

    Raises:
        PlanFailedError: a frame is missing, or a packet does not decode or is another one now.
    """
    import av

    with ExitStack() as held:
        video, begin = _at_first_needed(video, index, actions, held)
        codec = prepare(video, limits=limits, threads=threads, are_drawn=are_drawn)
        run = _Run(codec, wanted, exact=skips_exactly(video))
        plan = actions.tobytes()
        last = max(plan.rfind(TAKE), plan.rfind(TAKE | START))
        try:
            for position, packet in enumerate(packets_of(video), begin):
                action = plan[position]
                if not action:
                    continue
                if packet.size != index.sizes[position] or packet.pts != index.stamps[position]:
                    raise PlanFailedError("the file reads differently the second time")
                if action & START:
                    yield from run.finish()
                    run.start(packet.pts if index.shown[position] else None)
                yield from run.feed(packet, take=bool(action & TAKE))
                if position == last:
                    break
            yield from run.finish()
        except av.FFmpegError as error:
            raise PlanFailedError(f"a packet does not decode ({error.strerror})") from error
        if run.given < len(wanted):
            raise PlanFailedError("the file reads differently the second time")


class _Run:
    """Decodes GOP prefixes, one after the other."""

    def __init__(self, codec: VideoCodecContext, wanted: Sequence[int], *, exact: bool) -> None:
        self._codec = codec
        self._exact = exact
        self._skips = False
        self._wanted = wanted
        self._fed = 0
        """Wanted frames whose packets were fed."""
        self.given = 0
        """Wanted frames that came out."""
        self._first: int | None = None
        self._used = False
        self._count = 0
        """Frames that came out."""
        self._held: deque[tuple[av.VideoFrame, int]] = deque()
        """Wanted B-frames that wait for the frame after them that they refer to, each with the
        count at which it came out.
        """

    def start(self, stamp: int | None) -> None:
        """Begin at a key frame, which must come out first; ``None`` if it is not displayed."""
        if self._used:
            self._codec.flush_buffers()
        self._used = True
        self._first = stamp

    def feed(self, packet: Packet[Any], *, take: bool) -> Iterator[av.VideoFrame]:
        if self._exact and self._skips == take:
            self._skips = not take
            self._codec.skip_frame = "NONREF" if self._skips else "DEFAULT"
        self._fed += take
        return self._wanted_of(self._codec.decode(packet))

    def finish(self) -> Iterator[av.VideoFrame]:
        """What the decoder still holds back; all that was wanted must be there then."""
        if self.given < self._fed or self._held:
            yield from self._wanted_of(self._codec.decode(None))
        if self.given < self._fed:
            raise PlanFailedError(_NO_START if self._first is not None else _MISSING)
        yield from self._released()

    def _wanted_of(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            if frame.pts is None:
                raise PlanFailedError("a frame comes out without a time stamp")
            if frame.is_corrupt:
                raise PlanFailedError("a frame is damaged")
            self._count += 1
            yield from self._released(self._count - MOST_AHEAD if frame.pict_type == B else None)
            if self._first is not None:
                # Some containers (H.263 in AVI) mark packets as key frames that are none.
                if frame.pts != self._first or frame.pict_type in PREDICTED:
                    raise PlanFailedError(_NO_START)
                self._first = None
            if self.given == len(self._wanted) or frame.pts < self._wanted[self.given]:
                continue
            if frame.pts > self._wanted[self.given]:
                raise PlanFailedError(_MISSING)
            self.given += 1
            if frame.pict_type == B:
                self._held.append((frame, self._count))
            else:
                yield frame

    def _released(self, before: int | None = None) -> Iterator[av.VideoFrame]:
        """The frames that wait, or those of them that came out before a count."""
        while self._held and (before is None or self._held[0][1] < before):
            yield self._held.popleft()[0]


def _at_first_needed(
    video: Video, index: PacketIndex, actions: NDArray[np.uint8], held: ExitStack
) -> tuple[Video, int]:
    """The video at the first packet of the plan, and its position; where a seek does not lead
    there, at the first packet of all.
    """
    import av

    needed = np.flatnonzero(actions)
    begin = int(needed[0]) if len(needed) else 0
    if begin and not video.is_broadcast:
        stamp = int(index.stamps[begin])
        try:
            video.container.seek(stamp, stream=video.stream)
            first = next(packets_of(video), None)
            if first is not None and (first.size, first.pts) == (index.sizes[begin], stamp):
                video.container.seek(stamp, stream=video.stream)
                return video, begin
        except av.FFmpegError:
            pass  # a format that cannot seek
    return _rewound(video, index, held), 0


def _rewound(video: Video, index: PacketIndex, held: ExitStack) -> Video:
    """The video at its first packet again, by a seek where that leads there exactly."""
    import av

    try:
        video.container.seek(index.first_decoding, stream=video.stream)
        first = next(packets_of(video), None)
        exact = (
            first is not None
            and first.size == index.sizes[0]
            and first.pts == index.stamps[0]
            and first.dts == index.first_decoding
        )
        if exact:
            video.container.seek(index.first_decoding, stream=video.stream)
            return video
    except av.FFmpegError:
        pass  # a format that cannot seek
    return held.enter_context(video.reopened())
