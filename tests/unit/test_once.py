"""Values that are built once, by one thread, on first use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from vidsearch.once import Once, build_once, built, forget_built


class Counting:
    """Has a slow property, one that asks for it, and one that fails at first."""

    def __init__(self) -> None:
        self.builds = 0
        self.failures = 1

    @build_once
    def slow(self) -> object:
        """Its help."""
        self.builds += 1
        time.sleep(0.05)
        return object()

    @build_once
    def pair(self) -> tuple[object, object]:
        return self.slow, self.slow

    @build_once
    def failing(self) -> str:
        if self.failures:
            self.failures -= 1
            raise OSError("away")
        return "there"


def _from_threads(ask: Callable[[], object], *, count: int = 8) -> set[object]:
    with ThreadPoolExecutor(count) as pool:
        return {done.result() for done in [pool.submit(ask) for _ in range(count)]}


def test_threads_that_ask_at_once_get_one_value() -> None:
    counting = Counting()
    assert len(_from_threads(lambda: counting.slow)) == 1
    assert counting.builds == 1
    once = Once(lambda: counting.pair)
    assert _from_threads(once) == {(counting.slow, counting.slow)}
    assert counting.builds == 1


def test_instances_have_values_of_their_own() -> None:
    one, other = Counting(), Counting()
    assert one.slow is not other.slow
    assert set(built(one)) == {"slow"}


def test_a_failure_is_tried_again() -> None:
    counting = Counting()
    with pytest.raises(OSError, match="away"):
        _ = counting.failing
    assert built(counting) == {}
    assert counting.failing == "there"


def test_what_is_forgotten_is_returned_and_built_anew() -> None:
    counting = Counting()
    first = counting.slow
    assert forget_built(counting) == {"slow": first}
    assert forget_built(counting) == {}
    assert counting.slow is not first


def test_a_forked_child_does_not_wait_for_a_build_of_its_parent() -> None:
    class Stuck:
        @build_once
        def value(self) -> int:
            started.set()
            assert finish.wait(120)
            return 1

        @build_once
        def other(self) -> int:
            return 2

    started, finish = threading.Event(), threading.Event()
    stuck = Stuck()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: stuck.value)
        assert started.wait(60)
        try:
            # The lock is held, as a child finds it when its parent was building.
            assert forget_built(stuck, forked=True) == {}
            assert pool.submit(lambda: stuck.other).result(timeout=60) == 2
        finally:
            finish.set()


def test_the_property_keeps_its_documentation() -> None:
    assert Counting.slow.__doc__ == "Its help."
