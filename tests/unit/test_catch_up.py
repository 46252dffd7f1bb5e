"""How a copy follows its index, and catches up with it when writes to that are stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vidsearch.engines import BulkResult, Write
from vidsearch.errors import MappingConflictError, ReindexTakenOverError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.comparison import CompareVersions
from vidsearch.index.following import LONGEST_PASS, Follower, Pass
from vidsearch.testing.memory_engine import MemoryEngine

PAIR = ("old", "new")


class Scripted(CatchUp):
    """Its passes are given, as numbers of changes and seconds."""

    passes: list[tuple[int, float]]

    def run(self, *, last: bool = False) -> Pass:
        changed, seconds = self.passes.pop(0)
        return Pass(changed, 0, seconds)


@pytest.mark.parametrize(
    "passes",
    [
        [(10, 0.1), (0, 0.1)],
        [(100, 0.1), (20, 0.1), (5, 0.1), (0, 0.1)],
        [(100, 0.1), (90, 0.1), (0, 0.1)],
        # A burst of writes begins: the pass that writes wait for would be as long as this one.
        [(100, 0.1), (50_000, LONGEST_PASS + 1), (30_000, 4.0), (150, 0.1), (0, 0.1)],
    ],
)
def test_passes_end_where_another_would_not_be_much_shorter(
    passes: list[tuple[int, float]],
) -> None:
    """And one more follows, after the copy was counted."""
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
    changes = Scripted(engine, "old", "new")
    changes.passes = [*passes, (7, 0.1)]
    changes.until_short()
    assert changes.passes == [(7, 0.1)]


def test_writes_do_not_wait_for_a_burst_of_writes_that_begins_while_the_copy_is_counted() -> None:
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
    changes = Scripted(engine, "old", "new")
    changes.passes = [(10, 0.1), (50_000, LONGEST_PASS + 1), (30_000, 9.0), (150, 0.1), (7, 0.1)]
    changes.until_short()
    assert changes.passes == [(7, 0.1)]


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
        engine.bulk(name, [Write("index", id, {"n": 0}, version=3) for id in "abc"])
    return engine


def test_what_is_written_until_writes_are_stopped_is_brought(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_small()
    changes.until_short()

    def stop() -> None:
        engine.put("old", "a", {"n": 1})
        engine.delete("old", "b")
        engine.block_writes("old")

    changes.finish(stop)
    there = {one.id: (one.source["n"], one.version) for one in engine.scan("new")}
    assert there == {"a": (1, 4), "c": (0, 3)}


def test_an_error_in_stopping_writes_is_raised(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")

    def stop() -> None:
        raise ReindexTakenOverError("taken over by b")

    with pytest.raises(ReindexTakenOverError):
        changes.finish(stop)


def test_ids_are_compared_where_a_shard_was_away_in_the_pass_before(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.run()
    changes._before = {1: changes._before[0]}  # it saw another shard only
    engine.delete("old", "b")
    changes.finish(lambda: engine.block_writes("old"))
    assert {one.id for one in engine.scan("new")} == {"a", "c"}


def test_a_shard_that_was_away_in_the_last_pass_is_brought_at_the_end(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    with monkeypatch.context() as away:
        away.setattr(engine, "checkpoints", lambda index: {})  # its primary is on no node
        changes.run()
    engine.put("old", "a", {"n": 1})
    engine.put("old", "d", {"n": 1})
    engine.delete("old", "b")
    changes.finish(lambda: engine.block_writes("old"))
    assert {one.id: one.source["n"] for one in engine.scan("new")} == {"a": 1, "c": 0, "d": 1}


@pytest.mark.parametrize("stale", ["a", "gone"])
def test_nothing_is_deleted_from_a_copy_that_is_in_place_already(
    engine: MemoryEngine, stale: str
) -> None:
    """Another process has swapped, and the application writes to the copy by now."""
    changes = CatchUp(engine, "old", "new", alias="shop")
    engine.put("old", "gone", {"n": 0})
    changes.run()
    engine.update_aliases([{"add": {"index": "new", "alias": "shop"}}])
    if stale == "a":
        engine.put("old", "a", {"n": 1})  # version 4
        engine.put("shop", "a", {"n": 2}, version=5)
    else:
        engine.delete("old", "gone")
        engine.put("shop", "gone", {"n": 2})
    with pytest.raises(ReindexTakenOverError, match="'shop' stands for 'new' by now"):
        changes.run()
    found = engine.get("new", stale)
    assert found is not None
    assert found.source == {"n": 2}


@pytest.mark.parametrize("changed", [1, 250])
def test_what_is_brought_at_the_end_is_whole_however_much_it_is(
    engine: MemoryEngine, changed: int
) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_small()
    engine.put("old", "c", {"n": 1})
    engine.delete("old", "a")
    engine.put("old", "a", {"n": 9})  # its number begins anew, below that of the copy
    engine.delete("old", "b")
    engine.bulk("old", [Write("index", f"{n}", {"n": n}) for n in range(changed)])
    changes.finish(lambda: engine.block_writes("old"))
    old, new = ({one.id: (one.source, one.version) for one in engine.scan(n)} for n in PAIR)
    assert old == new
    assert len(new) == changed + 2


@pytest.mark.parametrize("retried", [0, 1])
def test_a_copy_is_counted_anew_where_it_is_not_known_what_a_write_did(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, retried: int
) -> None:
    """A write that was sent again may have been done before: by this, or by the client of the
    engine, which does not tell."""
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    bulk = engine.bulk

    def wrong(*args: Any, **options: Any) -> BulkResult:
        return replace(bulk(*args, **options), created=0, retried=retried)

    def stop() -> None:
        engine.put("old", "d", {"n": 1})
        engine.block_writes("old")

    monkeypatch.setattr(engine, "bulk", wrong)
    changes.finish(stop)
    assert engine.get("new", "d") is not None


@pytest.mark.parametrize("way", [CatchUp, CompareVersions])
def test_a_copy_with_a_document_of_another_program_does_not_pass_for_whole(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, way: type[Follower]
) -> None:
    monkeypatch.setattr(way, "_delete", lambda self, documents: len(list(documents)))
    changes = way(engine, "old", "new")
    changes.until_small()
    engine.put("new", "of another program", {"n": 1})
    changes.until_short()
    with pytest.raises(MappingConflictError, match=r"'new' has 4 documents, and 'old'.*3: does"):
        changes.finish(lambda: engine.block_writes("old"))
