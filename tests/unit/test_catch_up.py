"""How a copy follows its index, and catches up with it when writes to that are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from vidsearch.engines import BulkResult, ShardsRead, Write
from vidsearch.engines.calls import Calls
from vidsearch.errors import (
    BackendUnavailableError,
    MappingConflictError,
    ReindexTakenOverError,
)
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.comparison import CompareVersions
from vidsearch.index.following import (
    LARGEST_PAGE,
    LONGEST_PASS,
    Follower,
    Pass,
    WritesWaitLongError,
)
from vidsearch.index.kept import kept_of
from vidsearch.index.swap import Swap
from vidsearch.interrupts import Uninterrupted
from vidsearch.testing.memory_engine import MemoryEngine

PAIR = ("old", "new")


class Scripted(CatchUp):
    """Its passes are given, as numbers of changes and seconds; how long a refresh really takes on
    a busy machine does not matter."""

    passes: list[tuple[int, float]]

    def _is_refreshed_soon(self) -> bool:
        return True

    def run(self, *, last: bool = False) -> Pass:
        changed, seconds = self.passes.pop(0)
        return Pass(changed, 0, seconds)


@pytest.mark.parametrize(
    "passes",
    [
        [(10, 0.1), (0, 0.1)],
        [(100, 0.1), (20, 0.1), (5, 0.1), (0, 0.1)],
        [(100, 0.1), (90, 0.1), (0, 0.1)],
        # A burst of writes begins: the pass that writes wait for would be as long as this one.
        [(100, 0.1), (50_000, LONGEST_PASS + 1), (30_000, 4.0), (150, 0.1), (0, 0.1)],
    ],
)
def test_passes_end_where_another_would_not_be_much_shorter(
    passes: list[tuple[int, float]],
) -> None:
    """And one more follows, after the copy was counted."""
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
    changes = Scripted(engine, "old", "new")
    changes.passes = [*passes, (7, 0.1)]
    changes.until_short()
    assert changes.passes == [(7, 0.1)]


def test_writes_do_not_wait_for_a_burst_of_writes_that_begins_while_the_copy_is_counted() -> None:
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
    changes = Scripted(engine, "old", "new")
    changes.passes = [(10, 0.1), (50_000, LONGEST_PASS + 1), (30_000, 9.0), (150, 0.1), (7, 0.1)]
    changes.until_short()
    assert changes.passes == [(7, 0.1)]


class Merging(MemoryEngine):
    """While it merges segments, once, others write; notes what the copy is asked for."""

    def __init__(self, write: Callable[[MemoryEngine], object]) -> None:
        super().__init__()
        self.write: Callable[[MemoryEngine], object] | None = write
        self.asked: list[str] = []
        for name in PAIR:
            self.create_index(name, {})

    def merging(self, indices: Sequence[str]) -> int:
        if self.write is None:
            return 0
        self.write(self)
        self.write = None
        return 1

    def bulk(self, index: str, *args: Any, **options: Any) -> BulkResult:
        if index == "new":
            self.asked.append("bulk")
        return super().bulk(index, *args, **options)

    def refresh(self, index: str) -> None:
        if index == "new":
            self.asked.append("refresh")
        super().refresh(index)


def test_searches_of_the_copy_see_what_the_passes_brought_when_writes_are_stopped() -> None:
    engine = Merging(lambda engine: engine.put("old", "late", {"n": 1}))
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    assert engine.get("new", "late") is not None
    assert engine.asked[-1] == "refresh"


def test_another_program_that_writes_to_the_copy_while_a_calm_moment_is_waited_for_is_found() -> (
    None
):
    engine = Merging(lambda engine: engine.put("new", "of another program", {"n": 1}))
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    with pytest.raises(MappingConflictError, match=r"'new' has 1 documents, and 'old'.*0: does"):
        changes.finish(lambda: engine.block_writes("old"))


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    for name in PAIR:
        engine.create_index(name, {})
        engine.bulk(name, [Write("index", id, {"n": 0}, version=3) for id in "abc"])
    return engine


def test_what_is_written_until_writes_are_stopped_is_brought(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_small()
    changes.until_short()

    def stop() -> None:
        engine.put("old", "a", {"n": 1})
        engine.delete("old", "b")
        engine.block_writes("old")

    changes.finish(stop)
    there = {one.id: (one.source["n"], one.version) for one in engine.scan("new")}
    assert there == {"a": (1, 4), "c": (0, 3)}


def test_an_error_in_stopping_writes_is_raised(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")

    def stop() -> None:
        raise ReindexTakenOverError("taken over by b")

    with pytest.raises(ReindexTakenOverError):
        changes.finish(stop)


def test_ids_are_compared_where_a_shard_was_away_in_the_pass_before(engine: MemoryEngine) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.run()
    changes._before = {1: changes._before[0]}  # it saw another shard only
    engine.delete("old", "b")
    changes.finish(lambda: engine.block_writes("old"))
    assert {one.id for one in engine.scan("new")} == {"a", "c"}


def test_a_shard_that_was_away_in_the_last_pass_is_brought_at_the_end(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    with monkeypatch.context() as away:
        away.setattr(engine, "checkpoints", lambda index: {})  # its primary is on no node
        changes.run()
    engine.put("old", "a", {"n": 1})
    engine.put("old", "d", {"n": 1})
    engine.delete("old", "b")
    changes.finish(lambda: engine.block_writes("old"))
    assert {one.id: one.source["n"] for one in engine.scan("new")} == {"a": 1, "c": 0, "d": 1}


@pytest.mark.parametrize("stale", ["a", "gone"])
def test_nothing_is_deleted_from_a_copy_that_is_in_place_already(
    engine: MemoryEngine, stale: str
) -> None:
    """Another process has swapped, and the application writes to the copy by now."""
    changes = CatchUp(engine, "old", "new", alias="shop")
    engine.put("old", "gone", {"n": 0})
    changes.run()
    engine.update_aliases([{"add": {"index": "new", "alias": "shop"}}])
    if stale == "a":
        engine.put("old", "a", {"n": 1})  # version 4
        engine.put("shop", "a", {"n": 2}, version=5)
    else:
        engine.delete("old", "gone")
        engine.put("shop", "gone", {"n": 2})
    with pytest.raises(ReindexTakenOverError, match="'shop' stands for 'new' by now"):
        changes.run()
    found = engine.get("new", stale)
    assert found is not None
    assert found.source == {"n": 2}


@pytest.mark.parametrize("changed", [1, 250])
def test_what_is_brought_at_the_end_is_whole_however_much_it_is(
    engine: MemoryEngine, changed: int
) -> None:
    changes = CatchUp(engine, "old", "new")
    changes.until_small()
    engine.put("old", "c", {"n": 1})
    engine.delete("old", "a")
    engine.put("old", "a", {"n": 9})  # its number begins anew, below that of the copy
    engine.delete("old", "b")
    engine.bulk("old", [Write("index", f"{n}", {"n": n}) for n in range(changed)])
    changes.finish(lambda: engine.block_writes("old"))
    old, new = ({one.id: (one.source, one.version) for one in engine.scan(n)} for n in PAIR)
    assert old == new
    assert len(new) == changed + 2


@pytest.mark.parametrize("retried", [0, 1])
def test_a_copy_is_counted_anew_where_it_is_not_known_what_a_write_did(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, retried: int
) -> None:
    """A write that was sent again may have been done before: by this, or by the client of the
    engine, which does not tell."""
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    bulk = engine.bulk

    def wrong(*args: Any, **options: Any) -> BulkResult:
        return replace(bulk(*args, **options), created=0, retried=retried)

    def stop() -> None:
        engine.put("old", "d", {"n": 1})
        engine.block_writes("old")

    monkeypatch.setattr(engine, "bulk", wrong)
    changes.finish(stop)
    assert engine.get("new", "d") is not None


@pytest.mark.parametrize("way", [CatchUp, CompareVersions])
def test_a_copy_with_a_document_of_another_program_does_not_pass_for_whole(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, way: type[Follower]
) -> None:
    monkeypatch.setattr(way, "_delete", lambda self, documents: len(list(documents)))
    changes = way(engine, "old", "new")
    changes.until_small()
    engine.put("new", "of another program", {"n": 1})
    changes.until_short()
    with pytest.raises(MappingConflictError, match=r"'new' has 4 documents, and 'old'.*3: does"):
        changes.finish(lambda: engine.block_writes("old"))


def _after_the_pass(engine: MemoryEngine) -> CatchUp:
    """Passes are short, and these were written since: the last refresh shows them."""
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    engine.put("old", "a", {"n": 1})
    engine.put("old", "b", {"n": 1})
    engine.put("old", "d", {"n": 1})
    engine.put("old", "e", {"n": 1})
    changes._is_refreshed_soon()
    return changes


def _stops(engine: MemoryEngine, write: Callable[[], object]) -> Callable[[], None]:
    """Stops writes to the index after these, which come when what is shown has been brought."""

    def stop() -> None:
        while engine.get("new", "e") is None:
            time.sleep(0.001)
        write()
        engine.block_writes("old")

    return stop


def _both(engine: MemoryEngine) -> list[dict[str, Any]]:
    return [{one.id: (one.source, one.version) for one in engine.scan(name)} for name in PAIR]


def _write(engine: MemoryEngine) -> None:
    """What was brought ahead: some is changed, some deleted, and some as it was."""
    engine.put("old", "a", {"n": 2})
    engine.delete("old", "b")
    engine.delete("old", "d")
    engine.delete("old", "c")
    engine.put("old", "f", {"n": 2})


def test_what_is_brought_while_writes_are_being_stopped_may_change_and_go(
    engine: MemoryEngine,
) -> None:
    changes = _after_the_pass(engine)
    changes.finish(_stops(engine, lambda: _write(engine)))
    old, new = _both(engine)
    assert old == new
    assert {id: source["n"] for id, (source, _) in new.items()} == {"a": 2, "e": 1, "f": 2}


def test_what_is_left_is_read_from_an_index_with_a_small_window_of_results(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, read, sizes = _after_the_pass(engine), engine.read_shards, list[int]()

    def noted(*args: Any, size: int, bodies: Any) -> ShardsRead:
        sizes.extend([size, *(body["size"] for _, body in bodies)])
        return read(*args, size=size, bodies=bodies)

    monkeypatch.setattr(engine, "read_shards", noted)
    changes.finish(_stops(engine, lambda: _write(engine)))
    assert len(sizes) == 3
    assert max(sizes) <= LARGEST_PAGE


def test_a_document_that_is_written_anew_is_not_deleted_with_the_one_before(
    engine: MemoryEngine,
) -> None:
    """As with another routing: it is in another shard, and may be in the same one of the copy."""
    changes = _after_the_pass(engine)

    def write() -> None:
        for id in "ce":
            engine.delete("old", id)
            engine.put("old", id, {"n": 3})

    changes.finish(_stops(engine, write))
    old, new = _both(engine)
    assert {id: source for id, (source, _) in old.items()} == {
        id: source for id, (source, _) in new.items()
    }


@pytest.mark.parametrize("when", ["in the copy", "between passes", "ahead", "at the end"])
def test_what_is_written_anew_with_another_routing_does_not_stay_where_it_was(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It may be in another shard of the copy, which has more of them, and be there twice."""
    changes = CatchUp(engine, "old", "new")
    deleted: list[tuple[str, str | None]] = []
    bulk = engine.bulk

    def noted(index: str, writes: Sequence[Write], **options: Any) -> BulkResult:
        deleted.extend((one.id, one.routing) for one in writes if one.op == "delete")
        return bulk(index, writes, **options)

    def move() -> None:
        engine.delete("old", "a")
        engine.put("old", "a", {"n": 1}, routing="other")

    def stop() -> None:
        if when == "ahead":
            while (found := engine.mget("new", ["a"]).get("a")) is None or not found.source["n"]:
                time.sleep(0.001)
        if when in ("ahead", "at the end"):
            move()
        engine.block_writes("old")

    monkeypatch.setattr(engine, "bulk", noted)
    if when == "in the copy":
        move()
    changes.until_small()
    if when == "between passes":
        move()
    changes.until_short()
    if when == "ahead":
        engine.put("old", "a", {"n": 1})
        changes._is_refreshed_soon()
    changes.finish(stop)
    assert ("a", None) in deleted
    found = engine.get("new", "a", routing="other")
    assert found is not None
    assert found.source == {"n": 1}
    assert engine.count("new") == 3


