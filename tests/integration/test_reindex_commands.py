"""``vidsearch reindex`` with real workers: other settings, other segments, another model, back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

import vidsearch_tasks
from vidsearch.config import load_settings
from vidsearch.demo.clips import Shot, write_clip
from vidsearch.demo.scenes import Scene
from vidsearch.ingest.fill_board import Fill
from vidsearch.registry import State, VideoRecord
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.search import VideoSearch
from vidsearch.testing.checkpoints import turned_demo_checkpoint
from vidsearch_tasks import Services, reindexer, run_store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

RED = Scene(
    shape="circle", colour="red", count=1, size="large", texture="solid", background="black"
)
SCENES = {
    "red": RED,
    "blue": replace(RED, shape="square", colour="blue", background="white"),
    "yellow": replace(RED, shape="star", colour="yellow", background="teal"),
}
LATE = replace(RED, shape="heart", colour="purple", background="tan")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A clip of six seconds for each scene."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, scene in SCENES.items():
        clip(folder / f"{name}.mp4", scene)
    return folder


def clip(path: Path, scene: Scene) -> Path:
    return write_clip(path, [Shot(scene=scene, seconds=6)], fps=5)


@pytest.fixture
def other(tmp_path: Path, demo_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of another model, which workers and searches can find."""
    folder = turned_demo_checkpoint(tmp_path / "other")
    demo_env["VIDSEARCH_MODEL__OTHERS"] = json.dumps([str(folder)])
    monkeypatch.setenv("VIDSEARCH_MODEL__OTHERS", demo_env["VIDSEARCH_MODEL__OTHERS"])
    return folder


