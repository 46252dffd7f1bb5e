"""Each local node is real: it starts, holds vectors, stops, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.services import NODES, WHOLE_WAYS, RunningServices, call
from tests.waiting import processes_of, until, until_none_of

from vidsearch.errors import LocalError
from vidsearch.local import RedisServer, SearchNode

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # nodes are started

# A moment after an index of another test was made, its shard has not started, and all is red.
_HEALTH = "/_cluster/health?wait_for_status=yellow&timeout=30s"


def _vector_index(kind: str) -> dict[str, object]:
    if kind == "elasticsearch":
        vector = {"type": "dense_vector", "dims": 512, "similarity": "cosine", "index": True}
        vector["index_options"] = {"type": "int8_hnsw"}
        return {"mappings": {"properties": {"vector": vector}}}
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    vector = {"type": "knn_vector", "dimension": 512, "method": method}
    return {"settings": {"index.knn": True}, "mappings": {"properties": {"vector": vector}}}


def _search(kind: str, vector: list[float]) -> dict[str, object]:
    if kind == "elasticsearch":
        return {"knn": {"field": "vector", "query_vector": vector, "k": 1, "num_candidates": 10}}
    return {"size": 1, "query": {"knn": {"vector": {"vector": vector, "k": 1}}}}


def _axis(number: int) -> list[float]:
    return [1.0 if each == number else 0.0 for each in range(512)]


def test_node_reports_engine_and_version(search_node: SearchNode) -> None:
    root = call(search_node.url, "GET", "/")
    assert root["version"]["number"] == search_node.version
    assert root["cluster_name"] == "vidsearch-local"
    assert root["name"] == "vidsearch-local"
    assert root["tagline"]
    assert root["version"].get("distribution", "elasticsearch") == search_node.kind


def test_node_is_healthy(search_node: SearchNode) -> None:
    health = call(search_node.url, "GET", _HEALTH)
    assert health["status"] in {"green", "yellow"}
    assert health["number_of_nodes"] == 1


def test_node_finds_the_nearest_vector(search_node: SearchNode, index_name: str) -> None:
    call(search_node.url, "PUT", f"/{index_name}", _vector_index(search_node.kind))
    for number in range(3):
        document = {"vector": _axis(number)}
        call(search_node.url, "PUT", f"/{index_name}/_doc/{number}?refresh=true", document)

    found = call(
        search_node.url, "POST", f"/{index_name}/_search", _search(search_node.kind, _axis(1))
    )

    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["1"]


@pytest.mark.parametrize("name", WHOLE_WAYS[:1])
def test_node_stops_cleanly_and_keeps_its_data(
    name: str, services: RunningServices, tmp_path: Path
) -> None:
    kind, version = NODES[name]
    services.node(name)  # skips where it cannot be had
    with SearchNode.start(kind, version=version, folder=tmp_path, quick=True) as node:
        call(node.url, "PUT", "/kept/_doc/1?refresh=true", {"title": "stays"})
        assert processes_of(tmp_path)
    until_none_of(tmp_path)
    with pytest.raises(OSError, match="refused"):
        call(node.url, "GET", "/")

    with SearchNode.start(kind, version=version, folder=tmp_path, quick=True) as again:
        assert call(again.url, "GET", "/kept/_doc/1")["_source"] == {"title": "stays"}
    assert "ERROR" not in (tmp_path / "node.log").read_text()


@pytest.mark.parametrize("name", ["os-2.19.1"])
def test_node_starts_whatever_the_environment_and_removes_its_temporary_folder(
    name: str, services: RunningServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain locale, a folder with blanks and umlauts, a proxy that knows nothing of us."""
    other = services.node(name)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    kind, version = NODES[name]
    folder = tmp_path / "Filme für später; alle"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with SearchNode.start(kind, version=version, quick=True) as node:
        assert call(node.url, "GET", "/_cluster/health")["number_of_nodes"] == 1
        assert node.folder.path.parent == folder
        assert (node.folder.path / "data").is_dir()
        assert node.url != other.url
    assert not node.folder.path.exists()
    with RedisServer.start(folder=folder / "redis") as server:
        assert server.process.alive()


