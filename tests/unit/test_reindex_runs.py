"""The records of reindex runs: one open run at a time, changes by compare-and-set, the lease."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.reindex_runs import reindex_run

from vidsearch.errors import ReindexError, ReindexTakenOverError
from vidsearch.registry import ErrorRecord, Notes
from vidsearch.reindex import ReindexRun, RunStore, Step
from vidsearch.testing.memory_engine import MemoryEngine

INDEX = "videos-operations"
ERROR = ErrorRecord(type="BackendUnavailableError", stage="copying", message="HTTP 503")


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def store(memory: MemoryEngine, clock: Clock) -> RunStore:
    return RunStore(Notes(memory, index=INDEX), clock=clock)


def planned(id: str, now: float) -> ReindexRun:
    return reindex_run(id, now, changes={"quantization": "binary"})


def test_without_an_index_there_is_no_run(store: RunStore) -> None:
    assert store.all() == []
    assert store.last() is None
    assert store.open() is None
    for id in ("1", "one", ""):
        with pytest.raises(ReindexError, match="there is no reindex run"):
            store.get(id)


def test_a_record_is_read_back_as_it_was_written(store: RunStore, clock: Clock) -> None:
    run = store.begin(planned)
    assert run.rate is None
    assert (run.id, run.step, store.get("1")) == ("1", Step.PLANNED, run)
    full = run.changed(
        step=Step.SWAPPED,
        way="embed",
        began={"copying": clock.now, "catching_up": clock.now + 5},
        total=10,
        done=7,
        throttle=200.0,
        canary=("a dog", "a cat"),
        swap=False,
        keep_old=False,
        owner="me@here:1",
        lease_until=clock.now + 30,
        swapped_at=clock.now + 1,
        ended_at=clock.now + 2,
        error=ERROR,
        report={"passed": True},
    )
    clock.now += 5
    stored = store.update("1", lambda _: full)
    assert stored == full.changed(updated_at=clock.now)
    assert store.get("1") == stored
    assert stored.rate == 2


def test_no_limit_is_kept(store: RunStore) -> None:
    store.begin(lambda id, now: planned(id, now).changed(throttle=math.inf))
    assert store.get("1").throttle == math.inf


def test_a_field_of_a_newer_version_does_no_harm(store: RunStore) -> None:
    run = store.begin(planned)
    assert ReindexRun.from_source({**run.to_source(), "weather": "fine"}) == run


def test_one_run_is_open_at_a_time(store: RunStore) -> None:
    store.begin(planned)
    with pytest.raises(ReindexError, match=r"'videos' is open .*`vidsearch reindex resume`"):
        store.begin(planned)
    store.update("1", lambda run: run.changed(step=Step.SWAPPED, swapped_at=1.0))
    with pytest.raises(ReindexError, match="`vidsearch reindex clean` ends it"):
        store.begin(planned)
    for step, id in [(Step.DONE, "2"), (Step.ROLLED_BACK, "3")]:
        last = store.open()
        assert last is not None
        store.update(last.id, lambda run, step=step: run.changed(step=step))  # type: ignore[misc]
        assert store.open() is None
        assert store.begin(planned).id == id
    assert [run.id for run in store.all()] == ["3", "2", "1"]


def test_of_many_that_begin_at_once_one_does(memory: MemoryEngine, clock: Clock) -> None:
    def begin(_: int) -> bool:
        try:
            RunStore(Notes(memory, index=INDEX), clock=clock).begin(planned)
        except ReindexError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 1
    assert len(RunStore(Notes(memory, index=INDEX)).all()) == 1


def test_changes_at_once_are_all_made(store: RunStore) -> None:
    store.begin(planned)

    def count(_: int) -> None:
        store.update("1", lambda run: run.changed(done=run.done + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(8)))
    assert store.get("1").done == 8


def test_what_changes_nothing_is_not_written(store: RunStore, clock: Clock) -> None:
    before = store.begin(planned)
    clock.now += 5
    assert store.update("1", lambda run: run) == before
    assert store.get("1").updated_at == before.updated_at


def test_one_process_drives_a_run_until_its_lease_runs_out(store: RunStore, clock: Clock) -> None:
    store.begin(planned)
    store.take("1", owner="a", seconds=30)
    clock.now += 29
    with pytest.raises(ReindexError, match="driven by a, whose lease runs for another 1 s"):
        store.take("1", owner="b", seconds=30)
    store.take("1", owner="a", seconds=30)
    clock.now += 29
    with pytest.raises(ReindexError, match="driven by a"):
        store.take("1", owner="b", seconds=30)
    clock.now += 2
    assert store.take("1", owner="b", seconds=30).owner == "b"
    with pytest.raises(ReindexTakenOverError, match="taken over by b"):
        store.change("1", held_by="a", step=Step.COPYING)
    assert store.change("1", held_by="b", step=Step.COPYING).step is Step.COPYING
