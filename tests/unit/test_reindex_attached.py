"""The steps of a reindex of an index of the user: copied, followed, swapped, undone."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from tests.attached_in_memory import ALIASES, NEW, OLD, OWN, SETTINGS, Shop

from vidsearch.errors import (
    BackendAccessDeniedError,
    MappingConflictError,
    ReindexCheckError,
    ReindexError,
    ReindexTakenOverError,
)
from vidsearch.index import attach_index, open_videos_index
from vidsearch.index.comparison import CompareVersions
from vidsearch.index.swap import Swap
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.reindex.lease import RunLease
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

RENEW = RunLease._renew
SHARDS = Changes(shards=2)
CHANGING = {"put_settings", "put_mapping", "block_writes", "update_aliases", "create_index"}
CHANGES, CHANGES_BACK = 13, 10
STEPS = [Step.PLANNED, Step.COPYING, Step.CATCHING_UP, Step.VERIFIED, Step.SWAPPED]


class Killed(BaseException):
    """What a process does not see of its own kill."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return Shop()


def test_a_run_brings_what_the_application_writes_at_each_step(shop: Shop) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    def write(run: ReindexRun) -> None:
        shop.steps.append(run.step)
        shop.write(len(shop.steps))
        if run.step is Step.CATCHING_UP:
            seen.append((run.target, shop.engine.settings(NEW)))

    run = shop.reindexer(on_step=write).start(SHARDS)
    assert shop.steps == STEPS
    assert (run.step, run.attached, run.target) == (Step.SWAPPED, True, NEW)
    assert run.blocked_seconds is not None
    assert shop.titles() == {
        "a": ("a 5", 10),
        "b": ("b", 5),
        "c": ("c", 5),
        "new 5": ("new", 1),
    }
    ((_, filled),) = seen
    assert (filled["default_pipeline"], filled["final_pipeline"]) == ("_none", "_none")
    assert "lifecycle.name" not in filled
    assert open_videos_index(shop.engine, SETTINGS).name == NEW
    assert "vidsearch_reindex" not in shop.engine.mapping(NEW)["_meta"]


def test_the_target_keeps_what_is_the_users(shop: Shop) -> None:
    shop.engine.update_aliases(
        [{"add": {"index": OLD, "alias": name, **options}} for name, options in ALIASES.items()]
    )
    before = shop.engine.mapping(OLD)
    # An alias that is written to until a rollover is no place for vectors.
    with pytest.raises(MappingConflictError, match=r"until a rollover.*then reindex again"):
        shop.reindexer().start(SHARDS)
    shop.engine.update_aliases([{"add": {"index": OLD, "alias": "shop"}}])
    aliases = shop.engine.aliases(OLD)
    shop.reindexer().start(SHARDS)
    live = shop.engine.settings(NEW)
    kept = ("default_pipeline", "final_pipeline", "lifecycle.name", "lifecycle.origination_date")
    assert [live[name] for name in kept] == ["mine", "last", "old-go", 1_700_000_000_000]
    assert (live["number_of_shards"], "gc_deletes" in live) == (2, False)
    assert shop.engine.aliases(NEW) == aliases
    assert shop.engine.aliases(OLD) == {}
    assert shop.engine.mapping(NEW) == before


def test_the_old_index_takes_no_writes_after_the_swap_until_it_is_deleted(shop: Shop) -> None:
    shop.reindexer().start(SHARDS)
    assert (shop.takes_writes(OLD), shop.takes_writes(NEW)) == (False, True)
    shop.write(1)
    assert shop.reindexer().clean().step is Step.DONE
    assert shop.left() == [NEW]
    # The next one counts on.
    assert shop.reindexer().start(Changes(shards=3), keep_old=False).target == f"{NEW}-2"


