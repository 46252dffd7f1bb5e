"""Packets that a stream lacks whose frames bear no numbers, told by the rhythm of its key frames.

A gap between two time stamps proves nothing: a frame may be held. But an encoder places a key frame
after so many frames. Where most GOPs have the same number of frames, one that lasts as long and has
fewer lost the others; and one that has more lost a key frame. Of the last GOP no end is known:
frames are missing in it where none is held in all others.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.pyav.frame_numbers import missing_in

__all__ = ["missing_by_rhythm"]

_LEAST_WHOLE = 3
"""GOPs that tell the rhythm."""
_MOST_IRREGULAR = 1 / 3
"""Share of the GOPs that may differ from it, but for the first: the encoder fills its queue."""
_ABOUT = 1.01
"""Times a mean duration of the frames of a GOP, those of other GOPs are the same."""
_TOLERANCE = 0.25
"""Of a frame's duration; containers round time stamps."""


def missing_by_rhythm(
    stamps: NDArray[np.int64],
    keys: NDArray[np.bool_],
    shown: NDArray[np.bool_],
    *,
    by_count: bool = False,
) -> list[int]:
    """Positions of the packets that others are missing before.

    Args:
        stamps: times of presentation, or else of decoding, in order of decoding.
        keys: which packets are key frames.
        shown: which are meant for display.
        by_count: the encoder is known to count frames from key frame to key frame, whatever their
            times. A GOP that lasts as long as the usual one then speaks for it with any number of
            frames: were one of them held, it would last longer.
    """
    at = np.flatnonzero(keys & shown)
    begins = stamps[at]
    if len(at) <= _LEAST_WHOLE or (np.diff(begins) <= 0).any():
        return []
    counts = np.diff(np.searchsorted(np.sort(stamps[shown]), begins))
    lengths = np.diff(begins)
    step = _most_common(lengths / counts)
    exact = lengths / step
    spans: NDArray[np.int64] = np.round(exact).astype(np.int64)
    is_even = np.abs(exact - spans) < _TOLERANCE
    whole = Counter(spans[is_even & (spans == counts)].tolist())
    if not whole:
        return []
    ((usual, often),) = whole.most_common(1)
    if by_count and often >= _LEAST_WHOLE:
        often = int((is_even & (spans == usual) & (counts <= usual)).sum())
    if often < max(_LEAST_WHOLE, (1 - _MOST_IRREGULAR) * (len(counts) - 1)):
        return []
    found: list[int] = []
    is_strict = _is_strict(spans, counts, usual)
    for number, (begin, end) in enumerate(pairwise([*at.tolist(), len(keys)])):
        is_last = number == len(spans)
        is_clear = is_strict if is_last else is_even[number] and spans[number] != counts[number]
        if not is_clear:
            continue
        packets = begin + np.flatnonzero(shown[begin:end])
        numbers = np.round((stamps[packets] - begins[number]) / step).astype(np.int64)
        if is_last:
            is_holed = _last_is_holed(numbers, usual)
        else:
            is_holed = _is_holed(numbers, int(spans[number]), int(counts[number]), usual)
        if is_holed:
            gop = dict(zip(packets.tolist(), numbers.tolist(), strict=True))
            found += [_before_b_frames(gop, position) for position in missing_in(gop, 1)]
    return sorted(found)


def _most_common(values: NDArray[np.float64]) -> float:
    """The median of the largest group of values that are about the same."""
    values = np.sort(values)
    ends = np.searchsorted(values, values * _ABOUT, side="right")
    begin = int(np.argmax(ends - np.arange(len(values))))
    return float(np.median(values[begin : ends[begin]]))


def _is_holed(numbers: NDArray[np.int64], span: int, count: int, usual: int) -> bool:
    """Whether a GOP lacks frames, or lacks key frames and so is several in one.

    Args:
        numbers: of its frames, by their times.
        span: frames that its time is for.
        count: frames that it has.
        usual: of both.
    """
    if span == usual:
        return count < usual
    # A GOP with as many frames as usual in more time is whole, and a frame of it was held.
    lacks_key = span % usual == 0 and span > count != usual
    # Were there frames where the key frames should be, they would be key frames.
    return lacks_key and not (numbers[numbers > 0] % usual == 0).any()


def _is_strict(spans: NDArray[np.int64], counts: NDArray[np.int64], usual: int) -> bool:
    """Whether no frame is held in any GOP, and only the first and holed ones are irregular."""
    return bool(((spans % usual == 0) & (counts != usual) | (spans == counts))[1:].all())


def _last_is_holed(numbers: NDArray[np.int64], usual: int) -> bool:
    """As :func:`_is_holed`, of the GOP that no key frame ends."""
    # The last frame may have been held back, to make the video so long.
    inside = np.sort(numbers[numbers >= 0])[:-1]
    has_gap = len(inside) > 0 and int(inside.max()) + 1 > len(inside)
    return has_gap and not (numbers[numbers > 0] % usual == 0).any()


def _before_b_frames(gop: dict[int, int], hole: int) -> int:
    """Where a hole begins that swallowed the frame that B-frames after it refer to.

    They then look like frames that are not reordered, as others do not in the same GOP.
    """
    longest = run = latest = 0
    for number in gop.values():
        run = run + 1 if number < latest else 0
        longest, latest = max(longest, run), max(latest, number)
    begin = next(iter(gop))
    for _ in range(longest):
        before = [number for position, number in gop.items() if position < hole - 1]
        is_ahead = hole - 1 > begin and gop[hole - 1] > max(before, default=0)
        if not is_ahead or gop.get(hole, 0) < gop[hole - 1]:
            break
        hole -= 1
    return hole
