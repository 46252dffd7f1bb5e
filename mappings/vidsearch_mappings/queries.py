"""Bodies of the two legs of a search: nearest vectors, and words.

Pure functions. The mapping and the query are two faces of one layout, so they live together; who
sends them is no concern of this package. A body never asks for a stored vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

__all__ = [
    "MOMENTS",
    "MOMENT_FIELDS",
    "Level",
    "documents_query",
    "keyword_query",
    "moment_path",
    "vector_path",
    "vector_query",
]

Kind = Literal["elasticsearch", "opensearch"]
Level = Literal["segment", "video"]
Json = dict[str, Any]

MOMENTS = "moments"
"""Name of the inner hits of a segment-level vector leg."""

MOMENT_FIELDS = ("start", "end", "thumbnail")
"""What the inner hits bring back of a segment."""


def moment_path(field: str) -> str:
    """Path of the nested segments under our object ``field``."""
    return f"{field}.segments"


def vector_path(field: str, *, level: Level) -> str:
    """Path of the vector that a search of ``level`` compares with."""
    return f"{moment_path(field)}.vector" if level == "segment" else f"{field}.vector"


def vector_query(
    kind: Kind,
    *,
    field: str,
    vector: Sequence[float],
    level: Level,
    k: int,
    num_candidates: int,
    moments: int = 3,
    source: bool = True,
    oversample: float | None = None,
    filters: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """The ``k`` videos nearest to a unit vector.

    Args:
        field: the object that holds our data.
        vector: ``(dims,)`` floats of unit length.
        level: ``segment`` scores a video by its best segment and returns its best segments as
            inner hits named :data:`MOMENTS`; ``video`` compares with the video's mean vector.
        k: number of videos.
        num_candidates: candidates per shard; raised to ``k`` where smaller.
        moments: inner hits per video, best first; 0 for none.
        source: bring the documents back; without, ids and scores only.
        oversample: score this many times ``k`` candidates anew with the exact vectors; for
            quantised ones, see :func:`~vidsearch_mappings.vectors.oversample_of`.
        filters: clauses on the videos, all of which must match. They stand inside the kNN clause,
            so that ``k`` videos are found *among the matching ones*.
    """
    path = vector_path(field, level=level)
    inner = _inner_hits(field, moments) if level == "segment" and moments else None
    candidates = max(k, num_candidates)
    if kind == "elasticsearch":
        knn: Json = {
            "field": path,
            "query_vector": list(vector),
            "k": k,
            "num_candidates": candidates,
        }
        if oversample is not None:
            # It makes the scores of the inner hits exact as well.
            knn["rescore_vector"] = {"oversample": oversample}
        if filters:
            knn["filter"] = _all_of(filters)
        if inner:
            knn["inner_hits"] = inner
        return {**_page(field, size=k, source=source), "knn": knn}

    clause: Json = {
        "vector": list(vector),
        "k": k,
        # OpenSearch's word for the candidates that the graph search keeps.
        "method_parameters": {"ef_search": candidates},
    }
    if level == "video":
        if filters:
            clause["filter"] = _all_of(filters)
        return {**_page(field, size=k, source=source), "query": {"knn": {path: clause}}}
    if filters:
        clause["filter"] = _all_of([_on_videos(field), *filters])
    # Without it only the best segment of each video would come back; with it the default score
    # of a video becomes the average of its segments, hence `max`.
    clause["expand_nested_docs"] = True
    nested: Json = {
        "path": moment_path(field),
        "score_mode": "max",
        "query": {"knn": {path: clause}},
    }
    if inner:
        nested["inner_hits"] = inner
    return {**_page(field, size=k, source=source), "query": {"nested": nested}}


def keyword_query(
    *,
    field: str,
    text: str,
    fields: Sequence[str],
    size: int,
    source: bool = True,
    filters: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """The ``size`` videos whose own words match best, by BM25.

    Args:
        field: the object that holds our data; it is not searched unless ``fields`` name it.
        text: any words.
        fields: concrete fields with optional boosts, ``"title^2"``. None: nothing matches, where
            the engine would fall back to every field it has.
        size: number of videos.
        source: bring the documents back; without, ids and scores only.
        filters: clauses on the videos, all of which must match.
    """
    words: Json = (
        {"multi_match": {"query": text, "fields": list(fields), "lenient": True}}
        if fields
        else {"match_none": {}}
    )
    query: Json = {"must": [words]}
    if filters:
        query["filter"] = [dict(clause) for clause in filters]
    return {**_page(field, size=size, source=source), "query": {"bool": query}}


def documents_query(*, field: str, ids: Sequence[str]) -> Json:
    """The documents of some videos without their vectors."""
    query = {"ids": {"values": list(ids)}}
    return {**_page(field, size=len(ids), source=True), "query": query}


def _page(field: str, *, size: int, source: bool) -> Json:
    excludes = [f"{field}.vector", moment_path(field)]
    return {
        "size": size,
        "track_total_hits": False,
        "_source": {"excludes": excludes} if source else False,
    }


def _inner_hits(field: str, size: int) -> Json:
    path = moment_path(field)
    return {
        "name": MOMENTS,
        "size": size,
        "_source": False,
        "fields": [f"{path}.{name}" for name in MOMENT_FIELDS],
    }


def _on_videos(field: str) -> Json:
    """A clause that holds for every video and for no segment.

    OpenSearch decides from the clauses whether a filter speaks of the videos or of the nested
    segments, and takes ``exists``, ``prefix``, ``wildcard``, ``must_not`` and some dates for the
    latter: the search then finds nothing, or what was to be left out. One clause on a number
    outside the nested object settles it. Seen on 2.19.1.
    """
    return {"range": {f"{field}.duration": {"gte": 0}}}


def _all_of(filters: Sequence[Mapping[str, Any]]) -> Json:
    if len(filters) == 1:
        return dict(filters[0])
    return {"bool": {"filter": [dict(clause) for clause in filters]}}
