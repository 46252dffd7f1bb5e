"""``vidsearch local`` as a user runs it: real commands, real services that outlive them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.services import SHORT_LIVED, call
from tests.waiting import processes_of, until, until_none_of

from vidsearch.local import SearchNode

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # nodes are started

_MAIN = "import sys; from vidsearch.cli import main; sys.exit(main())"


def _cli(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _MAIN, "local", *arguments]
    answer = subprocess.run(
        command,
        env={**os.environ, **SHORT_LIVED},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if check:
        assert answer.returncode == 0, answer.stderr
    return answer


def _exports(stdout: str) -> dict[str, str]:
    lines = [line.removeprefix("export ") for line in stdout.splitlines()]
    return dict(line.split("=", 1) for line in lines)


def test_up_starts_status_shows_and_down_stops_the_stack(
    elasticsearch_9: SearchNode, redis_url: str, tmp_path: Path
) -> None:
    where = ("--dir", str(tmp_path / "stack"))
    assert _cli("status", *where, check=False).returncode == 1
    try:
        up = _cli("up", "--no-worker", *where)
        variables = _exports(up.stdout)
        assert set(variables) == {
            "VIDSEARCH_ENGINE__URL",
            "VIDSEARCH_ENGINE__KIND",
            "VIDSEARCH_BROKER__URL",
        }
        assert call(variables["VIDSEARCH_ENGINE__URL"], "GET", "/")["version"]["number"]
        assert "Elasticsearch" in up.stderr
        assert "create it with `vidsearch index create`" in up.stderr

        status = json.loads(_cli("status", "--json", *where).stdout)
        assert status["environment"] == variables
        assert {each["name"]: each["alive"] for each in status["services"]} == {
            "engine": True,
            "redis": True,
        }

        again = _cli("up", "--no-worker", *where)
        assert _exports(again.stdout) == variables
        assert "running already" in again.stderr

        other = _cli("up", "--no-worker", "--engine", "opensearch", *where, check=False)
        assert other.returncode == 1
        assert "another stack runs in" in other.stderr

        # A service that dies is said, and the next `up` starts all anew, with the data kept.
        call(variables["VIDSEARCH_ENGINE__URL"], "PUT", "/kept/_doc/1?refresh=true", {"a": 1})
        redis_pid = next(each["pid"] for each in status["services"] if each["name"] == "redis")
        os.kill(redis_pid, signal.SIGKILL)
        lame = _cli("status", "--json", *where, check=False)
        assert lame.returncode == 1
        assert {each["name"]: each["alive"] for each in json.loads(lame.stdout)["services"]} == {
            "engine": True,
            "redis": False,
        }
        fresh = _exports(_cli("up", "--no-worker", *where).stdout)
        assert call(fresh["VIDSEARCH_ENGINE__URL"], "GET", "/kept/_doc/1")["_source"] == {"a": 1}
    finally:
        _cli("down", *where)
    until_none_of(tmp_path)
    down = _cli("down", *where)
    assert "nothing runs" in down.stderr


@pytest.mark.drill
def test_two_stacks_in_two_folders_run_at_once(
    elasticsearch_9: SearchNode, redis_url: str, tmp_path: Path
) -> None:
    places = [tmp_path / "one", tmp_path / "two"]
    try:
        urls = [
            _exports(_cli("up", "--no-worker", "--dir", str(place)).stdout)["VIDSEARCH_ENGINE__URL"]
            for place in places
        ]
        assert urls[0] != urls[1]
        _cli("down", "--dir", str(places[0]))
        until_none_of(places[0])
        assert call(urls[1], "GET", "/_cluster/health")["number_of_nodes"] == 1
    finally:
        for place in places:
            _cli("down", "--dir", str(place))
    until_none_of(tmp_path)


def test_failed_up_stops_the_services_it_started(
    elasticsearch_9: SearchNode, tmp_path: Path
) -> None:
    (tmp_path / "redis").write_text("a file where the folder of Redis should be")
    failed = _cli("up", "--no-worker", "--dir", str(tmp_path), check=False)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in failed.stderr
    until_none_of(tmp_path)
    assert _cli("status", "--dir", str(tmp_path), check=False).returncode == 1


def test_services_of_a_killed_up_are_known_to_the_next_one(
    elasticsearch_9: SearchNode, redis_url: str, tmp_path: Path
) -> None:
    where = ("--dir", str(tmp_path))
    command = [sys.executable, "-c", _MAIN, "local", "up", "--no-worker", *where]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as up:
        until((tmp_path / "state.json").exists, what="it has started a service")
        up.kill()
    assert processes_of(tmp_path)
    status = _cli("status", "--json", *where, check=False)
    assert status.returncode == 1
    assert json.loads(status.stdout)["running"] is False
    try:
        again = _cli("up", "--no-worker", *where)
        assert "starting anew" in again.stderr
        assert call(_exports(again.stdout)["VIDSEARCH_ENGINE__URL"], "GET", "/")
    finally:
        _cli("down", *where)
    until_none_of(tmp_path)


def test_up_with_worker_starts_it_with_the_printed_variables(
    opensearch_2: SearchNode, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import Celery

    where = ("--dir", str(tmp_path))
    try:
        up = _cli("up", "--engine", "opensearch", "--model", "demo", *where)
        variables = _exports(up.stdout)
        assert variables["VIDSEARCH_ENGINE__KIND"] == "opensearch"
        assert variables["VIDSEARCH_MODEL__NAME"] == "demo"
        with Celery(broker=variables["VIDSEARCH_BROKER__URL"], set_as_current=False) as client:
            answers: dict[str, list[str]] = {}
            until(
                lambda: (
                    answers.update(client.control.inspect(timeout=2).registered() or {}) or answers
                ),
                what="the worker tells its tasks",
            )
            (tasks,) = answers.values()
        assert {"vidsearch.ingest_video", "vidsearch.sweep"} <= set(tasks)

        status = json.loads(_cli("status", "--json", *where).stdout)
        worker = next(each for each in status["services"] if each["name"] == "worker")
        environ = Path(f"/proc/{worker['pid']}/environ").read_text().split("\0")
        assert {f"{name}={value}" for name, value in variables.items()} <= set(environ)
        assert "OMP_NUM_THREADS=1" in environ

        # The index is there, and commands find the stack by the file that it keeps.
        assert "created index videos-000001" in up.stderr
        monkeypatch.setenv("VIDSEARCH_CONFIG", str(tmp_path / "vidsearch.toml"))
        command = [sys.executable, "-c", _MAIN, "status", "--json"]
        told: dict[str, Any] = {}

        def is_told() -> bool:
            told.update(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            return bool(told["workers"])

        until(is_told, what="the worker answers")
        assert (told["index"], len(told["workers"])) == ("videos-000001", 1)
    finally:
        _cli("down", *where)
    until_none_of(tmp_path)
    assert not (tmp_path / "vidsearch.toml").exists()


def test_worker_that_cannot_start_is_reported_with_its_log(
    elasticsearch_9: SearchNode, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_INGEST__FPS", "-1")  # the worker reads our settings too
    failed = _cli("up", "--dir", str(tmp_path), check=False)
    assert failed.returncode == 1
    assert "the worker did not start" in failed.stderr
    assert "ingest.fps" in failed.stderr
    until_none_of(tmp_path)


def test_missing_maven_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    failed = _cli("up", "--dir", str(tmp_path / "stack"), check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: ")
    assert "apt-get install" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_unknown_version_is_refused_with_those_that_work(tmp_path: Path) -> None:
    failed = _cli("up", "--version", "5.6.0", "--dir", str(tmp_path), check=False)
    assert failed.returncode == 1
    assert "elasticsearch 5.6.0 cannot be started here; try 9.5.3 or 8.19.21" in failed.stderr
