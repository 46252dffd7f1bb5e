"""Somebody who blocks an index while it is copied finds it blocked when the copy is undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, SETTINGS, Shop
from tests.copies import copy_of

from vidsearch import outages
from vidsearch.errors import BackendUnavailableError, MappingConflictError, VidsearchError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy_note import CopyNote, is_blocked, leave_note, note_of, undo_broken_copy
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.testing.memory_engine import MemoryEngine

SHARDS = Changes(shards=3)
NO, AWAY = MappingConflictError("no"), BackendUnavailableError("away")


class Staying(MemoryEngine):
    """Moves no alias as long as there is an error for that."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[VidsearchError | None] = []
        """One for each move, and the last one for all that follow."""
        self.at_move: Callable[[], object] = lambda: None

    def update_aliases(self, actions: Any) -> None:
        self.at_move()
        error = None
        if self.errors:
            error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
        if error is not None:
            raise error
        super().update_aliases(actions)


def before_each(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Do something before the short passes of each try, which come right before writes stop."""
    until_short = CatchUp.until_short

    def passing(self: CatchUp) -> None:
        work()
        until_short(self)

    monkeypatch.setattr(CatchUp, "until_short", passing)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)


# -- a copy of `index attach`


@pytest.fixture
def engine() -> Staying:
    engine = Staying()
    engine.create_index("shop-1", {"aliases": {"shop": {}}})
    engine.put("shop-1", "a", {"n": 1})
    return engine


def copied(engine: MemoryEngine, *, outage_seconds: float = 0.0, **options: Any) -> None:
    copy_of(
        engine,
        "shop-1",
        alias="shop",
        settings={"knn": True},
        mapping={"_meta": {"vidsearch": {}}},
        to="copy",
        outage_seconds=outage_seconds,
        **options,
    )


def notes_of(engine: Staying) -> list[CopyNote | None]:
    """Those of the copy that the index has when its aliases are to move, filled later."""
    notes: list[CopyNote | None] = []
    engine.at_move = lambda: notes.append(note_of(engine.mapping("shop-1")))
    return notes


@pytest.mark.parametrize("error", [NO, AWAY])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_block_of_somebody_else_stays_when_a_copy_is_undone(
    engine: Staying, monkeypatch: pytest.MonkeyPatch, is_late: bool, error: VidsearchError
) -> None:
    """Also one that is set when the copy has noted that it is about to stop writes; and it would
    stay as well if the copy was killed."""
    notes, engine.errors = notes_of(engine), [error]
    if is_late:
        before_each(monkeypatch, lambda: engine.block_writes("shop-1"))

    def block(copy: str) -> None:
        if not is_late:
            engine.block_writes("shop-1")

    with pytest.raises(type(error)):
        copied(engine, before_swap=block)
    assert is_blocked(engine.settings("shop-1"))
    assert (engine.indices_of("copy"), note_of(engine.mapping("shop-1"))) == ((), None)
    assert [note and note.may_have_stopped for note in notes] == [False]


def test_the_block_of_a_copy_is_lifted_when_it_is_undone(engine: Staying) -> None:
    notes, engine.errors = notes_of(engine), [NO]
    with pytest.raises(MappingConflictError):
        copied(engine)
    assert not is_blocked(engine.settings("shop-1"))
    assert [note and note.may_have_stopped for note in notes] == [True]


@pytest.mark.parametrize("is_lifted", [False, True])
def test_a_copy_lifts_its_block_where_somebody_lifted_another_one_between_two_tries(
    engine: Staying, is_lifted: bool
) -> None:
    notes, engine.errors = notes_of(engine), [AWAY, NO]

    def lift(error: BackendUnavailableError, seconds: float) -> None:
        if is_lifted:
            engine.put_settings("shop-1", {"blocks.write": None})

    with pytest.raises(MappingConflictError):
        copied(
            engine,
            before_swap=lambda copy: engine.block_writes("shop-1"),
            outage_seconds=60.0,
            on_outage=lift,
        )
    assert is_blocked(engine.settings("shop-1")) is not is_lifted
    assert [note and note.may_have_stopped for note in notes] == [False, is_lifted]


@pytest.mark.parametrize(
    ("note", "stays"),
    [
        ({"may_have_stopped": False}, True),
        ({"may_have_stopped": True}, False),
        # Of an earlier version, which may have blocked it where nobody else had at the start.
        ({"blocked_before": False}, False),
        ({"blocked_before": True}, True),
    ],
)
def test_after_a_kill_the_block_of_a_copy_is_lifted_and_no_other(
    engine: Staying, note: dict[str, bool], stays: bool
) -> None:
    leave_note(engine, "shop-1", CopyNote(to="copy", run="1"))
    said = {"to": "copy", "run": "1", **note}
    engine.put_mapping("shop-1", {"_meta": {"vidsearch_copy": said}})
    engine.block_writes("shop-1")
    assert undo_broken_copy(engine, "shop-1") == "copy"
    assert is_blocked(engine.settings("shop-1")) is stays


# -- a reindex


@pytest.fixture
def shop() -> Shop:
    return Shop(engine=Staying())


def stay(shop: Shop, *errors: VidsearchError | None) -> None:
    """From now on, at each move."""
    assert isinstance(shop.engine, Staying)
    shop.engine.errors = [*errors]


def blocks(shop: Shop, *errors: VidsearchError) -> Callable[[ReindexRun], None]:
    """Somebody blocks the index before the swap, whose moves end with these errors."""

    def block(run: ReindexRun) -> None:
        if run.step is Step.VERIFIED:
            shop.engine.block_writes(OLD)
            stay(shop, *errors)

    return block


def run_of(shop: Shop) -> ReindexRun:
    return shop.reindexer().runs.get("1")


@pytest.mark.parametrize("error", [NO, AWAY])
@pytest.mark.parametrize("then", ["resume", "roll_back"])
def test_a_block_of_somebody_else_stays_when_the_swap_of_a_run_fails(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: VidsearchError, then: str
) -> None:
    """Until it is swapped after all, and for good where it is rolled back."""
    with pytest.raises(type(error)):
        shop.reindexer(on_step=blocks(shop, error), outage_seconds=0.0).start(SHARDS)
    assert not shop.takes_writes(OLD)
    assert run_of(shop).may_have_stopped == (), "nor is it lifted where a process was killed"
    stay(shop)
    taken: list[bool] = []
    before_each(monkeypatch, lambda: taken.append(shop.takes_writes(OLD)))
    if then == "resume":
        assert shop.reindexer().resume().step is Step.SWAPPED
        assert (taken, shop.takes_writes(NEW)) == ([False], True)
    else:
        assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
        assert not shop.takes_writes(OLD)


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_block_of_somebody_else_stays_where_the_engine_is_away_before_writes_are_stopped(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """``within``: somebody sets it when the run has noted that it is about to stop writes."""
    taken: list[bool] = []

    def away_once() -> None:
        if moment == "within" and not taken:
            shop.engine.block_writes(OLD)
        taken.append(shop.takes_writes(OLD))
        if len(taken) == 1:
            raise AWAY

    before_each(monkeypatch, away_once)
    on_step = blocks(shop) if moment == "before" else lambda run: None
    run = shop.reindexer(on_step=on_step).start(SHARDS)
    assert (run.step, taken) == (Step.SWAPPED, [False, False])


@pytest.mark.parametrize("is_lifted", [False, True])
def test_a_run_lifts_its_block_where_somebody_lifted_another_one_between_two_tries(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_lifted: bool
) -> None:
    tries: list[bool] = []

    def lift() -> None:
        tries.append(shop.takes_writes(OLD))
        if is_lifted and len(tries) == 2:
            shop.engine.put_settings(OLD, {"blocks.write": None})

    before_each(monkeypatch, lift)
    with pytest.raises(MappingConflictError):
        shop.reindexer(on_step=blocks(shop, AWAY, NO)).start(SHARDS)
    assert tries == [False, False]
    assert shop.takes_writes(OLD) is is_lifted


def test_a_block_of_somebody_else_stays_when_a_run_is_rolled_back_that_was_not_to_swap(
    shop: Shop,
) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    shop.engine.block_writes(OLD)
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert not shop.takes_writes(OLD)


def test_a_block_of_somebody_else_stays_when_a_rollback_fails_and_the_old_index_is_cleaned(
    shop: Shop,
) -> None:
    shop.reindexer().start(SHARDS)
    shop.engine.block_writes(NEW)
    stay(shop, NO)
    with pytest.raises(MappingConflictError):
        shop.reindexer().roll_back()
    assert not shop.takes_writes(NEW)
    shop.engine.delete_index(OLD)
    assert shop.reindexer().clean().step is Step.DONE
    assert not shop.takes_writes(NEW)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("by", ["this version", "an earlier one"])
def test_the_block_of_a_run_is_lifted_when_its_swap_fails_and_after_a_kill_before_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, back: bool, by: str
) -> None:
    """What is to be brought before writes wait again may take long."""
    old = NEW if back else OLD
    shop.reindexer().start(SHARDS, swap=back)
    stay(shop, NO)
    kept: list[tuple[str, ...]] = []
    assert isinstance(shop.engine, Staying)
    shop.engine.at_move = lambda: kept.append(run_of(shop).may_have_stopped)
    with pytest.raises(MappingConflictError):
        shop.reindexer().roll_back() if back else shop.reindexer().swap()
    assert shop.takes_writes(old)
    assert old in kept[0]
    assert old not in run_of(shop).may_have_stopped
    shop.write(1)
    killed_within(shop, old, by)
    stay(shop)
    taken: list[bool] = []
    before_each(monkeypatch, lambda: taken.append(shop.takes_writes(old)))
    assert shop.reindexer().resume().step is (Step.ROLLED_BACK if back else Step.SWAPPED)
    assert taken == [True]


@pytest.mark.parametrize("by", ["this version", "an earlier one"])
def test_the_block_of_a_run_that_was_killed_within_its_swap_is_lifted_when_it_is_rolled_back(
    shop: Shop, by: str
) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    killed_within(shop, OLD, by)
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert shop.takes_writes(OLD)


def killed_within(shop: Shop, old: str, by: str) -> None:
    """Leave things as a process of this version, or of an earlier one, that was killed while writes
    were refused."""
    shop.engine.block_writes(old)
    runs = shop.reindexer().runs
    runs.update("1", lambda run: run.changed(may_have_stopped=(old,)))
    if by == "an earlier one":
        (note,) = (one for one in shop.engine.scan(SETTINGS.operations) if one.id == "reindex:1")
        value = {n: v for n, v in note.source["value"].items() if n != "may_have_stopped"}
        shop.engine.put(SETTINGS.operations, note.id, {**note.source, "value": value})
