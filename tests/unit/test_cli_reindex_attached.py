"""What the command line says of a reindex of an index of the user, and when it asks."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, SETTINGS, Shop
from tests.command_line import Run, runner

import vidsearch_tasks
from vidsearch.cli.kept_output import show_attach_plan
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError
from vidsearch.index import plan_attachment
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    shop = Shop()
    monkeypatch.setattr(vidsearch_tasks, "Services", lambda **options: nullcontext())
    monkeypatch.setattr(
        vidsearch_tasks, "reindexer", lambda services, **options: shop.reindexer(**options)
    )
    return shop


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_plan_of_a_copy_shows_what_is_kept_and_how_long_writes_wait(run: Run) -> None:
    shown = run("reindex", "--shards", "2", "--dry-run")
    assert shown.code == 0
    said = dict(line.split("\t") for line in shown.out.splitlines())
    assert (said["source"], said["target"], said["documents"]) == (OLD, NEW, "3")
    assert said["kept policy"] == "old-go (ILM)"
    assert said["kept pipelines"] == "default_pipeline: mine, final_pipeline: last"
    assert said["kept aliases"] == "shop, few (with filter, routing)"
    assert said["writes are blocked"].startswith("about ")
    data = run("reindex", "--shards", "2", "--dry-run", "--json").data
    assert (data["way"], data["kept"]["policy"]) == ("copy", "old-go (ILM)")
    assert data["following"]["by"] == "numbers"


def test_plan_of_a_change_in_place_says_that_nothing_is_copied(run: Run, shop: Shop) -> None:
    said = run("reindex", "--replicas", "2", "--dry-run").out
    assert "writes are blocked\tnot at all" in said
    assert "is not copied" in said
    done = run("reindex", "--segment-seconds", "3")
    assert done.code == 0
    assert "`vidsearch reindex --changed`" in done.err
    assert shop.left() == [OLD]
    data = run("reindex", "--replicas", "2", "--json").data
    assert data["way"] == "in place"
    assert [(each["path"], each["wanted"]) for each in data["changes"]] == [
        ("settings.index.number_of_replicas", 2)
    ]


def test_swap_and_rollback_say_for_how_long_writes_were_refused(run: Run, shop: Shop) -> None:
    done = run("reindex", "--shards", "2")
    assert done.code == 0
    assert f"searches of shop go to {NEW}; writes were refused for 0.0 s, and {OLD}" in done.err
    assert shop.engine.indices_of("shop") == (NEW,)
    assert run("reindex", "rollback", "--yes").code == 0
    assert shop.engine.indices_of("shop") == (OLD,)


def test_what_is_refused_is_not_asked_about(run: Run, shop: Shop) -> None:
    assert run("reindex", "--shards", "2", "--no-swap").code == 0
    refused = run("reindex", "clean")
    assert refused.code == 1
    assert "only what was swapped can be cleaned" in refused.err
    assert "Delete" not in refused.err
    assert run("reindex", "rollback", "--yes").code == 0
    refused = run("reindex", "rollback", "1")
    assert refused.code == 1
    assert "is over (rolled_back)" in refused.err
    assert "Delete" not in refused.err


def test_without_the_numbers_of_writes_it_asks_before_anything_is_done(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str) -> Any:
        raise BackendAccessDeniedError("no right to monitor")

    monkeypatch.setattr(shop.engine, "checkpoints", refuse)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = run("reindex", "--shards", "2")
    assert asked.code == 130
    assert f"{OLD} will refuse writes at the end for about" in asked.err
    assert "(no right to monitor). Go on?" in asked.err
    assert shop.left() == [OLD]
    assert run("reindex", "--shards", "2", "--yes").code == 0
    assert shop.engine.indices_of("shop") == (NEW,)


def test_an_index_that_the_engine_refuses_is_told_with_the_reason_and_needs_no_rollback(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = shop.engine.create_index

    def refuse(name: str, body: Any) -> None:
        if name == NEW:
            raise MappingConflictError("number_of_shards must be <= 1024")
        create(name, body)

    monkeypatch.setattr(shop.engine, "create_index", refuse)
    refused = run("reindex", "--shards", "2000")
    said = " ".join(refused.err.split())
    assert refused.code == 1
    assert "number_of_shards must be <= 1024" in said
    assert f"is over: {NEW} could not be made, and nothing was changed" in said
    assert "rollback" not in said
    assert shop.left() == [OLD]
    assert shop.reindexer().runs.open() is None


def test_plan_of_attaching_shows_what_a_copy_keeps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "vidsearch.index.attachment.lacking_settings", lambda body, live: {"knn": True}
    )
    engine = MemoryEngine()
    mapping = {"properties": {"url": {"type": "keyword"}}}
    engine.create_index("shop-v1", {"mappings": mapping, "aliases": {"shop": {}}})
    plan = plan_attachment(engine, SETTINGS, FakeEncoder().identity, uri_field="url")
    show_attach_plan(plan, as_json=False)
    out = capsys.readouterr().out
    assert "copy: it was created without index.knn: true" in out
    assert "kept mapping\t1 fields, as they are" in out
    assert "writes are blocked\tabout 5.2 s" in out
