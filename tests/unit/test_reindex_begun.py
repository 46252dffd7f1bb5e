"""What a run may be told when it begins, and anew when it goes on."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.attached_in_memory import Shop
from tests.reindexing_in_memory import NEW, OLD, SETTINGS, WRITE, Stage, stage_of_three

from vidsearch.defaults import LEAST_THROTTLE
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    MappingConflictError,
    ReindexError,
)
from vidsearch.registry import Registry
from vidsearch.reindex import ReindexRun, Step
from vidsearch.reindex.changes import Changes

FLOAT = Changes(quantization="float")


class Killed(BaseException):
    """What a process does not see of its own kill."""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return stage_of_three()


def test_what_is_being_undone_is_not_swapped_in_any_more(stage: Stage) -> None:
    stage.reindexer().start(FLOAT, swap=False)

    def kill(run: ReindexRun) -> None:
        raise Killed

    with pytest.raises(Killed):
        stage.reindexer(on_step=kill).roll_back()
    with pytest.raises(ReindexError, match=r"being undone.*`vidsearch reindex resume` finishes"):
        stage.reindexer().swap()
    assert stage.reindexer().resume().step is Step.ROLLED_BACK


def test_throttle_can_be_another_one_when_a_run_goes_on(stage: Stage) -> None:
    stage.documents.error = BackendUnavailableError("HTTP 503")
    with pytest.raises(BackendUnavailableError):
        stage.reindexer().start(FLOAT, throttle=1.0)
    for given, kept in ((None, 1.0), (1000.0, 1000.0)):
        with pytest.raises(BackendUnavailableError):
            stage.reindexer().resume(throttle=given)
        run = stage.reindexer().runs.open()
        assert run is not None
        assert run.throttle == kept


@pytest.mark.parametrize("throttle", [0.0, -1.0, 1e-300, 0.09, math.nan])
def test_what_is_no_number_of_documents_per_second_is_refused(
    stage: Stage, throttle: float
) -> None:
    stage.reindexer().begin(FLOAT)
    for attempt in (stage.reindexer().plan, stage.reindexer().begin):
        with pytest.raises(ReindexError, match=rf"throttle {throttle}: give a number"):
            attempt(FLOAT, throttle=throttle)
    with pytest.raises(ReindexError, match=rf"throttle {throttle}: give a number"):
        stage.reindexer().resume(throttle=throttle)
    run = stage.reindexer().runs.open()
    assert run is not None
    assert run.throttle is None


@pytest.mark.parametrize(
    ("changes", "throttle", "is_limited"),
    [
        (Changes(shards=2), LEAST_THROTTLE, True),
        (Changes(shards=2), math.inf, False),
        (Changes(segment_seconds=5), LEAST_THROTTLE, False),
        (Changes(segment_seconds=5), math.inf, False),
    ],
)
def test_a_plan_goes_by_the_throttle_of_a_copy_alone(
    stage: Stage, changes: Changes, throttle: float, is_limited: bool
) -> None:
    plan = stage.reindexer().plan(changes, throttle=throttle)
    assert (plan.per_second == throttle) == is_limited
    assert ("--throttle" in plan.measured) == is_limited


@pytest.mark.parametrize("changes", [Changes(segment_seconds=5), Changes(model="other")])
def test_a_plan_of_what_workers_make_goes_by_the_last_ingestion(
    stage: Stage, changes: Changes
) -> None:
    assert stage.reindexer().plan(changes).seconds is None
    registry = Registry(stage.engine, index=SETTINGS.registry)
    for id in "ab":
        registry.register(id, uri=f"/{id}.mp4")
        registry.complete(
            registry.claim(id, owner="w"),
            fingerprint="f",
            frames=3,
            damaged=0,
            segments=1,
            duration=3.0,
            seconds={"decode": 1.5, "encode": 0.5},
        )
    plan = stage.reindexer().plan(changes)
    assert (plan.seconds, plan.per_second) == (4.0, 0.5)
    assert "the last ingestion of 2 videos, one worker" in plan.measured


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("verified_before_close", "is closed"),
        ("blocks.read", "cannot be read"),
        ("blocks.read_only", "index.blocks.read_only"),
        ("blocks.read_only_allow_delete", "index.blocks.read_only_allow_delete"),
        ("blocks.metadata", "index.blocks.metadata"),
    ],
)
def test_an_index_that_is_closed_or_blocked_is_refused_before_a_run_begins(
    stage: Stage, setting: str, said: str
) -> None:
    stage.engine.put_settings(OLD, {setting: True})
    for attempt in (stage.reindexer().plan, stage.reindexer().begin):
        with pytest.raises(MappingConflictError, match=rf"{said}.*then reindex again"):
            attempt(FLOAT)
    assert stage.reindexer().runs.all() == []


def test_an_index_that_takes_no_documents_can_be_reindexed(stage: Stage) -> None:
    stage.engine.put_settings(OLD, {"blocks.write": True})
    assert stage.reindexer().begin(FLOAT).step is Step.PLANNED


TOO_MANY = "number_of_shards must be <= 1024"


def refuse_targets(engine: Any, monkeypatch: pytest.MonkeyPatch, error: BackendError) -> None:
    """Let the engine refuse every index of videos from now on."""
    create = engine.create_index

    def refused(name: str, body: Any) -> None:
        if "vidsearch" in body["mappings"].get("_meta", {}):
            raise error
        create(name, body)

    monkeypatch.setattr(engine, "create_index", refused)


@pytest.mark.parametrize("made", [stage_of_three, Shop])
def test_a_target_that_the_engine_refuses_leaves_no_open_run(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = made()
    with monkeypatch.context() as patched:
        refuse_targets(stage.engine, patched, MappingConflictError(TOO_MANY))
        with pytest.raises(MappingConflictError, match=TOO_MANY):
            stage.reindexer().start(Changes(shards=2000))
    (run,) = stage.reindexer().runs.all()
    assert (run.step, run.is_open, run.owner) == (Step.ROLLED_BACK, False, None)
    assert run.ended_at is not None
    assert run.error is not None
    assert (run.error.stage, run.error.message) == ("planned", TOO_MANY)
    assert stage.left() == [run.source]
    assert stage.engine.indices_of(f"{run.alias}-write") == ()
    assert stage.reindexer().start(Changes(shards=2)).step is Step.SWAPPED


def test_a_run_that_was_killed_before_its_target_was_refused_ends_when_it_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.reindexer().begin(Changes(shards=2000))
    # As a kill leaves it where the target is gone since, and cannot be made again.
    stage.engine.update_aliases([{"add": {"index": OLD, "alias": WRITE}}])
    refuse_targets(stage.engine, monkeypatch, MappingConflictError(TOO_MANY))
    with pytest.raises(MappingConflictError, match=TOO_MANY):
        stage.reindexer().resume()
    assert stage.reindexer().runs.open() is None
    assert (stage.left(), stage.behind(WRITE)) == ([OLD], ())


def test_a_target_that_may_be_there_leaves_the_run_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        refuse_targets(stage.engine, patched, BackendUnavailableError("timed out"))
        with pytest.raises(BackendUnavailableError):
            stage.reindexer().start(FLOAT)
    assert stage.reindexer().resume().step is Step.SWAPPED
    assert stage.left() == [OLD, NEW]
