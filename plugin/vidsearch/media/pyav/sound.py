"""What the sound tells of the pictures: when they begin, and whether one of them stood still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.stamps import CLOCK_BACK, LONGEST_BROADCAST_GAP, NO_STAMP, REORDERED

__all__ = ["begin_of", "first_seconds", "held_while_heard"]


def first_seconds(video: Video, stamps: Sequence[int] | NDArray[np.int64]) -> float | None:
    """The time stamp of the first picture, in seconds; ``None`` without one.

    Args:
        video: the time stamps are of its stream.
        stamps: of its pictures, in the order of decoding.
    """
    near = stamps[:REORDERED]  # further on, another recording may begin
    return float(min(near) * (video.stream.time_base or 1)) if len(near) else None


def begin_of(video: Video, stamps: NDArray[np.int64]) -> float:
    """When the first picture comes on display, in seconds, as a player counts.

    Args:
        video: the time stamps are of its stream.
        stamps: of its pictures, in the order of decoding.
    """
    first = first_seconds(video, stamps)
    late = video.late_by(first)
    if first is None or not video.is_broadcast or late <= LONGEST_BROADCAST_GAP:
        return late
    sound = np.array([time for time, _ in _sound(video)])
    return late if _goes_on(sound, first - late, first) else 0.0


def held_while_heard(
    video: Video,
    stamps: NDArray[np.int64],
    decoding: NDArray[np.int64],
    places: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Positions of the packets of a broadcast after whose frames only the picture stood still for
    long.

    Each of the recordings that were joined is looked at alone: their times may overlap.

    Args:
        video: the packets are of its stream.
        stamps: of presentation.
        decoding: of decoding.
        places: of the packets in the file.
    """
    unit = float(video.stream.time_base or 1)
    held: list[int] = []
    sound: NDArray[np.float64] | None = None
    begins = np.flatnonzero(np.diff(decoding) * unit < -CLOCK_BACK) + 1
    if not video.is_broadcast or not video.sounds:
        begins = np.array([], dtype=np.int64)
        stamps = stamps[:0]
    for begin, end in zip([0, *begins], [*begins, len(stamps)], strict=True):
        packets = begin + np.flatnonzero(stamps[begin:end] != NO_STAMP)
        packets = packets[np.argsort(stamps[packets], kind="stable")]
        gaps = np.diff(stamps[packets]) * unit
        for number in np.flatnonzero(gaps > LONGEST_BROADCAST_GAP).tolist():
            sound = np.array(list(_sound(video))).reshape(-1, 2) if sound is None else sound
            first, last = stamps[packets[number]] * unit, stamps[packets[number + 1]] * unit
            is_near = np.ones(len(sound), dtype=np.bool_)
            if begin:
                is_near &= sound[:, 1] >= places[begin]
            if end < len(stamps):
                is_near &= sound[:, 1] < places[end]
            if _goes_on(sound[is_near, 0], first, last):
                held.append(int(packets[number]))
    return np.array(held, dtype=np.int64)


def _goes_on(sound: NDArray[np.float64], first: float, last: float) -> bool:
    """Whether sound is heard from one time to another, but for pauses."""
    heard = np.sort(sound[(first < sound) & (sound < last)])
    silence = np.diff(np.concatenate([[first], heard, [last]])).max()
    return bool(silence < (last - first) / 2)


def _sound(video: Video) -> Iterator[tuple[float, int]]:
    """Times of the packets of all sounds, and their places in the file."""
    import av

    numbers = [stream.index for stream in video.sounds]
    if not numbers:
        return
    with opened(video.path) as again, suppress(av.FFmpegError, IndexError):
        for packet in again.container.demux([again.container.streams[n] for n in numbers]):
            if packet.pts is not None:
                yield float(packet.pts * packet.time_base), packet.pos or 0