def test_a_rollback_keeps_what_was_written_since_the_swap(shop: Shop) -> None:
    before = shop.engine.settings(OLD)
    shop.reindexer().start(SHARDS)
    shop.write(1)
    shop.engine.put_mapping(NEW, {"properties": {"later": {"type": "keyword"}}})
    shop.engine.delete("shop", "b")
    shop.write(2)
    written = shop.titles()

    def write(run: ReindexRun) -> None:
        shop.write(3)

    assert shop.reindexer(on_step=write).roll_back().step is Step.ROLLED_BACK
    assert shop.left() == [OLD]
    assert shop.engine.indices_of("shop") == shop.engine.indices_of("few") == (OLD,)
    there = shop.titles()
    assert there.keys() == written.keys() ^ {"new 2", "new 3"} == {"a", "c", "new 3"}
    assert there["a"][0] == "a 3"
    assert "later" in shop.engine.mapping(OLD)["properties"]
    assert {**before, "lifecycle.origination_date": 1_700_000_000_000} == shop.engine.settings(OLD)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", ["resume", "rollback"])
def test_a_run_that_broke_off_is_finished_or_undone(shop: Shop, step: Step, end: str) -> None:
    def kill(run: ReindexRun) -> None:
        if run.step is step:
            raise Killed

    with pytest.raises(Killed):
        shop.reindexer(on_step=kill).start(SHARDS)
    shop.write(1)
    shop.engine.delete("shop", "b")
    expected = shop.titles()
    if end == "resume":
        assert shop.reindexer().resume().step is Step.SWAPPED
        assert shop.engine.indices_of("shop") == (NEW,)
    else:
        assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
        assert (shop.left(), shop.engine.indices_of("shop")) == ([OLD], (OLD,))
        assert shop.takes_writes(OLD)
    assert shop.titles() == expected
    shop.write(2)


class Mortal(MemoryEngine):
    """Its user is killed before a change of a certain number."""

    left: int | None = None
    killed = False

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGING and self.left is not None:
            if not self.left:
                self.killed = True
                raise Killed
            self.left -= 1
        return super().__getattribute__(name)


@pytest.mark.parametrize("end", ["resume", "rollback"])
@pytest.mark.parametrize("changes", range(14))
def test_a_run_killed_at_any_change_is_finished_or_undone(
    monkeypatch: pytest.MonkeyPatch, changes: int, end: str
) -> None:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    engine = Mortal()
    shop = Shop(engine=engine)
    shop.reindexer().runs.all()
    engine.left = changes
    with suppress(Killed):
        shop.reindexer().start(SHARDS)
    engine.left = None
    assert engine.killed == (changes < CHANGES), "every change of the way is tried"
    if shop.reindexer().runs.all():
        if shop.takes_writes(engine.indices_of("shop")[0]):
            shop.write(1)
        expected = shop.titles()
        finish = shop.reindexer().resume if end == "resume" else shop.reindexer().roll_back
        assert finish().step is (Step.SWAPPED if end == "resume" else Step.ROLLED_BACK)
        assert shop.titles() == expected
        assert engine.indices_of("shop") == (NEW if end == "resume" else OLD,)
    shop.write(2)


