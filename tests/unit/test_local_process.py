"""Child processes and the guard that binds them to their parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from vidsearch.errors import LocalError
from vidsearch.local.process import Process, spawn, tail


def _eventually(condition: object, *, seconds: float = 10.0) -> bool:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(condition())


def test_process_runs_until_stopped(tmp_path: Path) -> None:
    process = spawn(["sleep", "60"], log=tmp_path / "log")
    assert process.alive()
    process.stop()
    assert not process.alive()
    assert not psutil.pid_exists(process.pid)
    process.stop()  # once more does nothing


def test_output_goes_to_the_log_and_the_environment_is_the_given_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    command = ["sh", "-c", "echo $COLOUR; echo trouble >&2; env | wc -l"]
    process = spawn(command, log=log, env={"COLOUR": "red", "PATH": os.environ["PATH"]})
    assert _eventually(lambda: not process.alive())
    assert tail(log).splitlines()[:3] == ["before", "red", "trouble"]


def test_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; while true; do sleep 1; done"
    log = tmp_path / "log"
    process = spawn(["sh", "-c", script], log=log)
    assert _eventually(lambda: log.read_text().strip())
    child = int(log.read_text())
    started = time.monotonic()
    process.stop(grace=0.3)
    assert time.monotonic() - started < 5
    assert not process.alive()
    assert _eventually(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    )


def test_reused_pid_counts_as_dead_and_is_not_stopped(tmp_path: Path) -> None:
    process = spawn(["sleep", "60"], log=tmp_path / "log")
    try:
        stale = replace(process, started="1")
        assert not stale.alive()
        stale.stop()
        assert process.alive()
    finally:
        process.stop()


def test_process_of_another_program_can_be_checked_and_stopped() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        script = (
            "import sys; from vidsearch.local.process import Process, _start_time\n"
            f"process = Process({other.pid}, _start_time({other.pid}))\n"
            "assert process.alive(); process.stop(); assert not process.alive()"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
        assert other.wait(5) == -15


def test_zombie_counts_as_dead() -> None:
    with subprocess.Popen(["true"]) as ended:
        assert _eventually(lambda: psutil.Process(ended.pid).status() == "zombie")
        script = f"from vidsearch.local.process import _start_time; print(_start_time({ended.pid}))"
        answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert answer.stdout.strip() == "None"


def test_missing_program_is_a_local_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot run 'no-such-program': no such program"):
        spawn(["no-such-program"], log=tmp_path / "log")


def test_program_that_is_no_executable_is_a_local_error(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELFnonsense")
    program.chmod(0o755)
    with pytest.raises(LocalError, match=r"cannot run .*program: Exec format error"):
        spawn([str(program)], log=tmp_path / "log")


def test_tail_gives_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == "(no log)"
    log.write_text("")
    assert tail(log) == "(the log is empty)"
    log.write_text("\n".join(map(str, range(100))))
    assert tail(log, lines=2) == "98\n99"


def test_guard_ends_with_its_command(tmp_path: Path) -> None:
    process = spawn(["sh", "-c", "echo done"], log=tmp_path / "log", bound=True)
    assert _eventually(lambda: not process.alive())
    assert (tmp_path / "log").read_text() == "done\n"


def test_stopping_the_guard_stops_its_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(["sh", "-c", "echo $$; exec sleep 60"], log=log, bound=True)
    assert _eventually(lambda: log.read_text().strip())
    process.stop()
    assert not psutil.pid_exists(int(log.read_text()))


def test_bound_process_ends_with_its_parent_and_its_folder_is_removed(tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "folder"
    folder.mkdir()
    # The parent leaves a forked copy of itself behind, which holds all its pipes open; and it
    # starts the process in a thread that has ended.
    script = f"""
import os, threading, time
from pathlib import Path
from vidsearch.local.process import spawn
def start():
    spawn(["sh", "-c", "echo $$; exec sleep 60"], log=Path({str(log)!r}), bound=True,
          remove=Path({str(folder)!r}))
thread = threading.Thread(target=start); thread.start(); thread.join()
if os.fork() == 0:
    time.sleep(5); os._exit(0)
time.sleep(0.5)
os.kill(os.getpid(), 9)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        assert _eventually(lambda: log.exists() and log.read_text().strip())
        child = int(log.read_text())
        assert parent.poll() is None
        assert psutil.pid_exists(child)
    assert parent.returncode == -9
    assert _eventually(lambda: not psutil.pid_exists(child), seconds=3)
    assert _eventually(lambda: not folder.exists(), seconds=3)


def test_children_of_a_bound_process_end_with_its_parent_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # As a pool process, which nobody tells where its own parent is killed.
    command = "trap '' TERM; sleep 60 & echo $!; trap 'exit 0' TERM; wait"
    script = f"""
import os, time
from pathlib import Path
from vidsearch.local.process import spawn
spawn(["sh", "-c", {command!r}], log=Path({str(log)!r}), bound=True)
while not Path({str(log)!r}).read_text().strip(): time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -9
    child = int(log.read_text())
    assert _eventually(lambda: not psutil.pid_exists(child), seconds=20)


def test_process_survives_a_round_trip_through_json(tmp_path: Path) -> None:
    import json
    from dataclasses import asdict

    process = spawn(["sleep", "60"], log=tmp_path / "log")
    try:
        again = Process(**json.loads(json.dumps(asdict(process))))
        assert again == process
        assert again.alive()
    finally:
        process.stop()
