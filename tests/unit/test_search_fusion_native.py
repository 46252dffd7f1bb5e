"""Fusions that the engine computes: the bodies against golden JSON, choosing, refusing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from vidsearch.config import FusionName, SearchSettings
from vidsearch.engines import EngineInfo, EngineKind
from vidsearch.engines.features import elasticsearch_features, opensearch_features
from vidsearch.errors import ConfigError, QueryError
from vidsearch.search.fusion import Linear, Rrf
from vidsearch.search.native import Cluster, NativeFusion, NativeLinear, NativeRrf, Sum, choose
from vidsearch_mappings.queries import keyword_query, vector_query

GOLDEN = Path(__file__).parent / "golden"
WEIGHTS = {"vector": 3.0, "keyword": 1.0}


def cluster(kind: EngineKind, version: tuple[int, int, int], *, licence: str | None) -> Cluster:
    features = (
        elasticsearch_features(version, licence=licence)
        if kind == "elasticsearch"
        else opensearch_features(version, plugins={"opensearch-neural-search", "opensearch-knn"})
    )
    return Cluster(EngineInfo(kind, version, "http://search.example"), features)


LICENSED = cluster("elasticsearch", (9, 5, 3), licence="enterprise")
BASIC = cluster("elasticsearch", (9, 5, 3), licence="basic")
SILENT = cluster("elasticsearch", (9, 5, 3), licence=None)
OLD = cluster("elasticsearch", (8, 19, 21), licence="trial")
OPENSEARCH_2 = cluster("opensearch", (2, 19, 1), licence=None)
OPENSEARCH_3 = cluster("opensearch", (3, 5, 0), licence=None)


def legs(where: Cluster) -> dict[str, dict[str, Any]]:
    odd = {"term": {"tags": "odd"}}
    vector = vector_query(
        where.info.kind,
        field="video",
        vector=(0.6, 0.8),
        level="segment",
        k=50,
        num_candidates=200,
        filters=[odd],
    )
    keyword = keyword_query(field="video", text="red", fields=("title^2",), size=50, filters=[odd])
    return {"vector": vector, "keyword": keyword}


def shaped(fusion: NativeFusion, where: Cluster) -> dict[str, Any]:
    return fusion.body(where, **legs(where), size=10)


BODIES = {
    "elasticsearch_sum": (Sum(WEIGHTS), BASIC),
    "elasticsearch_rrf": (NativeRrf(), OLD),
    "elasticsearch_rrf_weights": (NativeRrf(20, WEIGHTS), LICENSED),
    "elasticsearch_linear": (NativeLinear(weights=WEIGHTS), OLD),
    "opensearch_sum": (Sum(WEIGHTS), OPENSEARCH_2),
    "opensearch_rrf": (NativeRrf(20), OPENSEARCH_2),
    "opensearch_rrf_weights": (NativeRrf(weights=WEIGHTS), OPENSEARCH_3),
    "opensearch_min_max": (NativeLinear(weights=WEIGHTS), OPENSEARCH_2),
    "opensearch_z_score": (NativeLinear("z_score"), OPENSEARCH_3),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_is_the_golden_one(name: str) -> None:
    golden = json.loads((GOLDEN / f"fusion_{name}.json").read_text(encoding="utf-8"))
    assert shaped(*BODIES[name]) == golden


def test_every_golden_body_is_compared() -> None:
    assert {path.stem for path in GOLDEN.glob("fusion_*.json")} == {f"fusion_{n}" for n in BODIES}


@pytest.mark.parametrize(("leg", "other"), [("vector", "keyword"), ("keyword", "vector")])
@pytest.mark.parametrize("where", [LICENSED, OLD, OPENSEARCH_2, OPENSEARCH_3])
def test_weight_of_0_takes_the_leg_out(where: Cluster, leg: str, other: str) -> None:
    weights = {leg: 2.0, other: 0.0}
    alone = {**legs(where)[leg], "size": 10}
    for fusion in (NativeLinear(weights=weights), NativeRrf(weights=weights)):
        assert shaped(fusion, where) == alone
    assert NativeRrf(weights=weights).warning(where, shards=3) is None
    added = shaped(Sum(weights), where)
    if where.info.kind == "elasticsearch":
        key = {"vector": "knn", "keyword": "query"}
        assert (key[leg] in added, key[other] in added) == (True, False)
    else:
        (clause,) = added["query"]["bool"]["should"]
        assert clause["bool"]["boost"] == 2.0
        assert ("knn" in str(clause)) == (leg == "vector")


@pytest.mark.parametrize(
    ("fusion", "where", "reason"),
    [
        (NativeRrf(), BASIC, r"no retriever 'rrf'.*the cluster's is basic.*fusion=rrf, which"),
        (NativeLinear(), BASIC, r"no retriever 'linear'.*is basic.*fusion=linear, which"),
        (NativeLinear(), SILENT, r"the cluster's is unknown"),
        (NativeRrf(weights=WEIGHTS), OLD, r"elasticsearch 8\.19\.21.*from 9\.2 on.*fusion=rrf"),
        (NativeLinear("z_score"), LICENSED, r"no z_score of its own.*fusion=linear"),
        (NativeRrf(weights=WEIGHTS), OPENSEARCH_2, r"from 3\.1 on only"),
        (NativeLinear("z_score"), OPENSEARCH_2, r"z_score: its hybrid query knows min_max, rrf"),
    ],
)
def test_a_fusion_that_the_cluster_lacks_is_refused(
    fusion: NativeFusion, where: Cluster, reason: str
) -> None:
    with pytest.raises(QueryError, match=reason):
        shaped(fusion, where)


def test_opensearch_without_the_plugin_is_refused() -> None:
    features = opensearch_features((2, 19, 1), plugins={"opensearch-knn"})
    bare = Cluster(OPENSEARCH_2.info, features)
    with pytest.raises(QueryError, match=r"cannot fuse by min_max: the plugin neural-search"):
        shaped(NativeLinear(), bare)


def test_rrf_of_old_opensearch_over_several_shards_gives_a_warning() -> None:
    fusion = NativeRrf()
    assert "each of the 3 shards by itself" in (fusion.warning(OPENSEARCH_2, shards=3) or "")
    assert fusion.warning(OPENSEARCH_2, shards=1) is None
    assert fusion.warning(OPENSEARCH_3, shards=3) is None
    assert fusion.warning(LICENSED, shards=3) is None


def test_every_name_gives_its_fusion_with_the_settings() -> None:
    settings = SearchSettings(
        rank_constant=20, window=50, normalizer="z_score", vector_weight=3.0, keyword_weight=1.0
    )
    chosen = {name: choose(name, settings=settings) for name in get_args(FusionName)}
    assert chosen == {
        "rrf": Rrf(20, WEIGHTS, 50),
        "linear": Linear("z_score", WEIGHTS, 50),
        "sum": Sum(WEIGHTS),
        "native": NativeLinear("z_score", WEIGHTS),
        "native_rrf": NativeRrf(20, WEIGHTS),
    }
    assert choose(None, settings=settings) == chosen["rrf"]
    assert choose(None, settings=SearchSettings(fusion="sum")) == Sum({"vector": 1, "keyword": 1})


def test_a_fusion_object_or_function_is_used_unchanged() -> None:
    def own(legs: Any) -> list[Any]:
        return []

    for fusion in (own, Rrf(), Sum()):
        assert choose(fusion, settings=SearchSettings()) is fusion


@pytest.mark.parametrize("fusion", ["borda", 7, Rrf, ""])
def test_an_unknown_fusion_is_refused(fusion: Any) -> None:
    with pytest.raises(QueryError, match="fusion must be rrf, linear, sum, native, native_rrf, or"):
        choose(fusion, settings=SearchSettings())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Sum({"words": 1.0}), "weights: leg 'words' is not one of vector, keyword"),
        (lambda: Sum({"vector": -1.0}), "weights: leg 'vector' must have a number from 0 on"),
        (lambda: NativeRrf(weights={"vector": 0, "keyword": 0}), "weights: every leg has 0"),
        (lambda: NativeRrf(0), "constant must be a whole number from 1 on"),
        (lambda: NativeRrf(1.5), "constant must be a whole number from 1 on"),
        (lambda: NativeLinear("l2"), "normalizer must be min_max or z_score, not 'l2'"),
    ],
)
def test_a_wrong_argument_is_named(make: Any, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        make()


def test_settings_with_both_weights_0_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidsearch import load_settings

    monkeypatch.setenv("VIDSEARCH_SEARCH__VECTOR_WEIGHT", "0")
    monkeypatch.setenv("VIDSEARCH_SEARCH__KEYWORD_WEIGHT", "0")
    with pytest.raises(ConfigError, match="vector_weight and keyword_weight must not both be 0"):
        load_settings()
