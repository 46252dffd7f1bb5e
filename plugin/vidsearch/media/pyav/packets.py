"""What the packets of a video stream tell before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.display import FALLBACK_STEP
from vidsearch.media.mp4_boxes import is_fragmented, missing_fragments
from vidsearch.media.pyav.avi import missing_time_of_avi
from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.demuxing import Demuxed, demuxed
from vidsearch.media.pyav.key_frame_rhythm import missing_by_rhythm
from vidsearch.media.pyav.matroska import breaks_of_matroska
from vidsearch.media.pyav.sound import begin_of, held_while_heard
from vidsearch.media.pyav.stamps import NO_STAMP, REORDERED, are_repeated, filled_in
from vidsearch.media.pyav.transport_stream import is_whole, misaligned

__all__ = [
    "LAG_FRAMES",
    "LONGEST_LAG",
    "PacketIndex",
    "read_packets",
    "step_of",
]

LAG_FRAMES = 8
"""At the beginning of a stream, within which an encoder fills its queue."""
LONGEST_LAG = 3
"""Frames for which it waits at once."""

_PROGRESSIVE = 1
"""FFmpeg's ``AV_FIELD_PROGRESSIVE``; 0 is unknown."""
_GUESSED_FROM = 4
"""Packets nearby, from which FFmpeg guesses a time of decoding."""
_TIMES_DECODING = frozenset({"avi", "asf", "asf_o"})
_NO_TAG = "\0\0\0\0"


@dataclass(frozen=True, slots=True, repr=False)
class PacketIndex:
    """What demuxing alone tells: 35 bytes per packet, in order of decoding."""

    stamps: NDArray[np.int64]
    """Presentation time stamps in ``time_base``; 0 where ``stamped`` is false."""
    stamped: NDArray[np.bool_]
    """Whether a packet has a time stamp."""
    evened: bool
    """Stamps are those of a transport or program stream of which some are missing: from the times
    of decoding, so that they are in the order of decoding, and with what is missing filled in."""
    keys: NDArray[np.bool_]
    """Whether decoding can start there, as the container or the parser says."""
    shown: NDArray[np.bool_]
    """Whether its frame is meant for display: not cut off by an edit list."""
    corrupt: NDArray[np.bool_]
    """Whether the container knows that a packet is not whole."""
    holes: NDArray[np.int64]
    """Positions that packets are missing before, by the container or the numbers of the frames;
    ascending."""
    sizes: NDArray[np.int64]
    """Bytes."""
    decoding: NDArray[np.int64]
    """Decoding time stamps; where a packet has none, its other one."""
    durations: NDArray[np.int64]
    """In ``time_base``; 0 where unknown."""
    times_decoding: bool
    """The container times when packets are decoded; when frames come on display is inferred."""
    is_broadcast: bool
    """Its clock may be set anew anywhere: a transport or program stream."""
    holds: NDArray[np.int64]
    """Positions of the packets whose frames stayed for long while the sound of such a stream went
    on."""
    missing: Mapping[int, int]
    """How long the packets would take that the container lacks before each position, in
    ``time_base``; none where it cannot tell."""
    mislabelled: bool
    """MPEG-4 whose frames come out with each other's time stamps: a packet holds two frames
    ("packed"), or a program stored the packets of an encoder in the order of its input."""
    reorders: bool
    """The codec may hold frames back, to present them in another order."""
    interlaced_rate: float | None
    """Frames per second, 0 if unknown, of H.264 that is interlaced, where a packet may hold half a
    frame; else ``None``."""
    time_base: Fraction
    """Seconds per unit of the stamps."""
    start: int
    """Where the container says that the stream starts, in ``time_base``."""
    begin: float
    """When the first picture comes on display, in seconds, as a player counts."""
    step: float
    """Usual time between two frames in seconds."""
    first_decoding: int
    """Decoding time stamp of the first packet, to go back to it."""
    reconfigured: bool
    """The decoder is given new parameters on the way."""
    brings_palette: bool
    """A palette comes with a packet, and may not after a seek."""
    errors_are_told: bool
    """The codec has a message for whatever it patches up, and no later frame is of another form
    than the first: H.264 that is progressive, of one set of parameters."""

    def __len__(self) -> int:
        return len(self.sizes)


