"""Videos below a folder of ``sources.roots`` that is missing on this machine, or on all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ingest_stage import SETTINGS, Stage

from vidsearch.errors import SourceRootMissingError
from vidsearch.index import create_videos_index
from vidsearch.registry import Registry, State
from vidsearch.retry import Decision, decide
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stage(clock: FakeClock, tmp_path: Path) -> Stage:
    stage = Stage()
    stage.registry = Registry(
        stage.engine, index=SETTINGS.registry, lease_seconds=30, max_attempts=2, clock=clock
    )
    stage.sources = stage.sources.model_copy(update={"roots": (tmp_path / "share",)})
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    stage.registry.register("a", uri=str(tmp_path / "share" / "a.mp4"), fields={})
    return stage


def test_a_video_is_left_to_other_workers_at_once_for_ten_minutes(
    stage: Stage, clock: FakeClock
) -> None:
    for later in (0, 1, 590):
        clock.now += later
        outcome = stage.ingest("a")
        assert isinstance(outcome.error, SourceRootMissingError)
        assert decide(outcome.error) is Decision.GIVE_BACK, "by which a worker pauses"
        record = stage.registry.get("a")
        assert (record.state, record.attempts) == (State.REGISTERED, 0)
        assert record.due_at == pytest.approx(clock.now, abs=0.01)


def test_a_video_whose_folder_no_worker_has_waits_as_in_an_outage_and_is_given_up(
    stage: Stage, clock: FakeClock
) -> None:
    started = clock.now
    stage.ingest("a")
    delays: list[float] = []
    while stage.registry.get("a").state is not State.DEAD:
        clock.now = max(clock.now + 600, stage.registry.get("a").due_at or 0.0)
        outcome = stage.ingest("a")
        if outcome.status == "retry":
            assert outcome.error is not None
            assert decide(outcome.error) is Decision.OUTLAST, "by which no worker pauses"
            delays.append((stage.registry.get("a").due_at or 0.0) - clock.now)
    assert delays
    assert min(delays) >= 300
    assert clock.now - started >= 3 * 86400
    error = stage.registry.get("a").error
    assert error is not None
    assert "share" in error.message
    assert "is it mounted?" in error.message


def test_the_time_begins_anew_when_the_folder_was_there(
    stage: Stage, clock: FakeClock, tmp_path: Path
) -> None:
    stage.ingest("a")
    clock.now += 3600
    (tmp_path / "share").mkdir()
    write_clip(tmp_path / "share" / "a.mp4", [i / 10 for i in range(20)], rate=10)
    assert stage.ingest("a").status == "indexed"
    assert stage.registry.get("a").failing_since is None
