"""A reindex while videos that searches find are to be embedded again, or are dead: none is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until
from tests.whole_reindex import COLOURS, NEW, OLD, WholeStage, whole_stage

from vidsearch.errors import ReindexCheckError
from vidsearch.registry import ErrorRecord, State, VideoRecord
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch_tasks import delete_video, update_fields

SEGMENTS, MODEL = Changes(segment_seconds=3), Changes(model="2")
AWAY = ErrorRecord("SourceUnavailableError", "fetch", "the bucket is away")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[WholeStage]:
    with whole_stage(tmp_path / "share") as stage:
        yield stage


def ask(stage: WholeStage, *ids: str) -> None:
    """As ``vidsearch reindex --changed`` does."""
    stage.services.registry.reopen_many(ids, ask=True)


def embed_again(stage: WholeStage, *ids: str) -> None:
    """As ``vidsearch reindex --all`` does."""
    stage.services.registry.reopen_many(ids, forget=True)


def die(stage: WholeStage, id: str) -> VideoRecord:
    """The place of its file was away for three days."""
    registry = stage.services.registry
    lease = registry.claim(id, owner="w")
    return registry.release(lease, AWAY, counted=False, give_up_after=0.0)


def when_it_waits(act: Callable[[], Any], said: list[str]) -> Callable[[ReindexRun], None]:
    """For ``on_step``: what somebody does while a run waits for videos."""

    def look(run: ReindexRun) -> None:
        if run.waits_for is not None:
            said.append(run.waits_for)
            act()

    return look


def check_all_found(stage: WholeStage, run: ReindexRun) -> None:
    assert run.step is Step.SWAPPED
    documents = stage.documents("videos")
    assert documents.keys() == COLOURS.keys()
    assert {id: source["title"] for id, source in documents.items()} == {id: id for id in COLOURS}
    if run.changes == SEGMENTS.given():
        assert {len(source["video"]["segments"]) for source in documents.values()} == {2}
    else:
        assert {source["video"]["model"] for source in documents.values()} == {"fake@2"}


@pytest.mark.parametrize("changes", [SEGMENTS, MODEL])
def test_videos_that_wait_for_a_worker_come_into_the_new_index(
    stage: WholeStage, changes: Changes
) -> None:
    ask(stage, *COLOURS)
    run = stage.start(changes)
    check_all_found(stage, run)
    assert (run.done, run.total) == (3, 3)
    assert run.report is not None
    assert run.report["counts"]["registered"] == {"videos": 3, "source": 3, "target": 3}
    assert {stage.again(id).status for id in COLOURS} == {"unchanged"}
    assert stage.missing() == []


def test_of_videos_that_wait_for_their_place_documents_are_made_of_what_is_kept(
    stage: WholeStage, tmp_path: Path
) -> None:
    ask(stage, *COLOURS)
    away = stage.folder.rename(tmp_path / "away")
    assert stage.again("red").status == "retry"
    check_all_found(stage, stage.start(SEGMENTS))
    away.rename(stage.folder)
    assert stage.again("red").status == "unchanged"


@pytest.mark.parametrize("changes", [SEGMENTS, MODEL])
def test_a_dead_video_of_which_all_is_known_comes_into_the_new_index(
    stage: WholeStage, changes: Changes
) -> None:
    ask(stage, "red")
    assert die(stage, "red").state is State.DEAD
    check_all_found(stage, stage.start(changes))


def test_the_plan_counts_what_searches_find_and_what_was_never_indexed(stage: WholeStage) -> None:
    ask(stage, "red", "green")
    die(stage, "red")
    stage.services.registry.register("new", uri=str(stage.folder / "new.mp4"))
    plans = [stage.reindexer().plan(each) for each in (SEGMENTS, Changes(shards=2))]
    assert [(plan.videos, plan.waiting) for plan in plans] == [(3, 1), (3, 1)]


def test_videos_that_are_embedded_again_in_any_case_are_waited_for_and_named(
    stage: WholeStage, tmp_path: Path
) -> None:
    embed_again(stage, "red", "green")
    away = stage.folder.rename(tmp_path / "away")
    assert stage.again("green").status == "retry"
    said: list[str] = []

    def work() -> None:
        assert stage.documents(NEW).keys() == {"blue"}
        away.rename(stage.folder)
        assert {stage.again(id).status for id in ("red", "green")} == {"indexed"}

    run = stage.start(SEGMENTS, on_step=when_it_waits(work, said))
    check_all_found(stage, run)
    (sentence,) = said
    assert sentence.startswith(
        "2 videos that searches find, to be embedded again, such as 'green': SourceRootMissingError"
    )
    assert run.waits_for is None


def test_documents_that_workers_try_again_as_a_place_is_away_are_named(
    stage: WholeStage, tmp_path: Path
) -> None:
    away = stage.folder.rename(tmp_path / "away")
    run = stage.reindexer().begin(MODEL, background=True)
    runs = stage.reindexer().runs
    with stage.worker():

        def is_told() -> bool:
            said = stage.reindexer().drive(run.id).waits_for
            return said is not None and said.startswith("3 documents that workers try again, such")

        until(is_told, what="it says what it waits for")
        told = runs.get(run.id)
        assert told.step is Step.COPYING
        assert "SourceRootMissingError" in str(told.waits_for)
        away.rename(stage.folder)
        until(lambda: stage.reindexer().drive(run.id).step is Step.SWAPPED, what="it is swapped")
    check_all_found(stage, runs.get(run.id))
    assert runs.get(run.id).waits_for is None


def test_a_run_says_what_it_waits_for_now(stage: WholeStage, tmp_path: Path) -> None:
    """Of videos that are embedded again by now, their documents are on their way."""
    embed_again(stage, "red")
    run = stage.reindexer().begin(SEGMENTS, background=True)
    with stage.worker():
        until(lambda: stage.reindexer().drive(run.id).waits_for is not None, what="it waits")
    assert stage.again("red").status == "indexed"
    run = stage.reindexer().drive(run.id)
    assert (run.step, run.waits_for) == (Step.CATCHING_UP, None)


def test_a_video_that_was_registered_with_another_file_is_waited_for(stage: WholeStage) -> None:
    other = stage.clip("other", (255, 255, 0))
    stage.services.registry.register("red", uri=str(other), fields={"title": "other"})
    said: list[str] = []
    run = stage.start(SEGMENTS, on_step=when_it_waits(lambda: stage.again("red"), said))
    assert said == ["1 video that searches find, to be embedded again, such as 'red'"]
    shown = stage.documents("videos")["red"]
    assert (run.step, shown["title"], shown["video"]["uri"]) == (
        Step.SWAPPED,
        "other",
        str(other),
    )


def test_a_video_whose_file_has_changed_meanwhile_is_not_in_the_new_index_before_the_old_one(
    stage: WholeStage,
) -> None:
    stage.clip("red", (255, 255, 0))
    ask(stage, "red")
    said: list[str] = []

    def work() -> None:
        assert "red" not in stage.documents(NEW)
        assert stage.again("red").status == "indexed"

    check_all_found(stage, stage.start(SEGMENTS, on_step=when_it_waits(work, said)))
    assert len(said) == 1


def test_a_run_in_the_background_is_left_to_the_sweep_while_it_waits(stage: WholeStage) -> None:
    embed_again(stage, "red")
    run = stage.reindexer().begin(SEGMENTS, background=True)
    with stage.worker():
        until(lambda: stage.reindexer().resume(run.id).waits_for is not None, what="it waits")
        run = stage.reindexer().resume(run.id)
        assert (run.step, run.is_at_rest) == (Step.CATCHING_UP, False)
        stage.again("red")
        until(lambda: stage.reindexer().resume(run.id).step is Step.SWAPPED, what="it is swapped")
    check_all_found(stage, stage.reindexer().runs.get(run.id))


def test_a_run_that_waits_can_be_undone(stage: WholeStage) -> None:
    embed_again(stage, "red")
    run = stage.reindexer().begin(SEGMENTS, background=True)
    with stage.worker():
        until(lambda: stage.reindexer().resume(run.id).waits_for is not None, what="it waits")
    run = stage.reindexer().roll_back()
    assert (run.step, run.waits_for) == (Step.ROLLED_BACK, None)
    assert stage.documents("videos").keys() == COLOURS.keys()


@pytest.mark.parametrize("mend", ["retry", "delete"])
def test_a_dead_video_of_which_not_all_is_known_is_named_by_the_check(
    stage: WholeStage, mend: str
) -> None:
    embed_again(stage, "red")
    die(stage, "red")
    said = (
        "searches find 1 dead video that 'videos-000002' lacks, such as 'red': "
        f"{AWAY.type} (fetch): the bucket is away. Mend that and run `vidsearch videos retry`"
    )
    with pytest.raises(ReindexCheckError) as refused:
        stage.start(SEGMENTS)
    assert said in str(refused.value)
    assert stage.services.open_index().name == OLD
    if mend == "retry":
        stage.services.registry.retry("red")
        assert stage.again("red").status == "indexed"
    else:
        delete_video("red", services=stage.services)
    with stage.worker():
        assert stage.reindexer().resume().step is Step.SWAPPED
    assert ("red" in stage.documents("videos")) is (mend == "retry")


def test_a_dead_video_whose_file_has_changed_is_to_be_retried(stage: WholeStage) -> None:
    stage.clip("red", (255, 255, 0))
    ask(stage, "red")
    die(stage, "red")
    with pytest.raises(ReindexCheckError) as refused:
        stage.start(SEGMENTS)
    (entry,) = stage.services.fills.given_up()
    assert "has changed since it was indexed" in str(entry.error)
    assert "searches find 1 dead video that 'videos-000002' lacks" in str(refused.value)
    assert "run `vidsearch videos retry`" in str(refused.value)
    assert "could not be made" not in str(refused.value)
    stage.services.registry.retry("red")
    assert stage.again("red").status == "indexed"
    with stage.worker():
        check_all_found(stage, stage.reindexer().resume())


def test_a_video_that_dies_after_the_check_is_named_before_the_swap(stage: WholeStage) -> None:
    def die_then(run: ReindexRun) -> None:
        if run.step is Step.VERIFIED:
            embed_again(stage, "red")
            stage.engine.delete(NEW, "red")
            die(stage, "red")

    with pytest.raises(ReindexCheckError, match="searches find 1 dead video"):
        stage.start(SEGMENTS, on_step=die_then)
    assert stage.services.open_index().name == OLD


@pytest.mark.parametrize("when", [Step.WRITING_BOTH, Step.CATCHING_UP])
def test_a_title_that_changes_while_its_video_waits_is_in_both(
    stage: WholeStage, tmp_path: Path, when: Step
) -> None:
    ask(stage, "red")
    stage.folder.rename(tmp_path / "away")

    def change(run: ReindexRun) -> None:
        if run.step is when:
            update_fields("red", {"title": "changed"}, services=stage.services)

    run = stage.start(SEGMENTS, on_step=change)
    assert run.step is Step.SWAPPED
    assert [stage.documents(name)["red"]["title"] for name in (OLD, NEW)] == ["changed"] * 2


def test_fields_for_the_next_document_are_not_in_the_one_that_searches_show(
    stage: WholeStage, tmp_path: Path
) -> None:
    ask(stage, "red")
    stage.services.registry.register("red", uri=str(stage.clips["red"]), fields={"title": "next"})
    assert stage.documents(OLD)["red"]["title"] == "red"
    check_all_found(stage, stage.start(SEGMENTS))
    assert stage.again("red").status == "unchanged"
    assert [stage.documents(name)["red"]["title"] for name in (OLD, NEW)] == ["next"] * 2


def test_a_rollback_keeps_videos_that_wait_for_a_worker(stage: WholeStage) -> None:
    stage.start(MODEL)
    stage.ingest("late", (255, 255, 0))
    ask(stage, "late", "red")
    embed_again(stage, "green")  # which nobody waits for: it is in the old index
    assert stage.roll_back().step is Step.ROLLED_BACK
    documents = stage.documents("videos")
    assert documents.keys() == {*COLOURS, "late"}
    assert {source["video"]["model"] for source in documents.values()} == {"fake@1"}
    assert {stage.again(id).status for id in ("late", "red")} == {"unchanged"}
