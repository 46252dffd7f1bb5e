"""From the engine's responses to the ranked videos of each leg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vidsearch.engines.vectors import BYTE_ORDERS, decode_vector
from vidsearch.search.types import Moment
from vidsearch_mappings.queries import SEGMENT_HITS, segments_path
from vidsearch_mappings.scores import Similarity, cosines_from_scores

__all__ = [
    "LegHit",
    "above_threshold",
    "best_of_levels",
    "ids_of",
    "nearest_first",
    "read_keyword_hits",
    "read_vector_hits",
    "segment_values",
    "threshold_of",
    "without_unscored",
]

_ROUNDING = 1e-6
"""Cosines closer than that are the same; engines differ by up to 2e-7 in those of two vectors."""


class LegHit(NamedTuple):
    """A video in one response; a tuple, as a search makes hundreds of them."""

    id: str
    score: float
    """Cosine in the vector leg, the engine's score in the keyword leg."""
    fields: Mapping[str, Any]
    moments: tuple[Moment, ...]
    """Segments of the response, best first, not merged yet."""
    highlights: Mapping[str, tuple[str, ...]]


def ids_of(response: Mapping[str, Any]) -> list[str]:
    """The ids of the hits; their numbers where they come without, as they are only counted."""
    hits = response["hits"]["hits"]
    if not hits or "_id" in hits[0]:
        return [hit["_id"] for hit in hits]
    return [str(at) for at in range(len(hits))]


def without_unscored(response: Mapping[str, Any]) -> dict[str, Any]:
    """The response without the hits of score 0, which were brought for their documents alone."""
    hits = response["hits"]
    return {**response, "hits": {**hits, "hits": [hit for hit in hits["hits"] if hit["_score"]]}}


def read_keyword_hits(response: Mapping[str, Any]) -> list[LegHit]:
    """The videos by the engine's score, best first; equal scores in the order of their ids."""
    return _ranked(
        [
            LegHit(
                hit["_id"],
                float(hit["_score"]),
                hit.get("_source", {}),
                (),
                {name: tuple(parts) for name, parts in hit["highlight"].items()}
                if "highlight" in hit
                else {},
            )
            for hit in response["hits"]["hits"]
        ]
    )


def read_vector_hits(
    response: Mapping[str, Any],
    *,
    field: str,
    similarity: Similarity,
    vector: Sequence[float] | None = None,
) -> list[LegHit]:
    """The videos by cosine, best first; equal cosines in the order of their ids.

    Args:
        response: of a body of the vector leg.
        field: the vidsearch object of the documents.
        similarity: how the engine scored.
        vector: the unit vector that was sought, where the inner hits bring vectors, as some
            releases of Elasticsearch do not compare with the exact ones.
    """
    hits = []
    path = segments_path(field)
    found = response["hits"]["hits"]
    cosines = cosines_from_scores([hit["_score"] for hit in found], similarity=similarity)
    for id, hit, cosine in zip(ids_of(response), found, cosines, strict=True):
        inner = "inner_hits" in hit  # not where only the window is read, in which are many hits
        moments = _moments(hit, path=path, similarity=similarity, vector=vector) if inner else ()
        # A walk through the graph may pass over a video's best segment; the inner hits never do.
        best = max(cosine, moments[0].cosine) if moments else cosine
        hits.append(LegHit(id, best, hit.get("_source", {}), moments, {}))
    return nearest_first(hits)


def nearest_first(hits: list[LegHit]) -> list[LegHit]:
    """By cosine, best first; equal ones, which may differ in the last bits, by their ids."""
    ranked = _ranked(hits)
    close = any(0 < one.score - two.score < _ROUNDING for one, two in pairwise(ranked))
    return _ranked(_without_rounding(ranked)) if close else ranked


