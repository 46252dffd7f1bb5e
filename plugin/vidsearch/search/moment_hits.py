"""A ranking of videos made one of their moments. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidsearch.search.legs import LegHit, nearest_first
from vidsearch.search.moments import merge_moments
from vidsearch.search.request import Leg, SearchRequest

__all__ = ["legs_of_moments", "moment_id", "video_id"]

_SEPARATOR = "#"


def moment_id(video: str, start: float) -> str:
    """The id of a moment within one search; those of one video sort by time."""
    return f"{video}{_SEPARATOR}{start:012.3f}"


def video_id(moment: str) -> str:
    """The id of the video that a moment is of."""
    return moment.rpartition(_SEPARATOR)[0]


def legs_of_moments(
    request: SearchRequest,
    legs: Mapping[Leg, Sequence[LegHit]],
    videos: Sequence[str],
    by_vector: Mapping[str, LegHit],
) -> dict[Leg, list[LegHit]]:
    """The legs with moments in place of videos.

    The vector leg ranks every moment by its own cosine. The keyword leg knows words of videos only:
    the moments of a video have its score, and its place, best first.

    Args:
        request: says how segments are merged, and how many moments a video may have.
        legs: videos, best first.
        videos: ids of those whose moments count.
        by_vector: the hits with the segments of these videos that count.

    Returns:
        The hits of each leg, best first, by :func:`moment_id`.
    """
    moments: dict[str, list[LegHit]] = {}
    for video in videos:
        if (hit := by_vector.get(video)) is not None:
            merged = merge_moments(hit.moments, merge_gap=request.merge_gap, limit=request.moments)
            moments[video] = [
                LegHit(moment_id(video, one.start), one.cosine, {}, (one,), {}) for one in merged
            ]
    found = nearest_first([each for of_video in moments.values() for each in of_video])
    made = {"vector": found}
    if "keyword" in legs:
        made["keyword"] = [
            each._replace(score=hit.score)
            for hit in legs["keyword"]
            for each in moments.get(hit.id, ())
        ]
    return made
