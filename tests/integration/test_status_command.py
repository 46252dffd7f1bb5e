"""``status``, ``videos`` by error and ``metrics`` on a real engine, Redis and worker."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.integration.relay import free_port
from tests.integration.stage import Stage
from tests.integration.worker import until

from vidsearch.registry import ErrorRecord, State
from vidsearch_mappings.registry import to_stamp
from vidsearch_tasks.exporter import metrics_registry, serve

pytestmark = pytest.mark.integration

BROKEN = ErrorRecord("VideoOpenError", "decode", "not a video", ("InvalidDataError: moov",))
# A process that a shell started in the background ignores the signal, and so would its children.
_INTERRUPTIBLE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from vidsearch.cli import main; main(sys.argv[1:])"
)
WATCH = (sys.executable, "-c", _INTERRUPTIBLE, "status", "--watch", "--interval")
AWAY = ErrorRecord("SourceUnavailableError", "fetch", "HTTP 503")


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name, value in stage.env.items():
        if name.startswith("VIDSEARCH_"):
            monkeypatch.setenv(name, value)
    return runner(capsys)


def fail(stage: Stage, id: str, error: ErrorRecord, *, dead: bool = False) -> None:
    registry = stage.services.registry
    registry.register(id, uri=f"/{id}.mp4")
    lease = registry.claim(id, owner="w")
    if dead:
        record = registry.release(lease, error, counted=True)
        registry.release(registry.claim(id, owner="w"), error, counted=True)
        assert record.attempts == 1
    else:
        registry.fail(lease, error)


def test_status_without_a_worker_says_what_to_do(stage: Stage, run: Run, red: Path) -> None:
    quiet = run("status", "--json")
    assert (quiet.code, quiet.data["problems"]) == (0, [])
    stage.register("a", red)
    engine, registry = stage.services.engine, stage.services.registry.index
    engine.update(registry, "a", {"registered_at": to_stamp(time.time() - 20)})
    fail(stage, "b", BROKEN)
    found = run("status", "--json")
    assert found.code == 1
    assert found.data["waiting"]["ages"]["0"] == 1
    assert found.data["waiting"]["oldest"]["id"] == "a"
    assert found.data["finished"] == {"60": 1, "600": 1, "3600": 1}
    (group,) = found.data["errors"]
    assert (group["type"], group["states"], group["last"]["id"]) == (
        "VideoOpenError",
        {"failed": 1},
        "b",
    )
    assert list(found.data["waiting"]["ages"]) == ["0", "60", "600", "3600", "86400"]
    table = run("status")
    assert "finished in 1 h\t1\t" in table.out
    assert "Needs a person: 1 video" in table.err
    assert "celery -A vidsearch_tasks worker" in table.err
    assert "VideoOpenError\t1\t1 failed; last b: not a video" in table.out
    with stage.worker():
        stage.until("a", State.INDEXED)
        until(lambda: run("status", "--json").data["workers"], what="the worker answers")
        done = run("status", "--json")
        assert (done.code, len(done.data["workers"])) == (0, 1)
        assert done.data["searchable"] == 1


def test_videos_are_listed_shown_retried_and_purged_by_error(stage: Stage, run: Run) -> None:
    for id in ("a", "b"):
        fail(stage, id, BROKEN)
    fail(stage, "c", AWAY, dead=True)
    listed = run("videos", "list", "--state", "failed", "--state", "dead", "--json")
    assert {record["id"] for record in listed.data} == {"a", "b", "c"}
    by_error = run("videos", "list", "--error", "SourceUnavailableError", "--json")
    assert [record["id"] for record in by_error.data] == ["c"]
    mistyped = run("videos", "list", "--error", "VideoOpenErr")
    assert "the last errors are VideoOpenError (2), SourceUnavailableError (1)" in mistyped.err
    assert "InvalidDataError: moov" in run("videos", "show", "a").out

    assert run("videos", "retry").code == 2
    again = run("videos", "retry", "--error", "SourceUnavailableError", "--json")
    assert [(record["id"], record["state"]) for record in again.data] == [("c", "queued")]
    assert run("videos", "retry", "--error", "Nothing").err.startswith("no failed or dead video")
    purged = run("videos", "purge", "a", "--yes", "--json")
    assert [record["id"] for record in purged.data] == ["a"]
    purged = run("videos", "purge", "--error", "VideoOpenError", "--yes", "--json")
    assert [record["id"] for record in purged.data] == ["b"]
    assert [record["id"] for record in run("videos", "list", "--json").data] == ["c"]
    fail(stage, "d", BROKEN)
    assert {r["id"] for r in run("videos", "retry", "--all", "--json").data} == {"d"}


def test_purge_asks_and_keeps_all_after_a_no(stage: Stage, run: Run) -> None:
    fail(stage, "a", BROKEN)
    command = [sys.executable, "-m", "vidsearch.cli", "videos", "purge", "--all"]
    env = {**os.environ, **stage.env}
    asked = subprocess.run(command, input="n\n", env=env, capture_output=True, text=True)
    assert "Purge the records of 1 videos?" in asked.stderr
    assert asked.returncode == 130
    assert stage.record("a").state is State.FAILED


def test_watch_in_a_pipe_prints_a_line_each_time(stage: Stage, run: Run) -> None:
    fail(stage, "a", BROKEN)
    env = {**os.environ, **stage.env}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    ways = [
        subprocess.Popen([*WATCH, "0.1", *more], env=env, **pipes) for more in ((), ("--json",))
    ]
    shown = []
    for watching in ways:
        assert watching.stdout is not None
        shown.append([watching.stdout.readline() for _ in range(2)])
        watching.send_signal(2)
        watching.communicate(timeout=120)
    assert [watching.returncode for watching in ways] == [0, 0]
    for lines, pattern in zip(
        shown, (r"\d\d:\d\d:\d\d 1 failed; 0\.0167/min$", r"\{"), strict=True
    ):
        for line in lines:
            assert re.match(pattern, line), line


def read_from(terminal: int) -> bytes:
    """What was written to it by now."""
    try:
        return os.read(terminal, 65_536) if select.select([terminal], [], [], 0.2)[0] else b""
    except OSError:  # the program that wrote has ended
        return b""


def test_watch_on_a_terminal_fits_into_80_columns(stage: Stage, run: Run) -> None:
    fail(stage, "a", BROKEN)
    fail(stage, "a-long-id-" * 8, ErrorRecord("SourceUnavailableError", "fetch", "very " * 60))
    parent, child = pty.openpty()
    env = {**os.environ, **stage.env, "COLUMNS": "80", "LINES": "50", "TERM": "xterm"}
    command = [*WATCH, "0.2"]
    watching = subprocess.Popen(command, env=env, stdout=child, stderr=child, stdin=child)
    os.close(child)
    shown = bytearray()

    def is_shown_twice() -> bool:
        shown.extend(read_from(parent))
        return shown.count(b"last sweep") >= 2

    def has_ended() -> bool:
        shown.extend(read_from(parent))  # or it waits until somebody does
        return watching.poll() is not None

    until(is_shown_twice, what="the status twice")
    watching.send_signal(2)
    until(has_ended, what="it has ended")
    os.close(parent)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert text.count("last sweep") >= 2
    assert max(len(line.rstrip()) for line in re.split(r"[\r\n]+", text)) <= 80


def test_metrics_of_worker_and_registry_are_served(stage: Stage, run: Run, red: Path) -> None:
    folder, port = stage.folder / "metrics", free_port()
    stage.register("a", red)
    with stage.worker(PROMETHEUS_MULTIPROC_DIR=str(folder), VIDSEARCH_LOG__FORMAT="json") as worker:
        stage.until("a", State.INDEXED, worker=worker)
        until(lambda: any(folder.glob("*.db")), what="it has counted", worker=worker)
        env = {**os.environ, **stage.env, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        url = f"http://127.0.0.1:{port}/metrics"
        exporter = subprocess.Popen(
            [sys.executable, "-m", "vidsearch.cli", "metrics", "--port", str(port)],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert exporter.stderr is not None
            assert exporter.stderr.readline() == f"metrics at {url}\n"
            answers = [""]

            def is_complete() -> bool:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    answers.append(answer.read().decode())
                return "vidsearch_workers 1.0" in answers[-1]

            until(is_complete, what="the worker answers", worker=worker)
        finally:
            exporter.terminate()
            exporter.communicate(timeout=120)
    text = answers[-1]
    assert 'vidsearch_videos{state="indexed"} 1.0' in text
    assert "vidsearch_workers 1.0" in text
    assert 'vidsearch_attempts_total{cause="",kind="video",outcome="indexed"} 1.0' in text
    (line,) = [each for each in worker.text().splitlines() if "video 'a' indexed" in each]
    logged = json.loads(line)
    assert (logged["video"], logged["task"]) == ("a", "vidsearch.ingest_video")


def test_metrics_at_a_port_that_is_taken_say_so(stage: Stage, run: Run) -> None:
    server, _ = serve(metrics_registry(None), host="127.0.0.1", port=0)
    try:
        taken = run("metrics", "--no-registry", "--port", str(server.server_port))
    finally:
        server.shutdown()
        server.server_close()
    assert taken.code == 2
    assert "Address already in use. Give another --port or --host" in taken.err