def best_of_levels(levels: Sequence[Sequence[LegHit]]) -> list[LegHit]:
    """One ranking of several: each video by its best cosine, with all its moments.

    Of the ``k`` best in each, the ``k`` best of the union are right: what is missing from a ranking
    is beaten by ``k`` videos of it.
    """
    best: dict[str, LegHit] = {}
    for hit in (hit for hits in levels for hit in hits):
        other = best.get(hit.id)
        if other is not None:
            fields, moments = other.fields or hit.fields, other.moments or hit.moments
            hit = other._replace(score=max(other.score, hit.score), fields=fields, moments=moments)
        best[hit.id] = hit
    return nearest_first(list(best.values()))


def threshold_of(
    hits: Sequence[LegHit], *, min_cosine: float | None, gap: float | None
) -> float | None:
    """The least cosine that counts: ``min_cosine``, and at most ``gap`` below the best; less by
    what rounding makes of it, as a vector has a cosine below 1 with itself."""
    thresholds = [] if min_cosine is None else [min_cosine]
    if gap is not None and hits:
        thresholds.append(hits[0].score - gap)
    return max(thresholds) - _ROUNDING if thresholds else None


def above_threshold(
    hits: Sequence[LegHit], threshold: float | None, *, again: bool = False
) -> list[LegHit]:
    """Without the videos and the moments below the threshold.

    Args:
        hits: of the vector leg.
        threshold: see :func:`threshold_of`.
        again: whether the hits are read anew, and another response has told which videos are above
            it, in which their cosines may be greater by rounding.
    """
    if threshold is None:
        return list(hits)
    if again:
        threshold -= 2 * _ROUNDING
    return [
        hit._replace(moments=tuple(m for m in hit.moments if m.cosine >= threshold))
        if hit.moments
        else hit
        for hit in hits
        if hit.score >= threshold
    ]


def _without_rounding(hits: list[LegHit]) -> list[LegHit]:
    """Hits by cosine, with one cosine for all that differ by rounding only.

    The same two vectors have cosines that differ in the last bits, by engine and even by how many
    documents are compared at once; without this, copies of a video stand in any order.
    """
    rounded: list[LegHit] = []
    for hit in hits:
        # Against the first of them, so that many small steps do not become one.
        if rounded and 0 < rounded[-1].score - hit.score < _ROUNDING:
            hit = hit._replace(score=rounded[-1].score)
        rounded.append(hit)
    return rounded


def _ranked(hits: list[LegHit]) -> list[LegHit]:
    # Engines break ties by the order of writing, which no two indices share.
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _moments(
    hit: Mapping[str, Any],
    *,
    path: str,
    similarity: Similarity,
    vector: Sequence[float] | None,
) -> tuple[Moment, ...]:
    if SEGMENT_HITS not in hit["inner_hits"]:
        return ()
    moments = []
    segments = hit["inner_hits"][SEGMENT_HITS]["hits"]["hits"]
    cosines = cosines_from_scores([each["_score"] for each in segments], similarity=similarity)
    for segment, cosine in zip(segments, cosines, strict=True):
        values = segment_values(segment, path)
        if "start" not in values or "end" not in values:
            continue  # another program wrote it
        start, end = float(values["start"][0]), float(values["end"][0])
        thumbnail = values["thumbnail"][0] if "thumbnail" in values else None
        if vector is not None:
            stored = decode_vector(values["vector"], BYTE_ORDERS["elasticsearch"])
            cosine = float(np.clip(np.dot(stored, vector), -1.0, 1.0))
        moments.append(Moment(start, end, cosine, thumbnail))
    return tuple(sorted(moments, key=lambda moment: (-moment.cosine, moment.start)))


def segment_values(hit: Mapping[str, Any], path: str) -> dict[str, list[Any]]:
    """The fields of an inner hit, by their names in a segment; each a list of values."""
    fields = hit.get("fields", {})  # of a segment that has none of them
    # Elasticsearch groups the fields, {"video.segments": [{"start": [0.0]}]}; OpenSearch does
    # not, {"video.segments.start": [0.0]}.
    if path in fields:
        return dict(fields[path][0])
    return {name.removeprefix(f"{path}."): values for name, values in fields.items()}