def read_packets(video: Video) -> PacketIndex:
    """Demux the whole stream; nothing is decoded.

    What the container cannot deliver (a file that was cut off) ends the index.
    """
    reorders = bool(video.stream.codec_context.has_b_frames)
    read = demuxed(video)
    numbers, sizes, places = read.numbers, read.sizes, read.places
    keys, shown, corrupt = (
        np.frombuffer(each, dtype=np.bool_) for each in (read.keys, read.shown, read.corrupt)
    )
    given, raw, times, stamped, evened = _times_of(video, read)
    missing = missing_time_of_avi(video, places, sizes, times.tolist())
    known = [at for at in missing if at < len(sizes)]
    not_whole = _not_whole(video, corrupt, read.keys, places)
    not_whole[[max(at - 1, 0) for at in missing]] = True  # they may reach into the hole
    not_whole[read.zeroed.found] = True
    told = numbers.missing() if numbers else None
    if numbers is None or told is None or not numbers.tell_all:
        # Who makes B-frames of MPEG-4 does not go by the clock, as live recordings may.
        rhythm = raw if stamped.all() else times
        by_count = read.may_be_packed
        told = [*(told or []), *missing_by_rhythm(rhythm, keys, shown, by_count=by_count)]
    if "matroska" in video.container.format.name:
        for last, following in breaks_of_matroska(video.path):
            begin, end = np.searchsorted(places, [last, following]).tolist()
            not_whole[begin:end] = True
            known += [end] if end < len(sizes) else []
    if "mp4" in video.container.format.name:
        known += _holes_of_fragments(video, times, places)
    holes = np.unique(np.array([*told, *known], dtype=np.int64))
    if _times_decoding(video):
        pictures = _first_decoding(raw[stamped], times[stamped])
    else:
        pictures = given[stamped & shown]
    begin = begin_of(video, pictures)
    if _times_decoding(video) and reorders and begin <= (1 + LONGEST_LAG) * step_of(video):
        begin = 0.0  # an encoder was waiting
    return PacketIndex(
        stamps=np.where(stamped | evened, raw, 0),
        stamped=stamped,
        evened=evened,
        keys=keys,
        shown=shown,
        corrupt=not_whole,
        holes=holes,
        sizes=np.frombuffer(sizes, dtype=np.int64),
        decoding=times,
        durations=np.frombuffer(read.durations, dtype=np.int64),
        times_decoding=_times_decoding(video),
        is_broadcast=video.is_broadcast,
        holds=held_while_heard(video, given, times, np.frombuffer(places, dtype=np.int64)),
        missing=missing,
        mislabelled=read.may_be_packed and (read.packed or _is_in_order_of_input(raw, times)),
        reorders=reorders,
        interlaced_rate=_interlaced_rate(video),
        time_base=video.stream.time_base or Fraction(1),
        start=video.stream.start_time or 0,
        begin=begin,
        step=step_of(video),
        first_decoding=read.decoding[0] if read.decoding else NO_STAMP,
        reconfigured=read.reconfigured,
        brings_palette=read.brings_palette,
        errors_are_told=numbers is not None and numbers.errors_are_told,
    )


class _Times(NamedTuple):
    """In ``time_base``; 0 or :data:`NO_STAMP` where a packet has none of its own."""

    given: NDArray[np.int64]
    """Presentation time stamps as they are in the file."""
    stamps: NDArray[np.int64]
    """The same, or where those are evened, what they become."""
    decoding: NDArray[np.int64]
    stamped: NDArray[np.bool_]
    evened: bool


