"""A real worker whose decoder hangs, crashes and is killed: the video fails, the worker goes on."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest
from tests.integration.stage import Stage
from tests.integration.worker import Worker
from tests.waiting import is_gone, until

from vidsearch.registry import State
from vidsearch.testing.clips import write_clip

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.name != "posix", reason="decoding in a child process needs POSIX"),
]

APP = "tests.integration.misbehaving_app"


def worker_of(stage: Stage, *, stall_seconds: float) -> Worker:
    env = {
        **stage.env,
        "VIDSEARCH_INGEST__STALL_SECONDS": str(stall_seconds),
        "VIDSEARCH_EMBEDDINGS__KEEP": "false",  # the clips differ by name alone
    }
    worker = Worker(stage.folder / "worker", env, app=APP)
    stage.workers.append(worker)
    return worker


def processes(worker: Worker) -> tuple[list[int], list[int]]:
    """Pids of the worker's own processes and of the decoding ones below them."""
    found = {kind: [one.pid for one in those] for kind, those in worker.processes().items()}
    return [*found["parent"], *found["pool"]], found["decoder"]


def gone(pids: list[int]) -> bool:
    return all(map(is_gone, pids))


def until_stuck(worker: Worker, clip: Path) -> None:
    """Until the decoding process is where it does not come on."""
    until(clip.with_suffix(".stuck").exists, what="it is stuck", worker=worker)


def test_video_that_breaks_its_decoder_fails_and_no_other_does(
    stage: Stage, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10)
    names = {
        "segfault": ("segfault@2.mp4", r"crashed (SIGSEGV) at 1.0 s"),
        "abort": ("abort@0.mp4", "crashed (SIGABRT) before the first frame"),
        "hang": ("hang@3.mp4", "was stuck at 2.0 s: no progress for 5 s"),
        "exit": ("exit@1.mp4", "ended by itself (exit code 3) at 0.0 s"),
    }
    with worker_of(stage, stall_seconds=5) as worker:
        stage.register("first", clip)
        assert stage.until("first", State.INDEXED, worker=worker).attempts == 1
        before, _ = processes(worker)
        for id, (name, _) in names.items():
            stage.register(id, Path(shutil.copy(clip, clip.with_name(name))))
            stage.register(f"after-{id}", clip)
        stage.register("killed", Path(shutil.copy(clip, clip.with_name("killed@1.mp4"))))

        for id, (name, reason) in names.items():
            failed = stage.until(id, State.FAILED, worker=worker)
            assert failed.attempts == 1
            assert failed.error is not None
            assert failed.error.type == "DecoderFailedError"
            assert f"{name}: the decoder (pyav) {reason}" in failed.error.message
            assert stage.document(id) is None
            after = stage.until(f"after-{id}", State.INDEXED, worker=worker)
            assert (after.attempts, after.frames) == (1, 6)

        # Nobody's fault that is known: tried as often as the settings say.
        dead = stage.until("killed", State.DEAD, worker=worker)
        assert dead.attempts == 2
        assert dead.error is not None
        assert dead.error.type == "DecoderKilledError"
        assert "killed from outside (SIGKILL)" in dead.error.message

        until(
            lambda: processes(worker)[0] == before,
            what="the worker's own processes are the same",
            worker=worker,
        )
        assert "Fatal Python error: Segmentation fault" in worker.text()


@pytest.mark.skipif(sys.platform != "linux", reason="sure on Linux only")
# At the first picture: a clip of one colour has no other, as what is held is decoded once.
@pytest.mark.parametrize("name", ["hang@0.mp4", "sleep@0.mp4"])
def test_no_decoding_process_outlives_a_killed_worker(stage: Stage, red: Path, name: str) -> None:
    stuck = Path(shutil.copy(red, red.with_name(name)))
    stage.register("stuck", stuck)
    with worker_of(stage, stall_seconds=600) as worker:
        until_stuck(worker, stuck)
        decoding = processes(worker)[1]
        worker.kill()
        until(lambda: gone(decoding), what="the decoding process is gone")


def test_no_decoding_process_outlives_a_worker_that_stops(stage: Stage, red: Path) -> None:
    stage.register("a", red)
    with worker_of(stage, stall_seconds=600) as worker:
        stage.until("a", State.INDEXED, worker=worker)
        decoding = processes(worker)[1]
        assert len(decoding) == 1, "kept for the next video"
        worker.stop()
        until(lambda: gone(decoding), what="the decoding process is gone")


@pytest.mark.skipif(sys.platform != "linux", reason="sure on Linux only")
def test_no_decoding_process_outlives_a_killed_pool_process(stage: Stage, red: Path) -> None:
    """As Celery kills them at its hard time limit."""
    stuck = Path(shutil.copy(red, red.with_name("hang@0.mp4")))
    stage.register("stuck", stuck)
    with worker_of(stage, stall_seconds=600) as worker:
        until_stuck(worker, stuck)
        (decoding,) = processes(worker)[1]
        parent = psutil.Process(decoding).parent()
        assert parent is not None
        parent.kill()
        until(lambda: gone([decoding]), what="the decoding process is gone")
        stage.register("next", red)
        assert stage.until("next", State.INDEXED, worker=worker).attempts == 1
