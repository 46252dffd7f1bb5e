"""What pool processes are told that are not forked from their worker."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vidsearch.errors import ConfigError, TemporaryFolderError
from vidsearch.stop import Stop
from vidsearch_tasks import configured, spawned, worker_start
from vidsearch_tasks.spawned import hand_over, handed_over, starts_afresh

TELL = "from vidsearch_tasks.stopping import STOP; print(STOP.is_set())"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spawned._NAME, "")


def told(*command: str) -> str:
    return subprocess.run(
        [*command, sys.executable, "-c", TELL], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_started_process_sees_that_its_worker_was_told_to_end(tmp_path: Path) -> None:
    stop = Stop()
    stop.share(tmp_path / "stop")
    hand_over(stop=str(tmp_path / "stop"))
    assert told() == "False"
    stop.set()
    assert told() == "True"
    (tmp_path / "stop").unlink()
    assert told() == "False", "a worker that has ended tells nothing"


def test_what_was_set_before_sharing_is_seen(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    stop.share(tmp_path / "stop")
    assert Stop(tmp_path / "stop").is_set()


def test_process_that_another_program_started_is_told_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.share(tmp_path / "stop")
    stop.set()
    hand_over(stop=str(tmp_path / "stop"))
    assert handed_over() == {}, "not the one that hands over"
    assert told("sh", "-c", '"$0" "$@"; exit $?') == "False", "a worker that a worker starts"


@pytest.mark.parametrize(
    ("pool", "method", "afresh"),
    [("prefork", "spawn", True), ("prefork", "fork", False), ("threads", "spawn", False)],
)
def test_processes_are_started_afresh_where_the_pool_has_any(
    pool: str, method: str, afresh: bool
) -> None:
    pool_cls = SimpleNamespace(__module__=f"celery.concurrency.{pool}")
    worker: Any = SimpleNamespace(pool_cls=pool_cls, pool_start_method=method)
    assert starts_afresh(worker) is afresh


def test_program_that_configures_in_its_main_module_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(configured, "_configured_in", "__main__")
    with pytest.raises(ConfigError, match=r"call it in a module that the program imports"):
        worker_start._hand_over()
    assert spawned._NAME not in os.environ or not os.environ[spawned._NAME]


def test_worker_without_room_for_its_file_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(TemporaryFolderError, match=r"absent.*set TMPDIR to another folder"):
        worker_start._hand_over()
