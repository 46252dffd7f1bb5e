"""A writer's change in the other index of a reindex, whatever happens between its requests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.reindex_stage import TwoIndices, video_of

from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    ReindexError,
    VersionConflictError,
)
from vidsearch.index import VideosIndex
from vidsearch.ingest import (
    delete_video,
    mirror_to_others,
    mirror_videos,
    missing_videos,
    purge_videos,
    update_fields,
)
from vidsearch.registry import ErrorRecord, FieldChange, State
from vidsearch.testing.memory_engine import MemoryEngine


class Stepping(MemoryEngine):
    """Lets a test step in before or after a call, once."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.steps: dict[tuple[str, str], Callable[[], Any]] = {}

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in {"mget", "get", "put", "bulk", "delete", "indices_behind", "mapping"}:
            return found

        def call(first: Any, *args: Any, **options: Any) -> Any:
            self.requests.append(name)
            key = first if isinstance(first, str) else ""
            if step := self.steps.pop((f"before {name}", key), None):
                step()
            answer = found(first, *args, **options)
            if step := self.steps.pop((f"after {name}", key), None):
                step()
            return answer

        return call


@pytest.fixture
def engine() -> Stepping:
    return Stepping()


@pytest.fixture
def two(engine: Stepping) -> TwoIndices:
    return TwoIndices(engine)


def both(two: TwoIndices, id: str) -> Any:
    """The document, which is the same in both indices."""
    old, new = two.source(two.old, id), two.source(two.new, id)
    assert old == new
    return old


# -- without a race


def test_without_a_write_alias_one_request_says_so(two: TwoIndices, engine: Stepping) -> None:
    index = two.add("a", "f1")
    engine.requests.clear()
    assert mirror_to_others(two.registry, index, ["a"]) == ()
    assert engine.requests == ["indices_behind"]


