"""Child processes and the guard that binds them to their parent."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.waiting import is_gone, until

from vidsearch.errors import LocalError
from vidsearch.local.process import Process, spawn, tail


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
    until(lambda: not process.alive(), what="it has ended")
    assert tail(log).splitlines()[:3] == ["before", "red", "trouble"]


def test_lock_of_whoever_started_this_process_is_not_held(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        os.set_inheritable(descriptor, True)  # as those of a shell are
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        process = spawn(["sleep", "60"], log=tmp_path / "log")
    finally:
        os.close(descriptor)
    try:
        with (tmp_path / "lock").open() as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        process.stop()


def test_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 60 & echo $!; while true; do sleep 1; done"
    log = tmp_path / "log"
    process = spawn(["sh", "-c", script], log=log)
    until(lambda: log.read_text().endswith("\n"), what="it says which its child is")
    child = int(log.read_text())
    process.stop(grace=0.3)
    assert not process.alive()
    until(lambda: is_gone(child), what="its child is gone")


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
        subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
        assert other.wait(60) == -15


def test_zombie_counts_as_dead() -> None:
    with subprocess.Popen(["true"]) as ended:
        until(lambda: psutil.Process(ended.pid).status() == "zombie", what="it has ended")
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
    until(lambda: not process.alive(), what="it has ended")
    assert (tmp_path / "log").read_text() == "done\n"


def test_stopping_the_guard_stops_its_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(["sh", "-c", "echo $$; exec sleep 60"], log=log, bound=True)
    until(lambda: log.read_text().endswith("\n"), what="it says which it is")
    process.stop()
    assert not psutil.pid_exists(int(log.read_text()))


def test_bound_process_ends_with_its_parent_and_its_folder_is_removed(tmp_path: Path) -> None:
    log, folder, seen = tmp_path / "log", tmp_path / "folder", tmp_path / "seen"
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
copy = os.fork()
if copy == 0:
    time.sleep(600); os._exit(0)
print(copy, flush=True)
while not Path({str(seen)!r}).exists(): time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        copy = int(parent.stdout.readline())
        try:
            until(lambda: log.exists() and log.read_text().endswith("\n"), what="it runs")
            child = int(log.read_text())
            assert parent.poll() is None
            assert psutil.pid_exists(child)
            seen.touch()
            assert parent.wait(60) == -9
            until(lambda: not psutil.pid_exists(child), what="it has ended")
            until(lambda: not folder.exists(), what="its folder is removed")
            assert psutil.pid_exists(copy)
        finally:
            os.kill(copy, signal.SIGKILL)


def test_children_of_a_bound_process_end_with_its_parent_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # As a pool process, which nobody tells where its own parent is killed.
    command = "trap '' TERM; sleep 60 & echo $!; trap 'exit 0' TERM; wait"
    script = f"""
import os, time
from pathlib import Path
from vidsearch.local.process import spawn
spawn(["sh", "-c", {command!r}], log=Path({str(log)!r}), bound=True)
while not Path({str(log)!r}).read_text().endswith(chr(10)): time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == -9
    child = int(log.read_text())
    until(lambda: not psutil.pid_exists(child), what="its child is gone")


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
