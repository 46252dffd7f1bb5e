"""The steps of a reindex: in order, safe to repeat, taken up where they broke off, undone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.reindexing_in_memory import (
    NEW,
    OLD,
    SETTINGS,
    WRITE,
    Report,
    Stage,
    identity_of,
    stage_of_three,
)

from vidsearch.config import IndexSettings
from vidsearch.engines import Json
from vidsearch.errors import (
    BackendUnavailableError,
    ConfigError,
    ReindexCheckError,
    ReindexError,
)
from vidsearch.index import drop_videos_index
from vidsearch.reindex import ReindexRun, RunStore, Step
from vidsearch.reindex.changes import Changes

BINARY = Changes(quantization="float")
STEPS = [
    Step.PLANNED,
    Step.WRITING_BOTH,
    Step.COPYING,
    Step.CATCHING_UP,
    Step.VERIFIED,
    Step.SWAPPED,
]


class Killed(BaseException):
    """What a process does not see of its own kill; nothing but leases is tidied up after it."""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return stage_of_three()


def test_a_run_goes_from_step_to_step_and_keeps_the_source(stage: Stage) -> None:
    told: list[tuple[int, int]] = []
    run = stage.reindexer(on_progress=lambda done, total: told.append((done, total))).start(BINARY)
    assert stage.steps == STEPS
    assert run.step is Step.SWAPPED
    assert run.swapped_at is not None
    assert run.report == Report().to_json()
    assert (run.owner, run.error, run.total, told) == (None, None, 3, [(3, 3)])
    assert stage.behind("videos") == (NEW,)
    assert stage.behind(WRITE) == (OLD, NEW)
    assert "vidsearch_reindex" not in stage.engine.mapping(NEW)["_meta"]
    assert stage.engine.settings(NEW).get("refresh_interval") is None
    run = stage.reindexer().clean()
    assert run.step is Step.DONE
    assert run.ended_at is not None
    assert stage.left() == [NEW]
    assert stage.behind(WRITE) == ()


def test_without_keep_old_the_source_is_deleted_at_once(stage: Stage) -> None:
    run = stage.reindexer().start(BINARY, keep_old=False)
    assert stage.steps == [*STEPS, Step.DONE]
    assert run.step is Step.DONE
    assert stage.left() == [NEW]
    # The next one counts on.
    assert stage.reindexer().start(Changes(shards=2), keep_old=False).target == "videos-000003"
    assert stage.behind("videos") == ("videos-000003",)


def test_the_target_has_the_changes_and_all_else_of_the_source(stage: Stage) -> None:
    engine = stage.engine
    engine.put_mapping(OLD, {"properties": {"year": {"type": "short"}}})
    engine.put_settings(OLD, {"refresh_interval": "7s", "default_pipeline": "mine"})
    engine.update_aliases([{"add": {"index": OLD, "alias": "films", "is_hidden": True}}])
    seen: list[Json] = []

    def look(run: ReindexRun) -> None:
        if run.step is Step.COPYING:
            seen.append(engine.settings(NEW))

    stage.reindexer(on_step=look).start(Changes(quantization="flat", shards=3))
    live = engine.settings(NEW)
    assert str(live["number_of_shards"]) == "3"
    assert (live["refresh_interval"], live["default_pipeline"]) == ("7s", "mine")
    assert (seen[0]["refresh_interval"], seen[0]["default_pipeline"]) == ("-1", "_none")
    mapping = engine.mapping(NEW)
    assert mapping["properties"]["year"] == {"type": "short"}
    assert mapping["_meta"]["vidsearch"]["quantization"] == "flat"
    vector = mapping["properties"]["video"]["properties"]["vector"]
    assert vector["index_options"]["type"] == "flat"
    assert engine.aliases(NEW).keys() == {"videos", "films", WRITE}
    assert engine.aliases(OLD).keys() == {WRITE}


def test_the_final_pipeline_runs_once_on_what_is_mirrored(stage: Stage) -> None:
    engine = stage.engine
    engine.put_settings(OLD, {"final_pipeline": "last"})

    def pipelines() -> list[str]:
        return [engine.settings(name)["final_pipeline"] for name in (OLD, NEW)]

    seen: dict[Step, list[str]] = {}

    def look(run: ReindexRun) -> None:
        if run.step is not Step.PLANNED:
            seen[run.step] = pipelines()

    stage.reindexer(on_step=look).start(BINARY)
    assert seen[Step.COPYING] == seen[Step.VERIFIED] == ["last", "_none"]
    assert pipelines() == ["_none", "last"]  # the old index is only mirrored from now on
    assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
    assert engine.settings(OLD)["final_pipeline"] == "last"
    # Documents that workers make are written whole.
    stage.reindexer(on_step=look).start(Changes(segment_seconds=5))
    assert pipelines() == ["last", "last"]


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        (Changes(shards=2), "copy"),
        (Changes(m=32, ef_construction=200), "copy"),
        (Changes(quantization="float", replicas=2), "copy"),
        (Changes(segment_seconds=10), "copy"),  # as it is
        (Changes(segment_seconds=5, shards=2), "assemble"),
        (Changes(model="other"), "embed"),
        (Changes(model="other", segment_seconds=5), "embed"),
    ],
)
def test_the_changes_decide_on_the_way(stage: Stage, changes: Changes, way: str) -> None:
    run = stage.reindexer().begin(changes)
    assert (run.way, run.changes) == (way, changes.given())
    meta = run.body["mappings"]["_meta"]["vidsearch"]
    assert meta["segment_seconds"] == (changes.segment_seconds or 10)
    assert meta["model"] == identity_of(changes.model or "1").to_meta()


def test_search_clients_get_time_to_load_another_model_before_the_swap(stage: Stage) -> None:
    run = stage.reindexer(notice_seconds=0.7).start(Changes(model="other"))
    assert run.step is Step.SWAPPED
    assert run.began["swapped"] - run.began["writing_both"] >= 0.7


def test_a_change_without_another_model_waits_for_no_search_client(stage: Stage) -> None:
    run = stage.reindexer(notice_seconds=1e6).start(Changes(shards=2))
    assert run.step is Step.SWAPPED


def test_own_fields_are_mapped_anew_where_that_is_asked_for(stage: Stage) -> None:
    stage.engine.put_mapping(OLD, {"properties": {"year": {"type": "short"}}})
    settings = SETTINGS.model_copy(update={"mapping": {"properties": {"year": {"type": "long"}}}})
    reindexer = stage.reindexer()
    reindexer._settings = settings
    for changes, kind in [(Changes(shards=2), "short"), (Changes(mapping=True), "long")]:
        _, target = reindexer.planned(changes)
        assert target.body["mappings"]["properties"]["year"] == {"type": kind}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (Changes(), ReindexError, "nothing is to differ"),
        (Changes(replicas=2), ReindexError, "replicas need no new index"),
        (Changes(segment_seconds=-1), ReindexError, "--segment-seconds -1"),
        (Changes(shards=0), ReindexError, "--shards 0"),
        (Changes(quantization="fp16"), ConfigError, "fp16"),
        (Changes(model="1"), ReindexError, "holds vectors of .* already"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    stage: Stage, changes: Changes, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        stage.reindexer().start(changes)
    assert stage.left() == [OLD]
    assert stage.reindexer().runs.all() == []


def test_an_index_without_an_alias_is_refused(stage: Stage) -> None:
    settings = IndexSettings(name=OLD, replicas=0)
    reindexer = stage.reindexer()
    reindexer._settings = settings
    with pytest.raises(ReindexError, match="is an index and not an alias"):
        reindexer.start(BINARY)


def test_a_write_alias_of_somebody_else_is_left_alone(stage: Stage) -> None:
    stage.engine.create_index("theirs", {"aliases": {WRITE: {}}, "mappings": {"properties": {}}})
    with pytest.raises(ReindexError, match=r"needs the alias 'videos-write'.* theirs"):
        stage.reindexer().start(BINARY)
    with pytest.raises(ReindexError, match="is open"):  # it can be resumed when that is gone
        stage.reindexer().start(BINARY)
    assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
    assert stage.left() == [OLD]
    assert stage.behind(WRITE) == ("theirs",)


def test_without_swap_it_stops_before_the_swap(stage: Stage) -> None:
    run = stage.reindexer().start(BINARY, swap=False)
    assert run.step is Step.VERIFIED
    assert stage.behind("videos") == (OLD,)
    assert stage.reindexer().resume().step is Step.VERIFIED
    stage.engine.put(OLD, "d", {"title": "new"})
    assert stage.reindexer().swap().step is Step.SWAPPED
    assert stage.engine.get("videos", "d") is not None


def test_what_stopped_before_the_swap_is_checked_again_at_the_swap(stage: Stage) -> None:
    stage.reindexer().start(BINARY, swap=False)
    stage.documents.problems = ("3 documents are missing",)
    with pytest.raises(ReindexCheckError, match="3 documents are missing"):
        stage.reindexer().swap()
    assert stage.behind("videos") == (OLD,)
    stage.documents.problems = ()
    assert stage.reindexer().resume().step is Step.SWAPPED


def test_what_workers_gave_up_since_the_check_is_not_swapped(stage: Stage) -> None:
    stage.documents.given_up = ("1 video could not be made",)
    with pytest.raises(ReindexCheckError, match="1 video could not be made"):
        stage.reindexer().start(BINARY)
    run = stage.reindexer().runs.open()
    assert run is not None
    assert (run.step, run.is_at_rest) == (Step.VERIFIED, True)
    assert stage.behind("videos") == (OLD,)
    stage.documents.given_up = ()
    assert stage.reindexer().resume().step is Step.SWAPPED


def test_a_target_that_fails_its_check_is_not_swapped(stage: Stage) -> None:
    stage.documents.problems = ("3 documents are missing",)
    with pytest.raises(ReindexCheckError, match="3 documents are missing"):
        stage.reindexer().start(BINARY)
    run = stage.reindexer().runs.open()
    assert run is not None
    assert (run.step, run.owner) == (Step.CATCHING_UP, None)
    assert run.report == Report(False, ("3 documents are missing",)).to_json()
    assert run.error is not None
    assert stage.behind("videos") == (OLD,)
    stage.documents.problems = ()
    run = stage.reindexer().resume()
    assert (run.step, run.error) == (Step.SWAPPED, None)


def test_an_error_is_recorded_and_the_run_can_be_taken_up(stage: Stage) -> None:
    stage.documents.error = BackendUnavailableError("HTTP 503")
    with pytest.raises(BackendUnavailableError):
        stage.reindexer().start(BINARY)
    run = stage.reindexer().runs.open()
    assert run is not None
    assert run.error is not None
    assert (run.step, run.error.stage) == (Step.COPYING, "copying")
    assert run.owner is None
    stage.documents.error = None
    assert stage.reindexer().resume().step is Step.SWAPPED


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", ["resume", "rollback"])
def test_a_run_that_broke_off_is_finished_or_undone(stage: Stage, step: Step, end: str) -> None:
    def kill(run: ReindexRun) -> None:
        if run.step is step:
            raise Killed

    with pytest.raises(Killed):
        stage.reindexer(on_step=kill).start(BINARY)
    stage.engine.put(OLD, "d", {"title": "written meanwhile"})
    if end == "resume":
        assert stage.reindexer().resume().step is Step.SWAPPED
        assert stage.reindexer().clean().step is Step.DONE
        assert (stage.left(), stage.behind("videos")) == ([NEW], (NEW,))
        assert stage.engine.get("videos", "d") is not None
    else:
        if step is Step.SWAPPED:
            stage.engine.put(NEW, "d", {"title": "written meanwhile"})
            stage.engine.put(NEW, "e", {"title": "written to the target"})
        assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
        assert (stage.left(), stage.behind("videos")) == ([OLD], (OLD,))
        assert (stage.engine.get(OLD, "e") is not None) == (step is Step.SWAPPED)
        assert stage.engine.get(OLD, "d") is not None
    assert stage.behind(WRITE) == ()
    assert stage.documents.reopened == (["1"] if (step, end) == (Step.SWAPPED, "rollback") else [])
    assert stage.reindexer().start(Changes(shards=2)).step is Step.SWAPPED


def test_a_rollback_that_broke_off_is_finished_by_resume(stage: Stage) -> None:
    stage.reindexer().start(BINARY)

    def kill(run: ReindexRun) -> None:
        raise Killed

    with pytest.raises(Killed):
        stage.reindexer(on_step=kill).roll_back()
    assert stage.behind("videos") == (NEW,)
    assert stage.reindexer().resume().step is Step.ROLLED_BACK
    assert (stage.left(), stage.behind("videos")) == ([OLD], (OLD,))
    with pytest.raises(ReindexError, match="no reindex of 'videos' is open"):
        stage.reindexer().resume()
    for go_on in (stage.reindexer().roll_back, stage.reindexer().resume, stage.reindexer().swap):
        with pytest.raises(ReindexError, match=r"is over \(rolled_back\)"):
            go_on("1")
    assert stage.reindexer().drive("1").step is Step.ROLLED_BACK, "a message that comes late"


def test_only_what_was_swapped_is_cleaned(stage: Stage) -> None:
    with pytest.raises(ReindexError, match="no reindex of 'videos' is open"):
        stage.reindexer().clean()
    stage.reindexer().start(BINARY, swap=False)
    with pytest.raises(ReindexError, match="is verified, and searches still go to 'videos-000001'"):
        stage.reindexer().clean()
    assert stage.left() == [OLD, NEW]


def test_a_run_that_another_process_began_to_undo_meanwhile_is_not_cleaned(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.reindexer().start(BINARY)
    take = RunStore.take

    def undone_before(runs: RunStore, id: str, **options: Any) -> ReindexRun:
        runs.update(id, lambda run: run.changed(step=Step.ROLLING_BACK))
        return take(runs, id, **options)

    monkeypatch.setattr(RunStore, "take", undone_before)
    with pytest.raises(ReindexError, match="only what was swapped can be cleaned"):
        stage.reindexer().clean()
    assert stage.reindexer().runs.get("1").keep_old


def test_workers_that_still_fill_are_waited_for_but_not_in_the_background(stage: Stage) -> None:
    stage.documents.fills = [False]
    run = stage.reindexer().begin(BINARY, background=True)
    assert stage.reindexer().resume(run.id).step is Step.COPYING
    assert stage.reindexer().resume(run.id).step is Step.SWAPPED


def test_an_index_of_the_target_s_name_is_passed_by(stage: Stage) -> None:
    stage.engine.create_index(NEW, {"mappings": {"properties": {}}})
    assert stage.reindexer().start(BINARY).target == "videos-000003"


def test_an_alias_that_was_moved_meanwhile_is_not_moved_again(stage: Stage) -> None:
    stage.reindexer().start(BINARY, swap=False)
    stage.engine.create_index("theirs", {"mappings": {"properties": {}}})
    stage.engine.update_aliases(
        [
            {"remove": {"index": OLD, "alias": "videos"}},
            {"add": {"index": "theirs", "alias": "videos"}},
        ]
    )
    with pytest.raises(ReindexError, match="stands for theirs by now"):
        stage.reindexer().swap()
    assert stage.behind("videos") == ("theirs",)


def test_a_process_that_is_alive_keeps_its_run(stage: Stage) -> None:
    from vidsearch.reindex.lease import RunLease

    run = stage.reindexer().begin(BINARY)
    runs = stage.reindexer().runs
    with (
        RunLease(runs, run.id, owner="alive", seconds=3),
        pytest.raises(ReindexError, match="driven by alive"),
    ):
        stage.reindexer().resume()
    runs.take(run.id, owner="killed", seconds=0.3)
    assert stage.reindexer().resume().step is Step.SWAPPED


@pytest.mark.parametrize(
    ("changes", "is_refused"), [(Changes(segment_seconds=5), True), (Changes(shards=2), False)]
)
def test_an_older_registry_is_upgraded_before_documents_are_made_anew(
    stage: Stage, changes: Changes, is_refused: bool
) -> None:
    registry = f"{SETTINGS.registry}-000001"
    stage.engine.put_mapping(registry, {"_meta": {"vidsearch": {"registry": {"version": 3}}}})
    if is_refused:
        with pytest.raises(ReindexError, match="run `vidsearch index upgrade`, before"):
            stage.reindexer().begin(changes)
    else:
        stage.reindexer().begin(changes)


def test_an_index_is_not_dropped_while_it_is_reindexed(stage: Stage) -> None:
    stage.reindexer().start(BINARY)
    with pytest.raises(ReindexError, match="it can be dropped after the reindex of 'videos' only"):
        drop_videos_index(stage.engine, SETTINGS)
    stage.reindexer().clean()
    assert NEW in drop_videos_index(stage.engine, SETTINGS)


def test_without_its_source_a_run_ends_and_is_not_rolled_back(stage: Stage) -> None:
    stage.reindexer().start(BINARY)
    stage.engine.delete_index(OLD)
    with pytest.raises(ReindexError, match="cannot be rolled back, as 'videos-000001' is gone"):
        stage.reindexer().roll_back()
    assert stage.reindexer().clean().step is Step.DONE
    assert stage.behind(WRITE) == ()


def test_an_index_that_a_late_writer_made_again_is_deleted(stage: Stage) -> None:
    stage.reindexer().start(BINARY)
    delete, made = stage.engine.delete_index, []

    def delete_and_write(name: str) -> None:
        delete(name)
        if not made:
            stage.engine.create_index(name, {"mappings": {"properties": {}}})
        made.append(name)

    stage.engine.delete_index = delete_and_write  # type: ignore[method-assign]
    assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
    assert made == [NEW, NEW]
    assert stage.left() == [OLD]