def _times_of(video: Video, read: Demuxed) -> _Times:
    """The time stamps of :class:`PacketIndex`."""
    given, times = (np.frombuffer(each, dtype=np.int64) for each in (read.stamps, read.decoding))
    stamped = given != NO_STAMP
    evened = video.is_broadcast and bool((stamped & (times != NO_STAMP)).any())
    if not evened or stamped.all():
        times = np.where(times != NO_STAMP, times, np.where(stamped, given, 0))
        return _Times(given, given, times, stamped, evened=False)
    # Where a start code lies in two PES packets, FFmpeg gives one time stamp to two pictures, and
    # which of them has it by right depends on what comes before.
    repeated = are_repeated(times)
    times = np.where(repeated, NO_STAMP, times)
    stamped = stamped & ~repeated
    first = int(np.argmax(stamped & (times != NO_STAMP)))
    delay = given[first] - times[first]
    times = filled_in(times, step_of(video) / float(video.stream.time_base or 1))
    return _Times(given, times + delay, times, stamped, evened=True)


def _holes_of_fragments(video: Video, times: NDArray[np.int64], places: Sequence[int]) -> list[int]:
    """Positions of the packets before which fragments are missing, and with them time."""
    if not is_fragmented(video.path):
        return []
    longest = 1.5 * step_of(video) / float(video.stream.time_base or 1)
    found = np.searchsorted(places, missing_fragments(video.path)).tolist()
    return [at for at in found if 0 < at < len(times) and times[at] - times[at - 1] > longest]


def _first_decoding(stamps: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """When the first packet is decoded. FFmpeg takes 0 for that where empty chunks come before."""
    delays = (stamps - times)[1:REORDERED]
    return np.maximum(times[:1], stamps[:1] - delays.max()) if len(delays) else times[:1]


def _not_whole(
    video: Video, marked: NDArray[np.bool_], keys: Sequence[int], places: Sequence[int]
) -> NDArray[np.bool_]:
    """The packets that are not whole, by those that FFmpeg marks.

    In a transport stream it marks the frame before: it hands a frame over when the next one's
    bytes come. What is missing between two streams that were joined does no harm to either; of
    the first, it marks the last frame but one.
    """
    found = marked.copy()
    if video.container.format.name != "mpegts":
        # Of a program stream, too, FFmpeg marks the frame before; the file ends in the last one.
        found[-1:] &= not video.is_broadcast
        return found
    found[:] = False
    # Others share the place of the one before. That of the first may be the beginning of the file.
    own = np.union1d([0], np.flatnonzero(places))
    # Those that share one are asked for one after the other.
    whole = lru_cache(maxsize=1)(partial(is_whole, video.path, video.stream.id))
    for position in (np.flatnonzero(marked[:-1]) + 1).tolist():
        at = int(np.searchsorted(own, position, side="right"))
        ends = own[at - 1 : at + 1].tolist()
        may_be_joint = len(ends) == 1 or keys[ends[1]]
        found[position] = not (may_be_joint and whole(*(places[each] for each in ends)))
    for begin, end in misaligned(video.path, places):
        found[begin:end] = True
    return found


def _is_in_order_of_input(stamps: NDArray[np.int64], decoding: NDArray[np.int64]) -> bool:
    if len(stamps) > 1 and (np.diff(stamps) > 0).all():
        return True
    # Times of decoding that FFmpeg guesses fall at a hole, too.
    falls = np.flatnonzero(np.diff(decoding) < 0)
    if not len(falls):
        return False
    order = np.argsort(stamps, kind="stable")
    gaps = np.diff(stamps[order])
    wide = np.flatnonzero(gaps > 1.5 * np.median(gaps))
    beside = np.concatenate([order[wide], order[wide + 1]])
    return not bool((np.abs(falls[:, None] - beside) <= _GUESSED_FROM).any(axis=1).all())


def _times_decoding(video: Video) -> bool:
    name = video.container.format.name
    # Matroska stores tracks of AVI ("V_MS/VFW/FOURCC") as they are, with AVI's code of the codec.
    is_vfw = "matroska" in name and video.stream.codec_context.codec_tag != _NO_TAG
    return name in _TIMES_DECODING or is_vfw


def _interlaced_rate(video: Video) -> float | None:
    codec = video.stream.codec_context
    if codec.name != "h264" or getattr(codec, "field_order", 0) <= _PROGRESSIVE:
        return None
    return float(codec.framerate or video.stream.guessed_rate or 0)


def step_of(video: Video) -> float:
    """Usual time between two frames in seconds."""
    return 1 / video.fps if video.fps else FALLBACK_STEP
