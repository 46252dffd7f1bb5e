"""Fusions that the engine computes, in one request, and the choice of a fusion by its name.

:class:`Sum` works everywhere. :class:`NativeRrf` and :class:`NativeLinear` are retrievers on
Elasticsearch, which ask for a licence, and a ``hybrid`` query on OpenSearch, which asks for a
plugin; :class:`~vidsearch.search.fusion.Rrf` and :class:`~vidsearch.search.fusion.Linear` are the
same sums, computed here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from vidsearch.config import FusionName, SearchSettings
from vidsearch.engines import EngineInfo, Features, Json
from vidsearch.errors import QueryError
from vidsearch.search.fusion import Fusion, Linear, Normalizer, Rrf, weight_of
from vidsearch_mappings.fusions import hybrid_query, retriever_query, sum_query

__all__ = ["AnyFusion", "Cluster", "NativeFusion", "NativeLinear", "NativeRrf", "Sum", "choose"]

_RRF_WEIGHTS = {"elasticsearch": (9, 2, 0), "opensearch": (3, 1, 0)}
# Before it, OpenSearch gave every shard's best hit the first rank (neural-search #1718).
_RRF_OVER_SHARDS = (3, 5, 0)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that fuses: its version and what it can do."""

    info: EngineInfo
    features: Features


class NativeFusion(ABC):
    """Builds the one request whose hits the engine itself fuses."""

    @abstractmethod
    def body(self, cluster: Cluster, *, vector: Json, keyword: Json, size: int) -> Json:
        """The request body that replaces those of the legs.

        Args:
            cluster: the one that answers.
            vector: body of the vector leg.
            keyword: body of the keyword leg; its size is the window.
            size: number of videos.

        Raises:
            QueryError: the cluster cannot do it; the message names an alternative.
        """

    def warning(self, cluster: Cluster, *, shards: int) -> str | None:
        """What the user should know about an answer of so many shards, if anything."""
        return None


@dataclass(frozen=True)
class Sum(NativeFusion):
    """The engine's own sum of BM25 and the kNN score, each times its weight.

    On any cluster. BM25 has no upper bound and a cosine adds at most 1, so the keyword leg
    decides unless the vector leg weighs much more.
    """

    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        _two_weights(self.weights)

    def body(self, cluster: Cluster, *, vector: Json, keyword: Json, size: int) -> Json:
        weights = _two_weights(self.weights)
        return sum_query(
            cluster.info.kind, vector=vector, keyword=keyword, weights=weights, size=size
        )


@dataclass(frozen=True)
class NativeRrf(NativeFusion):
    """Reciprocal rank fusion by the engine: the retriever ``rrf``, or ``hybrid``."""

    constant: int = 60
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.constant, int) and not isinstance(self.constant, bool)
        if not whole or self.constant < 1:
            raise QueryError(
                f"constant must be a whole number from 1 on where the engine fuses, "
                f"not {self.constant!r}"
            )
        _two_weights(self.weights)

    def body(self, cluster: Cluster, *, vector: Json, keyword: Json, size: int) -> Json:
        info = cluster.info
        weights = _two_weights(self.weights)
        weighs = all(weights) and weights[0] != weights[1]
        if weighs and info.version < _RRF_WEIGHTS[info.kind]:
            since = ".".join(map(str, _RRF_WEIGHTS[info.kind][:2]))
            raise QueryError(
                f"{info.product} weighs the legs of its own rrf from {since} on only: take "
                "fusion=rrf, which vidsearch computes itself, or equal weights"
            )
        return _engine_query(
            "rrf",
            cluster,
            instead="rrf",
            rank_constant=self.constant,
            legs={"vector": vector, "keyword": keyword, "weights": weights, "size": size},
        )

    def warning(self, cluster: Cluster, *, shards: int) -> str | None:
        info = cluster.info
        right = info.kind == "elasticsearch" or info.version >= _RRF_OVER_SHARDS
        if right or shards < 2 or not all(_two_weights(self.weights)):
            return None
        return (
            f"{info.product} ranks each of the {shards} shards by itself in its own rrf, so the "
            "order is not that of the whole index: take fusion=rrf, which vidsearch computes itself"
        )


