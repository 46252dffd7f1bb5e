"""An application that rewrites its documents and moves its alias, with a real worker and model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

from vidsearch import VideoSearch, load_settings
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.testing.clips import solid, write_clip
from vidsearch_tasks import Services

pytestmark = pytest.mark.integration


@pytest.fixture
def env(demo_env: dict[str, str]) -> dict[str, str]:
    # The tests say themselves when it is scanned.
    return {**demo_env, "VIDSEARCH_INGEST__SCAN_SECONDS": "0"}


@pytest.fixture
def run(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


class Shop:
    """An application with its products behind an alias."""

    def __init__(self, node: SearchNode, alias: str, folder: Path) -> None:
        self.url, self.kind, self.alias = node.url, node.kind, alias
        self.clips = {
            id: write_clip(
                folder / f"{id}.mp4", [i / 5 for i in range(15)], picture=solid(rgb), rate=5
            )
            for id, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255)))
        }

    def create(self, version: str, *, knn: bool = True, **properties: Any) -> str:
        name = f"{self.alias}-{version}"
        settings = {"number_of_replicas": 0}
        if knn and self.kind == "opensearch":
            settings["knn"] = True
        fields = {"title": {"type": "text"}, "file": {"type": "keyword"}, **properties}
        body = {"settings": {"index": settings}, "mappings": {"properties": fields}}
        call(self.url, "PUT", f"/{name}", body)
        return name

    def write(self, name: str) -> None:
        for id, clip in self.clips.items():
            document = {"title": f"shirt {id}", "file": str(clip)}
            call(self.url, "PUT", f"/{name}/_doc/{id}?refresh=true", document)

    def move(self, name: str) -> None:
        remove = {"index": f"{self.alias}-*", "alias": self.alias, "must_exist": False}
        add = {"index": name, "alias": self.alias}
        call(self.url, "POST", "/_aliases", {"actions": [{"remove": remove}, {"add": add}]})


@pytest.mark.one_node("es-9.5.3")
def test_rewritten_documents_and_a_moved_alias_get_their_vectors_back(
    run: Run, env: dict[str, str], search_node: SearchNode, index_name: str, tmp_path: Path
) -> None:
    shop = Shop(search_node, index_name, tmp_path)
    first = shop.create("v1")
    shop.move(first)
    shop.write(first)
    assert run("index", "attach", index_name, "--uri-field", "file").code == 0

    def vector_hits() -> list[Any]:
        result = run("search", "red", "--mode", "vector", "--json")
        assert result.code == 0, result.err
        return [hit["id"] for hit in result.data["hits"]]

    with (
        Worker(tmp_path / "worker", env, app="vidsearch_tasks") as worker,
        VideoSearch.from_settings(load_settings()) as client,
        Services(load_settings()) as services,
    ):

        def scanned() -> None:
            assert run("scan").code == 0
            until(
                lambda: services.registry.counts()[State.INDEXED] == 2,
                what="both have vectors",
                worker=worker,
            )
            services.engine.refresh(index_name)
            told = run("status", "--json").data
            assert (told["waiting_for_vectors"], told["searchable"]) == (0, 2)

        scanned()
        until(lambda: worker.text().count(" indexed: ") == 2, what="both were decoded")
        assert sorted(vector_hits()) == ["blue", "red"]
        assert len(client.search("red", mode="vector")) == 2

        shop.write(first)
        assert run("status", "--json").data["waiting_for_vectors"] == 2
        assert "waiting for vectors  2" in run("status").out.replace("\t", "  ")
        assert vector_hits() == []
        assert len(client.search("shirt")) == 2
        scanned()

        second = shop.create("v2")
        shop.write(second)
        shop.move(second)
        assert vector_hits() == []
        moved = run("search", "shirt")
        assert (moved.code, "red" in moved.out) == (0, True)
        for said in (
            moved.err,
            run("status").err,
            run("check").out,
            *client.search("red", mode="vector").warnings,
            *client.search("shirt", fusion="linear", explain=True, highlight=True).warnings,
        ):
            assert f"alias '{index_name}' was moved to index '{second}'" in said
            assert "`vidsearch scan` adds it" in said
        assert run("status", "--json").data["waiting_for_vectors"] == 2
        scanned()
        assert sorted(vector_hits()) == ["blue", "red"]
        assert len(client.search("red", mode="vector")) == 2
        assert client.search("red", mode="vector").warnings == ()
        kept = " written again: "
        until(lambda: worker.text().count(kept) == 4, what="all else came from the store")
        assert worker.text().count(" indexed: ") == 2, "nothing was decoded again"


def test_a_moved_alias_whose_index_takes_no_vectors_is_an_error_but_of_a_search_by_words(
    run: Run, env: dict[str, str], search_node: SearchNode, index_name: str, tmp_path: Path
) -> None:
    shop = Shop(search_node, index_name, tmp_path)
    shop.move(shop.create("v1"))
    assert run("index", "attach", index_name, "--uri-field", "file").code == 0

    def refused(name: str, reason: str, *, searches: bool = True, **blocks: Any) -> None:
        shop.write(name)
        shop.move(name)
        settings = f"/{name}/_settings"
        if blocks:
            call(shop.url, "PUT", settings, {"index": {"blocks": blocks}})
        for command in (("scan",), ("status",), ("check",), ("search", "shirt")):
            result = run(*command)
            said = result.err + result.out
            answers = searches and command[0] == "search"
            assert result.code == (0 if answers else 1), said
            assert ("shirt red" in result.out) == answers
            assert f"was moved to index '{name}'" in said
            assert reason in said
            assert "`vidsearch scan`" in said
        if blocks:
            call(shop.url, "PUT", settings, {"index": {"blocks": dict.fromkeys(blocks)}})

    taken = shop.create("taken", video={"type": "keyword"})
    refused(taken, "has a field 'video' of its own", searches=False)
    refused(shop.create("blocked"), "takes no writes (index.blocks.read_only)", read_only=True)
    if shop.kind == "opensearch":
        command = f"`vidsearch index attach {index_name} --uri-field file`"
        refused(shop.create("plain", knn=False), f"have it copied by {command}")
        attach = run("index", "attach", index_name, "--uri-field", "file", "--yes")
        assert attach.code == 0, attach.err
        assert run("scan").code == 0
