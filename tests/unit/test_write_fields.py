"""Registering indexed videos again with other fields: documents change at once, no file is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ingest_stage import SETTINGS, Stage

from vidsearch.engines import BulkResult, Write
from vidsearch.errors import DocumentRejectedError
from vidsearch.index import create_videos_index
from vidsearch.index.videos_index import open_videos_index
from vidsearch.ingest import lack_fields, write_fields
from vidsearch.registry import NewVideo, Registration, Registry, State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.memory_engine import MemoryEngine

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
