"""Query bodies that compare an index with itself: vectors at random, and exact search."""

from __future__ import annotations

from collections.abc import Sequence

from vidsearch_mappings.queries import (
    SEGMENT_HITS,
    Level,
    scored_by_script,
    segments_path,
    vector_path,
)
from vidsearch_mappings.types import EngineKind, Json

__all__ = ["exact_query", "sample_query"]


def sample_query(kind: EngineKind, *, field: str, level: Level, size: int) -> Json:
    """``size`` videos at random, each with its vector, or with that of a segment at random.

    The vector of a video is in its ``_source``; that of a segment in the fields of the one inner
    hit named :data:`~vidsearch_mappings.queries.SEGMENT_HITS`.
    """
    path = vector_path(field, level=level)
    query: Json = {
        "function_score": {
            "query": {"exists": {"field": path}},
            "random_score": {},
            "boost_mode": "replace",
        }
    }
    source: Json = {"includes": [path]}
    if level == "segment":
        inner = {"name": SEGMENT_HITS, "size": 1, "_source": False, "fields": [path]}
        nested = {"path": segments_path(field), "score_mode": "max", "query": query}
        query = {"nested": {**nested, "inner_hits": inner}}
        source = {"excludes": ["*"]}
    if kind == "elasticsearch":
        source["exclude_vectors"] = False  # from 9.2 on they are left out unless asked for
    return {"query": query, "size": size, "_source": source}


def exact_query(
    kind: EngineKind, *, field: str, level: Level, vector: Sequence[float], k: int
) -> Json:
    """The ``k`` videos nearest to a unit vector, by comparing with all: ids only, best first.

    By a script: Painless on Elasticsearch, ``knn_score`` on OpenSearch.
    """
    path = vector_path(field, level=level)
    every: Json = {"exists": {"field": path}}
    if kind == "elasticsearch":
        source = f"cosineSimilarity(params.vector, '{path}') + 1.0"
        script = {"source": source, "params": {"vector": list(vector)}}
        query: Json = {"script_score": {"query": every, "script": script}}
    else:
        query = scored_by_script(every, path=path, vector=vector)
    if level == "segment":
        nested = {"path": segments_path(field), "score_mode": "max", "query": query}
        query = {"nested": nested}
    return {"query": query, "size": k, "_source": False, "track_total_hits": False}
