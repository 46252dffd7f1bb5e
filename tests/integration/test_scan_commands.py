"""``vidsearch index attach``, ``scan`` and ``index detach`` with a real worker and model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

from vidsearch.local import SearchNode
from vidsearch.testing.clips import solid, write_clip

pytestmark = [pytest.mark.integration, pytest.mark.one_node("es-9.5.3")]


@pytest.fixture
def env(demo_env: dict[str, str]) -> dict[str, str]:
    return demo_env


@pytest.fixture
def run(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_documents_of_an_attached_index_become_searchable(
    run: Run, env: dict[str, str], search_node: SearchNode, index_name: str, tmp_path: Path
) -> None:
    url, name = search_node.url, index_name
    knn = {"knn": True} if search_node.kind == "opensearch" else {}
    body = {
        "settings": {"index": {"number_of_replicas": 0, **knn}},
        "mappings": {"properties": {"title": {"type": "text"}, "file": {"type": "keyword"}}},
    }
    call(url, "PUT", f"/{name}", body)
    for id, rgb in (("7", (255, 0, 0)), ("8", (0, 0, 255))):
        clip = write_clip(
            tmp_path / f"{id}.mp4", [i / 5 for i in range(15)], picture=solid(rgb), rate=5
        )
        call(url, "PUT", f"/{name}/_doc/{id}", {"title": f"shirt {id}", "file": str(clip)})
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    call(url, "PUT", f"/{name}/_doc/9", {"title": "shirt 9", "file": str(broken)})
    call(url, "PUT", f"/{name}/_doc/none?refresh=true", {"title": "no video"})
    before = {id: call(url, "GET", f"/{name}/_doc/{id}")["_source"] for id in "789"}

    assert "is not mapped" in run("index", "attach", name, "--uri-field", "films").err
    attached = run("index", "attach", name, "--uri-field", "file")
    assert attached.code == 0, attached.err
    assert f"attached to {name}, for model demo" in attached.err
    shown = run("index", "show", "--json").data
    assert (shown["uri_field"], shown["documents"], shown["videos"]) == ("file", 4, 0)
    assert "attached by file" in run("check").out
    refused = run("ingest", str(broken))
    assert (refused.code, "vidsearch scan" in refused.err) == (2, True)

    plan = run("scan", "--dry-run", "--json")
    assert {f["id"] for f in plan.data} == {"7", "8", "9"}
    assert "3 would be enqueued" in plan.err
    assert sum(run("status", "--json").data["states"].values()) == 0
    assert "1 enqueued" in run("scan", "--limit", "1").err
    assert run("scan").code == 0
    with Worker(tmp_path / "worker", env, app="vidsearch_tasks") as worker:
        until(
            lambda: (
                (s := run("status", "--json").data["states"])["indexed"] == 2 and s["failed"] == 1
            ),
            what="two are indexed and one failed",
            worker=worker,
        )
    found = run("scan", "--json")
    assert [(f["id"], f["action"], f["why"]) for f in found.data] == [("9", "skip", "failed")]
    assert run("scan", "--retry", "--dry-run", "--json").data[0]["action"] == "enqueue"
    assert run("status", "--json").data["searchable"] == 2
    hits = run("search", "red", "--json").data["hits"]
    assert hits[0]["id"] == "7"
    assert hits[0]["fields"]["title"] == "shirt 7"

    assert run("index", "drop", "--yes").code == 1
    call(url, "DELETE", f"/{name}/_doc/8?refresh=true")
    assert "1 marked deleted" in run("scan").err
    detached = run("index", "detach", "--yes")
    assert detached.code == 0, detached.err
    assert "detached: taken out of 1 documents, which are" in detached.err
    after = {id: call(url, "GET", f"/{name}/_doc/{id}")["_source"] for id in "79"}
    assert after == {id: before[id] for id in "79"}
    gone = run("scan")
    assert gone.code == 1
    assert "vidsearch index attach" in gone.err


@pytest.mark.parametrize("search_node", ["es-9.5.3"], indirect=True)
def test_workers_scan_by_themselves(
    run: Run, env: dict[str, str], search_node: SearchNode, index_name: str, tmp_path: Path
) -> None:
    url, name = search_node.url, index_name
    fields = {"file": {"type": "keyword"}}
    settings = {"index": {"number_of_replicas": 0}}
    call(url, "PUT", f"/{name}", {"settings": settings, "mappings": {"properties": fields}})
    clip = write_clip(tmp_path / "7.mp4", [i / 5 for i in range(15)], rate=5)
    assert run("index", "attach", name, "--uri-field", "file").code == 0
    often = {"VIDSEARCH_INGEST__SCAN_SECONDS": "1", "VIDSEARCH_INGEST__SWEEP_SECONDS": "1"}
    with Worker(tmp_path / "worker", {**env, **often}, app="vidsearch_tasks") as worker:
        call(url, "PUT", f"/{name}/_doc/7?refresh=true", {"file": str(clip)})
        until(
            lambda: run("status", "--json").data["states"]["indexed"] == 1,
            what="the document has its vectors",
            worker=worker,
        )


def test_scan_of_a_managed_index_is_refused(run: Run) -> None:
    assert run("index", "create").code == 0
    result = run("scan")
    assert result.code == 1
    assert "register videos with `vidsearch ingest`" in result.err
    assert run("scan", "--quick", "--all").code == 2
    assert run("index", "detach", "--yes").code == 1
