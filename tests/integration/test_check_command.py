"""``vidsearch check`` and ``status`` on a real engine, Redis and workers, with faults in each."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

from vidsearch.config import load_settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.testing.clips import write_clip
from vidsearch_tasks import Services

pytestmark = pytest.mark.integration

# On both engines: test_check_reports_each_part_that_fails of test_cli_admin.py.
about_workers = pytest.mark.parametrize("search_node", ["es-9.5.3"], indirect=True)


@pytest.fixture
def env(
    demo_env: dict[str, str], search_node: SearchNode, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    values = {
        "VIDSEARCH_ENGINE__KIND": search_node.kind,
        "VIDSEARCH_MODEL__PRECISION": "fp32",
        "VIDSEARCH_INGEST__RETRY_SECONDS": "0.2",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return demo_env | values


@pytest.fixture
def run(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def built(env: dict[str, str]) -> Iterator[Services]:
    """With an empty index of the model demo."""
    with Services(load_settings()) as built:
        create_videos_index(built.engine, built.settings.index, built.encoder.identity)
        yield built


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    red = np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8)
    return write_clip(tmp_path / "a.mp4", [i / 5 for i in range(15)], picture=lambda _: red, rate=5)


def parts(run: Run) -> tuple[int, dict[str, Any]]:
    checked = run("check", "--json")
    return checked.code, {one["part"]: one for one in checked.data}


def parts_once(run: Run, told: str, *, times: int = 1) -> tuple[int, dict[str, Any]]:
    """As soon as the workers tell that: each has a second to answer, which may not be enough."""
    found: list[tuple[int, dict[str, Any]]] = []

    def is_told() -> bool:
        found[:] = [parts(run)]
        return bool(found[0][1]["workers"]["detail"].count(told) >= times)

    until(is_told, what=f"{told!r} is told of {times} workers, not {found}")
    return found[0]


def worker(folder: Path, env: dict[str, str], *options: str, **others: str) -> Worker:
    return Worker(folder, {**env, **others}, app="vidsearch_tasks", options=options)


@about_workers
def test_workers_are_checked_by_what_they_run(
    run: Run, built: Services, env: dict[str, str], tmp_path: Path
) -> None:
    name = ("--hostname", f"same-{uuid.uuid4().hex[:6]}@%h")
    with worker(tmp_path / "w1", env, *name), worker(tmp_path / "w2", env, *name):
        embeds = f"embeds with {built.encoder.identity} in fp32 by vidsearch.encoders.torch_encoder"
        code, found = parts_once(run, embeds, times=2)
        told = found["workers"]["detail"]
        assert (code, found["workers"]["ok"]) == (0, True), found
        assert f"2 workers are named '{name[1].removesuffix('%h')}" in told
        said = "Start each with a name of its own (-n)"
        until(lambda: said in run("status").err, what="status says so, too")


@about_workers
def test_a_worker_of_another_sampling_is_found(
    run: Run, built: Services, env: dict[str, str], tmp_path: Path
) -> None:
    with worker(tmp_path / "w3", env, VIDSEARCH_INGEST__FPS="2"):
        code, found = parts_once(run, "w3@")
        assert (code, found["model"]["ok"], found["index"]["ok"]) == (1, True, True)
        assert "(differs in sampling)" in found["workers"]["detail"]


@about_workers
def test_a_worker_without_its_encoder_says_so_in_the_record_and_to_check(
    run: Run, built: Services, env: dict[str, str], tmp_path: Path, clip: Path
) -> None:
    with worker(tmp_path / "w4", env, VIDSEARCH_MODEL__ENCODER="nowhere.at_all:Encoder") as last:
        assert run("ingest", str(clip), "--field", "title=x").code == 0
        (record,) = built.registry.list()
        until(lambda: built.registry.get(record.id).error, what="a reason", worker=last)
        error = built.registry.get(record.id).error
        assert error is not None
        assert (error.type, error.stage) == ("ConfigError", "prepare")
        assert "there is no module 'nowhere'" in error.message
        code, found = parts_once(run, "w4@")
        assert (code, found["workers"]["ok"]) == (1, False)
        assert "there is no module 'nowhere'" in found["workers"]["detail"]


@about_workers
def test_what_a_machine_without_a_model_lacks_is_no_failure(
    run: Run,
    built: Services,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with worker(tmp_path / "w1", env):
        for module in ("torch", "transformers", "av", "cv2"):
            monkeypatch.setitem(sys.modules, module, None)
        code, found = parts_once(run, "w1@")
        assert code == 0, found
        assert (found["model"]["ok"], found["media"]["ok"]) == (None, None)
        assert "vidsearch[worker]" in found["model"]["detail"]
        assert "no module 'av' here" in found["media"]["detail"]
        assert found["index"]["ok"]
        monkeypatch.delitem(sys.modules, "torch")  # a machine that is to ingest, but cannot decode
        code, found = parts(run)
        assert (code, found["media"]["ok"]) == (1, False)


def test_an_index_that_cannot_be_written_is_found(
    run: Run, built: Services, search_node: SearchNode, index_name: str
) -> None:
    for name in (f"{index_name}-000001", built.registry.index):
        call(search_node.url, "PUT", f"/{name}/_settings", {"index.blocks.write": True})
        code, found = parts(run)
        assert (code, found["index"]["ok"]) == (1, False)
        assert "its setting index.blocks.write is true" in found["index"]["detail"]
        call(search_node.url, "PUT", f"/{name}/_settings", {"index.blocks.write": None})
    assert parts(run)[1]["index"]["ok"]


@pytest.mark.alone
def test_a_cluster_that_cannot_be_written_is_found(
    run: Run, built: Services, search_node: SearchNode
) -> None:
    for level in ("persistent", "transient"):
        block = {level: {"cluster.blocks.read_only_allow_delete": True}}
        call(search_node.url, "PUT", "/_cluster/settings", block)
        try:
            code, found = parts(run)
        finally:
            block[level] = {"cluster.blocks.read_only_allow_delete": None}
            call(search_node.url, "PUT", "/_cluster/settings", block)
        assert (code, found["index"]["ok"]) == (1, False)
        assert "setting cluster.blocks.read_only_allow_delete is true" in found["index"]["detail"]
    assert parts(run)[1]["index"]["ok"]


def test_a_wrong_kind_of_engine_is_found_by_check_status_and_search(
    run: Run, built: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"elasticsearch": "opensearch", "opensearch": "elasticsearch"}[built.engine.kind]
    monkeypatch.setenv("VIDSEARCH_ENGINE__KIND", wrong)
    assert "engine.kind" in parts(run)[1]["engine"]["detail"]
    for command in (("status",), ("search", "red", "--mode", "keyword"), ("search", "red")):
        told = run(*command)
        assert told.code == 1
        assert "engine.kind" in told.err.lower().replace("vidsearch_engine__kind", "engine.kind")


def test_a_copy_without_vectors_is_found_by_check_status_and_search(
    run: Run, built: Services, search_node: SearchNode, index_name: str
) -> None:
    live, copy = f"{index_name}-000001", f"{index_name}-000002"
    body = call(search_node.url, "GET", f"/{live}")[live]
    kept = {
        k: v for k, v in body["settings"]["index"].items() if k in {"knn", "number_of_replicas"}
    }
    made = {"mappings": body["mappings"], "settings": {"index": kept}}
    call(search_node.url, "PUT", f"/{copy}", made)
    video = {"uri": "/a.mp4", "fingerprint": "f", "model": "m"}
    path = f"/{copy}/_doc/a?refresh=true"
    call(search_node.url, "PUT", path, {"title": "red boat", "video": video})
    actions = [{"remove": {"index": live, "alias": index_name}}]
    actions.append({"add": {"index": copy, "alias": index_name}})
    call(search_node.url, "POST", "/_aliases", {"actions": actions})

    lost = "1 of 1 videos"
    code, found = parts(run)
    assert (code, found["index"]["ok"]) == (1, False)
    assert lost in found["index"]["detail"]
    for command in (("status",), ("search", "red"), ("search", "red", "--mode", "vector")):
        told = run(*command)
        assert told.code == 1, told
        assert lost in told.err
    assert run("search", "red", "--mode", "keyword").code == 0
