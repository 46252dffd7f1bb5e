"""A reindex from its beginning to its end, in memory: copied, made from kept frames, embedded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import until
from tests.whole_reindex import COLOURS, NEW, OLD, WholeStage, whole_stage

from vidsearch.errors import ReindexCheckError
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch_tasks import delete_video, reindexer, update_fields


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[WholeStage]:
    with whole_stage(tmp_path / "share") as stage:
        yield stage


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
    stage: WholeStage, changes: Changes, way: str
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
def test_what_is_written_meanwhile_is_in_both(
    stage: WholeStage, changes: Changes, way: str
) -> None:
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
    stage: WholeStage, changes: Changes, way: str
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
    stage: WholeStage,
) -> None:
    patient = reindexer(stage.services, notice_seconds=1e6)
    run = patient.begin(Changes(model="2"), background=True)  # which waits for nobody
    with stage.worker():
        until(lambda: patient.resume(run.id).step is Step.VERIFIED, what="all is embedded")
    assert patient.resume(run.id).step is Step.VERIFIED
    assert stage.reindexer().resume(run.id).step is Step.SWAPPED


def test_a_video_that_cannot_be_embedded_is_named_and_tried_again(
    stage: WholeStage, tmp_path: Path
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
    stage: WholeStage,
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


def test_after_a_change_of_the_model_the_next_one_goes_on_from_there(stage: WholeStage) -> None:
    stage.start(Changes(model="2"))
    stage.reindexer().clean()
    run = stage.start(Changes(model="1", segment_seconds=3))
    assert (run.source, run.target, run.step) == (NEW, "videos-000003", Step.SWAPPED)
    documents = stage.documents("videos")
    assert {source["video"]["model"] for source in documents.values()} == {"fake@1"}
    assert stage.missing() == []
