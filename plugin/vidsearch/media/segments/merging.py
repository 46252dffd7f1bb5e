"""Join neighbouring segments until few enough are left."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import pairwise

from vidsearch.media.segments.spans import LONGEST, SegmentSpan

__all__ = ["merged"]

_CLOSE = 1e-6


def merged(
    segments: Sequence[SegmentSpan],
    *,
    length: float,
    limit: int,
    cost: Callable[[SegmentSpan, SegmentSpan], float],
) -> tuple[SegmentSpan, ...]:
    """At most ``limit`` segments: the neighbours that cost least are joined first.

    None grows beyond ``LONGEST`` times ``length``, or times the mean length that ``limit`` leaves
    where that is longer. (Were no two neighbours short enough to be joined within that bound, the
    segments would be longer than the video, unless they are few enough already.)

    Args:
        segments: without gap and overlap.
        length: wished for, in seconds.
        limit: maximum number of segments.
        cost: of joining two neighbours.
    """
    bound = LONGEST * max(length, (segments[-1].end - segments[0].start) / limit) * (1 + _CLOSE)
    by_first = {segment.first: segment for segment in segments}
    by_last = {segment.last: segment for segment in segments}
    offers: list[tuple[float, int, int, int]] = []

    def offer(a: SegmentSpan | None, b: SegmentSpan | None) -> None:
        if a and b and b.end - a.start <= bound:
            heapq.heappush(offers, (cost(a, b), a.first, b.first, b.last))

    if len(segments) > limit:
        for a, b in pairwise(segments):
            offer(a, b)
    while len(by_first) > limit and offers:
        _, first, middle, last = heapq.heappop(offers)
        left, right = by_first.get(first), by_first.get(middle)
        if not left or not right or (left.last, right.last) != (middle, last):
            continue  # one of the two was joined to another meanwhile
        joined = SegmentSpan(left.start, right.end, first, last)
        del by_first[middle], by_last[middle]
        by_first[first] = by_last[last] = joined
        offer(by_last.get(first), joined)
        offer(joined, by_first.get(last))
    return tuple(by_first[first] for first in sorted(by_first))