class Slow(MemoryEngine):
    """A refresh of an index that refuses writes takes until it takes them again."""

    def __init__(self, *, refreshes: int) -> None:
        super().__init__()
        self.refreshes = refreshes
        self.tries = 0
        self.taken = threading.Event()

    def block_writes(self, index: str) -> None:
        super().block_writes(index)
        self.tries += 1
        self.taken.clear()

    def put_settings(self, index: str, settings: Any) -> None:
        super().put_settings(index, settings)
        if settings == {"blocks.write": None}:
            self.taken.set()

    def refresh(self, index: str) -> None:
        if index == "old" and self.is_slow:
            assert self.taken.wait(30)
        super().refresh(index)

    @property
    def is_slow(self) -> bool:
        """Whether a refresh of the index would be now."""
        return bool(self.settings("old").get("blocks.write")) and self.tries <= self.refreshes


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """Only its own refreshes take long, however busy the machine is."""
    engine = Slow(refreshes=1)

    def waited(futures: Any, timeout: float | None) -> Any:
        return wait(futures, 0.0 if engine.is_slow and timeout is not None else None)

    monkeypatch.setattr("vidsearch.index.catch_up.wait", waited)
    for name in PAIR:
        engine.create_index(name, {})
        engine.bulk(name, [Write("index", id, {"n": 0}, version=3) for id in "abc"])
    engine.update_aliases([{"add": {"index": "old", "alias": "shop"}}])
    return engine


