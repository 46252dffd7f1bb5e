"""The vector leg on OpenSearch: its kNN clause, and scripts where that would not be exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from vidsearch_mappings.candidates import MAX_CANDIDATES
from vidsearch_mappings.types import Json

__all__ = [
    "all_of",
    "compares_every_segment",
    "has_nested",
    "opensearch_knn",
    "scored_by_script",
]


def opensearch_knn(
    path: str,
    *,
    vector: Sequence[float],
    k: int,
    candidates: int,
    segments: str | None,
    duration: str,
    inner: Json | None,
    oversample: float | None,
    filters: Sequence[Mapping[str, Any]],
    segment_filters: Sequence[Mapping[str, Any]],
    without_duration: bool,
) -> Json:
    """The query of :func:`~vidsearch_mappings.queries.vector_query`, whose arguments these are but
    for the following.

    Args:
        path: of the vector that is compared with.
        vector: ``(dims,)`` floats of unit length.
        k: number of videos.
        candidates: ``k`` at least.
        segments: path of the nested segments, where they are compared; ``None``: whole videos are.
        duration: path of the number that videos have, and segments have not.
        inner: the inner hits of the segments.
        oversample, filters, segment_filters, without_duration: as there.
    """
    # Segments have the id of their video.
    by_id = all(each.keys() == {"ids"} for each in filters)
    all_segments = bool(segments) and compares_every_segment(filters, segment_filters)
    without_duration = without_duration and bool(segments) and not all_segments
    if all_segments:
        conditions = [dict(each) for each in segment_filters] or [{"exists": {"field": path}}]
        query: Json = {"bool": {"filter": conditions}}
    else:
        clause = _knn_clause(vector, k=k, candidates=candidates, oversample=oversample)
        if filters:
            about_videos = [_on_videos(duration)] if segments and not by_id else []
            clause["filter"] = all_of([*about_videos, *filters])
        if segments:
            # Without it only the best segment of each video would come back; with it the default
            # score of a video becomes the average of its segments, hence `max`.
            clause["expand_nested_docs"] = True
        query = {"knn": {path: clause}}
    if oversample is not None or without_duration or all_segments:
        query = scored_by_script(query, path=path, vector=vector)
    if segments is None:
        return query
    nested: Json = {"path": segments, "score_mode": "max", "query": query}
    if inner:
        nested["inner_hits"] = inner
    query = {"nested": nested}
    if without_duration:
        scored = scored_by_script({"exists": {"field": path}}, path=path, vector=vector)
        rest: Json = {**nested, "query": scored}
        # Those of the other query's hits are the same, and a name stands in a request once.
        nested.pop("inner_hits", None)
        has_none = {"bool": {"must_not": [{"exists": {"field": duration}}]}}
        conditions = [has_none, *(dict(each) for each in filters)]
        others = {"bool": {"must": [{"nested": rest}], "filter": conditions}}
        query = {"bool": {"should": [query, others]}}
    if all_segments and filters:
        query = {"bool": {"must": [query], "filter": [dict(each) for each in filters]}}
    return query


def compares_every_segment(
    filters: Sequence[Mapping[str, Any]], segment_filters: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether OpenSearch compares every segment of the matching videos, by script: exact, and as
    slow as there are many.

    A filter in its kNN clause among segments picks videos and not segments, and looks for a
    ``nested`` object inside the segments.
    """
    return bool(segment_filters) or any(map(has_nested, filters))


def has_nested(clause: Any) -> bool:
    """Whether a clause asks for nested objects, itself or somewhere in it."""
    if isinstance(clause, Mapping):
        return "nested" in clause or any(map(has_nested, clause.values()))
    return isinstance(clause, list | tuple) and any(map(has_nested, clause))


def _knn_clause(
    vector: Sequence[float], *, k: int, candidates: int, oversample: float | None
) -> Json:
    k = min(ceil(k * (oversample or 1)), MAX_CANDIDATES)
    # `ef_search` is OpenSearch's word for the candidates that the graph search keeps.
    parameters = {"ef_search": max(k, candidates)}
    return {"vector": list(vector), "k": k, "method_parameters": parameters}


def scored_by_script(query: Json, *, path: str, vector: Sequence[float]) -> Json:
    """What OpenSearch finds by a query, scored with the exact vectors: ``half_inner_product`` of
    :data:`~vidsearch_mappings.scores.Similarity`, which is ``(1 + cosine) / 2`` from 0 on."""
    # With `cosinesimil` it would be `1 + cosine` in an index that was created before 2.19, whatever
    # version runs it now, and nothing in an answer tells.
    parameters = {"field": path, "query_value": list(vector), "space_type": "innerproduct"}
    script = {"lang": "knn", "source": "knn_score", "params": parameters}
    return {"script_score": {"query": query, "script": script, "boost": 0.5}}


def _on_videos(duration: str) -> Json:
    """A clause that holds for every video and for no segment.

    OpenSearch decides from the clauses whether a filter speaks of the videos or of the nested
    segments, and takes ``exists``, ``prefix``, ``wildcard``, ``must_not`` and some dates for the
    latter: the search then finds nothing, or what was to be left out. One clause on a number
    outside the nested object settles it. Seen on 2.19.1. There is no clause of that kind that
    holds for documents without the number as well: they take a query of their own.
    """
    return {"range": {duration: {"gte": 0}}}


def all_of(filters: Sequence[Mapping[str, Any]]) -> Json:
    """A clause that holds where all of these do."""
    if len(filters) == 1:
        return dict(filters[0])
    return {"bool": {"filter": [dict(clause) for clause in filters]}}
