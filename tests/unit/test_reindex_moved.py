"""A run whose alias others move, or whose indices they drop and create anew, while it is open."""

from __future__ import annotations

from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, SETTINGS, Shop
from tests.reindexing_in_memory import NEW as NEW_VIDEOS
from tests.reindexing_in_memory import OLD as OLD_VIDEOS
from tests.reindexing_in_memory import WRITE, Stage, stage_of_three

from vidsearch.engines import Engine
from vidsearch.errors import ReindexError
from vidsearch.index import attach_index
from vidsearch.index.catch_up import CatchUp
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.testing.fake_encoder import FakeEncoder

SHARDS = Changes(shards=2)


class Killed(BaseException):
    """What a process does not see of its own kill."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return Shop()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return stage_of_three()


def point(engine: Engine, alias: str, to: str | None) -> None:
    """As an application does in one request; ``None``: it takes the alias away."""
    actions: list[dict[str, Any]] = [
        {"remove": {"index": name, "alias": alias}} for name in engine.indices_of(alias)
    ]
    engine.update_aliases([*actions, *([{"add": {"index": to, "alias": alias}}] if to else [])])


def made_anew(engine: Engine, name: str, *, title: str = "anew") -> None:
    """As a build does that drops its index, fills it again, and has the same aliases for it."""
    aliases = engine.aliases(name)
    engine.delete_index(name)
    properties = {"url": {"type": "keyword"}, "title": {"type": "text"}}
    settings = {"index": {"number_of_shards": 1, "number_of_replicas": 0}}
    mapping = {"properties": properties}
    engine.create_index(name, {"aliases": aliases, "settings": settings, "mappings": mapping})
    for id in "abc":
        engine.put(name, id, {"title": title})


def titles(engine: Engine, name: str) -> set[str]:
    return {one.source["title"] for one in engine.scan(name)}


@pytest.mark.parametrize("is_anew", [False, True])
def test_an_index_that_the_alias_was_moved_back_to_is_not_cleaned(
    shop: Shop, is_anew: bool
) -> None:
    shop.reindexer().start(SHARDS)
    if is_anew:
        made_anew(shop.engine, OLD)
    for alias in ("shop", "few"):
        point(shop.engine, alias, OLD)
    before = shop.titles(OLD)
    said = f"{OLD!r} not deleted, as alias 'shop' stands for {OLD}.*`vidsearch reindex rollback`"
    with pytest.raises(ReindexError, match=said):
        shop.reindexer().clean()
    run = shop.reindexer().runs.get("1")
    assert (run.step, run.keep_old) == (Step.SWAPPED, True)
    if is_anew:
        with pytest.raises(ReindexError, match=said):
            shop.reindexer().resume()  # its old index is gone, so that it would end
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert (shop.left(), shop.titles()) == ([OLD], before)
    assert shop.takes_writes(OLD)


def test_a_run_that_drops_its_old_index_and_broke_off_leaves_one_that_the_alias_was_moved_back_to(
    shop: Shop,
) -> None:
    def kill(run: ReindexRun) -> None:
        if run.step is Step.SWAPPED:
            raise Killed

    with pytest.raises(Killed):
        shop.reindexer(on_step=kill).start(SHARDS, keep_old=False)
    for alias in ("shop", "few"):
        point(shop.engine, alias, OLD)
    with pytest.raises(ReindexError, match="stands for shop-v1 by now"):
        shop.reindexer().resume()
    assert len(shop.titles(OLD)) == 3
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK


def test_an_old_index_that_another_alias_stands_for_is_not_deleted(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    point(shop.engine, "archive", OLD)
    with pytest.raises(ReindexError, match="is behind alias 'archive': point that to another"):
        shop.reindexer().clean()
    assert shop.left() == [OLD, NEW]
    point(shop.engine, "archive", None)
    assert shop.reindexer().clean().step is Step.DONE
    assert shop.left() == [NEW]


def test_a_new_index_that_another_alias_stands_for_is_not_deleted(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    point(shop.engine, "shop", OLD)
    with pytest.raises(ReindexError, match="deletes 'shop-v1-vidsearch' with what was written"):
        shop.reindexer().clean()
    with pytest.raises(ReindexError, match=r"is behind alias 'few'.*`vidsearch reindex resume`"):
        shop.reindexer().roll_back()
    assert shop.engine.indices_of("few") == (NEW,)
    point(shop.engine, "few", OLD)
    assert shop.reindexer().resume().step is Step.ROLLED_BACK
    assert shop.left() == [OLD]


def test_the_last_index_of_an_alias_that_is_gone_is_not_cleaned(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    shop.engine.delete_index(NEW)
    for end in (shop.reindexer().clean, shop.reindexer().roll_back):
        with pytest.raises(ReindexError, match=f"no index by now.*point it to {OLD!r}"):
            end()
    point(shop.engine, "shop", OLD)
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert shop.left() == [OLD]


def test_an_old_index_that_was_created_anew_is_left_when_its_run_is_cleaned(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    made_anew(shop.engine, OLD)
    with pytest.raises(ReindexError, match=f"{OLD!r} was created anew since: .*reindex clean"):
        shop.reindexer().roll_back()
    run = shop.reindexer().clean()
    assert (run.step, run.left) == (Step.DONE, (OLD,))
    assert titles(shop.engine, OLD) == {"anew"}
    assert shop.engine.indices_of("shop") == (NEW,)


def test_an_index_that_is_created_anew_before_it_would_be_deleted_is_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While writers are waited for."""
    shop.reindexer().start(SHARDS)
    monkeypatch.setattr(
        "vidsearch.reindex.target.time.sleep", lambda seconds: made_anew(shop.engine, OLD)
    )
    assert shop.reindexer().clean().left == (OLD,)
    assert titles(shop.engine, OLD) == {"anew"}


