"""What a search should find, computed by brute force from the videos themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tests.search_index import SEGMENT_SECONDS, Video

from vidsearch.search import Facet, Moment
from vidsearch.search.moments import _MAX_COSINE_GAP, merge_moments

__all__ = ["Expected", "Found", "Question", "Unclear", "expected"]

_EQUAL = 1e-5
"""Cosines and scores that engines may take for equal, or may not."""
_CONSTANT = 60
"""Of reciprocal rank fusion."""

Ranked = list[tuple[str, float]]
"""Ids with scores, best first."""


class Unclear(Exception):  # noqa: N818 - the search is no error
    """The answer depends on how an engine breaks a tie, or rounds."""


@dataclass(frozen=True)
class Question:
    """A search, in the names of its arguments.

    Args:
        vector: that videos are compared with; ``None`` where only words are looked for.
        words: scores of the videos that have the words, the condition left aside; ``None`` where
            only vectors are compared.
        where: the condition.
        without_own: the condition without what it says about the field of a facet.
    """

    vector: NDArray[np.float32] | None
    words: Mapping[str, float] | None
    where: Callable[[Video], bool]
    without_own: Callable[[str], Callable[[Video], bool]]
    level: str = "segment"
    min_cosine: float | None = None
    gap: float | None = None
    collapse: str | float | None = None
    group_by: str = "video"
    moments: int = 3
    merge_gap: float | None = 0.0
    sort: str | None = None
    facets: tuple[Facet, ...] = ()


class Found(NamedTuple):
    """A hit."""

    id: str
    cosine: float | None
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Expected:
    """The hits of all pages, and what is counted."""

    hits: list[Found]
    total: int
    is_whole: bool
    """Whether nothing good lies beyond the window."""
    facets: dict[str, tuple[list[tuple[Any, int]], int, int]]
    """Values with counts, the sum of other counts, and videos without a value; by field."""


def expected(videos: Sequence[Video], question: Question, *, window: int) -> Expected:
    """What the search finds.

    Raises:
        Unclear: several answers are right.
    """
    by_id = {video.id: video for video in videos}
    cut = _cut(by_id, question, window)
    order = _sorted([id for id, _ in cut.order], cut, by_id, question, window)
    counted = {facet.field: _counts(facet, cut, by_id) for facet in question.facets}
    for facet in question.facets:
        if not facet.own_filter:
            other = replace(question, where=question.without_own(facet.field), sort=None)
            counted[facet.field] = _counts(facet, _cut(by_id, other, window), by_id)
    hits = [
        Found(cut.video_of(id), cut.cosines.get(id), cut.moments.get(id, ()))
        for id in order[:window]
    ]
    return Expected(hits, len(cut.order), cut.is_whole, counted)


@dataclass
class _Cut:
    """The hits within the relevance cut."""

    order: Ranked
    is_whole: bool
    cosines: dict[str, float]
    moments: dict[str, tuple[Moment, ...]]
    by_moment: bool = False

    def video_of(self, id: str) -> str:
        return id.rpartition("#")[0] if self.by_moment else id


def _cut(by_id: Mapping[str, Video], question: Question, window: int) -> _Cut:
    found = [video for video in by_id.values() if question.where(video)]
    legs: dict[str, Ranked] = {}
    is_whole, least, cosines = True, None, dict[str, float]()
    if question.vector is not None:
        legs["vector"], least, is_whole = _nearest(found, question, window)
        compared = {video.id: _cosine(video, question) for video in found}
        cosines = {id: each for id, each in compared.items() if least is None or each >= least}
    if question.words is not None:
        ids = {video.id for video in found}
        words = _ranked((id, score) for id, score in question.words.items() if id in ids)
        if question.vector is None and question.collapse is None:
            return _Cut(words, True, {}, {})  # the engine counts all
        is_whole &= len(words) < window
        legs["keyword"] = _first(words, window)
    order, is_whole = _fused(legs, window, is_whole)
    order = _collapsed(order, by_id, question.collapse)
    if question.group_by == "video":
        of_videos = {id: _moments(question, by_id[id], least) for id, _ in order}
        return _Cut(order, is_whole, cosines, of_videos)
    # By ids that sort by time.
    moments = {
        f"{id}#{one.start:012.3f}": one
        for id, _ in order
        for one in _moments(question, by_id[id], least)
    }
    legs["vector"] = _ranked((id, one.cosine) for id, one in moments.items())
    if "keyword" in legs:
        legs["keyword"] = [
            (id, score)
            for video, score in legs["keyword"]
            for id in moments
            if id.startswith(f"{video}#")
        ]
    is_whole &= all(len(leg) <= window for leg in legs.values())
    order, is_whole = _fused(legs, window, is_whole)
    cosines = {id: one.cosine for id, one in moments.items()}
    return _Cut(order, is_whole, cosines, {id: (one,) for id, one in moments.items()}, True)


def _levels(question: Question) -> list[str]:
    return ["segment", "video"] if question.level == "both" else [question.level]


def _cosine(video: Video, question: Question) -> float:
    assert question.vector is not None
    return max(video.cosine(question.vector, level=level) for level in _levels(question))


def _nearest(
    videos: Sequence[Video], question: Question, window: int
) -> tuple[Ranked, float | None, bool]:
    """The vector leg, its threshold, and whether nothing good lies beyond it."""
    vector = question.vector
    assert vector is not None
    best: dict[str, float] = {}
    ends = []
    for level in _levels(question):
        ranked = _ranked((v.id, v.cosine(vector, level=level)) for v in videos)
        ends.append(ranked[window - 1][1] if len(ranked) >= window else None)
        for id, cosine in _first(ranked, window):
            best[id] = max(cosine, best.get(id, -1.0))
    order = _ranked(best.items())
    least = question.min_cosine
    if question.gap is not None and order:
        by_gap = order[0][1] - question.gap
        least = by_gap if least is None else max(least, by_gap)
    if least is not None:
        means = [float(video.mean @ vector) for video in videos]
        segments = [float(cosine) for video in videos for cosine in video.segments @ vector]
        if any(abs(cosine - least) < _EQUAL for cosine in [*means, *segments]):
            raise Unclear
        order = [(id, cosine) for id, cosine in order if cosine >= least]
    # A window that is good to its end tells nothing of what lies beyond it.
    whole = all(end is None or (least is not None and end < least) for end in ends)
    return order, least, whole


def _fused(legs: Mapping[str, Ranked], window: int, is_whole: bool) -> tuple[Ranked, bool]:
    if len(legs) == 1:
        (order,) = legs.values()
    else:
        shares: Counter[str] = Counter()
        for leg in legs.values():
            for rank, (id, _) in enumerate(leg[:window], start=1):
                shares[id] += 1 / (_CONSTANT + rank)  # type: ignore[assignment]
        order = _ranked((id, round(share, 12)) for id, share in shares.items())
    return order[:window], is_whole and len(order) <= window


def _collapsed(order: Ranked, by_id: Mapping[str, Video], collapse: str | float | None) -> Ranked:
    kept: Ranked = []
    for id, score in order:
        if not any(_are_alike(by_id[id], by_id[other], collapse) for other, _ in kept):
            kept.append((id, score))
    return kept


def _are_alike(one: Video, other: Video, collapse: str | float | None) -> bool:
    if collapse is None:
        return False
    if isinstance(collapse, str):
        values = _values(one, collapse)
        return bool(values) and values == _values(other, collapse)
    cosine = float(one.mean @ other.mean)
    if abs(cosine - collapse) < _EQUAL:
        raise Unclear
    return cosine >= collapse


def _moments(question: Question, video: Video, least: float | None) -> tuple[Moment, ...]:
    """Those of a video, best first."""
    if question.vector is None or question.level == "video":
        return ()
    segments = [
        Moment(SEGMENT_SECONDS * at, SEGMENT_SECONDS * at + 9.3, float(cosine))
        for at, cosine in enumerate(video.segments @ question.vector)
        if least is None or cosine >= least
    ]
    for one, other in combinations(segments, 2):
        apart = abs(one.cosine - other.cosine)
        if apart < _EQUAL or abs(apart - _MAX_COSINE_GAP) < _EQUAL:
            raise Unclear
    return merge_moments(segments, merge_gap=question.merge_gap, limit=question.moments)


def _sorted(
    ids: list[str], cut: _Cut, by_id: Mapping[str, Video], question: Question, window: int
) -> list[str]:
    if question.sort is None:
        if len(ids) > window:
            _first(cut.order, window)
        return ids
    name, descending = question.sort.removeprefix("-"), question.sort.startswith("-")
    values = {id: _values(by_id[cut.video_of(id)], name) for id in ids}
    choose = max if descending else min
    present = [id for id in ids if values[id]]
    present.sort(key=lambda id: choose(values[id]), reverse=descending)
    order = present + [id for id in ids if not values[id]]
    if len(order) > window:
        scores = dict(cut.order)
        (last, key), (beyond, next_key) = (
            (id, choose(values[id], default=None)) for id in order[window - 1 : window + 1]
        )
        if key == next_key and abs(scores[last] - scores[beyond]) < _EQUAL:
            raise Unclear
    return order


def _counts(
    facet: Facet, cut: _Cut, by_id: Mapping[str, Video]
) -> tuple[list[tuple[Any, int]], int, int]:
    videos = dict.fromkeys(cut.video_of(id) for id, _ in cut.order)
    counted: Counter[Any] = Counter()
    missing = 0
    for id in videos:
        values = {_bucket(value, facet.interval) for value in _values(by_id[id], facet.field)}
        counted.update(values)
        missing += not values
    by_count = facet.order == "count"
    pairs = sorted(counted.items(), key=lambda pair: (by_count and -pair[1], pair[0]))
    rest = sum(count for _, count in pairs[facet.size :])
    return pairs[: facet.size], rest, missing


def _bucket(value: Any, interval: str | float | None) -> Any:
    if interval == "month":
        return value[:7]
    if isinstance(interval, float):
        return int(value // interval * interval)
    return value


def _values(video: Video, name: str) -> list[Any]:
    """The values of a field, each once and in their order, as doc values are."""
    if name == "video.duration":
        return [SEGMENT_SECONDS * len(video.segments)]
    value = video.fields.get(name, [])
    return sorted(set(value)) if isinstance(value, list) else [value]


def _ranked(found: Any) -> Ranked:
    """Best first; equal ones, and those that differ by rounding only, by their ids."""
    ranked: Ranked = []
    for id, score in sorted(found, key=lambda pair: (-pair[1], pair[0])):
        if ranked and 0 < ranked[-1][1] - score < 1e-6:
            score = ranked[-1][1]
        ranked.append((id, score))
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def _first(ranked: Ranked, window: int) -> Ranked:
    """The best of a ranking.

    Raises:
        Unclear: the last of them and the next one are equal.
    """
    if len(ranked) > window and ranked[window - 1][1] - ranked[window][1] < _EQUAL:
        raise Unclear
    return ranked[:window]
