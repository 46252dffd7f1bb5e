"""A reindex from its beginning to its end, in memory: copied, made from kept frames, embedded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from tests.waiting import until

from vidsearch.config import Settings
from vidsearch.encoders import ModelIdentity
from vidsearch.errors import ReindexCheckError
from vidsearch.index import create_videos_index
from vidsearch.ingest import missing_videos
from vidsearch.registry import State
from vidsearch.reindex import Changes, Reindexer, ReindexRun, Step
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, delete_video, reindexer, reindexing, update_fields

OLD, NEW = "videos-000001", "videos-000002"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class TwoEncoders:
    """A pool of the fake encoder in two revisions."""

    def __init__(self) -> None:
        self.of = {made.identity: made for made in map(revision, "12")}

    def encoder_for(self, identity: ModelIdentity, *, where: str) -> FakeEncoder:
        return self.of[identity]


def revision(number: str) -> FakeEncoder:
    return FakeEncoder(revision=number)


class Stage:
    """Three indexed videos, and a worker that makes documents while it runs."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            index={"segment_seconds": 2, "replicas": 0},
            broker={"queue": uuid4().hex},
            ingest={"isolate": False},
        )
        app = Celery("application", broker="memory://", set_as_current=False)
        self.services = Services(settings, encoder=revision("1"), app=app)
        self.engine = MemoryEngine()
        vars(self.services).update(engine=self.engine, encoders=TwoEncoders())
        create_videos_index(self.engine, settings.index, revision("1").identity)
        self.folder = folder
        self.clips = {name: self.ingest(name, colour) for name, colour in COLOURS.items()}

    def ingest(self, name: str, colour: tuple[int, int, int]) -> Path:
        times = [number / 5 for number in range(30)]
        path = write_clip(self.folder / f"{name}.mp4", times, picture=solid(colour), rate=5)
        self.services.registry.register(name, uri=str(path), fields={"title": name})
        assert self.services.indexer.ingest(name, owner="w").status == "indexed"
        return path

    @contextmanager
    def worker(self) -> Iterator[None]:
        """What workers and sweeps do with the documents that are asked for."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.02):
                if not self.services.fills.exists:
                    continue
                for entry in self.services.fills.entries.scan(State.REGISTERED, State.QUEUED):
                    self.services.filler.fill(entry.id, owner="w")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def reindexer(self, **options: Any) -> Reindexer:
        """Nobody searches who would have to load another model."""
        return reindexer(self.services, notice_seconds=0, **options)

    def start(self, changes: Changes, **options: Any) -> ReindexRun:
        with self.worker():
            return self.reindexer(**options).start(changes)

    def roll_back(self) -> ReindexRun:
        with self.worker():
            return self.reindexer().roll_back()

    def documents(self, name: str) -> dict[str, Any]:
        return {document.id: document.source for document in self.engine.scan(name)}

    def missing(self) -> list[str]:
        index = self.services.open_index()
        return [record.id for record in missing_videos(self.services.registry, index)]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("vidsearch.reindex.steps._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    monkeypatch.setattr(reindexing, "_identity_of", lambda services, name: revision(name).identity)
    stage = Stage(tmp_path)
    yield stage
    stage.services.close()


CHANGES = pytest.mark.parametrize(
    ("changes", "way"),
    [
        (Changes(quantization="flat"), "copy"),
        (Changes(segment_seconds=3), "assemble"),
        (Changes(model="2"), "embed"),
    ],
)


@CHANGES
def test_every_way_ends_with_all_videos_in_the_new_index(
    stage: Stage, changes: Changes, way: str
) -> None:
    run = stage.start(changes)
    assert (run.way, run.step, run.done, run.total) == (way, Step.SWAPPED, 3, 3)
    assert run.report is not None
    assert run.report["counts"]["indexed"] == {"videos": 3, "source": 3, "target": 3}
    documents = stage.documents("videos")
    assert documents.keys() == COLOURS.keys()
    model = "fake@2" if way == "embed" else "fake@1"
    assert {source["video"]["model"] for source in documents.values()} == {model}
    segments = {len(source["video"]["segments"]) for source in documents.values()}
    assert segments == {2 if way == "assemble" else 3}
    assert stage.missing() == []
    index = stage.services.open_index()
    for id, record in stage.services.registry.find_many([*COLOURS]).items():
        found = documents[id]["video"]["fingerprint"]
        assert record.is_current(found, index=index.name)


@CHANGES
def test_what_is_written_meanwhile_is_in_both(stage: Stage, changes: Changes, way: str) -> None:
    def write(run: ReindexRun) -> None:
        if run.step is Step.CATCHING_UP:
            update_fields("red", {"title": "changed"}, services=stage.services)
            delete_video("green", services=stage.services)
            stage.ingest("yellow", (255, 255, 0))

    stage.start(changes, on_step=write)
    for name in (OLD, NEW):
        documents = stage.documents(name)
        assert documents.keys() == {"red", "blue", "yellow"}
        assert documents["red"]["title"] == "changed"


@CHANGES
def test_a_rollback_brings_back_what_was_written_since(
    stage: Stage, changes: Changes, way: str
) -> None:
    before = stage.documents(OLD)
    stage.start(changes)
    update_fields("red", {"title": "changed"}, services=stage.services)
    delete_video("green", services=stage.services)
    stage.ingest("yellow", (255, 255, 0))
    run = stage.roll_back()
    assert run.step is Step.ROLLED_BACK
    documents = stage.documents("videos")
    assert documents.keys() == {"red", "blue", "yellow"}
    assert documents["red"]["title"] == "changed"
    assert documents["blue"] == before["blue"]
    assert {source["video"]["model"] for source in documents.values()} == {"fake@1"}
    assert stage.missing() == []
    assert not stage.services.fills.exists


def test_search_clients_get_as_much_time_to_load_another_model_as_is_asked_for(
    stage: Stage,
) -> None:
    patient = reindexer(stage.services, notice_seconds=1e6)
    run = patient.begin(Changes(model="2"), background=True)  # which waits for nobody
    with stage.worker():
        until(lambda: patient.resume(run.id).step is Step.VERIFIED, what="all is embedded")
    assert patient.resume(run.id).step is Step.VERIFIED
    assert stage.reindexer().resume(run.id).step is Step.SWAPPED


def test_a_video_that_cannot_be_embedded_is_named_and_tried_again(
    stage: Stage, tmp_path: Path
) -> None:
    away = stage.clips["red"].rename(tmp_path / "away")
    with pytest.raises(ReindexCheckError, match="red"):
        stage.start(Changes(model="2"))
    assert stage.services.open_index().name == OLD
    away.rename(stage.clips["red"])
    with stage.worker():
        run = stage.reindexer().resume()
    assert run.step is Step.SWAPPED
    assert stage.documents("videos").keys() == COLOURS.keys()


def test_a_rollback_keeps_the_vectors_of_files_that_are_gone_and_fails_what_has_none(
    stage: Stage,
) -> None:
    before = stage.documents(OLD)
    stage.start(Changes(model="2"))
    late = stage.ingest("late", (255, 255, 0))  # its document of the old model is to be made
    for gone in (stage.clips["red"], late):
        gone.unlink()
    run = stage.roll_back()
    assert run.step is Step.ROLLED_BACK
    assert stage.documents("videos") == before
    assert [record.id for record in stage.services.registry.due(limit=10)] == ["late"]
    assert stage.services.indexer.ingest("late", owner="w").status == "failed"
    assert "late.mp4" in str(stage.services.registry.get("late").error)
    assert stage.services.indexer.ingest("red", owner="w").status == "skipped"


def test_after_a_change_of_the_model_the_next_one_goes_on_from_there(stage: Stage) -> None:
    stage.start(Changes(model="2"))
    stage.reindexer().clean()
    run = stage.start(Changes(model="1", segment_seconds=3))
    assert (run.source, run.target, run.step) == (NEW, "videos-000003", Step.SWAPPED)
    documents = stage.documents("videos")
    assert {source["video"]["model"] for source in documents.values()} == {"fake@1"}
    assert stage.missing() == []
