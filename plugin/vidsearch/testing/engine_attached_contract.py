"""What every engine must do with an attached index: routing, partial updates, mapping changes."""

from __future__ import annotations

import pytest

from vidsearch.engines import Engine, Write
from vidsearch.errors import (
    BackendError,
    IndexNotFoundError,
    MappingConflictError,
    VersionConflictError,
)
from vidsearch.testing.small_index import small_index

__all__ = ["EngineAttachedContract"]


class EngineAttachedContract:
    """A part of :class:`~vidsearch.testing.engine_contract.EngineContract`."""

    def test_a_routing_is_kept_and_needed(self, engine: Engine, index: str) -> None:
        engine.put(index, "a", {"n": 1}, routing="r-1")
        engine.bulk(index, [Write("index", "b", {"n": 2}, "r-2")], refresh=True)
        found = engine.get(index, "a", routing="r-1")
        assert found is not None
        assert (found.source, found.routing) == ({"n": 1}, "r-1")
        engine.refresh(index)
        assert {d.id: d.routing for d in engine.scan(index)} == {"a": "r-1", "b": "r-2"}
        for source in (True, False, ["n"]):
            read = engine.mget(index, ["a", "b"], routing={"a": "r-1", "b": "r-2"}, source=source)
            assert {id: one.routing for id, one in read.items()} == {"a": "r-1", "b": "r-2"}
        engine.put(index, "c", {"n": 3})
        plain = engine.get(index, "c")
        assert plain is not None
        assert plain.routing is None
        assert engine.delete(index, "a", routing="r-1")
        assert engine.get(index, "a", routing="r-1") is None

    def test_a_partial_update_touches_nothing_else(self, engine: Engine, index: str) -> None:
        video = {"vector": [0.0, 1.0, 0.0, 0.0], "segments": [{"vector": [1.0, 0.0, 0.0, 0.0]}]}
        first = engine.put(index, "a", {"title": "x", "tags": ["p", "q"]}, routing="r")
        second = engine.update(index, "a", {"video": video}, expect=first, routing="r")
        found = engine.get(index, "a", routing="r")
        assert found is not None
        assert found.source == {"title": "x", "tags": ["p", "q"], "video": video}
        assert (found.revision, found.routing) == (second, "r")
        with pytest.raises(VersionConflictError):
            engine.update(index, "a", {"title": "y"}, expect=first, routing="r")
        with pytest.raises(MappingConflictError, match=index):
            engine.update(index, "a", {"video": {"vector": [1.0]}}, routing="r")
        assert engine.update(index, "a", {"tags": ["z"]}, routing="r") not in {first, second}
        after = engine.get(index, "a", routing="r")
        assert after is not None
        assert after.source == {"title": "x", "tags": ["z"], "video": video}

    def test_a_partial_update_creates_nothing(
        self, engine: Engine, index: str, index_name: str
    ) -> None:
        revision = engine.put(index, "a", {"n": 1})
        engine.delete(index, "a")
        assert engine.update(index, "a", {"n": 2}) is None
        assert engine.update(index, "a", {"n": 2}, expect=revision) is None
        assert engine.get(index, "a") is None
        with pytest.raises(IndexNotFoundError):
            engine.update(f"{index_name}-none", "a", {"n": 1})

    def test_a_write_with_its_version_keeps_the_number(self, engine: Engine, index: str) -> None:
        engine.put(index, "a", {"n": 1}, version=7, routing="r")
        engine.put(index, "a", {"n": 2}, version=7, routing="r")
        found = engine.get(index, "a", routing="r")
        assert found is not None
        assert (found.source, found.version) == ({"n": 2}, 7)
        engine.put(index, "a", {"n": 3}, version=8, routing="r")
        with pytest.raises(VersionConflictError):
            engine.put(index, "a", {"n": 4}, version=7, routing="r")
        engine.put(index, "a", {"n": 5}, routing="r")
        after = engine.get(index, "a", routing="r")
        assert after is not None
        assert (after.source, after.version) == ({"n": 5}, 9)

    def test_put_mapping_adds_fields_and_replaces_meta(self, engine: Engine, index: str) -> None:
        before = engine.mapping(index)
        added = {"type": "keyword"}
        engine.put_mapping(index, {"properties": {"more": added}})
        after = engine.mapping(index)
        assert after["properties"].pop("more") == added
        assert after == before
        engine.put_mapping(index, {"_meta": {"only": 1}})
        assert engine.mapping(index)["_meta"] == {"only": 1}
        assert engine.mapping(index)["properties"].keys() == {*before["properties"], "more"}

    def test_settings_and_aliases_are_read(self, engine: Engine, index_name: str) -> None:
        name = f"{index_name}-1"
        options = {"filter": {"term": {"n": 1}}}
        engine.create_index(name, {**small_index(engine), "aliases": {index_name: options}})
        assert engine.aliases(name) == {index_name: options}
        assert int(engine.settings(index_name)["number_of_shards"]) == 2
        engine.put_settings(name, {"refresh_interval": "7s"})
        assert engine.settings(name)["refresh_interval"] == "7s"
        engine.put_settings(name, {"refresh_interval": None})
        assert "refresh_interval" not in engine.settings(name)

    def test_an_alias_of_several_indices_is_refused_where_one_is_needed(
        self, engine: Engine, index_name: str
    ) -> None:
        one, two = f"{index_name}-1", f"{index_name}-2"
        for name in (one, two):
            engine.create_index(name, {**small_index(engine), "aliases": {index_name: {}}})
        for read in (engine.mapping, engine.settings, engine.aliases):
            with pytest.raises(
                BackendError, match=f"'{index_name}' .*stands for {one}, {two}, but one"
            ):
                read(index_name)
