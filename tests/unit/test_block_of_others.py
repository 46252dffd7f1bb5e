"""Somebody who blocks an index while it is copied finds it blocked when the copy is undone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, Shop

from vidsearch.errors import BackendUnavailableError, MappingConflictError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy import copy_with_settings
from vidsearch.index.copy_note import CopyNote, is_blocked, leave_note, note_of, undo_broken_copy
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.testing.memory_engine import MemoryEngine

SHARDS = Changes(shards=3)


class Staying(MemoryEngine):
    """Moves no alias as long as there is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.note: CopyNote | None = None
        """In the index that is copied, when the alias was to move."""

    def update_aliases(self, actions: Any) -> None:
        if self.error is not None:
            if self.indices_of("shop-1"):
                self.note = note_of(self.mapping("shop-1"))
            raise self.error
        super().update_aliases(actions)


@pytest.fixture
def engine() -> Staying:
    engine = Staying()
    engine.create_index("shop-1", {"aliases": {"shop": {}}})
    engine.put("shop-1", "a", {"n": 1})
    return engine


def copied(engine: MemoryEngine, **options: Any) -> None:
    nothing: dict[str, Any] = {
        "confirm": lambda index, copy: None,
        "before_swap": lambda copy: None,
        "progress": lambda done, total: None,
    }
    copy_with_settings(
        engine,
        "shop-1",
        alias="shop",
        settings={"knn": True},
        mapping={"_meta": {"vidsearch": {}}},
        to="copy",
        outage_seconds=0.0,
        **{**nothing, **options},
    )


@pytest.mark.parametrize("error", [MappingConflictError("no"), BackendUnavailableError("away")])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_block_of_somebody_else_stays_when_a_copy_is_undone(
    engine: Staying, monkeypatch: pytest.MonkeyPatch, is_late: bool, error: Exception
) -> None:
    """Also one that is set when the copy has noted that it is about to stop writes."""
    until_short = CatchUp.until_short

    def passing(self: CatchUp) -> None:
        if is_late:
            engine.block_writes("shop-1")
        until_short(self)

    def block(copy: str) -> None:
        if not is_late:
            engine.block_writes("shop-1")

    monkeypatch.setattr(CatchUp, "until_short", passing)
    engine.error = error
    with pytest.raises(type(error)):
        copied(engine, before_swap=block)
    assert is_blocked(engine.settings("shop-1"))
    assert (engine.indices_of("copy"), note_of(engine.mapping("shop-1"))) == ((), None)
    assert engine.note is not None, "it was killed then"
    assert engine.note.stopped
    assert engine.note.blocked_before is not is_late


def test_the_block_of_a_copy_is_lifted_when_it_is_undone(engine: Staying) -> None:
    engine.error = MappingConflictError("no")
    with pytest.raises(MappingConflictError):
        copied(engine)
    assert not is_blocked(engine.settings("shop-1"))
    assert engine.note is not None
    assert (engine.note.stopped, engine.note.blocked_before) == (True, False)


@pytest.mark.parametrize(
    ("note", "stays"),
    [
        ({"stopped": False, "blocked_before": False}, True),
        ({"stopped": True, "blocked_before": False}, False),
        ({"stopped": True, "blocked_before": True}, True),
        ({"blocked_before": False}, False),  # of an earlier version, which may have blocked it
    ],
)
def test_after_a_kill_the_block_of_a_copy_is_lifted_and_no_other(
    engine: Staying, note: dict[str, bool], stays: bool
) -> None:
    leave_note(engine, "shop-1", CopyNote(to="copy", blocked_before=False, run="1"))
    said = {"to": "copy", "run": "1", **note}
    engine.put_mapping("shop-1", {"_meta": {"vidsearch_copy": said}})
    engine.block_writes("shop-1")
    assert undo_broken_copy(engine, "shop-1") == "copy"
    assert is_blocked(engine.settings("shop-1")) is stays


@pytest.fixture
def shop() -> Shop:
    return Shop(engine=Staying())


def stay(shop: Shop, error: Exception | None = None) -> None:
    """From now on, or no more without an error."""
    assert isinstance(shop.engine, Staying)
    shop.engine.error = error


NO = MappingConflictError("no")


@pytest.mark.parametrize("error", [NO, BackendUnavailableError("away")])
def test_a_block_of_somebody_else_stays_when_the_swap_of_a_run_fails(
    shop: Shop, error: Exception
) -> None:
    def block(run: ReindexRun) -> None:
        if run.step is Step.VERIFIED:
            shop.engine.block_writes(OLD)
            stay(shop, error)

    with pytest.raises(type(error)):
        shop.reindexer(on_step=block, outage_seconds=0.0).start(SHARDS)
    assert not shop.takes_writes(OLD)
    stay(shop)
    assert shop.reindexer().resume().step is Step.SWAPPED
    assert shop.takes_writes(NEW)


def test_a_block_of_somebody_else_stays_when_a_run_is_rolled_back_that_was_not_to_swap(
    shop: Shop,
) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    shop.engine.block_writes(OLD)
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert not shop.takes_writes(OLD)


def test_a_block_of_somebody_else_stays_when_a_rollback_fails(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    shop.engine.block_writes(NEW)
    stay(shop, NO)
    with pytest.raises(MappingConflictError):
        shop.reindexer().roll_back()
    assert not shop.takes_writes(NEW)


@pytest.mark.parametrize("back", [False, True])
def test_the_block_of_a_run_is_lifted_when_its_swap_fails_and_after_a_kill_before_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """What is to be brought before writes wait again may take long."""
    old = NEW if back else OLD
    shop.reindexer().start(SHARDS, swap=back)
    stay(shop, NO)
    with pytest.raises(MappingConflictError):
        shop.reindexer().roll_back() if back else shop.reindexer().swap()
    assert shop.takes_writes(old)
    shop.write(1)
    shop.engine.block_writes(old)  # as where it was killed
    stay(shop)
    until_short, taken = CatchUp.until_short, list[bool]()

    def passing(self: CatchUp) -> None:
        taken.append(shop.takes_writes(old))
        until_short(self)

    monkeypatch.setattr(CatchUp, "until_short", passing)
    assert shop.reindexer().resume().step is (Step.ROLLED_BACK if back else Step.SWAPPED)
    assert taken == [True]
