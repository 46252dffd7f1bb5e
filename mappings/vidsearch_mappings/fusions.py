"""Bodies of searches whose two legs the engine itself fuses, in one request.

Pure functions of the bodies of the legs, as :func:`~vidsearch_mappings.queries.vector_query` and
:func:`~vidsearch_mappings.queries.keyword_query` make them: their filters, sizes and inner hits
stay what they are. The weights are those of the vector leg and of the keyword leg; one of 0 takes
its leg out, as an engine would go on to find videos by it, and give them no score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vidsearch_mappings.types import EngineKind, Json

__all__ = ["Hybrid", "Normalizer", "Retriever", "hybrid_query", "retriever_query", "sum_query"]

Normalizer = Literal["min_max", "z_score"]
"""How the scores of a leg are brought to a scale that legs have in common."""
Retriever = Literal["rrf", "linear"]
"""Fusions that Elasticsearch has as retrievers."""
Hybrid = Literal["rrf", "min_max", "z_score"]
"""Fusions of OpenSearch's ``hybrid`` query: ``rrf``, or by the normalizer of a weighted mean."""
Weights = tuple[float, float]


def sum_query(
    kind: EngineKind,
    *,
    vector: Mapping[str, Any],
    keyword: Mapping[str, Any],
    weights: Weights,
    size: int,
) -> Json:
    """Scores of both legs, times their weights, added up; needs no licence and no plugin.

    BM25 has no upper bound, while a cosine adds at most 1: without a larger weight of the vector
    leg the keyword leg decides. Elasticsearch multiplies the scores of the inner hits as well.

    Args:
        vector: body of the vector leg; its ``k`` is the window.
        keyword: body of the keyword leg.
        size: number of videos.
    """
    page = _page(vector, size)
    keyword_query = {"bool": {**keyword["query"]["bool"], "boost": weights[1]}}
    if kind == "elasticsearch":
        knn = {"knn": {**vector["knn"], "boost": weights[0]}} if weights[0] else {}
        return {**page, **knn, **({"query": keyword_query} if weights[1] else {})}
    # A boost on the kNN clause itself or on `nested` is not heeded by every release.
    vector_query = {"bool": {"must": [vector["query"]], "boost": weights[0]}}
    pairs = zip((vector_query, keyword_query), weights, strict=True)
    return {**page, "query": {"bool": {"should": [query for query, weight in pairs if weight]}}}


def retriever_query(
    fusion: Retriever,
    *,
    vector: Mapping[str, Any],
    keyword: Mapping[str, Any],
    weights: Weights,
    size: int,
    rank_constant: float = 60,
) -> Json:
    """Elasticsearch's retriever ``rrf`` or ``linear`` (min-max) over the legs.

    Weights of ``rrf`` need 9.2; equal ones are left out, so that older releases take the body.
    A ``knn`` retriever has no inner hits. A leg alone is its own body, as there is nothing to fuse.

    Args:
        vector: body of the vector leg.
        keyword: body of the keyword leg; its size is the window.
        size: number of videos.
        rank_constant: of ``rrf``.
    """
    if not all(weights):
        return _alone(vector if weights[0] else keyword, size)
    knn = {key: value for key, value in vector["knn"].items() if key != "inner_hits"}
    children: list[Json] = [{"knn": knn}, {"standard": {"query": dict(keyword["query"])}}]
    # The window may not be smaller than the page, nor than what a kNN clause brings.
    settings: Json = {"rank_window_size": max(keyword["size"], size)}
    if fusion == "rrf":
        settings["rank_constant"] = rank_constant
        if weights[0] != weights[1]:
            children = _weighted(children, weights)
        return {**_page(vector, size), "retriever": {"rrf": {"retrievers": children, **settings}}}
    children = [{**child, "normalizer": "minmax"} for child in _weighted(children, weights)]
    return {**_page(vector, size), "retriever": {"linear": {"retrievers": children, **settings}}}


def hybrid_query(
    fusion: Hybrid,
    *,
    vector: Mapping[str, Any],
    keyword: Mapping[str, Any],
    weights: Weights,
    size: int,
    rank_constant: float = 60,
) -> Json:
    """OpenSearch's ``hybrid`` query with its search pipeline inline.

    Inline, the pipeline needs no right to make one, and cannot be forgotten. Weights of ``rrf``
    need 3.1; equal ones are left out. Inner hits need 3.0, so there are none. A leg alone is its
    own body, as there is nothing to fuse.

    Args:
        fusion: ``rrf``, or how the scores are normalised before they are averaged.
        vector: body of the vector leg.
        keyword: body of the keyword leg; its size is the window.
        size: number of videos.
        rank_constant: of ``rrf``.
    """
    if not all(weights):
        return _alone(vector if weights[0] else keyword, size)
    shares = [weight / sum(weights) for weight in weights]
    combination: Json
    if fusion == "rrf":
        combination = {"technique": "rrf", "rank_constant": rank_constant}
        if weights[0] != weights[1]:
            combination["parameters"] = {"weights": shares}
        processor: Json = {"score-ranker-processor": {"combination": combination}}
    else:
        combination = {"technique": "arithmetic_mean", "parameters": {"weights": shares}}
        processor = {
            "normalization-processor": {
                "normalization": {"technique": fusion},
                "combination": combination,
            }
        }
    hybrid = {
        "queries": [_without_inner_hits(vector["query"]), dict(keyword["query"])],
        # Per shard; without it the page decides how many hits of each leg are normalised.
        "pagination_depth": max(keyword["size"], size),
    }
    return {
        **_page(vector, size),
        "query": {"hybrid": hybrid},
        "search_pipeline": {"phase_results_processors": [processor]},
    }


def _alone(leg: Mapping[str, Any], size: int) -> Json:
    return {**leg, "size": size}


def _page(vector: Mapping[str, Any], size: int) -> Json:
    kept = {key: value for key, value in vector.items() if key not in {"knn", "query"}}
    return {**kept, "size": size}


def _weighted(children: list[Json], weights: Weights) -> list[Json]:
    pairs = zip(children, weights, strict=True)
    return [{"retriever": child, "weight": weight} for child, weight in pairs]


def _without_inner_hits(query: Any) -> Any:
    if isinstance(query, list):
        return [_without_inner_hits(each) for each in query]
    if not isinstance(query, Mapping):
        return query
    return {name: _without_inner_hits(part) for name, part in query.items() if name != "inner_hits"}
