"""From the best segments of a video to its moments."""

from __future__ import annotations

from collections.abc import Sequence

from vidsearch.search.types import Moment

__all__ = ["merge_moments", "segments_needed"]

_MAX_COSINE_GAP = 0.03
"""How much lower than the best of a moment the cosine of a segment may be that joins it."""
_MAX_INNER_HITS = 100  # the engines' own limit
_SEGMENTS_PER_MOMENT = 5


def segments_needed(moments: int, *, merge_gap: float | None) -> int:
    """How many of a video's best segments must be read for so many moments."""
    if moments == 0 or merge_gap is None:
        return moments
    return min(_MAX_INNER_HITS, _SEGMENTS_PER_MOMENT * moments)


def merge_moments(
    segments: Sequence[Moment], *, merge_gap: float | None, limit: int
) -> tuple[Moment, ...]:
    """The best moments: segments that touch and have about the same cosine make one.

    Segments are taken best first until there are ``limit`` moments. One that lies within
    ``merge_gap`` seconds of a moment, and whose cosine is at most 0.03 below the best of it, joins
    it. A much worse neighbour does not, or else a short video would always be one moment.

    Args:
        segments: of one video, in any order.
        merge_gap: seconds that may lie between them; 0: they touch or overlap. ``None`` leaves
            every segment by itself.
        limit: maximum number of moments.

    Returns:
        Best first. A merged moment spans its first to its last segment and has the cosine and the
        thumbnail of the best.
    """
    best_first = sorted(segments, key=_best_first)
    if merge_gap is None:
        return tuple(best_first[:limit])
    moments: list[Moment] = []
    for segment in best_first:
        joined = [moment for moment in moments if _belongs(moment, segment, merge_gap)]
        if joined:
            moments = [moment for moment in moments if moment not in joined]
            moments.append(_union([*joined, segment]))
        elif len(moments) < limit:
            moments.append(segment)
    return tuple(sorted(moments, key=_best_first))


def _best_first(moment: Moment) -> tuple[float, float]:
    return -moment.cosine, moment.start


def _belongs(moment: Moment, segment: Moment, merge_gap: float) -> bool:
    # Bounds are stored in single precision, so segments that touch may be slightly apart.
    apart = max(moment.start, segment.start) - min(moment.end, segment.end)
    return apart <= merge_gap + 1e-3 and moment.cosine - segment.cosine <= _MAX_COSINE_GAP


def _union(parts: Sequence[Moment]) -> Moment:
    best = min(parts, key=_best_first)
    start, end = min(part.start for part in parts), max(part.end for part in parts)
    return Moment(start, end, best.cosine, best.thumbnail)
