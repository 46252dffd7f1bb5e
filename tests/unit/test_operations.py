"""What workers tell each other: the claim of a sweep, its note, and pauses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vidsearch.registry import ErrorRecord, Notes
from vidsearch.registry.operations import Operations
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.memory_engine import MemoryEngine

INDEX = "videos-operations"
AWAY = ErrorRecord(type="BackendUnavailableError", stage="fetch", message="HTTP 503")
REFUSED = ErrorRecord(type="SourceError", stage="fetch", message="refused")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def memory() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def operations(memory: MemoryEngine, clock: FakeClock) -> Operations:
    return Operations(Notes(memory, index=INDEX), clock=clock)


def test_without_a_note_nothing_was_swept_and_nothing_is_paused(operations: Operations) -> None:
    assert operations.last_sweep() is None
    assert operations.pauses() == []
    assert operations.find_pause("source:a") is None
    operations.resume("source:a")
    assert not operations.exists


def test_one_caller_per_period_sweeps(
    operations: Operations, memory: MemoryEngine, clock: FakeClock
) -> None:
    other = Operations(Notes(memory, index=INDEX), clock=clock)
    assert operations.claim("sweep", every=30, by="w1")
    assert operations.exists
    assert not other.claim("sweep", every=30, by="w2")
    clock.now += 29.9
    assert not operations.claim("sweep", every=30, by="w1")
    clock.now += 0.1
    assert other.claim("sweep", every=30, by="w2")
    assert not operations.claim("sweep", every=30, by="w1")


def test_of_many_callers_at_once_one_sweeps(memory: MemoryEngine, clock: FakeClock) -> None:
    callers = [Operations(Notes(memory, index=INDEX), clock=clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda one: one.claim("sweep", every=30, by="w"), callers))
    assert sum(claims) == 1


def test_a_claim_of_a_clock_that_is_ahead_holds_no_sweep_up(
    memory: MemoryEngine, clock: FakeClock
) -> None:
    ahead = Operations(Notes(memory, index=INDEX), clock=FakeClock(clock.now + 3600))
    assert ahead.claim("sweep", every=30, by="ahead")
    operations = Operations(Notes(memory, index=INDEX), clock=clock)
    assert not operations.claim("sweep", every=30, by="w1")
    clock.now += 30
    assert operations.claim("sweep", every=30, by="w1")


def test_the_last_sweep_is_read_back(operations: Operations, clock: FakeClock) -> None:
    operations.note_sweep(by="w1", seconds=0.25, report={"requeued": 2})
    clock.now += 60
    operations.note_sweep(by="w2", seconds=1.5, report={"requeued": 0, "dead": 1})
    last = operations.last_sweep()
    assert last is not None
    assert (last.at, last.by, last.seconds) == (clock.now, "w2", 1.5)
    assert last.report == {"requeued": 0, "dead": 1}


def test_a_pause_counts_tries_and_keeps_its_beginning(
    operations: Operations, clock: FakeClock
) -> None:
    began = clock.now
    first = operations.pause("source:a", error=AWAY, until=began + 5, by="w1")
    clock.now += 10
    second = operations.pause("source:a", error=REFUSED, until=began + 70, by="w2")
    assert (first.since, first.tries) == (began, 1)
    assert (second.since, second.tries, second.until) == (began, 2, began + 70)
    assert operations.find_pause("source:a") == second
    assert operations.pauses() == [second]
    assert (second.by, second.error) == ("w2", REFUSED)


def test_pauses_are_listed_by_their_beginning_and_end_one_by_one(
    operations: Operations, clock: FakeClock
) -> None:
    operations.claim("sweep", every=30, by="w1")  # no pause
    for key in ("source:b", "setup:w1", "source:a"):
        operations.pause(key, error=AWAY, until=clock.now + 60, by="w1")
        clock.now += 1
    assert [one.key for one in operations.pauses()] == ["source:b", "setup:w1", "source:a"]
    operations.resume("setup:w1")
    operations.resume("setup:w1")
    assert [one.key for one in operations.pauses()] == ["source:b", "source:a"]
    again = operations.pause("setup:w1", error=AWAY, until=clock.now + 5, by="w1")
    assert again.tries == 1


def test_what_nobody_has_tried_for_a_day_is_not_listed(
    operations: Operations, clock: FakeClock
) -> None:
    operations.pause("setup:pod-1", error=AWAY, until=clock.now + 60, by="pod-1")
    clock.now += 60 + 86_399
    assert [one.key for one in operations.pauses()] == ["setup:pod-1"]
    clock.now += 1
    assert operations.pauses() == []


def test_pauses_of_workers_that_were_replaced_are_deleted_after_a_day(
    operations: Operations, memory: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("setup:pod-1", "setup:pod-2"):
        operations.pause(key, error=AWAY, until=clock.now + 60, by="pod")
    clock.now += 60 + 86_399
    operations.forget_pauses()
    assert len(operations.pauses()) == 2
    clock.now += 1
    operations.pause("setup:pod-2", error=AWAY, until=clock.now + 60, by="pod-2")
    operations.forget_pauses()
    assert operations.find_pause("setup:pod-1") is None
    assert [one.key for one in operations.pauses()] == ["setup:pod-2"]

    clock.now += 60 + 86_400
    delete = memory.delete

    def renewed(*args: Any, **options: Any) -> bool:
        operations.pause("setup:pod-2", error=AWAY, until=clock.now + 60, by="pod-2")
        return delete(*args, **options)

    monkeypatch.setattr(memory, "delete", renewed)
    operations.forget_pauses()
    assert [one.key for one in operations.pauses()] == ["setup:pod-2"], "it came back meanwhile"