@dataclass(frozen=True)
class NativeLinear(NativeFusion):
    """Weighted mean of normalised scores by the engine: the retriever ``linear``, or ``hybrid``.

    ``z_score`` is known to OpenSearch from 3.0 on only.
    """

    normalizer: Normalizer = "min_max"
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        Linear(self.normalizer)  # refuses what is no normalizer
        _two_weights(self.weights)

    def body(self, cluster: Cluster, *, vector: Json, keyword: Json, size: int) -> Json:
        info, weights = cluster.info, _two_weights(self.weights)
        if info.kind == "elasticsearch" and self.normalizer == "z_score":
            raise QueryError(
                f"{info.product} has no z_score of its own: take fusion=linear, which vidsearch "
                "computes itself, or normalizer=min_max"
            )
        return _engine_query(
            "linear" if info.kind == "elasticsearch" else self.normalizer,
            cluster,
            instead="linear",
            legs={"vector": vector, "keyword": keyword, "weights": weights, "size": size},
        )


AnyFusion = FusionName | Fusion | NativeFusion
"""How the two legs of a search are fused: by name, by a function, or by the engine."""


def choose(fusion: AnyFusion | None, *, settings: SearchSettings) -> Fusion | NativeFusion:
    """The fusion of a search: by the settings where it is a name or ``None``.

    Raises:
        QueryError: neither a known name nor a fusion.
    """
    if fusion is None:
        fusion = settings.fusion
    weights = {"vector": settings.vector_weight, "keyword": settings.keyword_weight}
    if fusion == "rrf":
        return Rrf(settings.rank_constant, weights, settings.window)
    if fusion == "linear":
        return Linear(settings.normalizer, weights, settings.window)
    if fusion == "sum":
        return Sum(weights)
    if fusion == "native_rrf":
        return NativeRrf(settings.rank_constant, weights)
    if fusion == "native":
        return NativeLinear(settings.normalizer, weights)
    if isinstance(fusion, NativeFusion) or (callable(fusion) and not isinstance(fusion, type)):
        return fusion
    names = ", ".join(get_args(FusionName))
    raise QueryError(
        f"fusion must be {names}, or a function of the legs, not {fusion!r}", argument="fusion"
    )


def _two_weights(weights: Mapping[str, float] | None) -> tuple[float, float]:
    Rrf(weights=weights)  # refuses what is no weight
    unknown = (weights or {}).keys() - {"vector", "keyword"}
    if unknown:
        raise QueryError(f"weights: leg {min(unknown)!r} is not one of vector, keyword")
    vector, keyword = weight_of("vector", weights), weight_of("keyword", weights)
    if not vector + keyword:
        raise QueryError("weights: every leg has 0, which leaves nothing to order by")
    return vector, keyword


def _engine_query(
    name: Any, cluster: Cluster, *, instead: str, legs: Mapping[str, Any], **parameters: Any
) -> Json:
    """The body with Elasticsearch's retriever of that name, or OpenSearch's ``hybrid`` query."""
    features = cluster.features
    if name in features.retrievers:
        return retriever_query(name, **legs, **parameters)
    if name in features.hybrid:
        return hybrid_query(name, **legs, **parameters)
    if cluster.info.kind == "elasticsearch":
        problem = (
            f"offers no retriever {name!r}: it takes an Enterprise or trial licence, and the "
            f"cluster's is {features.licence or 'unknown'}"
        )
    elif features.hybrid:
        known = ", ".join(sorted(features.hybrid))
        problem = f"cannot fuse by {name}: its hybrid query knows {known} only"
    else:
        problem = f"cannot fuse by {name}: the plugin neural-search is missing"
    raise QueryError(
        f"{cluster.info.product} {problem}. Take fusion={instead}, which vidsearch computes itself"
    )
