"""Which frames of a damaged stream show what they should."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.frame_numbers import References
from vidsearch.media.pyav.packets import PacketIndex

if TYPE_CHECKING:
    import av
    from av.packet import Packet

__all__ = ["MOST_AHEAD", "PATCH_NOTHING_UP", "PREDICTED", "B", "Damage", "why_damaged"]

_NO_TYPE, P, B = 0, 2, 3
"""Picture types."""
PREDICTED = (P, B)
_WHOLE = frozenset({"h264", "hevc"})
"""Decoders that give a frame for every packet, unless what it refers to is missing."""
_B_NEVER_REFERRED_TO = frozenset({"mpeg1video", "mpeg2video", "mpeg4"})
_START_AT_KEYS = _WHOLE | {
    "mpeg1video",
    "mpeg2video",
    "vp8",
    "libvpx",
    "vp9",
    "libvpx-vp9",
    "av1",
    "libdav1d",
}
"""Decoders that give nothing before the first frame that can be decoded without others."""
_MAKE_UP_REFERENCES = frozenset(
    {"mpeg4", "h263", "flv", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1"}
)
"""Decoders that give a frame without a type for a reference that is missing."""
PATCH_NOTHING_UP = frozenset({"hevc", "vp8", "libvpx", "vp9", "libvpx-vp9"})
"""Decoders that mark no frame as patched up: they give none for a packet in which they find damage,
and make something of any other bytes."""
_REPEAT_KEYS = frozenset({"av1", "libdav1d"})
"""Decoders that may give a key frame once more, in place of a frame that is missing."""
MOST_AHEAD = 16
"""Frames; no codec has more B-frames in a row."""


class Damage:
    """Follows a stream that is decoded from its first packet to its last.

    A codec marks the frame that it patched up, but not those that are predicted from it. Here a
    frame is trusted if nothing is damaged or missing from the key frame that it depends on up to
    itself. A stream may be refreshed bit by bit, by recovery points without key frames (intra
    refresh): its picture is whole again when it was refreshed from one such point to the next.

    Packets are named by their position in the order of decoding, which frames bring with them.

    Args:
        video: the stream is its.
        index: its packets.
    """

    def __init__(self, video: Video, index: PacketIndex) -> None:
        self._codec = video.stream.codec_context.name
        self._references = References(video)
        self._index = index
        self._holes = index.holes.tolist()
        self.is_found = False
        """Whether anything is damaged so far."""
        self._begins: list[float] = []
        """Where damage begins that no key frame has ended yet."""
        self._recovery_points: set[int] = set()
        self._last_recovery = -math.inf
        self._alone: set[int] = set()
        """What is damaged without harm to others."""
        self._due: dict[int, Packet[Any]] = {}
        """Packets whose frames have not come out, in order."""
        self._held: deque[tuple[av.VideoFrame, int]] = deque()
        self._first_shown: tuple[int, bool] | None = None
        """Position of the first packet that is meant for display, and whether it is a key frame."""
        self._started = False

    @property
    def explains_missing_frames(self) -> bool:
        """Whether a frame that does not come out is damaged. Others repeat the one before, or are
        not meant for display.
        """
        return self.is_found or self._codec in _WHOLE

    def feed(self, packet: Packet[Any], position: int) -> None:
        """The next packet goes to the decoder."""
        if self.is_hole_between(position - 1, position):
            self._begin(position - 0.5)
        if position < len(self._index) and self._index.corrupt[position]:
            self._begin(position)
        if packet.is_keyframe and self._codec in _WHOLE:
            self._recovery_points.add(position)
        if not packet.is_discard:
            self._due[position] = packet
            if self._first_shown is None:
                self._first_shown = position, packet.is_keyframe

    def lost(self, position: int | None) -> None:
        """A packet does not decode; ``None``: the first whose frame has not come out."""
        if position is None:
            position = min(self._due, default=0)
        self._damaged(position, self._due.pop(position, None))

    def depends_on_missing(self, position: int) -> None:
        """A packet turns out to depend on others that are missing."""
        self._begin(position)

    def trusted(
        self, frame: av.VideoFrame, position: int
    ) -> Iterator[tuple[av.VideoFrame, int, bool]]:
        """Take the next frame in order of presentation; yields those that can be told now, with
        their positions and whether they are trusted.

        A B-frame waits for the frame after it that it refers to.
        """
        packet = self._due.pop(position, None)
        if frame.is_corrupt:
            never = frame.pict_type == B and self._codec in _B_NEVER_REFERRED_TO
            self._damaged(position, packet, is_never_referred_to=never)
        self._held.append((frame, position))
        for each in [each for each in self._due if each <= position - MOST_AHEAD]:
            del self._due[each]
        while self._held and (
            len(self._held) > MOST_AHEAD or min(self._due, default=math.inf) > self._held[0][1]
        ):
            yield self._told()

    def rest(self) -> Iterator[tuple[av.VideoFrame, int, bool]]:
        """Yield the last frames, at the end of the stream."""
        while self._held:
            yield self._told()

    def is_hole_between(self, position: int, later: int) -> bool:
        """Whether packets are missing between those of two frames."""
        return bisect_right(self._holes, later) > bisect_right(self._holes, position)

    def _damaged(
        self, position: int, packet: Packet[Any] | None, *, is_never_referred_to: bool = False
    ) -> None:
        if is_never_referred_to or (packet and not self._references.may_be(packet)):
            self.is_found = True
            self._alone.add(position)
        else:
            self._begin(position)

    def _begin(self, position: float) -> None:
        self.is_found = True
        self._begins.append(position)

    def _told(self) -> tuple[av.VideoFrame, int, bool]:
        frame, position = self._held.popleft()
        is_predicted = frame.pict_type in PREDICTED
        if not self._started:
            self._start(position, frame)
        is_recovery_point = position in self._recovery_points
        if self._is_key(frame, position) or (is_recovery_point and not is_predicted):
            self._begins = [each for each in self._begins if each >= position]
        elif is_recovery_point:
            self._begins = [each for each in self._begins if each > self._last_recovery]
            self._last_recovery = position
        is_trusted = position not in self._alone and all(each > position for each in self._begins)
        return frame, position, is_trusted

    def _is_key(self, frame: av.VideoFrame, position: int) -> bool:
        is_again = self._codec in _REPEAT_KEYS and not (
            position < len(self._index) and self._index.keys[position]
        )
        return frame.key_frame and not is_again

    def _start(self, position: int, frame: av.VideoFrame) -> None:
        self._started = True
        is_predicted = _is_predicted(frame, self._codec)
        first, begins_with_key = self._first_shown or (position, frame.key_frame)
        if self._codec in _START_AT_KEYS:
            # A stream that begins amid an intra refresh is not whole before its recovery point.
            self.is_found = self.is_found or not (is_predicted or position <= first)
        elif is_predicted or (self._index.keys.any() and not (frame.key_frame or begins_with_key)):
            self._begin(position)


def _is_predicted(first: av.VideoFrame, codec: str) -> bool:
    """Whether the first frame of a stream refers to others, or is made up in place of them."""
    made_up = first.pict_type == _NO_TYPE and codec in _MAKE_UP_REFERENCES
    return first.pict_type in PREDICTED or made_up


def why_damaged(index: PacketIndex) -> str | None:
    """A reason why not every frame can be trusted, by the packets; ``None`` without one."""
    if len(index.holes):
        return "packets are missing"
    return "packets are marked as damaged" if index.corrupt.any() else None