@pytest.mark.parametrize("moment", ["copying", "verified", "passes", "writes are refused"])
def test_an_index_that_is_created_anew_during_a_run_is_not_replaced_by_its_copy(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    block, until_short = shop.engine.block_writes, CatchUp.until_short

    def anew(run: ReindexRun) -> None:
        if run.step == moment:
            made_anew(shop.engine, OLD)

    def short(changes: CatchUp) -> None:
        if moment == "passes":
            made_anew(shop.engine, OLD)
        until_short(changes)

    def refuse_writes(name: str) -> None:
        block(name)
        if moment == "writes are refused":
            made_anew(shop.engine, name)
            block(name)

    monkeypatch.setattr(CatchUp, "until_short", short)
    monkeypatch.setattr(shop.engine, "block_writes", refuse_writes)
    said = f"{OLD!r} was created anew since reindex run 1 .*`vidsearch reindex rollback` ends it"
    with pytest.raises(ReindexError, match=said):
        shop.reindexer(on_step=anew).start(SHARDS)
    assert shop.engine.indices_of("shop") == (OLD,)
    shop.engine.put("shop", "d", {"title": "anew"})
    monkeypatch.undo()
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    with pytest.raises(ReindexError, match=said):
        shop.reindexer().resume()
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert (shop.left(), titles(shop.engine, "shop")) == ([OLD], {"anew"})
    attach_index(shop.engine, SETTINGS, FakeEncoder().identity, uri_field="url")
    assert shop.reindexer().start(Changes(shards=3)).step is Step.SWAPPED
    assert titles(shop.engine, "shop") == {"anew"}


def test_a_new_index_that_was_created_anew_after_the_swap_is_not_rolled_back(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    made_anew(shop.engine, NEW)
    with pytest.raises(ReindexError, match=f"{NEW!r} was created anew since"):
        shop.reindexer().roll_back()
    run = shop.reindexer().clean()
    assert (run.step, run.left, shop.left()) == (Step.DONE, (), [NEW])
    assert titles(shop.engine, "shop") == {"anew"}


def test_a_run_that_an_earlier_version_recorded_goes_on_as_before(shop: Shop) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    run = shop.reindexer().runs.update("1", lambda run: run.changed(uuids={}))
    source = {name: value for name, value in run.to_source().items() if name != "left"}
    assert ReindexRun.from_source(source) == run
    assert shop.reindexer().swap().step is Step.SWAPPED
    assert shop.reindexer().clean().step is Step.DONE
    assert shop.left() == [NEW]


@pytest.mark.parametrize("moment", ["passes", "writes are refused"])
def test_an_alias_that_is_moved_during_the_swap_is_left_where_it_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    shop.engine.create_index("shop-v2", {"mappings": {"properties": {}}})
    block, until_short = shop.engine.block_writes, CatchUp.until_short

    def short(changes: CatchUp) -> None:
        if moment == "passes":
            point(shop.engine, "shop", "shop-v2")
        until_short(changes)

    def refuse_writes(name: str) -> None:
        block(name)
        if moment == "writes are refused":
            point(shop.engine, "shop", "shop-v2")

    monkeypatch.setattr(CatchUp, "until_short", short)
    monkeypatch.setattr(shop.engine, "block_writes", refuse_writes)
    with pytest.raises(ReindexError, match=r"stands for shop-v2 by now.*`vidsearch reindex roll"):
        shop.reindexer().start(SHARDS)
    assert shop.engine.indices_of("few") == (OLD,)
    assert shop.takes_writes(OLD)
    assert shop.reindexer().roll_back().left == (OLD,)


def test_a_rollback_is_not_begun_where_the_alias_has_moved_on(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    shop.engine.create_index("shop-v3", {"mappings": {"properties": {}}})
    for alias in ("shop", "few"):
        point(shop.engine, alias, "shop-v3")
    said = f"alias 'shop' stands for shop-v3 by now.*point it to {NEW!r} again.*reindex clean"
    with pytest.raises(ReindexError, match=said):
        shop.reindexer().roll_back()
    assert shop.reindexer().runs.get("1").step is Step.SWAPPED
    run = shop.reindexer().clean()
    assert (run.step, run.left, shop.left()) == (Step.DONE, (NEW,), [NEW])


@pytest.mark.parametrize("has_target", [True, False])
def test_a_rollback_that_broke_off_before_the_alias_moved_on_is_cleaned(
    shop: Shop, has_target: bool
) -> None:
    def kill(run: ReindexRun) -> None:
        raise Killed

    shop.reindexer().start(SHARDS)
    with pytest.raises(Killed):
        shop.reindexer(on_step=kill).roll_back()
    with pytest.raises(ReindexError, match="is being undone, which `vidsearch reindex resume`"):
        shop.reindexer().clean()
    shop.engine.create_index("shop-v3", {"mappings": {"properties": {}}})
    for alias in ("shop", "few"):
        point(shop.engine, alias, "shop-v3")
    if has_target:
        # As the way back does for its last pass.
        shop.reindexer().runs.update("1", lambda run: run.changed(may_have_stopped=(OLD, NEW)))
        shop.engine.block_writes(NEW)
    else:
        shop.engine.delete_index(NEW)
    with pytest.raises(ReindexError, match=r"cannot be rolled back, as .*stands for shop-v3"):
        shop.reindexer().resume()
    run = shop.reindexer().clean()
    assert (run.step, list(run.left)) == (Step.DONE, shop.left())
    assert shop.left() == ([NEW] if has_target else [])
    assert not has_target or shop.takes_writes(NEW)
    assert "vidsearch" not in (shop.engine.mapping("shop-v3").get("_meta") or {})


def test_a_run_whose_old_index_was_dropped_before_the_swap_is_rolled_back(shop: Shop) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    shop.engine.create_index("shop-v3", {"mappings": {"properties": {}}})
    point(shop.engine, "shop", "shop-v3")
    shop.engine.delete_index(OLD)
    run = shop.reindexer().roll_back()
    assert (run.step, run.left, shop.left()) == (Step.ROLLED_BACK, (), [])


def test_a_new_index_is_left_where_the_old_one_was_dropped_and_nothing_is_behind_the_alias(
    shop: Shop, stage: Stage
) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    stage.reindexer().start(SHARDS, swap=False)
    for engine, old in ((shop.engine, OLD), (stage.engine, OLD_VIDEOS)):
        engine.delete_index(old)
    run = shop.reindexer().roll_back()
    assert (run.step, run.left, shop.left()) == (Step.ROLLED_BACK, (NEW,), [NEW])
    run = stage.reindexer().roll_back()
    assert (run.step, run.left, stage.left()) == (Step.ROLLED_BACK, (NEW_VIDEOS,), [NEW_VIDEOS])


@pytest.mark.parametrize("is_anew", [False, True])
def test_a_managed_index_that_the_alias_was_moved_back_to_is_not_cleaned(
    stage: Stage, is_anew: bool
) -> None:
    stage.reindexer().start(SHARDS)
    if is_anew:
        made_anew(stage.engine, OLD_VIDEOS)
    point(stage.engine, "videos", OLD_VIDEOS)
    with pytest.raises(ReindexError, match="stands for videos-000001 by now"):
        stage.reindexer().clean()
    assert stage.behind(WRITE) == (OLD_VIDEOS, NEW_VIDEOS)
    assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
    assert stage.left() == [OLD_VIDEOS]


def test_a_managed_index_that_was_created_anew_is_neither_replaced_nor_deleted(
    stage: Stage,
) -> None:
    stage.reindexer().start(SHARDS, swap=False)
    made_anew(stage.engine, OLD_VIDEOS)
    with pytest.raises(ReindexError, match="was created anew"):
        stage.reindexer().swap()
    assert stage.reindexer().roll_back().step is Step.ROLLED_BACK
    assert (stage.left(), stage.behind("videos")) == ([OLD_VIDEOS], (OLD_VIDEOS,))
    assert titles(stage.engine, "videos") == {"anew"}


@pytest.mark.parametrize("has_target", [True, False])
def test_a_managed_run_whose_alias_has_moved_on_is_cleaned(stage: Stage, has_target: bool) -> None:
    stage.reindexer().start(SHARDS)
    stage.engine.create_index("theirs", {"mappings": {"properties": {}}})
    point(stage.engine, "videos", "theirs")
    if not has_target:
        stage.engine.delete_index(NEW_VIDEOS)
    with pytest.raises(ReindexError, match="cannot be rolled back, as alias 'videos' stands for"):
        stage.reindexer().roll_back()
    run = stage.reindexer().clean()
    assert (run.step, list(run.left)) == (Step.DONE, stage.left())
    assert stage.left() == ([NEW_VIDEOS] if has_target else [])
    assert stage.behind(WRITE) == ()