@pytest.fixture
def terminal() -> Iterator[None]:
    """Ctrl-C interrupts, as it does not in a process of the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(MemoryEngine):
    """Its user presses Ctrl-C at a change of a certain number, and at each that follows."""

    left: int | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGING and self.left is not None:
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGINT)
        return super().__getattribute__(name)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("end", ["resume", "rollback"])
@pytest.mark.parametrize("changes", range(CHANGES))
def test_an_interrupted_run_leaves_an_index_that_takes_writes_and_is_finished_or_undone(
    monkeypatch: pytest.MonkeyPatch, changes: int, end: str
) -> None:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    engine = Interrupted()
    shop = Shop(engine=engine)
    shop.reindexer().runs.all()
    engine.left = changes
    with pytest.raises(KeyboardInterrupt):
        shop.reindexer().start(SHARDS)
    engine.left = None
    shop.write(1)
    expected = shop.titles()
    if shop.reindexer().runs.all():
        finish = shop.reindexer().resume if end == "resume" else shop.reindexer().roll_back
        assert finish().step is (Step.SWAPPED if end == "resume" else Step.ROLLED_BACK)
        assert engine.indices_of("shop") == (NEW if end == "resume" else OLD,)
    assert shop.titles() == expected
    shop.write(2)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("changes", range(CHANGES_BACK))
def test_an_interrupted_rollback_leaves_an_index_that_takes_writes_and_is_finished(
    monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    engine = Interrupted()
    shop = Shop(engine=engine)
    shop.reindexer().start(SHARDS)
    engine.left = changes
    with pytest.raises(KeyboardInterrupt):
        shop.reindexer().roll_back()
    engine.left = None
    shop.write(1)
    expected = shop.titles()
    assert shop.reindexer().resume().step is Step.ROLLED_BACK
    assert shop.titles() == expected
    assert (shop.left(), engine.indices_of("shop")) == ([OLD], (OLD,))
    shop.write(2)


class Noting(MemoryEngine):
    """Notes what is asked for from when writes are stopped until aliases move."""

    asked: list[str] | None = None

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        asked = super().__getattribute__("asked")
        if asked is not None and callable(found) and not name.startswith("_"):
            asked.append(name)
        return found

    def block_writes(self, index: str) -> None:
        super().block_writes(index)
        self.asked = []

    def update_aliases(self, actions: Any) -> None:
        super().update_aliases(actions)
        self.moved, self.asked = self.asked or [], None


def test_while_writes_wait_nothing_is_asked_for_that_can_be_asked_for_before() -> None:
    engine = Noting()
    shop = Shop(engine=engine)
    shop.reindexer().start(SHARDS)
    once = {
        *("refresh", "read_shards", "mapping", "indices_behind"),
        *("aliases", "put_settings", "update_aliases"),
        "settings",  # whether it is the same index still
    }
    asked = Counter(engine.moved)
    for of_the_lease in ("get", "put"):
        asked.pop(of_the_lease, None)
    for of_the_shards in ("changes", "search_shard", "count"):
        assert asked.pop(of_the_shards) >= 1
    assert asked == dict.fromkeys(once, 1)


class Behind(MemoryEngine):
    """Writes to the application's index are not on disk yet: ``translog.durability: async``."""

    on_disk: int | None = None

    def checkpoints(self, index: str) -> dict[int, int]:
        numbers = super().checkpoints(index)
        return numbers if self.on_disk is None or index != OLD else {0: self.on_disk}


def test_what_is_not_on_disk_when_writes_stop_is_brought_as_well() -> None:
    engine = Behind()
    shop = Shop(engine=engine)
    block = engine.block_writes

    def write_before(name: str) -> None:
        engine.on_disk = engine.checkpoints(name)[0]
        engine.put("shop", "a", {"title": "last"})
        engine.put("shop", "b", {"title": "gone"})
        engine.delete("shop", "b")
        block(name)

    engine.block_writes = write_before  # type: ignore[method-assign]
    shop.reindexer().start(SHARDS)
    assert shop.engine.indices_of("shop") == (NEW,)
    assert shop.titles() == {"a": ("last", 6), "c": ("c", 5)}