def test_nothing_of_a_hurried_end_that_takes_long_is_left_in_the_copy(slow: Slow) -> None:
    changes = _after_the_pass(slow)

    def write() -> None:
        slow.put("old", "g", {"n": 1})

    with pytest.raises(WritesWaitLongError):
        changes.finish(_stops(slow, write), hurried=True)
    assert slow.get("new", "g") is None
    slow.put_settings("old", {"blocks.write": None})
    _write(slow)  # what was brought ahead is in no point in time
    changes.until_short()
    old, new = _both(slow)
    assert old == new
    changes.finish(lambda: slow.block_writes("old"), hurried=True)
    old, new = _both(slow)
    assert old == new


class Ticking:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now

    def sleep(self, seconds: float) -> None:
        return None


@pytest.mark.parametrize(("refreshes", "tries"), [(0, 1), (1, 2), (3, 4)])
def test_writes_are_stopped_again_where_the_engine_has_become_slow(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, refreshes: int, tries: int
) -> None:
    monkeypatch.setattr("vidsearch.index.swap.time", Ticking())
    slow.refreshes = refreshes
    changes = CatchUp(slow, "old", "new")
    changes.until_short()
    between: list[int] = []

    def write() -> None:
        between.append(len(between))
        slow.put("shop", "a", {"n": len(between)})

    assert _swap(slow, changes, between=write) == tries + 1, "one of each try, and of the move"
    assert slow.tries == tries
    assert slow.indices_of("shop") == ("new",)
    old, new = _both(slow)
    assert old == new
    assert len(between) == tries - 1