def test_two_nodes_cannot_share_a_folder(elasticsearch_9: SearchNode) -> None:
    with pytest.raises(LocalError) as caught:
        SearchNode.start(
            "elasticsearch", version="9.5.3", folder=elasticsearch_9.folder.path, quick=True
        )
    message = str(caught.value)
    assert "Elasticsearch 9.5.3 ended at its start" in message
    assert "failed to obtain node lock" in message
    assert call(elasticsearch_9.url, "GET", _HEALTH)["status"] in {"green", "yellow"}


def test_failed_start_is_reported_with_the_end_of_the_log(
    elasticsearch_9: SearchNode, tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match="Invalid initial heap size: -Xmsmuch"):
        SearchNode.start("elasticsearch", version="9.5.3", folder=tmp_path, heap="much")
    until_none_of(tmp_path)


def test_node_that_misses_the_deadline_is_stopped(opensearch_2: SearchNode, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="was not healthy after 0 s"):
        SearchNode.start("opensearch", folder=tmp_path, deadline=0.3)
    until_none_of(tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.drill)]
)
def test_services_end_with_their_parent(
    number: signal.Signals, elasticsearch_9: SearchNode, redis_url: str
) -> None:
    program = (
        "from vidsearch.local import SearchNode, RedisServer\n"
        "node = SearchNode.start('elasticsearch', version='9.5.3', quick=True)\n"
        "redis = RedisServer.start()\n"
        "print(node.folder.path, redis.folder.path, flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        folders = [Path(each) for each in parent.stdout.readline().split()]
        assert len(folders) == 2
        assert all(processes_of(folder) for folder in folders)
        parent.send_signal(number)
    for folder in folders:
        until_none_of(folder)
        until(lambda: not folder.exists(), what="its folder is removed")  # noqa: B023


def test_redis_answers_and_stops_cleanly(redis_url: str, tmp_path: Path) -> None:
    import redis

    with RedisServer.start(folder=tmp_path, persist=True) as server:
        assert server.url != redis_url
        with redis.Redis.from_url(server.url) as client:
            client.set("key", "stays")
    until_none_of(tmp_path)
    with (
        RedisServer.start(folder=tmp_path, persist=True) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.get("key") == b"stays"


def test_redis_that_cannot_start_is_reported_with_its_log(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "appendonly.aof").write_text("this is not an append-only file\n")
    with pytest.raises(LocalError, match="Bad file format reading the append only file"):
        RedisServer.start(folder=tmp_path, persist=True)
    until_none_of(tmp_path)


def test_indices_of_a_test_are_dropped(
    services: RunningServices, elasticsearch_9: SearchNode
) -> None:
    call(elasticsearch_9.url, "PUT", "/prefixed-000001", {"aliases": {"prefixed": {}}})
    call(elasticsearch_9.url, "PUT", "/vidsearch-prefixed-registry", {})
    call(elasticsearch_9.url, "PUT", "/other", {})

    services.drop("prefixed")

    for name in ("prefixed", "vidsearch-prefixed-registry"):
        with pytest.raises(HTTPError) as caught:
            call(elasticsearch_9.url, "GET", f"/{name}")
        assert caught.value.code == 404
        caught.value.close()
    assert "other" in call(elasticsearch_9.url, "GET", "/other")
    services.drop("other")


def test_killed_session_leaves_nothing_behind(redis_url: str, tmp_path: Path) -> None:
    """A pytest that is killed while its services run takes them with it."""
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_hang.py").write_text(
        "import time\n"
        "def test_hang(services):\n"
        "    services.redis_url()\n"
        f"    open({str(tmp_path / 'folder')!r}, 'w').write(str(services.redis.folder.path))\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    session = subprocess.Popen(
        command, cwd=root, env=environ, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        marker = tmp_path / "folder"
        until(lambda: marker.exists() and marker.read_text(), what="its test runs")
        place = Path(marker.read_text())
        assert processes_of(place)
    finally:
        os.killpg(session.pid, signal.SIGKILL)
        session.wait()
    until_none_of(place)
