"""From the best segments of a video to the moments that are shown."""

from __future__ import annotations

from collections.abc import Sequence

from vidsearch.search.types import Moment

__all__ = ["merge_moments", "segments_needed"]

_CLOSE = 0.03
"""Cosine by which a segment may be less near than the best of the moment that it joins."""
_MOST_INNER_HITS = 100  # the engines' own limit
_PER_MOMENT = 5


def segments_needed(moments: int, *, merge_gap: float | None) -> int:
    """How many of a video's best segments must be read for so many moments."""
    if moments == 0 or merge_gap is None:
        return moments
    return min(_MOST_INNER_HITS, _PER_MOMENT * moments)


def merge_moments(
    segments: Sequence[Moment], *, merge_gap: float | None, limit: int
) -> tuple[Moment, ...]:
    """The best moments: segments that touch and are about as near make one.

    Segments are taken best first until there are ``limit`` moments. One that lies within
    ``merge_gap`` seconds of a moment, and whose cosine is at most 0.03 below the best of it, joins
    it; a far worse neighbour does not, or else a short video would always be one moment.

    Args:
        segments: of one video, in any order.
        merge_gap: seconds that may lie between them; 0: they touch or overlap. ``None`` leaves
            every segment by itself.
        limit: most moments.

    Returns:
        Best first. A moment that was merged reaches from its first to its last segment, and has the
        cosine and the thumbnail of the best.
    """
    best_first = sorted(segments, key=lambda one: (-one.cosine, one.start))
    if merge_gap is None:
        return tuple(best_first[:limit])
    made: list[Moment] = []
    for segment in best_first:
        joined = [one for one in made if _belong(one, segment, merge_gap)]
        if joined:
            made = [one for one in made if one not in joined]
            made.append(_union([*joined, segment]))
        elif len(made) < limit:
            made.append(segment)
    return tuple(sorted(made, key=lambda one: (-one.cosine, one.start)))


def _belong(moment: Moment, segment: Moment, merge_gap: float) -> bool:
    # Segment bounds are stored in single precision, so what touches may be a hair apart.
    apart = max(moment.start, segment.start) - min(moment.end, segment.end)
    return apart <= merge_gap + 1e-3 and moment.cosine - segment.cosine <= _CLOSE


def _union(parts: Sequence[Moment]) -> Moment:
    best = max(parts, key=lambda one: (one.cosine, -one.start))
    return Moment(
        min(one.start for one in parts),
        max(one.end for one in parts),
        best.cosine,
        best.thumbnail,
    )
