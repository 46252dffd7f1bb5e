"""An index of an application copied on each engine while the application goes on writing to it."""

from __future__ import annotations

import time

import pytest
from tests.copies import copy_of
from tests.integration.writing_application import Application, Calls, body
from tests.services import call

from vidsearch.engines import Engine, Write
from vidsearch.engines.steps import Steps
from vidsearch.errors import MappingConflictError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy_documents import copy_documents
from vidsearch.index.engine_queue import wait_for_queue
from vidsearch.index.follow import Following
from vidsearch.index.swap import alias_moves
from vidsearch.local import SearchNode

pytestmark = pytest.mark.integration


def test_copy_under_an_application_that_writes_loses_nothing_and_blocks_for_a_moment(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-1-vidsearch"
    engine.create_index(old, body(alias=index_name))
    application = Application(engine, index_name)
    application.fill(old)
    calls = Calls(engine, monkeypatch)
    with application.running():
        copy, blocked = copy_of(engine, old, alias=index_name, settings={"number_of_shards": 2})
        application.goes_on()
    assert (copy, engine.indices_of(index_name)) == (new, (new,))
    application.check(new)
    application.check_refused(calls)
    assert 0 < blocked <= time.monotonic() - calls.first["block_writes"]
    settings = engine.settings(new)
    assert not {"default_pipeline", "final_pipeline", "gc_deletes"} & settings.keys()


@pytest.mark.parametrize("is_only", [True, False])
def test_an_alias_that_moves_right_before_the_swap_is_left_where_it_is(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch, is_only: bool
) -> None:
    old, other, new = f"{index_name}-1", f"{index_name}-2", f"{index_name}-1-vidsearch"
    for name in (old, other):
        engine.create_index(name, body(alias=index_name if name == old else None))
    engine.bulk(old, [Write("index", "1", {"n": 1})])
    if not is_only:
        engine.update_aliases([{"add": {"index": old, "alias": f"{index_name}-read"}}])
    block = engine.calls.block_writes

    def move(name: str) -> Steps[None]:
        yield from block(name)
        moves = alias_moves({index_name: {}}, old=old, new=other)
        yield from engine.calls.update_aliases(moves)

    monkeypatch.setattr(engine.calls, "block_writes", move)
    with pytest.raises(MappingConflictError, match=f"stands for {other} by now"):
        copy_of(engine, old, alias=index_name, settings={"number_of_shards": 1})
    assert engine.indices_of(index_name) == (other,)
    assert engine.aliases(old).keys() == (set() if is_only else {f"{index_name}-read"})
    assert engine.indices_of(new) == ()
    engine.put(old, "2", {"n": 2})  # it takes writes again


def test_passes_bring_versions_and_fields_and_take_deletes_back(
    engine: Engine, index_name: str
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-2"
    engine.create_index(old, body())
    copied = body()
    copied["settings"]["index"]["gc_deletes"] = "0s"
    engine.create_index(new, copied)
    engine.bulk(old, [Write("index", f"{n}", {"n": n}, version=n + 5) for n in range(40)])
    changes = CatchUp(engine, old, new)
    copy_documents(engine, old, new, keep_versions=True)
    # As where a document was written, copied and deleted again before anything was kept.
    engine.put(new, "ghost", {"n": 1})
    first = changes.run()
    assert (first.written, first.deleted) == (0, 1)
    engine.put_mapping(old, {"properties": {"later": {"type": "keyword"}}})
    engine.put(old, "1", {"n": 100, "later": "x"}, version=1000)
    engine.put(old, "new", {"n": 1}, version=77)
    for id in ("2", "3"):
        engine.delete(old, id)
    # The copy has seen it with a greater number than it has after its delete is forgotten.
    engine.put(new, "late", {"n": 1}, version=9)
    engine.put(old, "late", {"n": 2}, version=3)
    second = changes.until_small()
    assert (second.written, second.deleted) == (3, 2)
    third = changes.run()
    assert (third.written, third.deleted) == (0, 0)
    changes.close()
    engine.refresh(new)
    was, now = (
        {one.id: (one.source, one.version) for one in engine.scan(name)} for name in (old, new)
    )
    assert now.keys() == was.keys()
    late = now.pop("late")
    assert late[0] == was.pop("late")[0]
    assert now == was


def test_a_change_that_others_are_waited_for_by_goes_through_the_engines_queue(
    engine: Engine, search_node: SearchNode, index_name: str
) -> None:
    engine.create_index(index_name, {**body(), "mappings": {"_meta": {"a": 1}}})

    def version() -> int:
        path = f"/_cluster/state/metadata/{index_name}?filter_path=metadata.indices"
        state = call(search_node.url, "GET", path)
        return int(state["metadata"]["indices"][index_name]["mapping_version"])

    before = version()
    wait_for_queue(engine, index_name)
    wait_for_queue(engine, index_name)
    assert version() == before + 4, "two changes of the cluster's state each"
    assert engine.mapping(index_name)["_meta"] == {"a": 1}


@pytest.mark.parametrize("field", [None, "changed"], ids=["by versions", "by a field"])
def test_documents_of_one_id_under_several_routings_are_all_compared(
    engine: Engine, index_name: str, field: str | None
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-2"
    settings = {"number_of_shards": 5, "number_of_replicas": 0, "gc_deletes": "0s"}
    mapping = {"properties": {"changed": {"type": "long"}, "n": {"type": "long"}}}
    for name in (old, new):
        engine.create_index(name, {"settings": {"index": settings}, "mappings": mapping})

    def write(n: int, changed: int, *routings: str) -> None:
        engine.bulk(
            old,
            [Write("index", "same", {"n": n, "changed": changed}, routing=one) for one in routings],
        )

    write(1, 1, *"abcdefgh")  # in three shards at least, by the hash of each engine
    engine.refresh(old)
    there = {one.routing for one in engine.scan(old)}
    assert len(there) >= 3
    copy_documents(engine, old, new, keep_versions=True)
    changes = Following(by="field" if field else "versions", field=field).follower(
        engine, old, new, since=None if field is None else {field: 1}
    )
    changes.until_small()
    first, second, *_ = sorted(map(str, there))
    write(2, 2, first)
    engine.delete(old, "same", routing=second)
    changes.run(last=True)
    copy_documents(engine, old, new, keep_versions=True)  # which goes on, as all is there
    for name in (old, new):
        engine.refresh(name)
    was, now = (
        {one.routing: (one.source, one.version) for one in engine.scan(name)} for name in (old, new)
    )
    assert now == was
    assert set(was) == there - {second}
    changes.close()
