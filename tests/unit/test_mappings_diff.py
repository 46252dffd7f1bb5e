"""What differs between two bodies of an index, and how it is changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from vidsearch_mappings import index_meta, videos_index
from vidsearch_mappings.diff import diff_index, in_place
from vidsearch_mappings.vectors import presets_of

MODEL = {"name": "demo", "revision": "1", "dims": 512}


def body(kind: Any, quantization: Any = "int8", **changes: Any) -> dict[str, Any]:
    model = {**MODEL, **changes.pop("model", {})}
    meta = index_meta(model=model, quantization=quantization, field="video", segment_seconds=10)
    values = {"dims": 512, "field": "video", "shards": 2, "replicas": 1, **changes}
    return videos_index(kind, meta=meta, quantization=quantization, **values)


def hows(live: Any, wanted: Any) -> dict[str, str]:
    return {change.path: change.how for change in diff_index(live, wanted)}


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_diff_of_a_body_with_itself_is_empty(kind: Any) -> None:
    for preset in presets_of(kind):
        assert diff_index(body(kind, preset), body(kind, preset)) == ()


def test_diff_of_values_as_the_engine_writes_them_is_empty() -> None:
    live = body("opensearch", "flat")
    live["settings"]["index"] = {
        "number_of_shards": "2",
        "number_of_replicas": "1",
        "knn": "true",
        "knn.advanced": {"approximate_threshold": "-1"},
        "uuid": "x",
    }
    live["mappings"]["dynamic"] = "true"
    live["mappings"]["properties"]["price"] = {"type": "float"}
    assert diff_index(live, body("opensearch", "flat")) == ()


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("float", "int8", "in place"),
        ("flat", "binary", "in place"),
        ("int8_flat", "int4", "in place"),
        ("binary_flat", "binary", "in place"),
        ("int8", "float", "new index"),
        ("float", "flat", "new index"),
        ("binary_flat", "int8", "new index"),
        ("float", "disk", "new index"),
    ],
)
def test_diff_of_index_types_is_in_place_towards_shorter_vectors_only(
    old: Any, new: Any, how: str
) -> None:
    live, wanted = body("elasticsearch", old), body("elasticsearch", new)
    changes = diff_index(live, wanted)
    assert {change.how for change in changes} == {how}
    vector = "mappings.properties.video.properties.vector.index_options.type"
    assert vector in {change.path for change in changes}
    assert "mappings._meta.vidsearch.quantization" in {change.path for change in changes}


def test_diff_of_the_graph_is_in_place_where_it_grows_only() -> None:
    live, wanted = body("elasticsearch"), body("elasticsearch")
    ours = live["mappings"]["properties"]["video"]["properties"]["vector"]["index_options"]
    ours["m"] = 8
    path = "mappings.properties.video.properties.vector.index_options.m"
    assert hows(live, wanted) == {path: "in place"}
    ours["m"] = 32
    assert hows(live, wanted) == {path: "new index"}


def test_diff_of_shards_or_model_needs_a_new_index_or_new_vectors() -> None:
    live = body("elasticsearch")
    assert hows(live, body("elasticsearch", shards=5)) == {
        "settings.index.number_of_shards": "new index"
    }
    assert hows(live, body("elasticsearch", model={"revision": "2"})) == {
        "mappings._meta.vidsearch.model.revision": "new vectors"
    }
    found = hows(body("opensearch", "float"), body("opensearch", "int8"))
    assert set(found.values()) == {"new index"}


def test_in_place_changes_leave_the_rest_of_the_mapping() -> None:
    live = body("elasticsearch", "float")
    live["mappings"]["_meta"]["mine"] = {"owner": "search"}
    del live["mappings"]["properties"]["tags"]
    del live["mappings"]["properties"]["video"]["properties"]["segments"]["properties"]["text"]
    before = copy.deepcopy(live)
    wanted = body("elasticsearch", "int8", replicas=0, shards=9)
    mapping, settings = in_place(live, wanted, diff_index(live, wanted))
    assert live == before
    assert settings == {"number_of_replicas": 0}
    assert mapping["_meta"]["mine"] == {"owner": "search"}
    assert mapping["_meta"]["vidsearch"]["quantization"] == "int8"
    assert mapping["properties"].keys() == {"tags", "video"}
    ours = mapping["properties"]["video"]["properties"]
    assert ours.keys() == {"vector", "segments"}
    assert ours["segments"]["properties"].keys() == {"vector", "text"}
    assert ours["segments"]["type"] == "nested"


def test_in_place_leaves_a_field_that_needs_a_new_index() -> None:
    live, wanted = body("elasticsearch", "int8"), body("elasticsearch", "float")
    assert in_place(live, wanted, diff_index(live, wanted)) == ({}, {})


def test_diff_takes_the_index_options_of_a_text_field() -> None:
    def body(options: str) -> Any:
        field = {"type": "text", "index_options": options}
        return {"settings": {"index": {}}, "mappings": {"properties": {"title": field}}}

    assert diff_index(body("offsets"), body("offsets")) == ()
    (change,) = diff_index(body("docs"), body("offsets"))
    assert (change.path, change.how) == (
        "mappings.properties.title.index_options",
        "new index",
    )
