"""The bodies that create indices, and what they say of themselves."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from tests import golden_index_bodies
from tests.golden_index_bodies import GOLDEN, bodies, main, text

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.registry import ErrorRecord, VideoRecord
from vidsearch_mappings import (
    LAYOUT,
    IndexMeta,
    MetaError,
    index_meta,
    read_meta,
    registry_index,
    videos_index,
)
from vidsearch_mappings.attached import attached_settings
from vidsearch_mappings.types import Quantization
from vidsearch_mappings.vectors import (
    EARLY_TERMINATION,
    FILTER_HEURISTIC,
    SEARCH_SETTINGS,
    oversample_of,
    presets_of,
    vector_field,
)

COMMON: dict[str, Any] = {"dims": 4, "field": "video", "meta": {}, "shards": 1, "replicas": 0}


@pytest.mark.parametrize("name", sorted(bodies()))
def test_body_is_the_golden_one(name: str) -> None:
    assert bodies()[name] == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def test_every_golden_body_is_compared() -> None:
    assert {path.stem for path in GOLDEN.glob("index_*.json")} == set(bodies())


def test_goldens_are_written_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden_index_bodies, "GOLDEN", tmp_path)
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    assert main([]) == 0
    stale = tmp_path / "index_registry_opensearch.json"
    stale.write_text("{}", encoding="utf-8")

    assert main([]) == 1
    assert stale.read_text(encoding="utf-8") == "{}"
    assert main(["--write"]) == 0
    assert stale.read_text(encoding="utf-8") == text(bodies()[stale.stem])
    said = capsys.readouterr().out.splitlines()
    assert said == [f"differs {stale.name}", f"wrote {stale.name}"]


def vector_fields(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") in {"dense_vector", "knn_vector"}:
            yield node
        for child in node.values():
            yield from vector_fields(child)


@pytest.mark.parametrize("quantization", presets_of("elasticsearch"))
def test_elasticsearch_body_sets_every_vector_option(quantization: Any) -> None:
    wide = {**COMMON, "dims": 512, "m": 24, "ef_construction": 150}
    for field in vector_fields(videos_index("elasticsearch", quantization=quantization, **wide)):
        assert field["index"] is True
        assert field["similarity"] == "cosine"
        options = field["index_options"]
        graph = {"m": 24, "ef_construction": 150} if options["type"].endswith("hnsw") else {}
        assert {name: options.get(name) for name in graph} == graph
        assert graph or not options.keys() & {"m", "ef_construction"}
        if options["type"].startswith("bbq"):
            assert options["rescore_vector"] == {"oversample": oversample_of(quantization)}


@pytest.mark.parametrize(
    ("version", "quantization", "said"),
    [
        ((9, 3, 0), "int8", {EARLY_TERMINATION: False, FILTER_HEURISTIC: "fanout"}),
        ((9, 5, 3), "binary", {EARLY_TERMINATION: False, FILTER_HEURISTIC: "fanout"}),
        ((9, 2, 2), "int8", {FILTER_HEURISTIC: "fanout"}),
        ((8, 19, 21), "int8", {}),
        (None, "int8", {}),
        ((9, 5, 3), "flat", {}),
        ((9, 5, 3), "disk", {}),
    ],
)
def test_graph_is_searched_to_its_end_where_the_engine_would_stop_early(
    version: Any, quantization: Any, said: dict[str, Any]
) -> None:
    wide = {**COMMON, "dims": 512, "version": version}
    body = videos_index("elasticsearch", quantization=quantization, **wide)
    settings = body["settings"]["index"]
    assert {name: settings[name] for name in SEARCH_SETTINGS if name in settings} == said
    # The user's own index keeps its settings.
    assert attached_settings(body) == {}


@pytest.mark.parametrize("quantization", presets_of("opensearch"))
def test_opensearch_body_sets_every_vector_option(quantization: Any) -> None:
    graph = {"m": 24, "ef_construction": 150}
    body = videos_index("opensearch", quantization=quantization, **COMMON, **graph)
    for field in vector_fields(body):
        method = field["method"]
        assert method["space_type"] == "cosinesimil"
        assert method["engine"] in {"lucene", "faiss"}
        assert {name: method["parameters"][name] for name in graph} == graph


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_vidsearch_object_is_strict_and_has_the_name_of_the_setting(kind: Any) -> None:
    body = videos_index(kind, quantization="int8", **{**COMMON, "field": "clip"})
    properties = body["mappings"]["properties"]
    assert properties["clip"]["dynamic"] == "strict"
    assert properties["clip"]["properties"]["segments"]["dynamic"] == "strict"
    assert "video" not in properties
    assert len(list(vector_fields(body))) == 2


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_the_registry_maps_every_field_of_a_record(kind: Any) -> None:
    mapping = registry_index(kind, shards=1, replicas=0)["mappings"]
    assert mapping["dynamic"] == "strict"
    values = {f.name: 1 for f in fields(VideoRecord) if f.name not in {"unknown", "state"}}
    record = VideoRecord(**values).changed(  # type: ignore[arg-type]
        id="a",
        fields={"title": "A"},
        seconds={"decode": 1.0},
        error=ErrorRecord("T", "s", "m", ("U: u",)),
        source={"validator": "v"},
        fingerprints={"videos-000002": {"of": "f", "is": "g"}},
    )
    assert record.to_source().keys() == mapping["properties"].keys()
    assert record.to_json().keys() == {"id", *mapping["properties"]}
    assert record.to_source()["error"].keys() == mapping["properties"]["error"]["properties"].keys()
    assert VideoRecord.from_source("a", record.to_source()) == record
    # A registry of an older version may lack it, and would refuse it.
    assert "routing" not in VideoRecord(id="a", uri="a.mp4").to_source()


def test_unknown_kind_or_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown quantization 'int3'"):
        videos_index("elasticsearch", quantization="int3", **COMMON)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown engine 'solr'"):
        videos_index("solr", quantization="int8", **COMMON)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown engine 'solr'"):
        registry_index("solr", shards=1, replicas=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "quantization", "dims", "reason"),
    [
        ("opensearch", "int4", 512, "opensearch has no quantization 'int4'; it has float, int8,"),
        ("elasticsearch", "fp16", 512, "elasticsearch has no quantization 'fp16'"),
        ("elasticsearch", "int4", 511, "takes an even number of dims, not 511"),
        ("elasticsearch", "binary", 64, "takes more than 64 dims, not 64; with 64 there are float"),
        ("elasticsearch", "binary_flat", 64, "takes more than 64 dims, not 64"),
    ],
)
def test_unsuitable_preset_is_refused_with_the_suitable_ones(
    kind: Any, quantization: Any, dims: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        videos_index(kind, quantization=quantization, **{**COMMON, "dims": dims})
    assert quantization not in presets_of(kind, dims=dims)


def test_the_docstring_tells_type_and_dims_of_every_preset() -> None:
    table = re.findall(r"^    ``(\w+)``  +(.*?)  +(.*)$", videos_index.__doc__ or "", re.MULTILINE)
    assert sorted(preset for preset, _, _ in table) == sorted(get_args(Quantization))
    for preset, elasticsearch, opensearch in table:
        assert (elasticsearch == "-") is (preset not in presets_of("elasticsearch"))
        assert (opensearch == "-") is (preset not in presets_of("opensearch"))
        if elasticsearch != "-":
            field = vector_field("elasticsearch", dims=512, quantization=preset)
            assert elasticsearch.startswith(f"``{field['index_options']['type']}``")
            odd, short = presets_of("elasticsearch", dims=511), presets_of("elasticsearch", dims=64)
            assert ("even dims" in elasticsearch) is (preset not in odd)
            assert ("dims above 64" in elasticsearch) is (preset not in short)
        if opensearch not in {"-", "the same as ``binary``"}:
            field = vector_field("opensearch", dims=512, quantization=preset)
            method = field["method"]
            assert opensearch.startswith(f"{method['engine']} ``{method['name']}``")
            assert ("on_disk" in opensearch) is (field.get("mode") == "on_disk")
            assert ("encoder" in opensearch) is ("encoder" in method["parameters"])
    both = [vector_field("opensearch", dims=512, quantization=name) for name in ("binary", "disk")]
    assert both[0] == both[1]


def test_setting_accepts_every_preset() -> None:
    annotation = IndexSettings.model_fields["quantization"].annotation
    assert set(get_args(annotation)) == set(get_args(Quantization))


def test_bodies_are_independent_of_each_other() -> None:
    body = videos_index("elasticsearch", quantization="int8", **COMMON)
    body["mappings"]["properties"]["title"]["type"] = "changed"
    body["mappings"]["properties"]["video"]["properties"]["vector"]["dims"] = 0
    again = videos_index("elasticsearch", quantization="int8", **COMMON)
    assert again["mappings"]["properties"]["title"]["type"] == "text"
    assert {field["dims"] for field in vector_fields(again)} == {4}
    registry = registry_index("elasticsearch", shards=1, replicas=0)
    registry["mappings"]["properties"]["due_at"]["type"] = "changed"
    assert registry["mappings"]["properties"]["updated_at"]["type"] == "date"


# -- _meta


META = {"model": {"name": "demo"}, "quantization": "int8", "field": "video"}


def test_meta_is_read_as_it_was_written() -> None:
    identity = ModelIdentity(name="demo", revision="0", dims=4, image_size=8)
    meta = index_meta(
        model=identity.to_meta(), quantization="flat", field="clip", segment_seconds=10
    )
    read = read_meta(json.loads(json.dumps({"_meta": meta, "properties": {}})))
    assert read == IndexMeta(
        model=identity.to_meta(),
        layout=LAYOUT,
        quantization="flat",
        field="clip",
        segment_seconds=10.0,
    )
    assert ModelIdentity.from_meta(read.model) == identity


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({}, "its mapping has no _meta.vidsearch"),
        ({"_meta": None}, "its mapping has no _meta.vidsearch"),
        ({"_meta": {"other": {}}}, "its mapping has no _meta.vidsearch"),
        ({"_meta": {"vidsearch": []}}, "its mapping has no _meta.vidsearch"),
        ({"_meta": {"vidsearch": {"layout": 1}}}, "_meta.vidsearch.model is missing"),
        (
            {"_meta": {"vidsearch": {"layout": "1", "model": {}}}},
            "_meta.vidsearch.layout is not usable: '1'",
        ),
        (
            {"_meta": {"vidsearch": {**META, "layout": 1, "segment_seconds": True}}},
            "_meta.vidsearch.segment_seconds is not usable: True",
        ),
        (
            {"_meta": {"vidsearch": {**META, "layout": LAYOUT + 1}}},
            f"its layout is {LAYOUT + 1}, this version of vidsearch knows up to {LAYOUT}",
        ),
    ],
)
def test_unusable_meta_is_refused_with_the_reason(mapping: dict[str, Any], reason: str) -> None:
    with pytest.raises(MetaError) as raised:
        read_meta(mapping)
    assert str(raised.value) == reason
