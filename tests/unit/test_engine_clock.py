"""Leases go by the time of the engine, whatever the clocks of workers say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from vidsearch.errors import BackendUnavailableError, LeaseLostError
from vidsearch.registry import EngineClock, Registry
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.memory_engine import MemoryEngine


class Asked(MemoryEngine):
    """Counts what it is asked, and may be away."""

    asked = 0
    away = False
    before: Callable[[], None] | None = None

    def search(self, index: str, body: Any) -> Any:
        self.asked += 1
        if self.before is not None:
            self.before()
        if self.away:
            raise BackendUnavailableError("connection refused")
        return super().search(index, body)


@pytest.fixture
def engine() -> Asked:
    engine = Asked()
    engine.create_index("registry", {})
    return engine


def test_clock_that_is_off_gives_the_time_of_the_engine(engine: Asked) -> None:
    for skew in (-90, 90):
        clock = EngineClock(engine, index="registry", local=lambda: time.time() + skew)  # noqa: B023
        assert clock() == pytest.approx(time.time(), abs=30)


def test_engine_is_asked_every_five_minutes(engine: Asked) -> None:
    ticks = FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks)
    first = clock()
    ticks.now += 299
    assert clock() == first + 299
    assert engine.asked == 1
    ticks.now += 2
    assert clock() == pytest.approx(time.time(), abs=30)
    assert engine.asked == 2


def test_time_goes_on_while_the_engine_is_away(engine: Asked) -> None:
    ticks = FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks, local=lambda: 1.0)
    first = clock()
    engine.away = True
    ticks.now += 400
    assert [clock(), clock()] == [first + 400, first + 400]
    assert engine.asked == 2, "an engine that is away is not asked at every look"


def test_machine_that_slept_asks_the_engine_before_it_says_a_time(engine: Asked) -> None:
    ticks, local = FakeClock(), FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks, local=local)
    first = clock()
    local.now += 3600  # its monotonic clock stood still
    engine.away = True
    assert [clock(), clock()] == [first, first]
    assert engine.asked == 3, "what is known is not true any more, so it is asked each time"
    engine.away = False
    assert clock() == pytest.approx(time.time(), abs=30)
    assert clock() == pytest.approx(time.time(), abs=30)
    assert engine.asked == 4


def test_machine_whose_time_is_set_back_goes_by_its_monotonic_clock(engine: Asked) -> None:
    ticks, local = FakeClock(), FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks, local=local)
    first = clock()
    local.now -= 3600
    ticks.now += 10
    assert clock() == first + 10
    assert engine.asked == 1


def test_answer_that_took_long_is_not_taken_for_one_of_now(engine: Asked) -> None:
    ticks = FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks, local=lambda: 1.0)
    first = clock()

    def stopped_for_a_while() -> None:
        ticks.now += 30

    engine.before = stopped_for_a_while
    ticks.now += 400
    assert clock() == first + 430
    assert engine.asked == 2
    ticks.now += 10
    assert clock() == first + 440
    assert engine.asked == 2, "it is asked again after half a minute"
    engine.before = None
    ticks.now += 30
    assert clock() == pytest.approx(time.time(), abs=30)


def test_machines_own_time_is_used_until_the_engine_answers(
    engine: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    engine.away, ticks = True, FakeClock()
    clock = EngineClock(engine, index="registry", ticks=ticks, local=lambda: 7.0)
    with caplog.at_level(logging.WARNING):
        assert [clock(), clock()] == [7.0, 7.0]
    assert caplog.text.count("leases go by the clock of this machine") == 1
    engine.away = False
    ticks.now += 31
    assert clock() == pytest.approx(time.time(), abs=30)


@pytest.mark.parametrize("skew", [-90.0, 90.0])
def test_worker_whose_clock_is_off_keeps_its_lease_and_takes_no_other(
    engine: Asked, skew: float
) -> None:
    def registry(skew: float) -> Registry:
        clock = EngineClock(engine, index="registry", local=lambda: time.time() + skew)
        return Registry(engine, index="registry", lease_seconds=10, clock=clock)

    right, off = registry(0), registry(skew)
    for id, holder, other in (("a", off, right), ("b", right, off)):
        right.register(id, uri=f"/{id}.mp4")
        lease = holder.renew(holder.claim(id, owner="holder"))
        assert list(other.sweepable()) == []
        with pytest.raises(LeaseLostError, match="worked on by holder"):
            other.claim(id, owner="other")
        holder.complete(lease)
