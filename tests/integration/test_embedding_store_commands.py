"""``vidsearch embeddings`` and what the store saves, with real nodes and a real worker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

from vidsearch.local import SearchNode
from vidsearch.testing.clips import solid, write_clip

pytestmark = [pytest.mark.integration, pytest.mark.one_node("es-9.5.3")]

ALL = ("--older-than", "0", "--yes")


@pytest.fixture
def run(demo_env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_copies_are_embedded_once_and_what_no_video_needs_is_pruned(
    run: Run, demo_env: dict[str, str], search_node: SearchNode, index_name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        write_clip(folder / f"{name}.mp4", [i / 5 for i in range(15)], picture=solid(rgb), rate=5)
    shutil.copy(folder / "red.mp4", folder / "copy.mp4")
    assert run("index", "create").code == 0
    empty = run("embeddings", "show", "--json").data
    assert (empty["contents"], empty["bytes"], empty["unused"]["contents"]) == (0, 0, 0)
    with Worker(tmp_path / "worker", demo_env, app="vidsearch_tasks"):
        assert run("ingest", "--folder", str(folder), "--wait").code == 0
        shown = run("embeddings", "show", "--json").data
        assert shown["store"] == f"index 'vidsearch-{index_name}-embeddings'"
        assert (shown["contents"], shown["unused"]["contents"]) == (2, 0)
        videos = {one["id"]: one for one in run("videos", "list", "--json").data}
        assert len(videos) == 3
        assert len({one["content"] for one in videos.values()}) == 2
        vectors = {
            id: call(search_node.url, "GET", f"/{index_name}/_doc/{id}")["_source"]["title"]
            for id in videos
        }
        assert sorted(vectors.values()) == ["blue", "copy", "red"]

        blue = next(id for id, title in vectors.items() if title == "blue")
        assert run("videos", "delete", blue).code == 0
        plan = run("embeddings", "prune", "--dry-run", "--older-than", "0", "--json")
        content = videos[blue]["content"]
        assert plan.data
        assert all(content in one["key"] for one in plan.data)
        assert "no registered video of" in plan.err
        spared = run("embeddings", "prune", "--yes")
        assert spared.out.splitlines() == ["key\tbytes"], "they are newer than a day"
        assert spared.err.startswith("nothing to remove\nspared ")
        assert run("embeddings", "prune", *ALL).code == 0
        after = run("embeddings", "show", "--json").data
        assert (after["contents"], after["unused"]["contents"]) == (1, 0)
        assert run("search", "red", "--json").data["hits"]

        dropped = run("embeddings", "drop", "--yes")
        assert (dropped.code, "removed" in dropped.err) == (0, True)
        assert run("embeddings", "show", "--json").data["files"] == 0
        until(
            lambda: len(run("search", "red", "--json").data["hits"]) == 2,
            what="the deleted video is found no more",
        )


def test_a_store_that_is_switched_off_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_EMBEDDINGS__KEEP", "false")
    shown = run("embeddings", "show")
    assert (shown.code, "embeddings.keep is false" in shown.err) == (2, True)
