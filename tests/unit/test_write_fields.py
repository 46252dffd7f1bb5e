"""Registering indexed videos again with other fields: documents change at once, no file is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ingest_stage import SETTINGS, Stage
from tests.memory_stage import Stage as Application

from vidsearch.engines import BulkResult, Write
from vidsearch.errors import (
    BackendError,
    BulkError,
    DocumentRejectedError,
    IndexNotFoundError,
    MappingConflictError,
    RegistryError,
)
from vidsearch.index import attach_index, create_videos_index
from vidsearch.index.videos_index import open_videos_index
from vidsearch.ingest import lack_fields, update_fields, write_fields
from vidsearch.registry import (
    ErrorRecord,
    FieldChange,
    NewVideo,
    Registration,
    Registry,
    State,
    VideoRecord,
)
from vidsearch.registry.store import Stored
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import register_video

IDS = [f"v{number}" for number in range(120)]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(
        tmp_path / "clip.mp4", [i / 5 for i in range(10)], picture=solid((255, 0, 0)), rate=5
    )


@pytest.fixture
def library(stage: Stage, clip: Path) -> Path:
    """120 indexed videos, whose file is gone afterwards."""
    for id in IDS:
        stage.add(id, clip, title="old", tags=["x"])
    clip.unlink()
    stage.work()
    return clip


def test_an_index_that_cannot_be_opened_keeps_no_video_that_waits_from_being_queued(
    stage: Stage, clip: Path
) -> None:
    stage.add("a", clip, title="old")
    stage.registry.reopen_many(["a"])
    stage.engine.delete_index(open_videos_index(stage.engine, SETTINGS).name)
    application = Application(stage.registry, stage.engine)
    new = [NewVideo("a", str(clip), {"title": "new"}), NewVideo("c", "/c.mp4", {})]
    done = application.register(new)
    assert [one.error for one in done] == [None, None]
    assert application.waiting == 2
    services: Any = application
    record = register_video("a", uri=str(clip), fields={"title": "newer"}, services=services)
    assert (record.state, record.fields["title"]) == (State.QUEUED, "newer")
    stage.registry.complete(stage.registry.claim("a", owner="w"), fingerprint="f")
    new = [NewVideo("a", str(clip), {"title": "newest"}), NewVideo("d", "/d.mp4", {})]
    one, two = application.register(new)
    assert isinstance(one.error, IndexNotFoundError)
    assert two.error is None
    assert stage.registry.get("d").state is State.QUEUED


def register(stage: Stage, uri: Path, **fields: Any) -> list[str]:
    """Ids of those whose documents lack their fields now."""
    again = stage.registry.register_many([NewVideo(id, str(uri), fields) for id in IDS])
    return [one.id for one in again if lack_fields(one.require())]


def write(stage: Stage, ids: Sequence[str]) -> list[Registration]:
    return write_fields(stage.registry, open_videos_index(stage.engine, SETTINGS), ids)


def document(stage: Stage, id: str) -> dict[str, Any]:
    found = stage.engine.get("videos", id)
    assert found is not None
    return found.source


def test_many_documents_get_new_fields_and_keep_their_vectors(stage: Stage, library: Path) -> None:
    before = stage.video("v7")
    assert register(stage, library, title="new", year=2020) == IDS
    assert document(stage, "v7")["title"] == "old"
    ends = write(stage, IDS)
    assert [one.id for one in ends] == IDS
    for one in ends:
        record = one.require()
        assert (record.state, record.due_at) == (State.INDEXED, None)
    assert document(stage, "v7") == {"title": "new", "year": 2020, "video": before}
    assert stage.work() == (0, 0)
    assert register(stage, library, title="new", year=2020) == [], "the same again is nothing"


def test_a_registration_that_broke_off_before_the_documents_is_ended_by_the_next(
    stage: Stage, library: Path
) -> None:
    register(stage, library, title="new")
    again = register(stage, library, title="new")
    assert again == IDS
    write(stage, again)
    assert document(stage, "v0")["title"] == "new"


def test_a_document_that_is_gone_is_left_to_a_worker(stage: Stage, library: Path) -> None:
    stage.engine.delete("videos", "v3")
    register(stage, library, title="new")
    ends = {one.id: one.require() for one in write(stage, IDS)}
    assert ends["v3"].state is State.REGISTERED
    assert {record.state for id, record in ends.items() if id != "v3"} == {State.INDEXED}
    assert stage.ingest("v3").status == "indexed"
    assert document(stage, "v3")["title"] == "new"
    assert stage.work() == (0, 0)


def test_a_value_that_would_change_is_refused_and_the_former_fields_stay(
    stage: Stage, clip: Path
) -> None:
    settings = SETTINGS.model_copy(
        update={"name": "whole", "mapping": {"properties": {"year": {"type": "long"}}}}
    )
    create_videos_index(stage.engine, settings, stage.encoder.identity)
    stage.index = settings
    stage.registry = registry = Registry(stage.engine, index=settings.registry)
    stage.add("a", clip, year=2020)
    registry.register("a", uri=str(clip), fields={"year": 2020.5})
    index = open_videos_index(stage.engine, settings)
    (end,) = write_fields(registry, index, ["a"])
    with pytest.raises(DocumentRejectedError, match=r"'year' is mapped as 'long'"):
        end.require()
    record = registry.get("a")
    assert (record.state, record.fields, record.due_at) == (State.INDEXED, {"year": 2020}, None)


class Racing(MemoryEngine):
    """Another writer changes a document before a bulk, once."""

    race: Any = None

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool = False) -> BulkResult:
        if self.race is not None and any(write.id == "a" for write in writes):
            race, self.race = self.race, None
            race()
        return super().bulk(index, writes, refresh=refresh)


def test_of_two_changes_at_once_the_later_registered_fields_are_in_the_document(
    clip: Path,
) -> None:
    stage = Stage(Racing())
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    stage.add("a", clip, title="one")
    stage.registry.register("a", uri=str(clip), fields={"title": "two"})

    def race() -> None:
        stage.registry.register("a", uri=str(clip), fields={"title": "three"})
        write(stage, ["a"])

    assert isinstance(stage.engine, Racing)
    stage.engine.race = race
    (end,) = write(stage, ["a"])
    assert end.require().fields == {"title": "three"}
    assert document(stage, "a")["title"] == "three"


def test_a_worker_that_is_at_the_video_writes_the_fields(stage: Stage, clip: Path) -> None:
    stage.add("a", clip, title="one")
    stage.registry.register("a", uri=str(clip), fields={"title": "two"})
    stage.registry.reopen("a")
    (end,) = write(stage, ["a"])
    assert end.require().state is State.REGISTERED
    assert document(stage, "a")["title"] == "one"
    assert stage.ingest("a").status == "unchanged"
    assert document(stage, "a")["title"] == "two"


def test_of_two_updates_at_once_the_later_one_is_written(stage: Stage, clip: Path) -> None:
    """The second one sets its fields after the first one has written, and before it notes that."""
    stage.add("a", clip, title="old")
    index = open_videos_index(stage.engine, SETTINGS)
    stage.registry.set_fields("a", {"title": "first"})
    bulk = stage.engine.bulk

    def second(name: str, writes: Sequence[Write], **options: Any) -> BulkResult:
        stage.engine.bulk = bulk  # type: ignore[method-assign]
        done = bulk(name, writes, **options)
        stage.registry.set_fields("a", {"title": "second"})
        return done

    stage.engine.bulk = second  # type: ignore[method-assign]
    write_fields(stage.registry, index, ["a"])
    assert lack_fields(stage.registry.get("a"))
    write_fields(stage.registry, index, ["a"])
    assert document(stage, "a")["title"] == "second"
    assert not lack_fields(stage.registry.get("a"))


class _Refusing(Racing):
    """Takes no text as year."""

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool = False) -> BulkResult:
        failures: dict[str, BackendError] = {
            write.id: MappingConflictError(f"failed to parse field [year] of type [long]: {year!r}")
            for write in writes
            if isinstance(year := (write.source or {}).get("year"), str)
        }
        good = [write for write in writes if write.id not in failures]
        done = super().bulk(index, good, refresh=refresh)
        if failures:
            raise BulkError(
                "refused", failures=failures, conflicts=done.conflicts, revisions=done.revisions
            )
        return done


@pytest.fixture
def refusing(clip: Path) -> Stage:
    """With an indexed video ``a``, whose index takes no text as year."""
    stage = Stage(_Refusing())
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    stage.add("a", clip, title="old", year=2020)
    return stage


def update(stage: Stage, **fields: Any) -> VideoRecord:
    index = open_videos_index(stage.engine, SETTINGS)
    return update_fields(stage.registry, index, "a", fields)


def test_a_refused_value_is_told_to_who_set_it_and_takes_nobody_elses_with_it(
    refusing: Stage,
) -> None:
    """The second update comes after the first one is in the record, and before its write."""
    first = FieldChange({"title": "first"})
    refusing.registry.set_fields("a", first.fields)
    refusing.registry.set_fields("a", {"year": "of the dragon"})
    index = open_videos_index(refusing.engine, SETTINGS)
    (end,) = write_fields(refusing.registry, index, ["a"], own={"a": first})
    assert end.error is None
    assert document(refusing, "a")["title"] == "first"
    assert lack_fields(refusing.registry.get("a")), "the other update is not written yet"
    with pytest.raises(DocumentRejectedError, match="year"):
        update(refusing, year="of the dragon")
    record = refusing.registry.get("a")
    assert (record.fields, record.due_at) == ({"title": "first", "year": 2020}, None)
    assert document(refusing, "a")["year"] == 2020


def test_of_a_refused_registration_nothing_is_kept(refusing: Stage, clip: Path) -> None:
    fields = {"title": "new", "year": "of the dragon"}
    record = refusing.registry.register("a", uri=str(clip), fields=fields)
    refusing.registry.set_fields("a", {"tags": ["x"]})
    index = open_videos_index(refusing.engine, SETTINGS)
    own = {"a": FieldChange(record.fields, removed=None)}
    (end,) = write_fields(refusing.registry, index, ["a"], own=own)
    with pytest.raises(DocumentRejectedError, match="year"):
        end.require()
    record = refusing.registry.get("a")
    assert record.fields == {"title": "old", "year": 2020, "tags": ["x"]}
    assert lack_fields(record), "whoever set the tags writes them"
    update(refusing, tags=["x"])
    assert document(refusing, "a")["tags"] == ["x"]


def test_registering_without_fields_takes_nobodys_back(refusing: Stage) -> None:
    refusing.registry.set_fields("a", {"year": "of the dragon"})
    index = open_videos_index(refusing.engine, SETTINGS)
    (end,) = write_fields(refusing.registry, index, ["a"], own={"a": FieldChange({})})
    assert end.error is None
    with pytest.raises(DocumentRejectedError, match="year"):
        update(refusing, year="of the dragon")
    assert refusing.registry.get("a").fields == {"title": "old", "year": 2020}


_ERROR = ErrorRecord("X", "decode", "broken")


def failed(stage: Stage) -> None:
    stage.registry.reopen("a", forget=True)
    stage.registry.fail(stage.registry.claim("a", owner="w"), _ERROR)


def dead(stage: Stage) -> None:
    stage.registry.reopen("a")
    lease = stage.registry.claim("a", owner="w")
    stage.registry.release(lease, _ERROR, counted=False, give_up_after=0.0)


def waiting(stage: Stage) -> None:
    stage.registry.reopen("a")
    stage.registry.mark_queued("a")


def begun(stage: Stage) -> None:
    stage.registry.reopen("a")
    stage.registry.claim("a", owner="w")


@pytest.mark.parametrize("become", [failed, dead, waiting, begun])
def test_fields_reach_the_document_that_searches_still_show(
    refusing: Stage, become: Callable[[Stage], None]
) -> None:
    become(refusing)
    before = refusing.video("a")
    state = refusing.registry.get("a").state
    record = update(refusing, title="new", year=None)
    assert record.state is (State.REGISTERED if state is State.PROCESSING else state)
    assert record.fields == {"title": "new"}
    assert document(refusing, "a") == {"title": "new", "video": before}
    with pytest.raises(DocumentRejectedError, match="year"):
        update(refusing, title="newer", year="of the dragon")
    assert refusing.registry.get("a").fields == {"title": "new"}
    assert document(refusing, "a") == {"title": "new", "video": before}


def test_fields_of_a_failed_video_are_of_its_record_alone_where_nothing_is_shown(
    refusing: Stage,
) -> None:
    failed(refusing)
    refusing.engine.delete("videos", "a")
    assert update(refusing, title="new").fields == {"title": "new", "year": 2020}
    assert refusing.engine.get("videos", "a") is None


def test_an_update_leaves_in_the_document_what_another_registration_waits_with(
    refusing: Stage,
) -> None:
    refusing.registry.register("a", uri="/other.mp4", fields={"title": "other", "draft": True})
    record = update(refusing, year=2021)
    assert record.fields == {"title": "other", "draft": True, "year": 2021}
    after = document(refusing, "a")
    assert (after["title"], after["year"], "draft" in after) == ("old", 2021, False)
    assert after["video"]["uri"] != "/other.mp4"


def test_a_refused_update_of_a_video_with_another_file_takes_back_to_what_was_registered_for_that(
    refusing: Stage,
) -> None:
    refusing.registry.register("a", uri="/other.mp4", fields={"title": "other", "year": 2024})
    with pytest.raises(DocumentRejectedError, match="year"):
        update(refusing, year="of the dragon", draft=True)
    assert refusing.registry.get("a").fields == {"title": "other", "year": 2024}
    assert (document(refusing, "a")["title"], document(refusing, "a")["year"]) == ("old", 2020)


def test_a_refused_update_that_broke_off_and_is_repeated_leaves_nothing(refusing: Stage) -> None:
    refusing.registry.register("a", uri="/other.mp4", fields={"title": "other", "year": 2024})
    refusing.registry.set_fields("a", {"year": "of the dragon"})
    for fields in ({"year": "of the dragon"}, {"year": "of the dragon", "draft": True}):
        with pytest.raises(DocumentRejectedError, match="year"):
            update(refusing, **fields)
        assert refusing.registry.get("a").fields == {"title": "other", "year": 2020}
        refusing.registry.set_fields("a", {"year": "of the dragon"})


def test_a_refused_update_leaves_what_others_set_before_its_write(
    refusing: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing.registry.register("a", uri="/other.mp4", fields={"title": "other", "year": 2024})
    set_fields = refusing.registry.set_fields

    def late(id: str, fields: Any) -> Stored:
        monkeypatch.undo()
        set_fields("a", {"title": "another", "year": 2025})
        return set_fields(id, fields)

    monkeypatch.setattr(refusing.registry, "set_fields", late)
    with pytest.raises(DocumentRejectedError, match="year"):
        update(refusing, title="mine", year="of the dragon")
    assert refusing.registry.get("a").fields == {"title": "another", "year": 2025}


@pytest.mark.parametrize("reopened", [False, True])
def test_fields_are_refused_in_an_attached_index_and_the_video_stays_as_it_is(
    clip: Path, reopened: bool
) -> None:
    stage = Stage()
    stage.engine.create_index("videos", {"mappings": {"properties": {"url": {"type": "keyword"}}}})
    attach_index(stage.engine, SETTINGS, stage.encoder.identity, uri_field="url")
    stage.engine.put("videos", "a", {"url": str(clip), "title": "own"})
    assert stage.add("a", clip).status == "indexed"
    if reopened:
        stage.registry.reopen("a")
    before, shown = stage.registry.get("a"), document(stage, "a")
    application = Application(stage.registry, stage.engine)
    with pytest.raises(RegistryError, match="write the fields of 'a' to your own document"):
        register_video("a", uri=str(clip), fields={"title": "x"}, services=application)  # type: ignore[arg-type]
    (one,) = application.register([NewVideo("a", str(clip), {"title": "x"})])
    assert isinstance(one.error, RegistryError)
    after = stage.registry.get("a")
    assert (after.fields, after.fingerprint) == ({}, before.fingerprint)
    assert after.state is (State.QUEUED if reopened else State.INDEXED)
    assert (after.due_at is None) is not reopened
    (one,) = application.register([NewVideo("a", str(clip), {})])
    assert one.error is None
    assert document(stage, "a") == shown
    if reopened:
        assert stage.ingest("a").status == "unchanged"
    application.app.close()
