"""What every engine must do. Subclass it, give it an engine, run it with pytest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from vidsearch.engines import Engine, Json, Revision, Write
from vidsearch.errors import (
    BackendError,
    BulkError,
    IndexNotFoundError,
    MappingConflictError,
    VersionConflictError,
)
from vidsearch.testing.engine_attached_contract import EngineAttachedContract
from vidsearch.testing.engine_bulk_contract import EngineBulkContract, together
from vidsearch.testing.engine_history_contract import EngineHistoryContract
from vidsearch.testing.engine_search_contract import EngineSearchContract
from vidsearch.testing.small_index import SMALL_MODEL, small_index
from vidsearch_mappings import read_meta

__all__ = ["EngineContract"]


class EngineContract(
    EngineBulkContract, EngineAttachedContract, EngineSearchContract, EngineHistoryContract
):
    """Define a fixture ``engine`` in the subclass, and ``index_name``: a name of no index yet.

    Indices whose name starts with it are left behind by the tests.
    """

    # -- the cluster

    def test_info_names_kind_version_and_url_without_credentials(self, engine: Engine) -> None:
        info = engine.info()
        assert isinstance(engine, Engine)
        assert info.kind == engine.kind
        assert len(info.version) == 3
        assert info.version > (0, 0, 0)
        assert "@" not in info.url
        assert engine.info() == info

    def test_features_list_presets_and_fusions_of_one_kind(self, engine: Engine) -> None:
        features = engine.features()
        assert features.quantizations >= {"float", "int8", "flat"}
        assert not (features.retrievers and features.hybrid)
        assert engine.features() == features

    # -- indices and aliases

    def test_a_name_stands_for_the_indices_behind_it(self, engine: Engine, index_name: str) -> None:
        alias, one, two = index_name, f"{index_name}-1", f"{index_name}-2"
        assert engine.indices_of(alias) == ()
        for name in (two, one):
            engine.create_index(name, {**small_index(engine), "aliases": {alias: {}}})
        assert engine.indices_of(alias) == (one, two)
        assert engine.indices_of(one) == (one,)

    def test_several_names_are_looked_up_at_once(self, engine: Engine, index_name: str) -> None:
        read, write, one, two = (
            index_name,
            f"{index_name}-write",
            f"{index_name}-1",
            f"{index_name}-2",
        )
        assert engine.indices_behind([read, write]) == {read: (), write: ()}
        engine.create_index(one, {**small_index(engine), "aliases": {read: {}}})
        assert engine.indices_behind([read, write]) == {read: (one,), write: ()}
        engine.create_index(two, {**small_index(engine), "aliases": {write: {}}})
        engine.update_aliases([{"add": {"index": one, "alias": write}}])
        assert engine.indices_behind([read, write]) == {read: (one,), write: (one, two)}
        assert engine.indices_behind([two, write]) == {two: (two,), write: (one, two)}

    def test_mappings_come_with_the_names_of_the_indices_behind_a_name(
        self, engine: Engine, index_name: str
    ) -> None:
        alias, one, two = index_name, f"{index_name}-1", f"{index_name}-2"
        assert engine.mappings_behind(alias) == {}
        engine.create_index(one, {**small_index(engine), "aliases": {alias: {}}})
        assert engine.mappings_behind(alias) == {one: engine.mapping(one)}
        engine.create_index(two, {"aliases": {alias: {}}})
        assert engine.mappings_behind(alias) == {one: engine.mapping(one), two: engine.mapping(two)}
        assert engine.mappings_behind(two) == {two: engine.mapping(two)}

    def test_an_index_is_created_once(self, engine: Engine, index: str) -> None:
        engine.put(index, "a", {"n": 1})
        with pytest.raises(MappingConflictError, match=index):
            engine.create_index(index, small_index(engine))
        assert engine.get(index, "a") is not None

    def test_an_index_cannot_take_the_name_of_an_alias(
        self, engine: Engine, index_name: str
    ) -> None:
        one = f"{index_name}-1"
        engine.create_index(one, {**small_index(engine), "aliases": {index_name: {}}})
        with pytest.raises(MappingConflictError, match=index_name):
            engine.create_index(index_name, small_index(engine))

    def test_delete_index_refuses_aliases_and_patterns(
        self, engine: Engine, index_name: str
    ) -> None:
        one = f"{index_name}-1"
        engine.create_index(one, {**small_index(engine), "aliases": {index_name: {}}})
        for name in (index_name, f"{index_name}*", f"{one},{one}", "_all"):
            with pytest.raises(IndexNotFoundError):
                engine.delete_index(name)
        assert engine.indices_of(index_name) == (one,)
        engine.delete_index(one)
        assert engine.indices_of(index_name) == ()
        with pytest.raises(IndexNotFoundError, match=one):
            engine.delete_index(one)

    def test_the_mapping_is_read_through_an_alias(self, engine: Engine, index_name: str) -> None:
        one, two = f"{index_name}-1", f"{index_name}-2"
        engine.create_index(one, {**small_index(engine), "aliases": {index_name: {}}})
        mapping = engine.mapping(index_name)
        assert read_meta(mapping).model == SMALL_MODEL
        assert mapping["properties"]["video"]["properties"]["segments"]["type"] == "nested"
        assert mapping == engine.mapping(one)

        engine.create_index(two, {**small_index(engine), "aliases": {index_name: {}}})
        with pytest.raises(BackendError, match=f"(?s){one}.*{two}") as raised:
            engine.mapping(index_name)
        assert not isinstance(raised.value, IndexNotFoundError)

    def test_a_swap_of_an_alias_is_never_seen_half_done(
        self, engine: Engine, index_name: str
    ) -> None:
        alias, one, two = index_name, f"{index_name}-1", f"{index_name}-2"
        engine.create_index(one, {**small_index(engine), "aliases": {alias: {}}})
        engine.create_index(two, small_index(engine))
        stop = threading.Event()
        seen: set[tuple[str, ...]] = set()

        def look() -> None:
            while not stop.is_set():
                seen.add(engine.indices_of(alias))

        reader = threading.Thread(target=look)
        reader.start()
        try:
            for _ in range(6):
                for old, new in ((one, two), (two, one)):
                    engine.update_aliases(
                        [
                            {"remove": {"index": old, "alias": alias}},
                            {"add": {"index": new, "alias": alias}},
                        ]
                    )
        finally:
            stop.set()
            reader.join()
        assert seen <= {(one,), (two,)}
        assert engine.indices_of(alias) == (one,)

    def test_alias_actions_that_fail_change_nothing(self, engine: Engine, index_name: str) -> None:
        alias, one, gone = index_name, f"{index_name}-1", f"{index_name}-gone"
        engine.create_index(one, {**small_index(engine), "aliases": {alias: {}}})
        with pytest.raises(IndexNotFoundError, match=gone):
            engine.update_aliases(
                [
                    {"remove": {"index": one, "alias": alias}},
                    {"add": {"index": gone, "alias": alias}},
                ]
            )
        assert engine.indices_of(alias) == (one,)
        with pytest.raises(MappingConflictError, match=one):
            engine.update_aliases([{"add": {"index": one, "alias": one}}])
        with pytest.raises(MappingConflictError, match="action"):
            engine.update_aliases([])

    def test_an_index_that_is_created_anew_has_another_uuid(
        self, engine: Engine, index: str
    ) -> None:
        before = engine.settings(index)["uuid"]
        engine.put_settings(index, {"refresh_interval": "7s"})
        assert engine.settings(index)["uuid"] == before
        engine.delete_index(index)
        engine.create_index(index, small_index(engine))
        assert engine.settings(index)["uuid"] != before

    # -- documents

    def test_what_is_put_is_read_at_once_and_whole(self, engine: Engine, index: str) -> None:
        source = {
            "title": 'Grüße "quoted"\n東京 🎬',
            "tags": ["a", "b"],
            "n": None,
            "deep": {"er": [{"x": 1.5}, {"x": 2.5}]},
            "video": {
                "vector": [1.0, 0.0, 0.0, 0.0],
                "segments": [{"start": 0.0, "end": 10.0, "vector": [0.0, 1.0, 0.0, 0.0]}],
            },
        }
        revision = engine.put(index, "a", source)
        found = engine.get(index, "a")
        assert found is not None
        assert (found.id, found.source, found.revision) == ("a", source, revision)
        assert engine.get(index, "b") is None

    def test_put_replaces_the_whole_document(self, engine: Engine, index: str) -> None:
        first = engine.put(index, "a", {"n": 1, "title": "old"})
        second = engine.put(index, "a", {"n": 2})
        found = engine.get(index, "a")
        assert first != second
        assert found is not None
        assert (found.source, found.revision) == ({"n": 2}, second)

    @pytest.mark.parametrize(
        "id", ["a/b", "a b", "a?b=c&d#e", "100%2F", "ü東🎬", "*", "a,b", "x" * 512]
    )
    def test_ids_may_hold_anything(self, engine: Engine, index: str, id: str) -> None:
        engine.put(index, id, {"n": 1}, expect="absent")
        engine.bulk(index, [Write("update", id, {"n": 2})])
        found = engine.get(index, id)
        assert found is not None
        assert (found.id, found.source) == (id, {"n": 2})
        assert engine.delete(index, id)
        assert engine.get(index, id) is None

    def test_put_with_a_stale_revision_is_refused(self, engine: Engine, index: str) -> None:
        first = engine.put(index, "a", {"n": 1})
        second = engine.put(index, "a", {"n": 2}, expect=first)
        with pytest.raises(VersionConflictError):
            engine.put(index, "a", {"n": 3}, expect=first)
        with pytest.raises(VersionConflictError):
            engine.put(index, "b", {"n": 3}, expect=first)
        found = engine.get(index, "a")
        assert found is not None
        assert (found.source, found.revision) == ({"n": 2}, second)
        assert engine.get(index, "b") is None

    def test_put_that_expects_absence_is_refused_where_a_document_exists(
        self, engine: Engine, index: str
    ) -> None:
        first = engine.put(index, "a", {"n": 1}, expect="absent")
        with pytest.raises(VersionConflictError):
            engine.put(index, "a", {"n": 2}, expect="absent")
        found = engine.get(index, "a")
        assert found is not None
        assert (found.source, found.revision) == ({"n": 1}, first)
        engine.delete(index, "a")
        engine.put(index, "a", {"n": 3}, expect="absent")

    def test_one_of_many_creators_wins(self, engine: Engine, index: str) -> None:
        def create(number: int) -> bool:
            try:
                engine.put(index, "a", {"n": number}, expect="absent")
            except VersionConflictError:
                return False
            return True

        won = together(create, threads=8)
        found = engine.get(index, "a")
        assert won.count(True) == 1
        assert found is not None
        assert found.source == {"n": won.index(True)}

    def test_no_update_is_lost_between_many_writers(self, engine: Engine, index: str) -> None:
        engine.put(index, "a", {"n": 0})

        def count_up(_number: int) -> int:
            done = lost = 0
            while done < 5:
                found = engine.get(index, "a")
                assert found is not None
                try:
                    engine.put(index, "a", {"n": found.source["n"] + 1}, expect=found.revision)
                    done += 1
                except VersionConflictError:
                    lost += 1
            return lost

        together(count_up, threads=6)
        found = engine.get(index, "a")
        assert found is not None
        assert found.source == {"n": 30}

    def test_delete_checks_the_revision_and_tells_whether_there_was_a_document(
        self, engine: Engine, index: str
    ) -> None:
        first = engine.put(index, "a", {"n": 1})
        second = engine.put(index, "a", {"n": 2})
        with pytest.raises(VersionConflictError):
            engine.delete(index, "a", expect=first)
        assert engine.get(index, "a") is not None
        assert engine.delete(index, "a", expect=second) is True
        assert engine.get(index, "a") is None
        assert engine.delete(index, "a") is False
        with pytest.raises(VersionConflictError):
            engine.delete(index, "a", expect=second)

    def test_a_refreshing_write_is_visible_to_searches(self, engine: Engine, index: str) -> None:
        engine.put(index, "a", {"n": 1}, refresh=True)
        assert engine.count(index) == 1
        engine.delete(index, "a", refresh=True)
        assert engine.count(index) == 0
        engine.bulk(index, [Write("index", "b", {"n": 1})], refresh=True)
        assert engine.count(index) == 1

    def test_writes_go_through_an_alias(self, engine: Engine, index_name: str) -> None:
        one = f"{index_name}-1"
        engine.create_index(one, {**small_index(engine), "aliases": {index_name: {}}})
        engine.put(index_name, "a", {"n": 1})
        engine.bulk(index_name, [Write("index", "b", {"n": 2})])
        engine.refresh(index_name)
        assert engine.count(index_name) == engine.count(one) == 2
        assert engine.delete(index_name, "a")

    def test_no_write_creates_an_index(self, engine: Engine, index_name: str) -> None:
        gone = Revision(0, 1)
        attempts: Sequence[Callable[[], object]] = (
            lambda: engine.put(index_name, "a", {"n": 1}),
            lambda: engine.put(index_name, "a", {"n": 1}, expect="absent"),
            lambda: engine.put(index_name, "a", {"n": 1}, expect=gone),
            lambda: engine.delete(index_name, "a"),
            lambda: engine.delete(index_name, "a", expect=gone),
            lambda: engine.bulk(index_name, [Write("index", "a", {"n": 1})]),
            lambda: engine.bulk(index_name, [Write("update", "a", {"n": 1})]),
            lambda: engine.bulk(index_name, [Write("delete", "a")]),
        )
        for attempt in attempts:
            with pytest.raises(IndexNotFoundError, match=index_name):
                attempt()
        assert engine.indices_of(index_name) == ()

        # Nor where it was there a moment ago, behind an alias.
        engine.create_index(f"{index_name}-1", {**small_index(engine), "aliases": {index_name: {}}})
        engine.put(index_name, "a", {"n": 1})
        engine.delete_index(f"{index_name}-1")
        for attempt in attempts:
            with pytest.raises(IndexNotFoundError, match=index_name):
                attempt()
        assert engine.indices_of(index_name) == ()
        # It may come back as an index.
        engine.create_index(index_name, small_index(engine))
        engine.put(index_name, "a", {"n": 1})

    def test_no_read_is_answered_without_an_index(self, engine: Engine, index_name: str) -> None:
        attempts: Sequence[Callable[[], object]] = (
            lambda: engine.get(index_name, "a"),
            lambda: engine.mget(index_name, ["a", "b"]),
            lambda: engine.mapping(index_name),
            lambda: engine.search(index_name, {}),
            lambda: engine.msearch(index_name, [{}]),
            lambda: engine.count(index_name),
            lambda: list(engine.scan(index_name)),
            lambda: engine.refresh(index_name),
        )
        for attempt in attempts:
            with pytest.raises(IndexNotFoundError, match=index_name):
                attempt()

    # -- the mapping is kept

    @pytest.mark.parametrize(
        "video",
        [
            {"vector": [1.0, 0.0]},
            {"segments": [{"start": 0.0, "end": 1.0, "vector": [1.0] * 5}]},
            {"uri": "a.mp4", "surprise": 1},
            {"segments": [{"start": 0.0, "surprise": 1}]},
        ],
        ids=["dims", "dims of a segment", "field", "field of a segment"],
    )
    def test_what_does_not_fit_the_mapping_is_rejected(
        self, engine: Engine, index: str, video: Json
    ) -> None:
        with pytest.raises(MappingConflictError, match=index):
            engine.put(index, "a", {"title": "x", "video": video})
        with pytest.raises(BulkError, match=index) as raised:
            engine.bulk(index, [Write("index", "a", {"title": "x", "video": video})])
        assert raised.value.failures.keys() == {"a"}
        assert engine.get(index, "a") is None
