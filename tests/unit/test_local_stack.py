"""The state of a stack in its folder, and the command that shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidsearch.cli.local import local
from vidsearch.errors import LocalError
from vidsearch.local import Stack
from vidsearch.local.process import Process, spawn


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = spawn(["sleep", "60"], log=tmp_path / "sleeper.log")
    yield process
    process.stop()


def _write(folder: Path, *processes: Process, ready: bool = True) -> None:
    names = ["engine", "redis", "worker"]
    services = [
        {
            "name": name,
            "title": "elasticsearch 9.5.3" if name == "engine" else name,
            "process": {"pid": process.pid, "started": process.started},
            "log": str(folder / f"{name}.log"),
            "url": f"http://127.0.0.1:{number + 1}",
        }
        for number, (name, process) in enumerate(zip(names, processes, strict=False))
    ]
    environment = {"VIDSEARCH_ENGINE__URL": "http://127.0.0.1:1"}
    (folder / "state.json").write_text(
        json.dumps({"ready": ready, "services": services, "environment": environment})
    )


def test_empty_folder_has_no_stack(tmp_path: Path) -> None:
    assert Stack.find(tmp_path) is None
    assert Stack.find(tmp_path / "absent") is None
    assert not (tmp_path / "absent").exists()


def test_stale_state_is_removed(tmp_path: Path) -> None:
    reused = Process(os.getpid(), "1")  # our own pid, but another start: a pid after a reboot
    _write(tmp_path, reused, reused)
    assert Stack.find(tmp_path) is None
    assert not (tmp_path / "state.json").exists()


def test_down_stops_services_but_not_a_reused_pid(tmp_path: Path, sleeper: Process) -> None:
    _write(tmp_path, sleeper, Process(os.getpid(), "1"))
    stack = Stack.find(tmp_path)
    assert stack is not None
    assert [each.alive() for each in stack.services] == [True, False]
    stack.down()
    assert not sleeper.alive()
    assert Stack.find(tmp_path) is None


def test_up_of_a_running_stack_returns_it(tmp_path: Path, sleeper: Process) -> None:
    _write(tmp_path, sleeper)
    said: list[str] = []
    stack = Stack.up(tmp_path, worker=False, talk=said.append)
    assert stack.environment == {"VIDSEARCH_ENGINE__URL": "http://127.0.0.1:1"}
    assert said == [f"running already in {tmp_path}"]


@pytest.mark.parametrize(
    "wish",
    [{"engine": "opensearch"}, {"version": "8.19.21"}, {"worker": True}, {"model": "demo"}],
)
def test_up_of_another_stack_in_the_same_folder_is_refused(
    wish: dict[str, object], tmp_path: Path, sleeper: Process
) -> None:
    _write(tmp_path, sleeper)
    with pytest.raises(LocalError, match=r"another stack runs in .* \(elasticsearch 9.5.3, no wor"):
        Stack.up(tmp_path, **{"worker": False, **wish})  # type: ignore[arg-type]
    assert sleeper.alive()


def test_incomplete_stack_is_not_running(tmp_path: Path, sleeper: Process) -> None:
    """``up`` was killed: the next one must not take what is there for the whole."""
    _write(tmp_path, sleeper, ready=False)
    stack = Stack.find(tmp_path)
    assert stack is not None
    assert not stack.running()
    assert CliRunner().invoke(local, ["status", "--dir", str(tmp_path)]).exit_code == 1
    assert CliRunner().invoke(local, ["down", "--dir", str(tmp_path)]).exit_code == 0
    assert not sleeper.alive()


def test_down_stops_services_that_another_shell_started_meanwhile(
    tmp_path: Path, sleeper: Process
) -> None:
    _write(tmp_path, Process(os.getpid(), "1"), sleeper)
    seen = Stack.find(tmp_path)
    assert seen is not None
    other = spawn(["sleep", "60"], log=tmp_path / "other.log")
    try:
        _write(tmp_path, other)
        seen.down()
        assert not other.alive()
    finally:
        other.stop()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"services": [{}], "environment": {}}'])
def test_damaged_state_is_refused_with_its_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(LocalError, match=r"state.json cannot be read .*; remove it"):
        Stack.find(tmp_path)


def test_status_as_json_has_every_service(tmp_path: Path, sleeper: Process) -> None:
    _write(tmp_path, sleeper)
    answer = CliRunner().invoke(local, ["status", "--json", "--dir", str(tmp_path)])
    assert answer.exit_code == 0
    shown = json.loads(answer.stdout)
    assert shown["folder"] == str(tmp_path)
    assert shown["services"] == [
        {
            "name": "engine",
            "title": "elasticsearch 9.5.3",
            "alive": True,
            "pid": sleeper.pid,
            "url": "http://127.0.0.1:1",
            "log": str(tmp_path / "engine.log"),
        }
    ]


def test_status_as_table_shows_dead_services(tmp_path: Path, sleeper: Process) -> None:
    _write(tmp_path, sleeper, Process(os.getpid(), "1"))
    answer = CliRunner().invoke(local, ["status", "--dir", str(tmp_path)])
    assert answer.exit_code == 1
    states = {line.split("\t")[0]: line.split("\t")[2] for line in answer.stdout.splitlines()}
    assert states == {"service": "state", "engine": "running", "redis": "dead"}


def test_status_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    answer = CliRunner().invoke(local, ["status", "--dir", str(tmp_path)])
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert "start it with `vidsearch local up`" in answer.stderr
    as_json = CliRunner().invoke(local, ["status", "--json", "--dir", str(tmp_path)])
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["services"] == []


def test_up_says_that_the_index_is_still_to_be_created(tmp_path: Path, sleeper: Process) -> None:
    _write(tmp_path, sleeper)
    answer = CliRunner().invoke(local, ["up", "--no-worker", "--dir", str(tmp_path)])
    assert answer.exit_code == 0
    assert answer.stdout == "export VIDSEARCH_ENGINE__URL=http://127.0.0.1:1\n"
    assert "create it with `vidsearch index create`" in answer.stderr


def test_help_of_up_says_that_it_creates_the_index() -> None:
    text = " ".join(CliRunner().invoke(local, ["up", "--help"]).stdout.split())
    assert "Start everything, create the index, and print the variables" in text
