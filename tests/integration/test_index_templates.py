"""Index templates of the cluster's users and the indices that vidsearch makes, on real nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.copies import copy_of
from tests.services import call

from vidsearch.config import IndexSettings
from vidsearch.encoders import ModelIdentity
from vidsearch.engines import Engine, Write
from vidsearch.errors import MappingConflictError
from vidsearch.index import attach_index, create_videos_index
from vidsearch.local import SearchNode
from vidsearch.registry import Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration

IDENTITY: ModelIdentity = FakeEncoder().identity

ALIAS = {"aliases": {"everything-{name}": {}}}
ROUTING = {"mappings": {"_routing": {"required": True}}}
FIELDS = {"mappings": {"dynamic": "strict", "properties": {"team": {"type": "keyword"}}}}
PARAMETER = {"mappings": {"properties": {"error": {"properties": {"cause": {"type": "text"}}}}}}
PIPELINE = {"settings": {"index": {"default_pipeline": "theirs"}}}
SORTED = {
    "settings": {"index": {"sort.field": "team", "sort.order": "asc"}},
    "mappings": {"properties": {"team": {"type": "keyword"}}},
}


class Templates:
    """Makes templates on a node, and takes them away again."""

    def __init__(self, node: SearchNode, index_name: str) -> None:
        self._node = node
        self._name = index_name
        self._made: set[str] = set()

    def composable(self, body: dict[str, Any], *patterns: str, **more: Any) -> str:
        whole = {"index_patterns": patterns, "priority": 500, "template": self._of(body), **more}
        return self._put("/_index_template", "composable", whole)

    def legacy(self, body: dict[str, Any], *patterns: str) -> str:
        return self._put("/_template", "legacy", {"index_patterns": patterns, **self._of(body)})

    def _of(self, body: dict[str, Any]) -> dict[str, Any]:
        aliases = {alias.format(name=self._name): {} for alias in body.get("aliases", {})}
        # OpenSearch fails (500) on a composable template for `*` without settings.
        return {"settings": {}, **body, "aliases": aliases}

    def _put(self, where: str, kind: str, body: dict[str, Any]) -> str:
        name = f"{kind}-of-{self._name}"
        call(self._node.url, "PUT", f"{where}/{name}", body)
        self._made.add(f"{where}/{name}")
        return name

    def drop(self) -> None:
        for path in self._made:
            call(self._node.url, "DELETE", path)


@pytest.fixture
def templates(search_node: SearchNode, index_name: str) -> Iterator[Templates]:
    made = Templates(search_node, index_name)
    yield made
    made.drop()


@pytest.fixture(params=["composable", "legacy"])
def put(request: pytest.FixtureRequest, templates: Templates) -> Callable[..., str]:
    made: Callable[..., str] = getattr(templates, request.param)
    return made


def _settings(name: str, **more: Any) -> IndexSettings:
    return IndexSettings(name=name, replicas=0, **more)


def _refusal(make: Callable[[], object]) -> str:
    with pytest.raises(MappingConflictError) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (ALIAS, "the alias 'everything-"),
        (ROUTING, "_routing of the mapping"),
        (FIELDS, "team of the mapping"),
        (PARAMETER, "error.cause of the mapping"),
        (PIPELINE, "the setting index.default_pipeline"),
        (SORTED, "the setting index.sort.field"),
    ],
)
def test_template_that_reaches_into_the_registry_is_named_and_nothing_is_left(
    engine: Engine, index_name: str, put: Callable[..., str], body: dict[str, Any], what: str
) -> None:
    settings = _settings(index_name)
    template = put(body, f"vidsearch-{index_name}*")
    said = _refusal(lambda: create_registry_index(engine, settings))
    assert f"the index template {template!r} added " in said
    assert what in said
    assert "Set index.side_prefix (now 'vidsearch-')" in said
    assert not engine.indices_of(settings.registry)
    assert not engine.indices_of(f"{settings.registry}-000001")

    create_registry_index(engine, other := _settings(index_name, side_prefix=f"{index_name}-side-"))
    assert engine.aliases(other.registry).keys() == {other.registry}


@pytest.mark.alone
def test_template_for_all_indices_does_not_reach_the_registry(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    settings = _settings(index_name)
    put({**ALIAS, **FIELDS}, "*")
    create_registry_index(engine, settings)
    assert engine.aliases(settings.registry).keys() == {settings.registry}
    assert "team" not in engine.mapping(settings.registry)["properties"]


def test_template_for_the_names_of_videos_does_not_reach_the_registry(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    settings = _settings(index_name)
    put({**ALIAS, **ROUTING, **PIPELINE}, f"{index_name}*")
    create_registry_index(engine, settings)
    registry = Registry(engine, index=settings.registry)
    registry.register("a", uri="https://example.com/a.mp4?signature=secret")
    engine.refresh(settings.registry)
    assert engine.indices_of(f"everything-{index_name}") == ()
    assert engine.count(settings.registry) == 1


@pytest.mark.alone  # an index of another test that is just made has no shard that answers
def test_rows_of_the_registry_are_not_in_searches_of_all_indices(
    engine: Engine, search_node: SearchNode, index_name: str
) -> None:
    settings = _settings(index_name)
    create_registry_index(engine, settings)
    registry = Registry(engine, index=settings.registry)
    registry.register("a", uri=f"/{index_name}.mp4")
    engine.refresh(settings.registry)
    query = {"query": {"term": {"uri": f"/{index_name}.mp4"}}}
    for pattern in ("*", "_all", "vidsearch-*"):
        found = call(search_node.url, "POST", f"/{pattern}/_search", query)
        assert found["hits"]["hits"] == [], pattern
    direct = call(search_node.url, "POST", f"/{settings.registry}/_search", query)
    assert len(direct["hits"]["hits"]) == 1


def test_template_of_data_streams_is_named_with_a_way_out(
    engine: Engine, index_name: str, templates: Templates
) -> None:
    template = templates.composable({}, f"vidsearch-{index_name}*", data_stream={})
    settings = _settings(index_name)
    said = _refusal(lambda: create_registry_index(engine, settings))
    assert f"the index template {template!r} applies to its name" in said
    assert "Set index.side_prefix" in said


def test_template_that_cannot_be_merged_is_named_with_a_way_out(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    body = {"mappings": {"properties": {"error": {"type": "keyword"}}}}
    template = put(body, f"vidsearch-{index_name}*")
    settings = _settings(index_name)
    if engine.kind == "elasticsearch" and template.startswith("composable"):  # it gives way
        create_registry_index(engine, settings)
        error = engine.mapping(settings.registry)["properties"]["error"]
        assert error["properties"]["type"] == {"type": "keyword"}
        return
    said = _refusal(lambda: create_registry_index(engine, settings))
    assert f"the index template {template!r} applies to its name" in said
    assert "Set index.side_prefix" in said


@pytest.mark.parametrize(
    ("body", "what"), [(ALIAS, "the alias 'everything-"), (ROUTING, "_routing of the mapping")]
)
def test_template_that_reaches_into_the_videos_index_is_named_and_nothing_is_left(
    engine: Engine, index_name: str, put: Callable[..., str], body: dict[str, Any], what: str
) -> None:
    settings = _settings(index_name)
    template = put(body, f"{index_name}*")
    said = _refusal(lambda: create_videos_index(engine, settings, IDENTITY))
    assert f"the index template {template!r} added " in said
    assert what in said
    assert "setting index.name" in said
    assert not engine.indices_of(settings.name)
    assert not engine.indices_of(settings.registry)


def test_field_that_a_template_adds_to_the_object_is_refused_and_beside_it_is_kept(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    settings = _settings(index_name)
    beside = {"team": {"type": "keyword"}}
    put({"mappings": {"properties": beside}}, f"{index_name}*")
    create_videos_index(engine, settings, IDENTITY)
    assert engine.mapping(settings.name)["properties"]["team"] == beside["team"]
    for name in (*engine.indices_of(settings.name), *engine.indices_of(settings.registry)):
        engine.delete_index(name)
    inside = {"video": {"properties": {"team": {"type": "keyword"}}}}
    put({"mappings": {"properties": inside}}, f"{index_name}*")
    said = _refusal(lambda: create_videos_index(engine, settings, IDENTITY))
    assert "video.team of the mapping" in said


def test_copy_of_an_attached_index_takes_no_alias_of_a_template(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    """A search through that alias would find every document twice while the index is copied."""
    fields = {"url": {"type": "keyword"}}
    engine.create_index(index_name, {"mappings": {"properties": fields}})
    engine.bulk(index_name, [Write("index", "a", {"url": "/a.mp4"})])
    template = put(ALIAS, f"{index_name}-*")

    def copy(to: str) -> object:
        return copy_of(engine, index_name, alias=None, settings={"number_of_replicas": 0}, to=to)

    said = _refusal(lambda: copy(f"{index_name}-copy"))
    assert repr(template) in said
    assert "--copy-to" in said
    assert not engine.indices_of(f"{index_name}-copy")
    engine.bulk(index_name, [Write("index", "b", {"url": "/b.mp4"})])  # takes writes again
    copy(f"{index_name}.copy")
    assert engine.count(f"{index_name}.copy") == 2


def test_attaching_beside_a_template_leaves_the_index_as_it_was(
    engine: Engine, index_name: str, templates: Templates
) -> None:
    fields = {"url": {"type": "keyword"}}
    knn = {"knn": True} if engine.kind == "opensearch" else {}
    body = {"settings": {"index": knn}, "mappings": {"properties": fields}}
    engine.create_index(index_name, body)
    templates.composable(ALIAS, f"vidsearch-{index_name}*")
    settings = _settings(index_name)
    said = _refusal(lambda: attach_index(engine, settings, IDENTITY, uri_field="url"))
    assert "the alias" in said
    assert engine.mapping(index_name)["properties"] == fields
    assert not engine.indices_of(settings.registry)


def test_template_whose_settings_give_way_is_no_reason_to_refuse(
    engine: Engine, index_name: str, put: Callable[..., str]
) -> None:
    settings = _settings(index_name)
    put({"settings": {"index": {"number_of_shards": 3}}}, f"vidsearch-{index_name}*")
    create_registry_index(engine, settings)
    assert engine.settings(settings.registry)["number_of_shards"] == "1"
