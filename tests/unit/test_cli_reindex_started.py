"""What ``vidsearch reindex`` says, and asks, before it begins to make a new index."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import Any

import pytest
from tests.attached_in_memory import Shop
from tests.command_line import Run, runner
from tests.reindexing_in_memory import NEW, OLD, SETTINGS, Stage, stage_of_three

import vidsearch_tasks
from vidsearch.reindex import Changes


def commands_of(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands work on an index in memory."""
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    monkeypatch.setattr(vidsearch_tasks, "Services", lambda **options: nullcontext())
    monkeypatch.setattr(
        vidsearch_tasks, "reindexer", lambda services, **options: made.reindexer(**options)
    )


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = stage_of_three()
    commands_of(stage, monkeypatch)
    return stage


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


SAME = ("--quantization", SETTINGS.quantization, "--shards", "1", "--segment-seconds", "10")


def test_what_the_index_has_already_is_not_copied(run: Run, stage: Stage) -> None:
    same = run("reindex", *SAME)
    assert (same.code, same.out) == (0, "")
    assert same.err.startswith(f"nothing to do: {OLD} has that already")
    assert run("reindex", *SAME, "--background", "--json").data == []
    assert stage.reindexer().runs.all() == []
    assert run("reindex", *SAME, "--m", "32").code == 0
    assert stage.behind("videos") == (NEW,)


def test_plan_of_what_the_index_has_already_says_so(run: Run) -> None:
    said = run("reindex", *SAME, "--dry-run").err
    assert f"note: nothing to do: {OLD!r} has that already" in said
    assert "has that already" not in run("reindex", *SAME, "--m", "32", "--dry-run").err


def test_replicas_beside_what_the_index_has_already_need_no_new_index(
    run: Run, stage: Stage
) -> None:
    refused = run("reindex", *SAME, "--replicas", "1")
    assert refused.code == 1
    assert "all else is so already, and replicas need no new index" in refused.err
    assert stage.reindexer().runs.all() == []


def test_own_fields_that_are_mapped_already_are_not_mapped_anew(stage: Stage) -> None:
    live = {"type": "short", "index": False}
    stage.engine.put_mapping(OLD, {"properties": {"year": live}})
    reindexer = stage.reindexer()
    cases = ((live, True), ({**live, "type": "long"}, False), ({"type": "short"}, False))
    for year, is_same in (*cases, ({**live, "store": False}, True)):
        mapping = {"properties": {"year": year}}
        reindexer._settings = SETTINGS.model_copy(update={"mapping": mapping})
        assert reindexer.planned(Changes(mapping=True))[1].is_same is is_same
        assert reindexer.planned(Changes(shards=1))[1].is_same, "they are not to differ"


def test_an_attached_index_that_has_it_already_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop()
    commands_of(shop, monkeypatch)
    run = runner(capsys)
    same = run("reindex", "--shards", "1", "--replicas", "0")
    assert (same.code, same.out) == (0, "")
    assert "nothing to do: shop-v1 has that already" in same.err
    assert run("reindex", "--replicas", "0", "--json").data == []
    assert "changed in place" in run("reindex", "--replicas", "1").err


def let_space_be(monkeypatch: pytest.MonkeyPatch, *, free: int) -> None:
    """100 bytes are in the index."""
    monkeypatch.setattr("vidsearch.reindex.plan.store_bytes", lambda engine, index: 100)
    monkeypatch.setattr("vidsearch.reindex.plan.free_bytes", lambda engine: free)


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


TOO_SMALL = "note: the target may need 200 bytes of disk, and 150 are free on the data nodes"
TWICE = ("reindex", "--shards", "2", "--replicas", "1")


@pytest.mark.parametrize("background", [False, True])
def test_a_run_that_begins_in_python_tells_what_speaks_against_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, background: bool
) -> None:
    stage = stage_of_three()
    let_space_be(monkeypatch, free=50)
    stage.reindexer().begin(Changes(shards=1), background=background)
    same, small = caplog.messages
    assert same == f"reindex: nothing to do: {OLD!r} has that already"
    assert small == "reindex: " + TOO_SMALL.removeprefix("note: ").replace("200", "100").replace(
        "150", "50"
    )


@pytest.mark.parametrize("made", [stage_of_three, Shop])
def test_where_the_disk_is_too_small_it_asks_before_anything_is_done(
    made: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = made()
    commands_of(stage, monkeypatch)
    run = runner(capsys)
    let_space_be(monkeypatch, free=150)
    assert TOO_SMALL in run(*TWICE, "--dry-run").err
    for text, code in (("n\n", 130), ("", 2)):
        answer(monkeypatch, text)
        asked = run(*TWICE)
        assert asked.code == code
        assert TOO_SMALL in asked.err
        assert "Go on?" in asked.err
        assert stage.reindexer().runs.all() == []
    goes_on = run(*TWICE, "--yes")
    assert goes_on.code == 0
    assert TOO_SMALL in goes_on.err
    assert "Go on?" not in goes_on.err
    refused = run(*TWICE[:2], "3")
    assert refused.code == 1, "what is refused is not asked about"
    assert "Go on?" not in refused.err


def test_where_the_disk_has_space_it_does_not_ask(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_space_be(monkeypatch, free=200)
    done = run(*TWICE)
    assert done.code == 0
    assert "note:" not in done.err
