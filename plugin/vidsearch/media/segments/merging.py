"""Join neighbouring windows until few enough are left."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from vidsearch.media.segments.window import LONGEST, Window

__all__ = ["merged"]

_CLOSE = 1e-6


def merged(
    windows: Sequence[Window],
    *,
    length: float,
    limit: int,
    cost: Callable[[Window, Window], float],
) -> tuple[Window, ...]:
    """At most ``limit`` windows: the neighbours that cost least are joined first.

    None grows beyond ``LONGEST`` times ``length``, or times the mean length that ``limit`` leaves
    where that is longer. (Were no two neighbours short enough to be joined within that bound, the
    windows would be longer than the video, unless they are few enough already.)

    Args:
        windows: without gap and overlap.
        length: wished for, in seconds.
        limit: most windows.
        cost: of joining two neighbours.
    """
    kept: list[Window | None] = list(windows)
    after = list(range(1, len(kept) + 1))
    before = list(range(-1, len(kept) - 1))
    bound = LONGEST * max(length, (windows[-1].end - windows[0].start) / limit) * (1 + _CLOSE)

    heap: list[tuple[float, int, Window, Window]] = []

    def offer(left: int, right: int) -> None:
        if left < 0 or right >= len(kept):
            return
        a, b = kept[left], kept[right]
        if a is not None and b is not None and b.end - a.start <= bound:
            heapq.heappush(heap, (cost(a, b), left, a, b))

    count = len(kept)
    if count > limit:
        for i in range(count - 1):
            offer(i, i + 1)
    while count > limit and heap:
        _, left, a, b = heapq.heappop(heap)
        right = after[left]
        if kept[left] is not a or right >= len(kept) or kept[right] is not b:
            continue  # one of the two was joined to another meanwhile
        kept[left] = Window(a.start, b.end, a.first, b.last)
        kept[right] = None
        after[left] = after[right]
        if after[left] < len(kept):
            before[after[left]] = left
        count -= 1
        offer(before[left], left)
        offer(left, after[left])
    return tuple(window for window in kept if window is not None)
