"""A copy that follows its index without the numbers of writes: by a field, or by versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from vidsearch.engines import BulkResult, Document, Write
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    MappingConflictError,
)
from vidsearch.index.comparison import FollowField
from vidsearch.index.cost import blocked_seconds
from vidsearch.index.follow import Following, following_of
from vidsearch.testing.memory_engine import MemoryEngine

FIELD, VERSIONS = Following(by="field", field="at"), Following(by="versions")
BOTH = pytest.mark.parametrize("following", [FIELD, VERSIONS], ids=["by field", "by version"])


@pytest.fixture
def engine() -> MemoryEngine:
    """An index with four documents, and its copy."""
    engine = MemoryEngine()
    for name in ("old", "new"):
        engine.create_index(
            name, {"mappings": {"properties": {"at": {"type": "date"}, "n": {"type": "long"}}}}
        )
        writes = [Write("index", id, {"n": 0, "at": 100_000}, f"r{id}", version=3) for id in "abcd"]
        engine.bulk(name, writes)
    return engine


def put(engine: MemoryEngine, id: str, n: int, at: int) -> None:
    engine.put("old", id, {"n": n, "at": at}, routing=f"r{id}")


def stored(engine: MemoryEngine, name: str) -> dict[str, Any]:
    return {one.id: (one.source, one.version, one.routing) for one in engine.scan(name)}


@BOTH
def test_what_was_written_and_deleted_is_brought(
    engine: MemoryEngine, following: Following
) -> None:
    changes = following.follower(engine, "old", "new", since=following.mark(engine, "old"))
    put(engine, "a", 1, 200_000)
    put(engine, "e", 1, 200_001)
    engine.delete("old", "b", routing="rb")
    engine.put("new", "never there", {"n": 0, "at": 1})
    engine.put_mapping("old", {"properties": {"later": {"type": "keyword"}}})
    changes.until_small()
    assert stored(engine, "new") == stored(engine, "old")
    assert "later" in engine.mapping("new")["properties"]
    put(engine, "c", 2, 200_002)
    engine.delete("old", "e", routing="re")
    last = changes.run(last=True)
    assert (last.written, last.deleted) == (1, 1)
    assert stored(engine, "new") == stored(engine, "old")
    assert changes.run(last=True).written == 0


@BOTH
def test_what_vidsearch_wrote_without_a_new_version_is_brought(
    engine: MemoryEngine, following: Following
) -> None:
    changes = following.follower(engine, "old", "new", without="video")
    changes.until_small()
    for video in ({"fingerprint": "f", "uri": "/a.mp4"}, None):
        whole = {"n": 0, "at": 100_000, **({"video": video} if video else {})}
        engine.put("old", "a", whole, version=3, routing="ra")
        assert changes.run(last=True).written == 1
        assert stored(engine, "new") == stored(engine, "old")


class OneShard(MemoryEngine):
    """The index has one shard, so that any routing finds a document there."""

    def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        there = {one.id: one.routing for one in self.scan(index)}
        return super().get(index, id, routing=there.get(id) if index == "old" else routing)


@BOTH
def test_what_was_written_anew_with_another_routing_is_taken_out_of_where_it_was(
    monkeypatch: pytest.MonkeyPatch, following: Following
) -> None:
    engine = OneShard()
    for name in ("old", "new"):
        engine.create_index(name, {"mappings": {"properties": {"at": {"type": "date"}}}})
        engine.put(name, "a", {"at": 100_000}, routing="ra")
    changes, bulk, scan = following.follower(engine, "old", "new"), engine.bulk, engine.scan
    deleted: list[tuple[str, str | None]] = []

    def noted(index: str, writes: Sequence[Write], **options: Any) -> BulkResult:
        deleted.extend((one.id, one.routing) for one in writes if one.op == "delete")
        return bulk(index, writes, **options)

    def compared(*args: Any, **options: Any) -> Iterator[Document]:
        """Another shard of the copy still has it where it was."""
        for one in scan(*args, **options):
            yield replace(one, routing="ra") if args[0] == "new" else one

    engine.delete("old", "a", routing="ra")
    engine.put("old", "a", {"at": 100_000}, routing="other")
    monkeypatch.setattr(engine, "bulk", noted)
    monkeypatch.setattr(engine, "scan", compared)
    changes.run(last=True)
    monkeypatch.undo()
    assert ("a", "ra") in deleted
    assert {id: routing for id, (_, _, routing) in stored(engine, "new").items()} == {"a": "other"}


def test_by_the_field_a_late_write_within_the_margin_is_found(engine: MemoryEngine) -> None:
    changes = FIELD.follower(engine, "old", "new")
    put(engine, "a", 1, 500_000)
    assert changes.run().written == 1
    put(engine, "b", 1, 499_000)  # its clock is behind, or its write was slow
    assert changes.run().written == 1
    assert changes.run().written == 0
    assert stored(engine, "new") == stored(engine, "old")


def test_by_the_field_changes_whose_values_are_late_are_brought_when_all_ids_are_compared(
    engine: MemoryEngine,
) -> None:
    put(engine, "c", 1, 4_000_000_000_000)  # a date in the future
    changes = FIELD.follower(engine, "old", "new", since=FIELD.mark(engine, "old"))
    put(engine, "a", 1, 200_000)
    put(engine, "e", 1, 200_001)
    changes.until_small()
    assert stored(engine, "new") == stored(engine, "old")
    put(engine, "b", 2, 300_000)  # an outbox that lags behind
    put(engine, "f", 2, 300_001)
    engine.delete("old", "e", routing="re")

    assert changes.finish(lambda: "stopped") == "stopped"
    assert stored(engine, "new") == stored(engine, "old")


def test_by_the_field_all_ids_of_the_index_are_read_only_where_the_copy_lacks_some(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, created = FIELD.follower(engine, "old", "new"), list[int]()
    create = FollowField._create

    def noted(self: FollowField) -> int:
        created.append(create(self))
        return created[-1]

    monkeypatch.setattr(FollowField, "_create", noted)
    put(engine, "a", 1, 200_000)
    engine.delete("old", "b", routing="rb")
    changes.run(last=True)
    assert created == []
    put(engine, "late", 1, 1)
    changes.run(last=True)
    assert created == [1]


def test_by_the_field_ids_are_compared_before_writes_wait_and_while_they_do(
    engine: MemoryEngine,
) -> None:
    changes = FIELD.follower(engine, "old", "new")
    engine.delete("old", "a", routing="ra")
    assert changes.run().deleted == 0
    assert "a" in stored(engine, "new")
    changes.until_small()
    assert "a" not in stored(engine, "new")
    engine.delete("old", "b", routing="rb")
    changes.until_small()
    assert "b" in stored(engine, "new")
    assert changes.run(last=True).deleted == 1


def test_one_that_is_made_later_goes_on_from_the_mark(engine: MemoryEngine) -> None:
    mark = FIELD.mark(engine, "old")
    assert mark == {"at": 100_000}
    put(engine, "a", 1, 900_000)
    put(engine, "b", 1, 950_000_000)
    changes = FIELD.follower(engine, "old", "new", since=mark)
    assert changes.since == mark
    assert changes.run().written == 2
    engine.create_index("empty", {"mappings": {"properties": {"at": {"type": "date"}}}})
    assert FIELD.mark(engine, "empty") == {}
    assert VERSIONS.mark(engine, "old") == {}


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"type": "keyword"}, "is keyword: name a field of type date or long"),
        ({}, "is not mapped"),
        ({"type": "date", "index": False}, "not indexed"),
        ({"type": "date"}, "missing in 1 documents"),
    ],
)
def test_a_field_that_would_miss_changes_is_refused(
    engine: MemoryEngine, definition: dict[str, Any], said: str
) -> None:
    engine.put("old", "z", {"n": 1})
    if definition:
        engine.put_mapping("old", {"properties": {"when": definition}})
        if "missing" in said:
            for id in "abcd":
                engine.update("old", id, {"when": 1}, routing=f"r{id}")
    with pytest.raises(MappingConflictError, match=f"'when'.*{said}"):
        following_of(engine, "old", changed_field="when")


def test_numbers_of_writes_are_preferred_where_they_can_be_had(engine: MemoryEngine) -> None:
    assert following_of(engine, "old", changed_field="at") == Following()


@pytest.mark.parametrize("what", ["checkpoints", "open_point_in_time", "search_point_in_time"])
def test_without_the_numbers_of_writes_the_field_or_versions_are_taken(
    engine: MemoryEngine, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise BackendAccessDeniedError("no right to monitor")

    monkeypatch.setattr(engine, what, refuse)
    why = "no right to monitor"
    assert following_of(engine, "old") == Following(by="versions", why=why)
    assert following_of(engine, "old", changed_field="at") == Following(
        by="field", field="at", why=why
    )


def test_an_engine_that_is_away_is_no_reason_to_compare_all_ids(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(index: str) -> dict[int, int]:
        raise BackendUnavailableError("HTTP 503")

    monkeypatch.setattr(engine, "checkpoints", away)
    with pytest.raises(BackendUnavailableError):
        following_of(engine, "old")


def test_comparing_ids_counts_in_how_long_writes_wait(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.index.cost._seconds_per_id", lambda engine, index: 10.0)
    monkeypatch.setattr("vidsearch.index.cost._SWAP_SECONDS", 0.5)
    waits = [
        blocked_seconds(engine, "old", following=each, rate=100.0)
        for each in (Following(), FIELD, VERSIONS)
    ]
    assert waits == [2.5, 42.5, 82.5]