def test_the_last_try_waits_for_as_long_as_it_takes(slow: Slow) -> None:
    slow.refreshes = 4
    changes = CatchUp(slow, "old", "new")
    changes.until_short()

    done = threading.Timer(0.2, slow.taken.set)
    block = slow.block_writes

    def block_writes(index: str) -> None:
        block(index)
        if slow.tries == 4:
            done.start()

    slow.block_writes = block_writes  # type: ignore[method-assign]
    _swap(slow, changes)
    assert slow.tries == 4


def test_an_interrupt_between_two_tries_leaves_an_index_that_takes_writes(slow: Slow) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    changes = CatchUp(slow, "old", "new")
    changes.until_short()
    with pytest.raises(KeyboardInterrupt):
        _swap(slow, changes, interrupted=interrupt)
    assert slow.tries == 1
    slow.put("old", "a", {"n": 1})


def test_writes_are_not_allowed_again_by_one_that_has_lost_the_right(slow: Slow) -> None:
    """Another process may have stopped them by now, for a last pass of its own."""
    changes = CatchUp(slow, "old", "new")
    changes.until_short()

    def confirm() -> None:
        if threading.current_thread() is threading.main_thread():
            raise ReindexTakenOverError("taken over by b")

    with pytest.raises(ReindexTakenOverError):
        _swap(slow, changes, between=lambda: pytest.fail("allowed"), confirm=confirm)
    slow.taken.set()


class Noting(Slow):
    """Notes in which calls what is turned away would be sent again."""

    def __init__(self) -> None:
        super().__init__(refreshes=1)
        self.once: list[str] = []
        self.again: list[str] = []
        self.is_once = False

    @property
    def calls(self) -> Calls:
        calls: Any = super().calls
        calls.dialect.sending_once = self.sending_once
        return cast(Calls, calls)

    @contextmanager
    def sending_once(self) -> Iterator[None]:
        self.is_once = True
        try:
            yield
        finally:
            self.is_once = False

    def block_writes(self, index: str) -> None:
        super().block_writes(index)
        self._note("block")

    def put_settings(self, index: str, settings: Any) -> None:
        super().put_settings(index, settings)
        if settings != {"blocks.write": True}:  # a part of the call to block
            self._note("allow" if "blocks.write" in settings else "settings")

    def update_aliases(self, actions: Any) -> None:
        super().update_aliases(actions)
        self._note("move")

    def _note(self, call: str) -> None:
        (self.once if self.is_once else self.again).append(call)