@pytest.mark.parametrize("changes", range(11))
def test_a_rollback_killed_at_any_change_is_finished(
    monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    engine = Mortal()
    shop = Shop(engine=engine)
    shop.reindexer().start(SHARDS)
    shop.write(1)
    engine.left = changes
    with suppress(Killed):
        shop.reindexer().roll_back()
    engine.left = None
    assert engine.killed == (changes < CHANGES_BACK), "every change of the way is tried"
    expected = shop.titles()
    if engine.killed:
        assert shop.reindexer().resume().step is Step.ROLLED_BACK
    assert shop.titles() == expected
    assert (shop.left(), engine.indices_of("shop")) == ([OLD], (OLD,))
    shop.write(2)


def moves_shop(actions: list[Any]) -> bool:
    """Whether these are the actions of a swap, not of an index of vidsearch's own."""
    return any(of["index"] in (OLD, NEW) for action in actions for of in action.values())


def test_an_error_at_the_swap_lets_the_index_take_writes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = shop.engine.update_aliases

    def fail(actions: Any) -> None:
        if not moves_shop(actions):
            return swap(actions)
        assert not shop.takes_writes(OLD)
        monkeypatch.setattr(shop.engine, "update_aliases", swap)
        raise MappingConflictError("no")

    monkeypatch.setattr(shop.engine, "update_aliases", fail)
    with pytest.raises(MappingConflictError, match="no"):
        shop.reindexer().start(SHARDS)
    shop.write(1)
    bulk = shop.engine.bulk
    pipelines: list[Any] = []

    def note(index: str, *args: Any, **options: Any) -> Any:
        if index == NEW and not pipelines:
            pipelines.append(shop.engine.settings(NEW)["final_pipeline"])
        return bulk(index, *args, **options)

    monkeypatch.setattr(shop.engine, "bulk", note)
    assert shop.reindexer().resume().step is Step.SWAPPED
    assert shop.titles()["a"][0] == "a 1"
    assert pipelines == ["_none"], "documents have been through that of the old index"
    assert shop.engine.settings(NEW)["final_pipeline"] == "last"


def test_an_error_in_a_rollback_leaves_the_source_without_writes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.reindexer().start(SHARDS)

    def fail(actions: Any) -> None:
        raise MappingConflictError("no")

    monkeypatch.setattr(shop.engine, "update_aliases", fail)
    with pytest.raises(MappingConflictError, match="no"):
        shop.reindexer().roll_back()
    assert (shop.takes_writes(OLD), shop.takes_writes(NEW)) == (False, True)


@pytest.mark.parametrize("is_killed", [False, True])
def test_writes_that_were_allowed_after_the_move_are_stopped_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    swap = shop.engine.update_aliases

    def move(actions: Any) -> None:
        swap(actions)
        if moves_shop(actions):
            shop.engine.put_settings(OLD, {"blocks.write": None})
            raise Killed if is_killed else MappingConflictError("no")

    with monkeypatch.context() as broken:
        broken.setattr(shop.engine, "update_aliases", move)
        if is_killed:
            broken.setattr(Swap, "undo", lambda swap: False)
        with pytest.raises((Killed, MappingConflictError)):
            shop.reindexer().start(SHARDS)
    if is_killed:
        shop.reindexer().resume()
    assert shop.engine.indices_of("shop") == (NEW,)
    assert not shop.takes_writes(OLD)


@pytest.mark.parametrize("back", [False, True])
def test_after_a_kill_in_the_swap_writes_wait_for_the_next_swap_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    def kill(actions: Any) -> None:
        if moves_shop(actions):
            raise Killed
        swap(actions)

    def write(indices: Any) -> int:
        shop.write(7)
        return 0

    made, swap, old = shop.reindexer(), shop.engine.update_aliases, NEW if back else OLD
    if back:
        made.start(SHARDS)
    with monkeypatch.context() as killed:
        killed.setattr(shop.engine, "update_aliases", kill)
        killed.setattr(Swap, "undo", lambda swap: False)
        with pytest.raises(Killed):
            made.roll_back() if back else made.start(SHARDS)
    assert not shop.takes_writes(old)
    monkeypatch.setattr(shop.engine, "merging", write)  # asked for while a calm moment is awaited
    assert made.resume().step is (Step.ROLLED_BACK if back else Step.SWAPPED)
    assert shop.titles()["a"][0] == "a 7"


def test_a_run_killed_when_its_aliases_had_moved_is_finished_though_its_old_index_is_gone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place = Swap._put_in_place

    def kill(swap: Swap, *args: Any) -> None:
        put_in_place(swap, *args)
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(Swap, "_put_in_place", kill)
        killed.setattr(Swap, "undo", lambda swap: False)
        with pytest.raises(Killed):
            shop.reindexer().start(SHARDS)
    assert shop.engine.indices_of("shop") == (NEW,)
    shop.engine.delete_index(OLD)
    assert shop.reindexer().resume().step is Step.DONE
    shop.write(1)


def test_a_process_that_has_lost_the_run_while_writes_wait_swaps_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, block = shop.reindexer().runs, shop.engine.block_writes

    def pause(name: str) -> None:
        block(name)
        runs.update("1", lambda run: run.changed(owner="another", lease_until=runs.now() + 60))

    monkeypatch.setattr(shop.engine, "block_writes", pause)
    with pytest.raises(ReindexTakenOverError):
        shop.reindexer().start(SHARDS)
    assert shop.engine.indices_of("shop") == (OLD,)
    assert not shop.takes_writes(OLD)


def test_writes_stay_stopped_where_another_process_has_the_run_by_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, swap = shop.reindexer().runs, shop.engine.update_aliases

    def fail(actions: Any) -> None:
        if not moves_shop(actions):
            return swap(actions)
        runs.update("1", lambda run: run.changed(owner="another", lease_until=runs.now() + 60))
        raise MappingConflictError("no")

    monkeypatch.setattr(shop.engine, "update_aliases", fail)
    with pytest.raises(MappingConflictError, match="no"):
        shop.reindexer().start(SHARDS)
    assert not shop.takes_writes(OLD)


class Stopped:
    """A process that reindexes, and is stopped beyond its lease at one of its reads; meanwhile
    another one finishes the run, and the application goes on."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shop, self.monkeypatch = shop, monkeypatch
        self.is_over = False
        monkeypatch.setattr("vidsearch.reindex.lease._LOOK_SECONDS", 0.05)
        # Its threads are stopped as well.
        monkeypatch.setattr(RunLease, "_renew", lambda lease: None)

    def at(self, read: str, *, when: Callable[[], bool] = lambda: True, back: bool = False) -> None:
        """What it has read of documents by then it brings later."""
        found = getattr(self.shop.engine, read)

        def stopped(*args: Any, **options: Any) -> Any:
            given = found(*args, **options)
            if read == "scan_slices":
                return self._slices(given)
            given = list(given)
            if given and when():
                self.finish(back=back)
            return given

        self.monkeypatch.setattr(self.shop.engine, read, stopped)

    @contextmanager
    def _slices(self, slices: Any) -> Iterator[Any]:
        with slices as parts:
            given = [list(part) for part in parts]
            self.finish(back=False)
            yield [iter(part) for part in given]

    def finish(self, *, back: bool) -> None:
        """What happens meanwhile; it comes to pass once."""
        if self.is_over:
            return
        self.is_over = True
        self.monkeypatch.setattr(RunLease, "_renew", RENEW)
        assert self.shop.reindexer().resume().step is (Step.ROLLED_BACK if back else Step.SWAPPED)
        engine = self.shop.engine
        engine.put("shop", "a", {"title": "newest"})
        engine.delete("shop", "b")
        engine.delete("shop", "c")
        engine.put("shop", "c", {"title": "anew"})
        self.written = self.shop.titles()


@pytest.mark.parametrize("moment", ["copying", "a pass", "the last pass"])
def test_a_process_that_was_stopped_writes_nothing_into_what_others_use_by_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    stopped, engine = Stopped(shop, monkeypatch), shop.engine
    if moment == "copying":
        stopped.at("scan_slices")
    else:
        stopped.at("changes", when=lambda: moment == "a pass" or not shop.takes_writes(OLD))

    block = engine.block_writes

    def write_before(name: str) -> None:
        with engine._lock:  # no pass begins between the two
            if not stopped.is_over:
                engine.put("shop", "a", {"title": "last"})
                engine.put("shop", "c", {"title": "last"})
            block(name)

    def write(run: ReindexRun) -> None:
        if run.step is Step.CATCHING_UP and moment == "a pass" and not stopped.is_over:
            shop.write(1)

    monkeypatch.setattr(engine, "block_writes", write_before)
    with pytest.raises(ReindexTakenOverError):
        shop.reindexer(on_step=write).start(SHARDS)
    assert stopped.is_over
    assert shop.titles() == stopped.written
    assert engine.indices_of("shop") == (NEW,)
    assert shop.takes_writes(NEW)
    assert not shop.takes_writes(OLD)


def test_a_process_that_was_stopped_in_a_rollback_writes_nothing_either(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.reindexer().start(SHARDS)
    shop.write(1)
    stopped = Stopped(shop, monkeypatch)
    stopped.at("changes", back=True)
    with pytest.raises(ReindexTakenOverError):
        shop.reindexer().roll_back()
    assert stopped.is_over
    assert shop.titles() == stopped.written
    assert (shop.left(), shop.takes_writes(OLD)) == ([OLD], True)


def test_by_versions_all_ids_are_compared_once_before_the_swap_and_once_in_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str) -> dict[int, int]:
        raise BackendAccessDeniedError("no right to monitor")

    compared: list[bool] = []
    compare = CompareVersions._compare

    def note(self: CompareVersions, **options: Any) -> tuple[int, int]:
        compared.append(shop.takes_writes(OLD))
        return compare(self, **options)

    def begin(run: ReindexRun) -> None:
        if run.step is Step.VERIFIED:
            compared.clear()

    monkeypatch.setattr(shop.engine, "checkpoints", refuse)
    monkeypatch.setattr(CompareVersions, "_compare", note)
    shop.write(1)
    shop.reindexer(on_step=begin).start(SHARDS)
    assert compared == [True, False]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("batch", [0, 1])
def test_an_interrupt_ends_a_comparison_of_all_ids_while_writes_wait(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """That may take minutes."""
    asked: list[int] = []
    mget = shop.engine.mget

    def refuse(index: str) -> dict[int, int]:
        raise BackendAccessDeniedError("no right to monitor")

    def press(*args: Any, **options: Any) -> Any:
        if not shop.takes_writes(OLD):
            if len(asked) == batch:
                os.kill(os.getpid(), signal.SIGINT)
            asked.append(1)
        return mget(*args, **options)

    monkeypatch.setattr("vidsearch.index.comparison.IDS", 1)
    monkeypatch.setattr(shop.engine, "checkpoints", refuse)
    monkeypatch.setattr(shop.engine, "mget", press)
    with pytest.raises(KeyboardInterrupt):
        shop.reindexer().start(SHARDS)
    assert len(asked) == batch + 1
    assert shop.engine.indices_of("shop") == (OLD,)
    shop.write(1)
    assert shop.reindexer().resume().step is Step.SWAPPED
    assert shop.titles()["a"][0] == "a 1"


def test_a_target_with_another_number_of_documents_is_not_swapped_in(shop: Shop) -> None:
    def meddle(run: ReindexRun) -> None:
        if run.step is Step.VERIFIED:
            shop.engine.put(NEW, "of another program", {"title": "x"})

    with pytest.raises(MappingConflictError, match=r"has 4 documents, and .* 3: does another"):
        shop.reindexer(on_step=meddle).start(SHARDS)
    assert shop.engine.indices_of("shop") == (OLD,)
    shop.write(1)


def test_a_target_that_fails_its_check_is_not_swapped_in(shop: Shop) -> None:
    shop.problems = ("3 documents are missing",)
    with pytest.raises(ReindexCheckError, match="3 documents are missing"):
        shop.reindexer().start(SHARDS)
    assert shop.engine.indices_of("shop") == (OLD,)
    shop.write(1)
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK


def test_a_run_stops_where_the_application_moved_its_alias(shop: Shop) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    shop.engine.create_index("shop-v2", {"mappings": {"properties": {}}})
    shop.engine.update_aliases(
        [
            {"remove": {"index": OLD, "alias": "shop"}},
            {"add": {"index": "shop-v2", "alias": "shop"}},
        ]
    )
    with pytest.raises(ReindexError, match=r"stands for shop-v2 by now"):
        shop.reindexer().swap()
    assert shop.reindexer().roll_back().step is Step.ROLLED_BACK
    assert shop.left() == [OLD]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Changes(mapping=True), "its fields are mapped by you"),
        (Changes(model="other"), "vidsearch index detach"),
        (Changes(), "nothing is to differ"),
        (Changes(shards=2, segment_seconds=3), "change it by itself"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    shop: Shop, changes: Changes, said: str
) -> None:
    with pytest.raises(ReindexError, match=said):
        shop.reindexer().start(changes)
    assert shop.left() == [OLD]


def test_an_index_that_is_called_by_its_own_name_is_refused() -> None:
    engine = MemoryEngine()
    engine.create_index(
        "shop",
        {"settings": {"index": OWN}, "mappings": {"properties": {"url": {"type": "keyword"}}}},
    )
    attach_index(engine, SETTINGS, FakeEncoder().identity, uri_field="url")
    shop = Shop.__new__(Shop)
    shop.engine, shop.steps, shop.problems = engine, [], ()
    with pytest.raises(ReindexError, match="`vidsearch index attach` to the alias"):
        shop.reindexer().start(SHARDS)


@pytest.mark.parametrize(
    ("changes", "paths", "segments"),
    [
        (Changes(replicas=2), ["settings.index.number_of_replicas"], False),
        (Changes(segment_seconds=3), ["mappings._meta.vidsearch.segment_seconds"], True),
        (Changes(quantization="int4", m=32), None, False),
        (Changes(shards=1, replicas=1), ["settings.index.number_of_replicas"], False),
    ],
)
def test_what_the_engine_takes_is_changed_in_place(
    shop: Shop, changes: Changes, paths: list[str] | None, segments: bool
) -> None:
    plan = shop.reindexer().plan(changes)
    assert (plan.way, plan.target, plan.blocked_seconds) == ("in place", OLD, 0.0)
    with pytest.raises(ReindexError, match="takes that in place"):
        shop.reindexer().begin(changes)
    made = shop.reindexer().change_in_place(changes)
    assert made is not None
    if paths is not None:
        assert [one.path for one in made.changes] == paths
    assert made.segments is segments
    index = open_videos_index(shop.engine, SETTINGS)
    assert index.name == OLD
    if changes.segment_seconds:
        assert index.segment_seconds == 3
    if changes.quantization:
        assert index.quantization == "int4"
    assert shop.reindexer().runs.all() == []


@pytest.mark.parametrize(
    "changes", [Changes(shards=2), Changes(quantization="float"), Changes(m=4)]
)
def test_what_the_engine_does_not_take_is_copied(shop: Shop, changes: Changes) -> None:
    plan = shop.reindexer().plan(changes)
    assert (plan.way, plan.target) == ("copy", NEW)
    assert plan.blocked_seconds > 0
    assert plan.kept is not None
    assert plan.kept.aliases.keys() == {"shop", "few"}
    assert shop.reindexer().change_in_place(changes) is None
    assert shop.left() == [OLD]


def test_nothing_is_changed_in_place_while_a_run_is_open(shop: Shop) -> None:
    shop.reindexer().start(SHARDS, swap=False)
    with pytest.raises(ReindexError, match="is open"):
        shop.reindexer().change_in_place(Changes(replicas=1))
