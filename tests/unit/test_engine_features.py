"""What is taken for granted of a cluster, from its version, its licence and its plugins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.http_stub import ELASTIC, Asked, Reply, http_stub

from vidsearch.config import EngineSettings
from vidsearch.engines import Write, connect
from vidsearch.engines.errors import error_of
from vidsearch.engines.features import (
    elasticsearch_features,
    licence_of,
    opensearch_features,
    plugins_of,
)
from vidsearch.errors import BackendAccessDeniedError, TooManyBucketsError

KNN, NEURAL = "opensearch-knn", "opensearch-neural-search"


@pytest.mark.parametrize(
    ("licence", "retrievers", "disk"),
    [
        ("enterprise", {"rrf", "linear"}, True),
        ("trial", {"rrf", "linear"}, True),
        ("platinum", set(), False),
        ("basic", set(), False),
        ("expired", set(), False),
        (None, set(), False),
    ],
)
def test_native_fusion_and_the_preset_disk_need_a_licence(
    licence: str | None, retrievers: set[str], disk: bool
) -> None:
    features = elasticsearch_features((9, 5, 3), licence=licence)
    assert features.licence == licence
    assert features.retrievers == retrievers
    assert ("disk" in features.quantizations) is disk


@pytest.mark.parametrize(
    ("version", "base64", "nested_filters", "disk"),
    [
        ((8, 19, 21), None, False, False),
        ((9, 1, 9), None, False, False),
        ((9, 2, 0), None, True, True),
        ((9, 3, 0), "big", True, True),
        ((10, 0, 0), "big", True, True),
    ],
)
def test_features_follow_the_version_of_elasticsearch(
    version: tuple[int, int, int], base64: str | None, nested_filters: bool, disk: bool
) -> None:
    features = elasticsearch_features(version, licence="enterprise")
    assert features.base64_vectors == base64
    assert features.nested_filters is nested_filters
    everywhere = {"float", "flat", "int8", "int8_flat", "int4", "int4_flat"}
    everywhere |= {"binary", "binary_flat"}
    assert features.quantizations == (everywhere | {"disk"} if disk else everywhere)


@pytest.mark.parametrize(
    ("version", "exact"),
    [
        ((8, 19, 99), True),
        ((9, 0, 0), False),
        ((9, 1, 0), False),
        ((9, 4, 9), False),
        ((9, 5, 0), True),
    ],
)
def test_inner_hits_are_exact_only_where_it_was_tried(
    version: tuple[int, int, int], exact: bool
) -> None:
    assert elasticsearch_features(version, licence="basic").exact_inner_hits is exact


@pytest.mark.parametrize(
    ("version", "base64", "hybrid"),
    [
        ((2, 19, 1), None, {"min_max", "rrf"}),
        ((3, 0, 0), None, {"min_max", "rrf", "z_score"}),
        ((3, 9, 0), "little", {"min_max", "rrf", "z_score"}),
    ],
)
def test_features_follow_version_and_plugins_of_opensearch(
    version: tuple[int, int, int], base64: str | None, hybrid: set[str]
) -> None:
    for plugins in (None, {KNN, NEURAL}):
        features = opensearch_features(version, plugins=plugins)
        assert features.base64_vectors == base64
        assert features.hybrid == hybrid
        assert features.quantizations == {"float", "int8", "flat", "fp16", "binary", "disk"}
    bare = opensearch_features(version, plugins={"org.opensearch.knn.plugin.KNNPlugin"})
    assert bare.hybrid == set()
    assert bare.quantizations == {"float", "int8", "flat"}


@pytest.mark.parametrize(
    ("status", "body", "licence"),
    [
        (200, {"license": {"type": "trial", "status": "active"}}, "trial"),
        (200, {"license": {"type": "enterprise", "status": "expired"}}, "expired"),
        (200, {}, None),
        (200, "a page", None),
        *[(status, {"error": "no"}, None) for status in (400, 401, 403, 404, 405, 500)],
    ],
)
def test_a_licence_is_read_or_unknown(status: int, body: Any, licence: str | None) -> None:
    assert licence_of(status, body) == licence


def test_plugins_are_read_or_unknown() -> None:
    node = {"plugins": [{"name": KNN, "classname": "K"}, {"name": NEURAL}]}
    assert plugins_of(200, {"nodes": {"a": node, "b": {}}}) == {KNN, NEURAL, "K"}
    assert plugins_of(200, {"nodes": {"a": {"plugins": []}}}) is None
    assert plugins_of(403, {"error": "no"}) is None


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 405, 500])
def test_features_are_asked_once_and_survive_any_answer(status: int) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/_license":
            return Reply(status, {"license": {"type": "enterprise"}}, headers=ELASTIC)
        return Reply(200, {"version": {"number": "9.5.3"}}, headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind="elasticsearch"))
        features = engine.features()
        assert engine.features() is features
        engine.close()
    assert features.licence == ("enterprise" if status == 200 else None)
    assert stub.paths() == ["GET /", "GET /_license"]


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_user_without_cluster_rights_writes_vectors_as_arrays(kind: Any) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/_alias"):
            return Reply(200, {"videos": {}}, headers=ELASTIC)
        if "_bulk" in asked.path:
            item = {"_id": "a", "status": 201, "_seq_no": 0, "_primary_term": 1}
            return Reply(200, {"items": [{"index": item}]}, headers=ELASTIC)
        return Reply(403, {"error": {"type": "security_exception"}}, headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        engine.bulk("videos", [Write("index", "a", {"v": np.array([0.5, 1.0], np.float32)})])
        assert engine.features().base64_vectors is None
        assert engine.features().quantizations >= {"float", "int8", "flat"}
        # Elasticsearch may be a version that scores inner hits roughly.
        assert engine.features().exact_inner_hits == (kind == "opensearch")
        engine.close()
    (bulk,) = [asked for asked in stub.asked if "_bulk" in asked.path]
    assert bulk.body.splitlines()[1] == '{"v":[0.5,1.0]}'


@pytest.mark.parametrize(
    "said", ["cannot execute [inline] scripts", "cannot execute scripts using [score] context"]
)
def test_cluster_without_scripts_is_reported_with_the_setting(said: str) -> None:
    # The words of 2.19.1 with script.allowed_types and script.allowed_contexts.
    reason = f"failed to create query: {said}"
    body = {"error": {"type": "query_shard_exception", "reason": reason}, "status": 400}
    error = error_of(400, body, url="http://search", index="videos")
    assert isinstance(error, BackendAccessDeniedError)
    assert "set search.rescore to false" in str(error)


def test_closed_index_is_an_outage() -> None:
    # It is closed for a change of its analyzers, and opened again: no video is at fault.
    body = {"error": {"type": "index_closed_exception", "reason": "closed"}, "status": 400}
    error = error_of(400, body, url="http://search", index="videos")
    assert error.fault == "outage"
    assert "'videos' at http://search is closed (400): closed: open it" in str(error)


def test_refusal_for_the_licence_names_the_feature() -> None:
    said = "current license is non-compliant for [Reciprocal Rank Fusion (RRF)]"
    body = {"error": {"type": "security_exception", "reason": said}, "status": 403}
    error = error_of(403, body, url="http://search", index="videos")
    assert isinstance(error, BackendAccessDeniedError)
    assert "does not cover Reciprocal Rank Fusion (RRF)" in str(error)


@pytest.mark.parametrize("status", [400, 503])
def test_too_many_values_to_count_are_the_fault_of_the_request(status: int) -> None:
    said = "Trying to create too many buckets. Must be less than or equal to: [65535]"
    inner = {"type": "too_many_buckets_exception", "reason": said}
    body = {"error": {"type": "search_phase_execution_exception", "caused_by": inner}}
    error = error_of(status, body, url="http://search", index="videos")
    assert isinstance(error, TooManyBucketsError)
    assert "Count fewer at once" in str(error)
    quoted = {"type": "parse_exception", "reason": "no date: [too many buckets]"}
    body = {"error": {"type": "search_phase_execution_exception", "caused_by": quoted}}
    assert not isinstance(
        error_of(status, body, url="http://search", index="videos"), TooManyBucketsError
    )