@pytest.mark.parametrize("is_cheap", [True, False])
def test_what_is_turned_away_while_writes_are_refused_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, is_cheap: bool
) -> None:
    """But where much would have to be done again."""
    engine = Noting()
    for name in PAIR:
        engine.create_index(name, {"mappings": {"properties": {}}})
    engine.update_aliases([{"add": {"index": "old", "alias": "shop"}}])
    engine.put_settings("old", {"final_pipeline": "last"})
    engine.again.clear()
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    monkeypatch.setattr(CatchUp, "is_cheap", is_cheap)
    _swap(engine, changes)
    if is_cheap:
        assert engine.once == ["block", "block", "settings", "move"]
        assert engine.again == ["allow", "settings"], "copies pass no pipeline"
    else:
        assert engine.once == []
        assert engine.again == ["block", "allow", "settings", "block", "settings", "move"]


TURNED_AWAY = BackendUnavailableError("old is overloaded (429)")


class TurnsAway(MemoryEngine):
    """Turns away calls of one name on one index, some that are sent while writes are refused."""

    def __init__(self, call: str, index: str, *, times: int, is_done: bool) -> None:
        super().__init__()
        self._call, self._index = call, index
        self._left, self._is_done = times, is_done
        for name in PAIR:
            self.create_index(name, {"settings": {"index": {"final_pipeline": "last"}}})
            self.bulk(name, [Write("index", id, {"n": 0}, version=3) for id in "abc"])
        self.put_settings("new", {"final_pipeline": "_none"})
        self.update_aliases([{"add": {"index": "old", "alias": "shop"}}])

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name != self._call:
            return found

        def called(index: Any, *args: Any, **options: Any) -> Any:
            is_stopped = self.settings("old").get("blocks.write") or name == "block_writes"
            if self._left and index == self._index and is_stopped:
                self._left -= 1
                if self._is_done:
                    found(index, *args, **options)
                raise TURNED_AWAY
            return found(index, *args, **options)

        return called


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("written", [1, LARGEST_PAGE + 20])
@pytest.mark.parametrize(
    ("call", "index"),
    [
        ("block_writes", "old"),
        ("refresh", "old"),
        ("read_shards", "old"),
        ("bulk", "new"),
        ("count", "new"),
        ("put_settings", "new"),
        ("aliases", "old"),
    ],
)
def test_what_is_turned_away_before_the_move_is_done_again_where_this_stands(
    monkeypatch: pytest.MonkeyPatch, call: str, index: str, written: int, is_done: bool
) -> None:
    """Another follower would compare all ids, and read all changes since the copy."""
    engine = TurnsAway(call, index, times=2, is_done=is_done)
    monkeypatch.setattr("vidsearch.index.catch_up._CALM_SECONDS", 0.0)
    changes = CatchUp(engine, "old", "new")
    changes.until_short()
    monkeypatch.setattr(CatchUp, "_bring_ahead", lambda changes, page: None)
    tries = iter(range(9))
    block = engine.block_writes
    final: list[Any] = []

    def write_and_stop(name: str) -> None:
        """What is brought at the end is gone at the next try, if there is one."""
        number = next(tries)
        for n in range(written):
            engine.put("old", f"{number} {n}", {"n": n})
        block(name)

    def between() -> None:
        final.append(engine.settings("old").get("blocks.write"))
        for one in list(engine.scan("old")):
            if " " in one.id:
                engine.delete("old", one.id)

    if call == "count":
        changes._count = None
    monkeypatch.setattr(engine, "block_writes", write_and_stop)
    _swap(engine, changes, between=between)
    assert engine.indices_of("shop") == ("new",)
    old, new = _both(engine)
    assert old == new
    assert engine.settings("new")["final_pipeline"] == "last"
    assert set(final) <= {None}


class Between(Swap):
    """Does something when writes are allowed again."""

    act: Callable[[], object] = lambda: None

    def _allow_writes(self) -> None:
        super()._allow_writes()
        self.act()


def _swap(
    engine: MemoryEngine,
    changes: CatchUp,
    *,
    between: Callable[[], object] = lambda: None,
    confirm: Callable[[], object] = lambda: None,
    interrupted: Callable[[], object] = lambda: None,
) -> float:
    interrupts = Uninterrupted("the swap")
    interrupts.check = interrupted  # type: ignore[method-assign]
    swap = Between(
        engine=engine,
        old="old",
        new="new",
        alias="shop",
        note_in="old",
        follower=lambda: changes,
        confirm=confirm,
        interrupts=interrupts,
        keep=lambda ours: None,
        ours=True,  # as from before the short passes on
        moved_off=lambda there: MappingConflictError("moved off"),
    )
    swap.act = between  # type: ignore[method-assign]
    swap._put_in_place(changes, kept_of(engine, "old"))
    return swap.refused.seconds
