"""A real worker that is told to end in the middle of a long video, and one whose clock is off."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from tests.integration.stage import LEASE, Stage
from tests.integration.worker import FAKE_APP, Worker, until

from vidsearch.registry import State, VideoRecord
from vidsearch.testing.clips import solid, write_clip
from vidsearch_tasks import queue_depth, run_sweep

pytestmark = pytest.mark.integration

SPAWN_APP = "tests.integration.spawn_app"
LONG = {"VIDSEARCH_MODEL__BATCH_SIZE": "1", "VIDSEARCH_INGEST__LEASE_SECONDS": "120"}


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A clip that a slow encoder needs half a minute for, at the least."""
    return write_clip(tmp_path / "long.mp4", range(60), picture=solid((200, 30, 30)), rate=1)


def waiting(stage: Stage) -> int:
    return queue_depth(stage.services.app, queue=stage.services.settings.broker.queue)


def begun(stage: Stage, worker: Worker) -> None:
    at_work = stage.switches / "at-work"
    until(at_work.exists, what="work began", worker=worker)
    at_work.unlink()


def are_spawned(worker: Worker) -> bool:
    """Whether processes of its pool are interpreters of their own."""
    pool = worker.processes()["pool"]
    lines = [" ".join(each.cmdline()) for each in pool if each.is_running()]
    return any("billiard.spawn" in line for line in lines)


def handed_back(stage: Stage, worker: Worker, *, within: float) -> VideoRecord:
    until(
        lambda: stage.record("a").state is State.QUEUED and waiting(stage) >= 1,
        what="handed back and requeued",
        seconds=within,
    )
    until(lambda: not worker.alive(), what="the worker ended")
    return stage.record("a")


@pytest.mark.parametrize(
    "pool",
    [
        "prefork",
        pytest.param("prefork, spawned", marks=pytest.mark.drill),
        pytest.param("threads", marks=pytest.mark.drill),
        "solo",
    ],
)
def test_worker_that_gets_sigterm_hands_its_video_back_uncounted(
    stage: Stage, long: Path, pool: str
) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", long)
    pool, _, how = pool.partition(", ")
    folder, app = stage.folder / pool, SPAWN_APP if how else FAKE_APP
    with Worker(folder, {**stage.env, **LONG}, app=app, options=("--pool", pool)) as worker:
        begun(stage, worker)
        assert are_spawned(worker) == bool(how)
        os.kill(worker.pid, signal.SIGTERM)
        record = handed_back(stage, worker, within=25)
        assert record.attempts == 0
        assert record.error is not None
        assert record.error.type == "WorkerStopped"
    (stage.switches / "slow").unlink()
    with stage.worker() as worker:
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1


@pytest.mark.parametrize("way", ["SIGQUIT", "SIGTERM to all processes", "remote control"])
def test_worker_that_is_ended_in_another_way_hands_back_too(
    stage: Stage, long: Path, way: str
) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", long)
    with stage.worker(**LONG) as worker:
        begun(stage, worker)
        if way == "SIGQUIT":
            os.kill(worker.pid, signal.SIGQUIT)
        elif way == "remote control":
            stage.services.app.control.shutdown()
        else:  # as systemd does
            parent = psutil.Process(worker.pid)
            for process in [*parent.children(recursive=True), parent]:
                process.send_signal(signal.SIGTERM)
        assert handed_back(stage, worker, within=25).attempts == 0


def test_worker_whose_clock_is_behind_keeps_its_video(stage: Stage, long: Path) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", long)
    with stage.worker(TEST_CLOCK_SKEW="-90", VIDSEARCH_MODEL__BATCH_SIZE="1") as worker:
        begun(stage, worker)
        until_then = time.monotonic() + 2 * LEASE
        while time.monotonic() < until_then:
            assert run_sweep(services=stage.services).requeued == ()
            time.sleep(0.3)
        (stage.switches / "slow").unlink()
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1
        assert "s off the engine's" in worker.text()