def test_an_ingested_video_comes_into_the_new_index(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1", title="A")
    assert mirror_to_others(two.registry, index, ["a"]) == ()
    assert both(two, "a")["title"] == "A"
    two.registry.reopen("a")
    mirror_to_others(two.registry, two.ingest("a", "f2"), ["a"])
    assert two.marks("a") == ("f2", "f2")


def test_changed_fields_come_into_the_new_index_before_they_count_as_written(
    two: TwoIndices, engine: Stepping
) -> None:
    two.begin()
    mirror_to_others(two.registry, two.add("a", "f1", title="A", year=1), ["a"])
    seen: list[Any] = []
    engine.steps["after bulk", two.new] = lambda: seen.append(two.registry.get("a").due_at)
    update_fields(two.registry, two.read(), "a", {"title": "B", "year": None})
    assert seen != [None]
    assert both(two, "a") == {"title": "B", "video": both(two, "a")["video"]}
    assert two.registry.get("a").due_at is None


def test_changed_fields_of_a_failed_video_come_into_the_new_index(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1", title="A", year=1)
    mirror_to_others(two.registry, index, ["a"])
    two.registry.register("a", uri="/other.mp4", fields={"title": "other", "year": 1})
    two.registry.fail(two.registry.claim("a", owner="w"), ErrorRecord("X", "decode", "broken"))
    update_fields(two.registry, two.read(), "a", {"note": "n", "year": None})
    shown = both(two, "a")
    assert shown == {"title": "A", "note": "n", "video": shown["video"]}


def test_fields_that_the_index_refuses_are_taken_back_in_both(two: TwoIndices) -> None:
    mapped = {"mappings": {"properties": {"year": {"type": "integer"}}}}
    two.begin(mapping=mapped["mappings"])
    index = two.add("a", "f1", year=1)
    mirror_to_others(two.registry, index, ["a"])
    two.registry.set_fields("a", {"year": 2.5})
    assert two.registry.get("a").fields == {"year": 2.5}
    two.registry.take_back("a", FieldChange({"year": 2.5}), kept={"year": 1})
    mirror_to_others(two.registry, index, ["a"])
    assert both(two, "a")["year"] == 1


def test_a_deleted_video_goes_from_both(two: TwoIndices) -> None:
    two.begin()
    mirror_to_others(two.registry, two.add("a", "f1"), ["a"])
    delete_video(two.registry, two.read(), "a")
    assert both(two, "a") is None


def test_a_delete_takes_what_only_the_new_index_has_left(two: TwoIndices) -> None:
    two.begin()
    mirror_to_others(two.registry, two.add("a", "f1"), ["a"])
    two.engine.delete(two.old, "a")
    delete_video(two.registry, two.read(), "a")
    assert both(two, "a") is None


def test_purging_is_refused_while_both_are_written(two: TwoIndices) -> None:
    two.begin()
    mirror_to_others(two.registry, two.add("a", "f1"), ["a"])
    two.registry.delete("a")
    with pytest.raises(ReindexError, match=two.new):
        purge_videos(two.registry, two.read(), ["a"])
    assert two.registry.get("a").state is State.DELETED
    two.end()
    assert purge_videos(two.registry, two.read(), ["a"]) == {"a"}


def test_a_reindex_that_begins_during_a_purge_keeps_the_tombstone(
    two: TwoIndices, engine: Stepping
) -> None:
    two.add("a", "f1")
    two.registry.delete("a")
    engine.steps["before delete", two.old] = two.begin
    with pytest.raises(ReindexError):
        purge_videos(two.registry, two.read(), ["a"])
    assert two.registry.get("a").state is State.DELETED


def test_an_index_that_refuses_a_document_is_no_error_of_the_writer(
    two: TwoIndices, caplog: pytest.LogCaptureFixture
) -> None:
    two.begin()
    index = two.add("a", "f1", colour="red")
    two.add("b", "f2")
    two.engine.put_mapping(two.new, {"dynamic": "strict"})
    with caplog.at_level(logging.WARNING):
        mirror_to_others(two.registry, index, ["a", "b"])
    assert two.marks("a") == ("f1", None)
    assert two.marks("b") == ("f2", "f2")
    assert "colour" in caplog.text
    assert two.new in caplog.text


def test_without_the_right_to_see_the_write_alias_a_writer_goes_on(
    two: TwoIndices, engine: Stepping
) -> None:
    index = two.add("a", "f1")

    def refuse() -> None:
        raise BackendAccessDeniedError("no")

    engine.steps["before indices_behind", ""] = refuse
    assert mirror_to_others(two.registry, index, ["a"]) == ()


def test_an_engine_that_is_away_is_an_error(two: TwoIndices, engine: Stepping) -> None:
    two.begin()
    index = two.add("a", "f1")

    def away() -> None:
        raise BackendUnavailableError("away")

    engine.steps["before bulk", two.new] = away
    with pytest.raises(BackendUnavailableError):
        mirror_to_others(two.registry, index, ["a"])
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f1", "f1")


def test_an_index_that_is_dropped_meanwhile_is_left_out(two: TwoIndices, engine: Stepping) -> None:
    two.begin()
    index = two.add("a", "f1")
    engine.steps["before mget", two.new] = lambda: two.engine.delete_index(two.new)
    assert mirror_to_others(two.registry, index, ["a"]) == ()


# -- what is not copied


def test_a_video_that_a_worker_is_at_is_left_to_it(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1")
    mirror_to_others(two.registry, index, ["a"])
    two.registry.reopen("a")
    two.registry.claim("a", owner="x")
    two.engine.put(two.old, "a", {"video": video_of("f2", "/a.mp4")})
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f2", "f1")


def test_a_failed_video_keeps_its_former_document_in_both(two: TwoIndices) -> None:
    index = two.add("a", "f1")
    two.registry.reopen("a")
    lease = two.registry.claim("a", owner="x")
    two.registry.fail(lease, ErrorRecord("E", "decode", "broken"))
    two.begin()
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f1", "f1")


def test_documents_without_a_record_follow_the_index_that_is_read(two: TwoIndices) -> None:
    two.begin()
    two.engine.put(two.old, "kept", {"video": video_of("f1", "/kept.mp4")})
    two.engine.put(two.new, "gone", {"video": video_of("f1", "/gone.mp4")})
    mirror_to_others(two.registry, two.read(), ["kept", "gone", "never"])
    assert two.marks("kept") == ("f1", "f1")
    assert two.marks("gone") == (None, None)


def test_what_was_embedded_again_comes_over_and_nothing_older(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1")
    mirror_to_others(two.registry, index, ["a"])
    again = {**video_of("f1", "/a.mp4"), "embedded_at": "2026-01-02T00:00:00.000Z"}
    two.engine.put(two.old, "a", {"video": again})  # its vectors had been overwritten
    mirror_to_others(two.registry, index, ["a"])
    assert both(two, "a")["video"]["embedded_at"] == again["embedded_at"]
    two.engine.put(two.old, "a", {"video": video_of("f1", "/a.mp4")})
    mirror_to_others(two.registry, index, ["a"])
    new = two.source(two.new, "a")
    assert new is not None
    assert new["video"]["embedded_at"] == again["embedded_at"]


def test_documents_that_are_the_same_are_not_written_again(two: TwoIndices) -> None:
    two.begin()
    two.add("a", "f1", title="A")
    old, new = two.opened(two.old), two.opened(two.new)
    assert mirror_videos(two.registry, old, new, ["a"]).written == ("a",)
    before = two.engine.get(two.new, "a").revision
    assert mirror_videos(two.registry, old, new, ["a"]).written == ()
    assert two.engine.get(two.new, "a").revision == before


# -- another model, or other segments


@pytest.mark.parametrize("changes", [{"segment_seconds": 5}, {"model": "2"}])
def test_what_cannot_be_copied_is_to_be_filled(two: TwoIndices, changes: dict[str, Any]) -> None:
    if "model" in changes:
        two.begin(identity=replace(two.identity, revision="2"))
    else:
        two.begin(**changes)
    index = two.add("a", "f1", title="A")
    (left,) = mirror_to_others(two.registry, index, ["a"])
    assert (left.index.name, left.ids) == (two.new, ("a",))
    assert two.marks("a") == ("f1", None)

    two.engine.put(two.new, "a", {"title": "A", "video": video_of("g1", "/a.mp4")})
    two.registry.mark_filled("a", index=two.new, of="f1", fingerprint="g1")
    assert mirror_to_others(two.registry, index, ["a"]) == ()
    update_fields(two.registry, two.read(), "a", {"title": "B"})
    assert two.source(two.new, "a")["title"] == "B"  # type: ignore[index]
    assert two.marks("a") == ("f1", "g1")

    two.registry.reopen("a")
    (left,) = mirror_to_others(two.registry, two.ingest("a", "f2"), ["a"])
    assert left.ids == ("a",)
    delete_video(two.registry, two.read(), "a")
    assert two.marks("a") == (None, None)


def waiting(two: TwoIndices, id: str = "a", **known: Any) -> VideosIndex:
    """A video that was indexed, and waits for a worker; the index that it is in."""
    index = two.add(id, "f1", title="A")
    two.registry.reopen(id)
    known = {"content": "c1", **known}
    two.registry._change(id, lambda record, now: record.changed(**known))
    return index


def asked_for(two: TwoIndices, index: VideosIndex) -> tuple[str, ...]:
    return tuple(id for left in mirror_to_others(two.registry, index, ["a"]) for id in left.ids)


@pytest.mark.parametrize(
    ("known", "is_made"),
    [
        ({}, True),
        ({"state": State.QUEUED, "source": {"validator": "v", "must_answer": True}}, True),
        ({"state": State.DEAD}, True),
        ({"state": State.PROCESSING}, False),  # it is left to that worker
        ({"state": State.FAILED}, False),
        ({"content": None}, False),  # it was registered with another file
        ({"source": {"slices": {"count": 2, "seconds": 60}}}, False),  # its content is a new one
        ({"fingerprint": None}, False),  # it is embedded again in any case
        ({"fingerprint": "f2"}, False),  # the document that searches show is an older one
    ],
)
def test_of_a_video_that_is_not_indexed_now_what_was_indexed_last_is_made_where_it_is_known(
    two: TwoIndices, known: dict[str, Any], is_made: bool
) -> None:
    two.begin(segment_seconds=5)
    index = waiting(two, **known)
    assert asked_for(two, index) == (("a",) if is_made else ())
    two.engine.put(two.new, "a", {"title": "A", "video": video_of("g1", "/a.mp4")})
    two.registry.mark_filled("a", index=two.new, of="f1", fingerprint="g1")
    assert asked_for(two, index) == ()


def test_fields_that_change_while_a_video_waits_come_into_the_document_that_was_made(
    two: TwoIndices,
) -> None:
    two.begin(segment_seconds=5)
    waiting(two)
    made = {"fingerprint": "g1", "uri": "/a.mp4"}
    two.engine.put(two.new, "a", {"title": "A", "year": 1, "video": made})
    two.registry.mark_filled("a", index=two.new, of="f1", fingerprint="g1")
    update_fields(two.registry, two.read(), "a", {"title": "B", "year": None})
    assert two.source(two.new, "a") == {"title": "B", "video": made}


def test_nothing_counts_as_missing_after_a_swap(two: TwoIndices) -> None:
    two.begin(segment_seconds=5)
    two.add("a", "f1")
    two.add("b", "f2")
    two.engine.put(two.new, "a", {"video": video_of("g1", "/a.mp4")})
    two.engine.put(two.new, "b", {"video": video_of("g2", "/b.mp4")})
    two.registry.mark_filled("a", index=two.new, of="f1", fingerprint="g1")
    two.registry.mark_filled("b", index=two.new, of="another", fingerprint="g2")
    assert not list(missing_videos(two.registry, two.read()))
    two.swap()
    assert [record.id for record in missing_videos(two.registry, two.read())] == ["b"]


# -- races: the other one comes between two requests of a mirror


def test_a_delete_before_a_held_up_mirror_writes_is_not_undone(
    two: TwoIndices, engine: Stepping
) -> None:
    two.begin()
    index = two.add("a", "f1")
    engine.steps["before bulk", two.new] = lambda: delete_video(two.registry, two.read(), "a")
    mirror_to_others(two.registry, index, ["a"])
    assert two.registry.get("a").state is State.DELETED
    assert two.marks("a") == (None, None)


def test_a_delete_and_a_new_start_before_a_held_up_mirror_writes(
    two: TwoIndices, engine: Stepping
) -> None:
    two.begin()
    index = two.add("a", "f1", title="A")

    def again() -> None:
        delete_video(two.registry, two.read(), "a")
        mirror_to_others(two.registry, two.add("a", "f2", title="B"), ["a"])

    engine.steps["before bulk", two.new] = again
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f2", "f2")
    assert both(two, "a")["title"] == "B"


@pytest.mark.parametrize("moment", ["before bulk", "after mget"])
def test_fields_that_change_under_a_mirror_come_through(
    two: TwoIndices, engine: Stepping, moment: str
) -> None:
    two.begin()
    index = two.add("a", "f1", title="A")
    mirror_to_others(two.registry, index, ["a"])
    two.registry.set_fields("a", {"title": "B"})
    engine.steps[moment, two.new] = lambda: update_fields(
        two.registry, two.read(), "a", {"title": "C"}
    )
    mirror_to_others(two.registry, index, ["a"])
    assert both(two, "a")["title"] == "C"


def test_a_value_that_changes_and_changes_back_under_a_mirror(
    two: TwoIndices, engine: Stepping
) -> None:
    """The other index holds what the last writer wants already, so that one does not write."""
    two.begin()
    index = two.add("a", "f1", title="A")
    mirror_to_others(two.registry, index, ["a"])
    two.registry.set_fields("a", {"title": "B"})

    def back() -> None:
        two.registry.set_fields("a", {"title": "A"})
        two.engine.put(two.old, "a", {"title": "A", "video": video_of("f1", "/a.mp4")})
        assert mirror_videos(two.registry, index, two.opened(two.new), ["a"]).written == ()

    engine.steps["before bulk", two.new] = back
    mirror_to_others(two.registry, index, ["a"])
    assert both(two, "a")["title"] == "A"


def test_a_new_ingest_under_a_mirror_comes_through(two: TwoIndices, engine: Stepping) -> None:
    two.begin()
    index = two.add("a", "f1")
    two.registry.reopen("a")

    def again() -> None:
        mirror_to_others(two.registry, two.ingest("a", "f2"), ["a"])

    # The record is INDEXED when it is read, and another worker is faster than the write.
    two.ingest("a", "f1b")
    two.registry.reopen("a")
    two.ingest("a", "f1c")
    two.registry.reopen("a")
    two.ingest("a", "f1d")

    def reopened() -> None:
        two.registry.reopen("a")
        again()

    engine.steps["before bulk", two.new] = reopened
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f2", "f2")


def test_an_index_that_joins_under_a_mirror_gets_the_document(
    two: TwoIndices, engine: Stepping
) -> None:
    two.begin()
    index = two.add("a", "f1")
    third = "videos-000003"

    def join() -> None:
        two.engine.create_index(third, {"mappings": two.engine.mapping(two.new)})
        two.engine.update_aliases([{"add": {"index": third, "alias": two.settings.write_alias}}])

    engine.steps["before bulk", two.new] = join
    mirror_to_others(two.registry, index, ["a"])
    assert two.source(third, "a") == two.source(two.old, "a")


def test_a_document_that_always_changes_is_given_up_with_a_warning(
    two: TwoIndices,
    engine: Stepping,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidsearch.ingest.mirror._TRIES", 3)
    two.begin()
    index = two.add("a", "f1")

    def change() -> None:
        two.engine.put(two.new, "a", {"title": "other", "video": video_of("x", "/a.mp4")})
        engine.steps["before bulk", two.new] = change

    engine.steps["before bulk", two.new] = change
    with pytest.raises(VersionConflictError, match="keeps changing"):
        mirror_videos(two.registry, index, two.opened(two.new), ["a"])
    with caplog.at_level(logging.WARNING):
        mirror_to_others(two.registry, index, ["a"])
    assert "keeps changing" in caplog.text


# -- a writer that was held up over the swap


def test_a_late_ingest_reaches_the_index_that_is_read_now(two: TwoIndices) -> None:
    two.begin()
    index = two.read()
    two.registry.register("a", uri="/a.mp4", fields={"title": "A"})
    two.swap()
    two.ingest("a", "f1", index=index)
    assert two.marks("a") == ("f1", None)
    mirror_to_others(two.registry, index, ["a"])
    assert two.marks("a") == ("f1", "f1")


def test_a_late_ingest_reaches_the_new_index_after_the_write_alias_is_gone(
    two: TwoIndices,
) -> None:
    two.begin()
    index = two.read()
    two.registry.register("a", uri="/a.mp4")
    two.swap()
    two.end()
    mirror_to_others(two.registry, two.ingest("a", "f1", index=index), ["a"])
    assert two.marks("a") == ("f1", "f1")


def test_a_late_mirror_undoes_nothing_in_the_index_that_is_read_now(
    two: TwoIndices, engine: Stepping
) -> None:
    two.begin()
    index = two.add("a", "f1", title="A")
    mirror_to_others(two.registry, index, ["a"])
    two.swap()

    # Fields that were changed since, by a writer whose mirror has not come yet.
    two.registry.set_fields("a", {"title": "B"})
    two.engine.put(two.new, "a", {"title": "B", "video": video_of("f1", "/a.mp4")})
    mirror_videos(two.registry, index, two.opened(two.new), ["a"])
    assert two.source(two.new, "a")["title"] == "B"  # type: ignore[index]

    # Vectors that are being written, and such that were written since.
    two.registry.reopen("a")
    lease = two.registry.claim("a", owner="w")
    two.engine.put(two.new, "a", {"title": "B", "video": video_of("f2", "/a.mp4")})
    mirror_videos(two.registry, index, two.opened(two.new), ["a"])
    two.registry.complete(lease, fingerprint="f2")
    mirror_videos(two.registry, index, two.opened(two.new), ["a"])
    assert two.marks("a") == ("f1", "f2")

    # The writer of the new index brings the old one up to date, for a rollback.
    mirror_to_others(two.registry, two.read(), ["a"])
    assert two.marks("a") == ("f2", "f2")

    delete_video(two.registry, two.read(), "a")
    mirror_videos(two.registry, index, two.opened(two.new), ["a"])
    assert two.marks("a") == (None, None)


def test_the_old_index_may_be_gone_before_a_late_writer_looks(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1", title="A")
    mirror_to_others(two.registry, index, ["a"])
    two.swap()
    two.engine.delete_index(two.old)
    two.registry.set_fields("a", {"title": "B"})
    mirror_to_others(two.registry, index, ["a"])
    assert two.source(two.new, "a")["title"] == "B"  # type: ignore[index]


def test_a_document_that_went_with_its_index_is_to_be_made_anew(two: TwoIndices) -> None:
    two.begin()
    index = two.add("a", "f1")
    two.swap()
    two.engine.delete_index(two.old)
    (left,) = mirror_to_others(two.registry, index, ["a"])
    assert (left.index.name, left.ids) == (two.new, ("a",))


def test_an_index_of_somebody_else_behind_the_write_alias_is_left_alone(two: TwoIndices) -> None:
    index = two.add("a", "f1")
    two.engine.create_index("other", {"aliases": {two.settings.write_alias: {}}})
    mirror_to_others(two.registry, index, ["a"])
    assert two.source("other", "a") is None
    delete_video(two.registry, index, "a")
    assert purge_videos(two.registry, index, ["a"]) == {"a"}
