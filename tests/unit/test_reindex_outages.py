"""A run outlasts an engine that is away or overloaded for a while, and not for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, Shop
from tests.reindexing_in_memory import stage_of_three

from vidsearch import outages
from vidsearch.cli.reindex_output import show_run
from vidsearch.errors import BackendUnavailableError, ReindexError
from vidsearch.index.following import Follower, Pass
from vidsearch.index.swap import Swap, alias_moves
from vidsearch.outages import Outages
from vidsearch.reindex import Changes, ReindexRun, RunStore, Step, steps
from vidsearch.reindex import target as targets
from vidsearch.testing.memory_engine import MemoryEngine

TURNED_AWAY = BackendUnavailableError("videos is overloaded or failing (429)")


class Clock:
    """Goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(targets, "_WRITERS_SECONDS", 0.0)


def failing(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """Turned away so many times, then as ``then``."""
    left = iter(range(times))

    def called(*args: Any, **options: Any) -> Any:
        if next(left, None) is not None:
            raise TURNED_AWAY
        return then(*args, **options)

    return called


def test_an_outage_ends_the_work_when_it_has_lasted_too_long(clock: Clock) -> None:
    told: list[float] = []
    tried = Outages(
        100, told=lambda error, seconds: told.append(seconds), sleep=clock.sleep, clock=clock
    )
    with pytest.raises(BackendUnavailableError, match=r"tries in \d+ s failed, .*\(429\)"):
        tried.outlast(failing(1000, lambda: None))
    assert 60 < sum(told) == clock.now <= 100
    assert told[0] <= 1 < told[3] < max(told) <= 30
    assert tried.outlast(failing(5, lambda: "done")) == "done", "another one begins anew"


def test_without_patience_the_first_error_is_the_last() -> None:
    with pytest.raises(BackendUnavailableError) as raised:
        Outages(0).outlast(failing(1, lambda: None))
    assert raised.value is TURNED_AWAY


@pytest.mark.parametrize(("more", "outlasts"), [(1, True), (0, False)])
def test_work_that_gets_on_is_given_its_time_anew(clock: Clock, more: int, outlasts: bool) -> None:
    tried = Outages(60, told=lambda *told: None, sleep=clock.sleep, clock=clock)
    count = tried.numbers(lambda done, total: None)
    done = 1

    def work() -> str:
        nonlocal done
        count(done, 20)
        done += more
        if done < 20 and clock.now < 1000:
            raise TURNED_AWAY
        return "done"

    if outlasts:
        assert tried.outlast(work) == "done"
        return
    with pytest.raises(BackendUnavailableError):
        tried.outlast(work)
    assert clock.now <= 60


def test_moments_without_the_engine_in_hours_of_work_are_no_long_outage(clock: Clock) -> None:
    tried = Outages(300, told=lambda *told: None, sleep=clock.sleep, clock=clock)

    def work_fails(times: int) -> str:
        left = iter(range(times))

        def work() -> str:
            clock.now += 600  # as a look at all documents may take, which tells of no progress
            if next(left, None) is not None:
                raise TURNED_AWAY
            return "done"

        return tried.outlast(work)

    assert work_fails(4) == "done"
    with pytest.raises(BackendUnavailableError, match=r"^\d\d? tries in \d{4} s failed"):
        work_fails(1000)  # but what fails each time is not tried for ever


def test_a_run_goes_on_where_it_stands(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_of_three()
    monkeypatch.setattr(stage.documents, "fill", failing(2, stage.documents.fill))
    monkeypatch.setattr(stage.documents, "catch_up", failing(1, stage.documents.catch_up))
    told: list[BackendUnavailableError] = []
    run = stage.reindexer(
        outage_seconds=60, on_outage=lambda error, seconds: told.append(error)
    ).start(Changes(shards=2))
    assert (run.step, run.error, run.owner) == (Step.SWAPPED, None, None)
    assert told == [TURNED_AWAY] * 3
    assert len(stage.steps) == len(set(stage.steps)), "none is begun twice"


@pytest.mark.parametrize("method", ["resume", "swap", "roll_back", "clean"])
@pytest.mark.parametrize("call", ["get", "change", "update"])
def test_what_comes_before_a_run_is_driven_is_outlasted_as_well(
    at_once: None, monkeypatch: pytest.MonkeyPatch, method: str, call: str
) -> None:
    stage = stage_of_three()
    stage.reindexer().start(Changes(shards=2), swap=method in {"clean", "roll_back"})
    monkeypatch.setattr(RunStore, call, failing(2, getattr(RunStore, call)))
    run = getattr(stage.reindexer(outage_seconds=60), method)()
    ends = {"resume": Step.VERIFIED, "swap": Step.SWAPPED, "clean": Step.DONE}
    assert run.step is ends.get(method, Step.ROLLED_BACK)


def test_a_run_that_goes_on_after_an_outage_is_not_shown_as_stopped(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of_three()
    errors: list[str | None] = []
    fill = stage.documents.fill

    def look(run: ReindexRun, **options: Any) -> bool:
        now = stage.reindexer().runs.get(run.id)
        errors.append(None if now.error is None else now.error.type)
        return fill(run, **options)

    def waiting(error: BackendUnavailableError, seconds: float) -> None:
        run = stage.reindexer().runs.last()
        errors.append(None if run is None or run.error is None else run.error.type)

    monkeypatch.setattr(stage.documents, "fill", failing(1, look))
    stage.reindexer(outage_seconds=60, on_outage=waiting).start(Changes(shards=2))
    assert errors == ["BackendUnavailableError", None]


def test_a_copy_that_goes_on_counts_its_rate_from_what_was_not_there_yet(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_NOTE_SECONDS", 0.0)
    stage = stage_of_three()
    seen: list[ReindexRun] = []
    counts = iter([[1, 2], [1, 2, 3]])

    def fill(run: ReindexRun, *, held: object, told: Callable[[int], None]) -> bool:
        for done in next(counts):
            told(done)
            seen.append(stage.reindexer().runs.get(run.id))
        if len(seen) < 3:
            raise TURNED_AWAY
        return True

    monkeypatch.setattr(stage.documents, "fill", fill)
    run = stage.reindexer(outage_seconds=60).start(Changes(shards=2))
    assert [one.done for one in seen] == [1, 2, 2, 2, 3], "what is there stays there"
    assert [one.filled_before for one in seen] == [0, 0, 2, 2, 2]
    assert [one.seconds_left is None for one in seen] == [False, False, True, True, False]
    assert seen[-1].filled_since is not None
    assert seen[-1].filled_since >= (seen[2].filled_since or 0) >= seen[-1].began["copying"]
    assert run.rate is None, "it is no rate to plan with"


@pytest.mark.parametrize("ends", ["once", "when others are done", "after it broke off at once"])
def test_a_rate_counts_no_time_between_two_starts(
    at_once: None, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    stage = stage_of_three()
    fill = stage.documents.fill
    if ends == "when others are done":
        answers = iter([False, True])
        monkeypatch.setattr(stage.documents, "fill", lambda run, **options: next(answers))
    elif ends != "once":
        monkeypatch.setattr(stage.documents, "fill", failing(1, fill))
    reindexer = stage.reindexer(outage_seconds=60)
    id = reindexer.begin(Changes(shards=2), background=ends == "when others are done").id
    while reindexer.drive(id).step is not Step.SWAPPED:
        pass
    run = reindexer.runs.get(id)
    assert run.starts == (1 if ends == "once" else 2)
    assert (run.rate is None) == (ends != "once")


def test_an_outage_within_the_swap_of_an_attached_index_is_outlasted(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    blocks: list[Any] = []
    update, failing_once = shop.engine.update_aliases, failing(1, shop.engine.update_aliases)

    def move(actions: Any) -> None:
        moves_shop = any(of["index"] == NEW for action in actions for of in action.values())
        (failing_once if moves_shop else update)(actions)

    monkeypatch.setattr(shop.engine, "update_aliases", move)

    def told(error: BackendUnavailableError, seconds: float) -> None:
        blocks.append(shop.engine.settings(OLD).get("blocks.write"))
        shop.engine.put(OLD, "d", {"title": "d"})

    run = shop.reindexer(outage_seconds=60, on_outage=told).start(Changes(shards=3))
    assert run.step is Step.SWAPPED
    assert blocks == [None], "the application goes on writing meanwhile"
    assert shop.engine.get(NEW, "d") is not None


def test_an_engine_that_was_away_within_a_swap_lets_writes_go_on_before_the_next_one(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    away = False
    swaps: list[str] = []
    takes_writes: list[bool] = []
    block, put_settings = shop.engine.block_writes, shop.engine.put_settings
    pass_by = Follower.until_small

    def stop_writes(name: str) -> None:
        nonlocal away
        block(name)
        away = not swaps  # the first time
        swaps.append(name)

    def put(index: str, settings: Any) -> None:
        if away:
            raise TURNED_AWAY
        put_settings(index, settings)

    def passing(self: Follower) -> Pass:
        if swaps:
            takes_writes.append(shop.takes_writes(OLD))
        return pass_by(self)

    def told(error: BackendUnavailableError, seconds: float) -> None:
        nonlocal away
        away = False
        takes_writes.append(shop.takes_writes(OLD))

    monkeypatch.setattr(shop.engine, "block_writes", stop_writes)
    monkeypatch.setattr(shop.engine, "put_settings", put)
    monkeypatch.setattr(Follower, "until_small", passing)
    run = shop.reindexer(outage_seconds=60, on_outage=told).start(Changes(shards=3))
    assert (run.step, swaps) == (Step.SWAPPED, [OLD, OLD])
    in_the_outage, *before_the_swap = takes_writes
    assert not in_the_outage
    assert before_the_swap
    assert all(before_the_swap), "all that changed since the start is brought, which may take long"


class Gone(MemoryEngine):
    """Away from when the writes of an index are stopped, for so many calls."""

    for_calls = 10**9

    def __init__(self) -> None:
        super().__init__()
        self.index, self.left = "", 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in {"index", "left", "run", "calls", "info", "kind"}:
            return found
        if self.left and callable(found):
            self.left -= 1
            raise TURNED_AWAY
        if name != "block_writes":
            return found

        def last(index: str) -> None:
            found(index)
            if index == self.index:
                self.index, self.left = "", self.for_calls

        return last


@pytest.fixture
def gone(at_once: None, monkeypatch: pytest.MonkeyPatch) -> Gone:
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 0.0)
    return Gone()


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("tries", [1, 3])
def test_a_swap_that_cannot_be_undone_is_told_with_what_to_do(
    gone: Gone, monkeypatch: pytest.MonkeyPatch, tries: int, back: bool
) -> None:
    monkeypatch.setattr("vidsearch.reindex.lease._LOOK_SECONDS", 0.05)
    shop, left = Shop(engine=gone), iter(range(tries - 1))
    made, old = shop.reindexer(outage_seconds=0.0), NEW if back else OLD
    if back:
        made.start(Changes(shards=3))
    gone.index = old
    monkeypatch.setattr(
        made._outages, "outlast", lambda work, **options: tried(work, lambda: next(left, None))
    )
    with pytest.raises(BackendUnavailableError) as raised:
        made.roll_back() if back else made.start(Changes(shards=3))
    told = f"index '{old}' may take no writes until `vidsearch reindex resume` or `vidsearch "
    assert f"{told}reindex rollback` is run, as the swap could not be undone" in str(raised.value)
    gone.left = 0
    assert not shop.takes_writes(old)
    again = shop.reindexer()
    assert again.resume().step is (Step.ROLLED_BACK if back else Step.SWAPPED), "so it is"
    shop.write(1)


def tried(work: Callable[[], Any], goes_on: Callable[[], object]) -> Any:
    """As often as is said."""
    while True:
        try:
            return work()
        except BackendUnavailableError:
            if goes_on() is None:
                raise


def test_an_interrupt_in_an_outage_in_the_swap_tells_what_is_left_in_the_log(
    gone: Gone, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupt(error: BackendUnavailableError, seconds: float) -> None:
        raise KeyboardInterrupt

    shop = Shop(engine=gone)
    gone.index = OLD
    with pytest.raises(KeyboardInterrupt):
        shop.reindexer(outage_seconds=60, on_outage=interrupt).start(Changes(shards=3))
    (told,) = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert f"index '{OLD}' may take no writes until `vidsearch reindex resume`" in told


def test_an_interrupt_tells_nothing_of_a_run_that_another_process_has_undone_in_the_outage(
    gone: Gone, caplog: pytest.LogCaptureFixture
) -> None:
    def undo_and_interrupt(error: BackendUnavailableError, seconds: float) -> None:
        gone.left = 0
        shop.reindexer().roll_back()
        raise KeyboardInterrupt

    shop = Shop(engine=gone)
    gone.index = OLD
    with pytest.raises(KeyboardInterrupt):
        shop.reindexer(outage_seconds=60, on_outage=undo_and_interrupt).start(Changes(shards=3))
    assert not [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert (shop.takes_writes(OLD), shop.left()) == (True, [OLD])


def test_an_engine_that_is_back_within_seconds_is_told_to_allow_the_writes_of_a_run_again(
    gone: Gone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 10.0)
    gone.for_calls = 8
    shop = Shop(engine=gone)
    gone.index = OLD
    with pytest.raises(BackendUnavailableError) as raised:
        shop.reindexer(outage_seconds=0.0).start(Changes(shards=3))
    assert not gone.left
    assert "may take no writes" not in str(raised.value)
    assert shop.takes_writes(OLD)
    run = shop.reindexer().runs.open()
    assert run is not None
    assert run.owner is None


@pytest.mark.parametrize("calls", [8, 10**9])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_a_signal_ends_the_process_writes_are_allowed_or_it_is_told(
    gone: Gone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: signal.Signals,
    calls: int,
) -> None:
    """That came while writes were refused, and the engine was away as well."""
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 10.0 if calls == 8 else 0.0)
    gone.for_calls = calls
    shop, block = Shop(engine=gone), gone.block_writes
    ended: list[tuple[bool, bool]] = []

    def end(number: int, frame: object) -> None:
        told = any("may take no writes" in one.message for one in caplog.records)
        gone.left = 0
        ended.append((shop.takes_writes(OLD), told))
        raise SystemExit

    def stop(index: str) -> None:
        gone.index = OLD
        os.kill(os.getpid(), number)
        gone.block_writes = block  # type: ignore[method-assign]
        gone.block_writes(index)

    gone.block_writes = stop  # type: ignore[method-assign]
    before = signal.signal(number, end)
    try:
        with pytest.raises(SystemExit):
            shop.reindexer(outage_seconds=0.0).start(Changes(shards=3))
    finally:
        signal.signal(number, before)
    assert ended == [(True, False) if calls == 8 else (False, True)]


@pytest.mark.parametrize("is_back", [True, False])
def test_a_move_whose_answer_is_lost_is_not_told_as_writes_that_are_refused(
    gone: Gone, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    shop, move = Shop(engine=gone), gone.update_aliases

    def lost(actions: Any) -> None:
        move(actions)
        if any(of["index"] == NEW for action in actions for of in action.values()):
            gone.left = 10**9
            raise TURNED_AWAY

    def told(error: BackendUnavailableError, seconds: float) -> None:
        time.sleep(0.5)
        gone.left = 0

    monkeypatch.setattr(gone, "update_aliases", lost)
    if is_back:
        run = shop.reindexer(outage_seconds=60.0, on_outage=told).start(Changes(shards=3))
        assert run.blocked_seconds is not None
        assert run.blocked_seconds < 0.5, "the application has gone on writing, to the new one"
    else:
        with pytest.raises(BackendUnavailableError) as raised:
            shop.reindexer(outage_seconds=0.0).start(Changes(shards=3))
        assert f"'{OLD}' may have been replaced, else it takes no writes" in str(raised.value)


def test_the_seconds_of_all_tries_of_a_swap_are_recorded(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    move = Swap._move
    moves = failing(2, move)
    block = shop.engine.block_writes

    def slowly(index: str) -> None:
        block(index)
        time.sleep(0.05)

    monkeypatch.setattr(shop.engine, "block_writes", slowly)
    monkeypatch.setattr(Swap, "_move", lambda swap, aliases: moves(swap, aliases))
    run = shop.reindexer(outage_seconds=60).start(Changes(shards=3))
    assert run.blocked_seconds is not None
    assert run.blocked_seconds > 0.15


class Late(MemoryEngine):
    """Does the first move of the shop's alias only before the next change that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[Any] = []
        self.turned_away = -1
        """Changes from the move on, which itself counts; below 0: not begun."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in {"put_settings", "put_mapping", "block_writes", "update_aliases"}:
            return found

        def change(*args: Any) -> None:
            if self.turned_away > 0:
                self.turned_away -= 1
                if name == "update_aliases":
                    self.moves.append(args[0])
                raise TURNED_AWAY
            while self.moves:
                MemoryEngine.update_aliases(self, self.moves.pop())
            found(*args)

        return change


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("turned_away", [1, 2])
def test_a_move_that_the_engine_does_after_its_answer_was_lost_is_not_worked_against(
    at_once: None, monkeypatch: pytest.MonkeyPatch, turned_away: int, back: bool
) -> None:
    engine = Late()
    shop = Shop(engine=engine)
    reindexer = shop.reindexer(outage_seconds=60)
    if back:
        reindexer.start(Changes(shards=3))
    moves, old, new = alias_moves, NEW if back else OLD, OLD if back else NEW
    swaps: list[str] = []

    def about_to_move(aliases: Any, **options: str) -> list[Any]:
        engine.turned_away = 0 if swaps else turned_away
        swaps.append(options["new"])
        return moves(aliases, **options)

    monkeypatch.setattr("vidsearch.index.swap.alias_moves", about_to_move)
    taken: list[bool] = []
    delete = engine.delete_index

    def deleted(name: str) -> None:
        taken.append(shop.takes_writes(name))
        delete(name)

    monkeypatch.setattr(engine, "delete_index", deleted)
    run = reindexer.roll_back() if back else reindexer.start(Changes(shards=3))
    assert (run.step, swaps) == (Step.ROLLED_BACK if back else Step.SWAPPED, [new])
    assert engine.indices_of("shop") == (new,)
    assert (taken if back else [shop.takes_writes(old)]) == [False], "what is written there is lost"
    assert shop.takes_writes(new)
    assert engine.settings(new)["final_pipeline"] == "last"


def test_another_process_may_take_the_run_during_an_outage(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of_three()
    monkeypatch.setattr(stage.documents, "fill", failing(1, stage.documents.fill))

    def undo(error: BackendUnavailableError, seconds: float) -> None:
        stage.reindexer().roll_back()

    run = stage.reindexer(outage_seconds=60, on_outage=undo).start(Changes(shards=2))
    assert run.step is Step.ROLLED_BACK, "what is over is left as it is"
    assert stage.left() == ["videos-000001"]


def test_a_run_that_waits_for_its_engine_is_recorded_so(
    at_once: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = stage_of_three()
    seen: list[ReindexRun] = []
    note = RunStore.note_wait

    def noting(runs: RunStore, id: str, seconds: float) -> None:
        note(runs, id, 20.0)
        seen.append(runs.get(id))

    monkeypatch.setattr(RunStore, "note_wait", noting)
    monkeypatch.setattr(stage.documents, "fill", failing(1, stage.documents.fill))
    run = stage.reindexer(outage_seconds=60).start(Changes(shards=2))
    (waiting,) = seen
    assert waiting.error is not None
    assert (waiting.step, waiting.owner) == (Step.COPYING, None)
    again = waiting.tries_again_at
    assert again is not None
    assert waiting.updated_at <= again - 19
    assert waiting.waits(again + 30)
    assert not waiting.waits(again + 90), "that process was killed"
    show_run(waiting, as_json=False)
    assert "tries again\t" in capsys.readouterr().out
    assert (run.step, run.error, run.tries_again_at) == (Step.SWAPPED, None, None)


def test_a_run_that_goes_on_is_not_shown_as_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_of_three()
    seen: list[ReindexRun] = []

    def fill(run: ReindexRun, **options: Any) -> bool:
        seen.append(run)
        return bool(then(run, **options))

    then = failing(1, stage.documents.fill)
    monkeypatch.setattr(stage.documents, "fill", fill)
    with pytest.raises(BackendUnavailableError):
        stage.reindexer().start(Changes(shards=2))
    stopped = stage.reindexer().runs.get("1")
    assert stopped.error is not None
    assert not stopped.waits(0.0), "nobody tries again"
    stage.reindexer().resume()
    assert [one.error for one in seen] == [None, None]


@pytest.fixture
def interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_interrupt_leaves_no_lease(
    interruptible: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of_three()
    change = RunStore.change

    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def changing(runs: RunStore, id: str, *, held_by: str, **values: Any) -> ReindexRun:
        if values.get("owner", "") is None:
            press()
        return change(runs, id, held_by=held_by, **values)

    monkeypatch.setattr(RunStore, "change", changing)
    with pytest.raises(KeyboardInterrupt):
        stage.reindexer(on_step=lambda run: press() if run.step is Step.COPYING else None).start(
            Changes(shards=2)
        )
    run = stage.reindexer().runs.open()
    assert run is not None
    assert (run.step, run.owner, run.lease_until) == (Step.COPYING, None, None)
    with pytest.raises(ReindexError, match="reindex resume"):
        stage.reindexer().start(Changes(shards=2))
