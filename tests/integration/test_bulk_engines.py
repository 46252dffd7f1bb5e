"""Bulk writes and what is detected, on real nodes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from tests.services import call

from vidsearch.engines import Engine, Write
from vidsearch.errors import BulkError
from vidsearch.local import SearchNode
from vidsearch.testing.small_index import small_index

pytestmark = pytest.mark.integration


def test_features_of_each_node_are_detected(engine: Engine) -> None:
    features = engine.features()
    version = engine.info().version
    assert features.licence is None  # none of these nodes knows the endpoint
    assert features.retrievers == set()
    if engine.kind == "opensearch":
        assert features.hybrid >= {"min_max", "rrf"}
        # Of faiss's presets all or none: by whether the node is given k-NN's native libraries.
        assert features.quantizations - {"float", "int8", "flat"} in (
            set(),
            {"fp16", "binary", "disk"},
        )
        assert features.base64_vectors is None
    else:
        assert features.hybrid == set()
        assert "disk" not in features.quantizations
        assert features.base64_vectors == ("big" if version >= (9, 3, 0) else None)


def test_base64_vectors_are_accepted_where_the_features_say_so(
    engine: Engine, search_node: SearchNode, index_name: str
) -> None:
    engine.create_index(index_name, small_index(engine))
    vector = np.array([0.5, 0.5, -0.5, 0.5], ">f4")
    packed = base64.b64encode(vector.tobytes()).decode()
    write = [Write("index", "a", {"video": {"vector": packed}})]
    if engine.features().base64_vectors is None:
        with pytest.raises(BulkError):
            engine.bulk(index_name, write)
        return
    engine.bulk(index_name, write)
    found = engine.get(index_name, "a")
    assert found is not None
    assert found.source["video"]["vector"] == vector.tolist()


def test_rejected_write_among_many_requests_is_named(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, small_index(engine))
    vector = np.array([0.6, 0.8, 0.0, 0.0], np.float32)
    good: list[Any] = [Write("index", f"{n}", {"video": {"vector": vector}}) for n in range(2500)]
    bad = [
        Write("index", "bad dims", {"video": {"vector": vector[:3]}}),
        Write("index", "bad field", {"video": {"surprise": 1}}),
        Write("update", "absent", {"n": 1}),
    ]
    writes = [*good[:700], bad[0], *good[700:1900], bad[1], *good[1900:], bad[2]]
    with pytest.raises(BulkError, match="3 of 2503") as raised:
        engine.bulk(index_name, writes)
    assert raised.value.failures.keys() == {"bad dims", "bad field", "absent"}
    engine.refresh(index_name)
    assert engine.count(index_name) == len(good)


def test_bulk_requests_stay_below_their_limits(
    engine: Engine, search_node: SearchNode, index_name: str
) -> None:
    engine.create_index(index_name, small_index(engine))
    writes = [Write("index", f"{n}", {"note": "x" * 3_000_000}) for n in range(7)]
    done = engine.bulk(index_name, writes, refresh=True)
    assert (done.written, done.retried, done.requests) == (7, 0, 3)
    assert call(search_node.url, "GET", f"/{index_name}/_count")["count"] == 7