@pytest.fixture
def slice_seconds(
    request: pytest.FixtureRequest, demo_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So long are slices, and what a killed worker had is soon taken up."""
    values = {"LEASE_SECONDS": "3", "SWEEP_SECONDS": "1", "SLICE_SECONDS": request.param}
    for name, value in values.items():
        demo_env[f"VIDSEARCH_INGEST__{name}"] = value
        monkeypatch.setenv(f"VIDSEARCH_INGEST__{name}", value)


@pytest.fixture
def nobody_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client has to load another model before the swap."""
    monkeypatch.setattr(vidsearch_tasks, "reindexer", partial(reindexer, notice_seconds=0))


@pytest.fixture
def run(demo_env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def worker(demo_env: dict[str, str], other: Path, run: Run, tmp_path: Path) -> Iterator[Worker]:
    """A worker of the demo model, and an index for it."""
    assert run("index", "create").code == 0
    with Worker(tmp_path / "worker", demo_env, app="vidsearch_tasks") as running:
        yield running


@pytest.fixture
def library(worker: Worker, run: Run, clips: Path) -> Worker:
    args = ("ingest", "--folder", str(clips), "--id-from", "name", "--wait", "--timeout", "120")
    assert run(*args).code == 0
    return worker


@pytest.fixture
def search() -> Iterator[VideoSearch]:
    """A client that stays open over every swap."""
    with VideoSearch.from_settings(load_settings()) as search:
        yield search


def best(search: VideoSearch, scene: Scene) -> str | None:
    """The first hit; ``None`` where nothing is found, as until the index is refreshed."""
    hits = search.search(text=scene.caption, mode="vector").hits
    return hits[0].id if hits else None


def each_is_found(search: VideoSearch) -> bool:
    return all(best(search, scene) == name for name, scene in SCENES.items())


def found(search: VideoSearch) -> set[str]:
    return {hit.id for hit in search.search(text=LATE.caption, mode="vector").hits}


@pytest.mark.one_node("es-9.5.3")
def test_other_settings_and_segments_come_without_embedding_again(
    run: Run, library: Worker, search: VideoSearch, index_name: str, tmp_path: Path
) -> None:
    assert each_is_found(search), "as soon as they were waited for"
    plan = run("reindex", "--quantization", "flat", "--shards", "2", "--dry-run", "--json")
    assert (plan.code, plan.data["way"], plan.data["videos"]) == (0, "copy", 3)
    assert plan.data["bytes"] > 0
    assert plan.data["free_bytes"] > plan.data["needed_bytes"]
    assert plan.data["seconds"] > 0
    assert run("reindex", "list", "--json").data == []

    queries = tmp_path / "queries.txt"
    queries.write_text(f"{RED.caption}\n\n{SCENES['blue'].caption}\n")
    done = run(
        *("reindex", "--quantization", "flat", "--shards", "2", "--no-swap"),
        *("--canary", str(queries), "--json"),
    )
    assert (done.code, done.data["step"]) == (0, "verified"), done.err
    assert f"writers write to {index_name}-000001 and {index_name}-000002" in done.err
    assert run("index", "show", "--json").data["index"] == f"{index_name}-000001"
    shown = run("reindex", "show").out
    assert "check\tpassed" in shown
    assert f"{RED.caption}\t1\tred (" in shown
    assert run("reindex", "swap", "--json").data["step"] == "swapped"
    shown = run("index", "show", "--json").data
    assert (shown["index"], shown["quantization"]) == (f"{index_name}-000002", "flat")
    until(lambda: each_is_found(search), what="each clip is found by its caption")

    refused = run("reindex", "--segment-seconds", "2")
    assert refused.code == 1
    assert "`vidsearch reindex clean` ends it" in refused.err
    assert run("reindex", "clean", "--yes").code == 0

    segments = run("reindex", "--segment-seconds", "2", "--drop-old", "--json")
    assert (segments.code, segments.data["step"]) == (0, "done"), segments.err
    assert segments.data["way"] == "assemble"
    shown = run("index", "show", "--json").data
    assert (shown["segment_seconds"], shown["videos"]) == (2.0, 3)
    until(lambda: best(search, RED) == "red", what="the red circle is found")
    assert library.text().count("Task vidsearch.fill_video") >= 3
    assert run("reindex", "--missing", "--dry-run", "--json").data == []
    ids = [(run["id"], run["step"]) for run in run("reindex", "list", "--json").data]
    assert ids == [("2", "done"), ("1", "done")]


@pytest.mark.one_node("es-9.5.3")
def test_another_model_is_changed_to_and_back_while_searches_go_on(
    run: Run, library: Worker, search: VideoSearch, other: Path, clips: Path, index_name: str
) -> None:
    changed = run("reindex", "--model", str(other), "--json")
    assert (changed.code, changed.data["step"]) == (0, "swapped"), changed.err
    assert changed.data["way"] == "embed"
    assert run("index", "show", "--json").data["model"]["name"] == "local"
    assert found(search) == {*SCENES}
    assert run("reindex", "--missing", "--dry-run", "--json").data == []

    # The settings name the old model still; what is ingested now has the new one, and in the index
    # that is kept the old one.
    late = clip(clips / "late.mp4", LATE)
    assert run("ingest", str(late), "--id-from", "name", "--wait", "--timeout", "120").code == 0
    assert run("reindex", "--missing", "--dry-run", "--json").data == []
    assert "late" in found(search)

    back = run("reindex", "--rollback", "--yes", "--json")
    assert (back.code, back.data["step"]) == (0, "rolled_back"), back.err
    shown = run("index", "show", "--json").data
    assert (shown["index"], shown["model"]["name"]) == (f"{index_name}-000001", "demo")
    assert found(search) >= {*SCENES}
    until(lambda: "late" in found(search), what="the new clip is found")
    assert run("index", "show", "--json").data["videos"] == 4


@pytest.mark.one_node("es-9.5.3")
@pytest.mark.usefixtures("nobody_searches")
def test_a_file_that_is_gone_keeps_its_video_out_of_a_new_model_and_in_the_old_index(
    run: Run, library: Worker, search: VideoSearch, other: Path, clips: Path, index_name: str
) -> None:
    (clips / "blue.mp4").unlink()
    refused = run("reindex", "--model", str(other))
    assert refused.code == 1
    assert "1 video could not be made, such as 'blue': SourceNotFoundError" in refused.err
    assert run("index", "show", "--json").data["index"] == f"{index_name}-000001"

    # Its file is back for a while, so that it is in the new index.
    clip(clips / "blue.mp4", SCENES["blue"])
    resumed = run("reindex", "--resume", "--json")
    assert (resumed.code, resumed.data["step"]) == (0, "swapped"), resumed.err
    (clips / "blue.mp4").unlink()
    back = run("reindex", "--rollback", "--yes", "--json")
    assert (back.code, back.data["step"]) == (0, "rolled_back"), back.err
    shown = run("index", "show", "--json").data
    assert (shown["index"], shown["videos"]) == (f"{index_name}-000001", 3)
    until(lambda: each_is_found(search), what="each clip is found by its caption")
    assert run("reindex", "--missing", "--dry-run", "--json").data == []


@pytest.mark.usefixtures("slice_seconds", "nobody_searches")
@pytest.mark.parametrize(
    ("slice_seconds", "end", "search_node"),
    [
        ("0", "resume", "es-9.5.3"),
        ("2", "rollback", "os-2.19.1"),
        *(
            pytest.param(*case, marks=pytest.mark.drill)
            for case in (
                ("0", "resume", "os-2.19.1"),
                ("2", "rollback", "es-9.5.3"),
                ("2", "resume", "es-9.5.3"),
                ("2", "resume", "os-2.19.1"),
            )
        ),
    ],
    indirect=["slice_seconds", "search_node"],
)
def test_a_worker_that_is_killed_while_it_embeds_for_a_new_model_orphans_nothing(
    run: Run,
    library: Worker,
    search: VideoSearch,
    other: Path,
    demo_env: dict[str, str],
    tmp_path: Path,
    end: str,
) -> None:
    is_sliced = demo_env["VIDSEARCH_INGEST__SLICE_SECONDS"] != "0"
    killed = killed_while_it_embeds(library, other, is_sliced=is_sliced)
    if end == "rollback":
        back = run("reindex", "--rollback", "--yes", "--json")
        assert (back.code, back.data["step"]) == (0, "rolled_back"), back.err
    with Worker(tmp_path / "next", demo_env, app="vidsearch_tasks") as worker:
        if end == "resume":
            resumed = run("reindex", "--resume", "--json")
            assert (resumed.code, resumed.data["step"]) == (0, "swapped"), resumed.err
            assert ("slice 0 s to 2 s of" in worker.text()) is is_sliced
            assert run("reindex", "clean", "--yes").code == 0
        else:
            until(lambda: no_message_waits(run), what="all messages are taken", worker=worker)
        until(lambda: each_is_found(search), what="each clip is found by its caption")
        assert run("reindex", "--missing", "--dry-run", "--json").data == []
    live = killed.target if end == "resume" else killed.source
    with Services() as services:
        index = services.settings.index
        assert not services.board.exists or list(services.board.entries.scan(*State)) == []
        beside = (index.registry, index.operations, index.embeddings, index.slices)
        kept = {live, *(name for alias in beside for name in services.engine.indices_of(alias))}
        names = f"{index.name}*,{index.side_prefix}{index.name}*"
        path = f"/_cat/indices/{names}?format=json&h=index&expand_wildcards=all"
        there = {row["index"] for row in call(services.settings.engine.url, "GET", path)}
        assert there == kept
        assert services.engine.indices_of(index.name) == (live,)
        assert services.engine.aliases(live).keys() == {index.name}
        states = {record.id: record.state for record in services.registry.scan(*State)}
        assert states == dict.fromkeys(SCENES, State.INDEXED)


def killed_while_it_embeds(worker: Worker, model: Path, *, is_sliced: bool) -> ReindexRun:
    """The record of a run that ended as its worker was killed in the midst of a document, or of
    slices for one."""

    class KilledError(Exception):
        pass

    with Services() as services:

        def documents() -> list[VideoRecord]:
            # By their ids, as a search would tell late.
            run = runs.last()
            assert run is not None
            fills = [
                Fill(id, run.target, record.fingerprint)
                for id, record in services.registry.find_many([*SCENES]).items()
            ]
            return [*services.fills.entries.find_many([fill.id for fill in fills]).values()]

        def is_at_one() -> bool:
            at_work = [entry for entry in documents() if entry.state is State.PROCESSING]
            return any((entry.owner == "slices") is is_sliced for entry in at_work)

        def kill(done: int, total: int) -> None:
            if services.fills.exists:
                until(is_at_one, what="a document is being made", worker=worker)
                worker.kill()
                raise KilledError

        runs = run_store(services)
        with pytest.raises(KilledError):
            reindexer(services, on_progress=kill).start(Changes(model=str(model)))
        assert is_at_one()
        run = runs.last()
        assert run is not None
        assert run.step is Step.COPYING
        return run


def no_message_waits(run: Run) -> bool:
    return bool(run("status", "--json").data["queued_messages"] == 0)


@pytest.mark.one_node("os-2.19.1")
def test_workers_reindex_by_themselves(run: Run, library: Worker, search: VideoSearch) -> None:
    begun = run("reindex", "--quantization", "flat", "--background", "--drop-old", "--json")
    assert (begun.code, begun.data["step"]) == (0, "planned"), begun.err

    def is_over() -> bool:
        return bool(run("reindex", "show", "--json").data["step"] == "done")

    until(is_over, what="the reindex is done", worker=library, seconds=300)
    assert run("index", "show", "--json").data["quantization"] == "flat"
    until(lambda: each_is_found(search), what="each clip is found by its caption")
