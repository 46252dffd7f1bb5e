"""Calls from an event loop: how many are at work at once, and what becomes of one given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any

import pytest
from tests.page_stage import open_page

from vidsearch.encoders.base import Vectors
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.web.places import Places, Threads
from vidsearch.web.problems import Problem


class _Held:
    """A call in a thread that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun, self.goes_on = Event(), Event()

    def __call__(self) -> None:
        self.begun.set()
        self.goes_on.wait(60)


def _done(test: Callable[[Threads, _Held], Coroutine[Any, Any, None]], number: int) -> None:
    """Run it with that many threads, and let the held call go at its end."""

    async def run() -> None:
        threads, held = Threads(number, name="of-a-test"), _Held()
        try:
            await test(threads, held)
        finally:
            held.goes_on.set()
            threads.close()

    asyncio.run(run())


def test_a_call_that_was_given_up_keeps_its_place_until_its_thread_ends() -> None:
    async def test(threads: Threads, held: _Held) -> None:
        places = Places(1, seconds=0.01, what="the search")
        called = []

        async def other() -> None:
            await places.call(lambda: threads.call(lambda: called.append("other")))

        while not held.begun.is_set():
            with pytest.raises(Problem, match="took longer than"):
                await places.call(lambda: threads.call(held))
        for _ in range(3):
            with pytest.raises(Problem):
                await other()
        assert called == []
        held.goes_on.set()
        while not called:
            try:
                await other()
            except Problem:
                continue

    _done(test, 2)


def test_a_call_that_waits_for_a_thread_is_dropped_where_its_caller_goes_away() -> None:
    async def test(threads: Threads, held: _Held) -> None:
        first = asyncio.create_task(threads.call(held))
        await asyncio.to_thread(held.begun.wait)
        called: list[str] = []
        second = asyncio.create_task(threads.call(lambda: called.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        held.goes_on.set()
        await first
        await threads.call(lambda: called.append("third"))
        assert called == ["third"]

    _done(test, 1)


def test_at_the_end_nobody_waits_for_a_thread_that_hangs() -> None:
    async def test(threads: Threads, held: _Held) -> None:
        places = Places(1, seconds=0.01, what="the search")
        with pytest.raises(Problem):
            await places.call(lambda: threads.call(held))
        while places.taken:
            places.close()
            await asyncio.sleep(0)
        assert not held.goes_on.is_set()

    _done(test, 1)


def test_what_a_call_raises_and_gives_reaches_the_caller() -> None:
    async def test(threads: Threads, held: _Held) -> None:
        places = Places(1, seconds=60, what="the search")
        assert await places.call(lambda: threads.call(lambda: 7)) == 7
        with pytest.raises(ZeroDivisionError):
            await places.call(lambda: threads.call(lambda: 1 // 0))

    _done(test, 1)


def test_a_text_whose_embedding_hangs_takes_a_place_of_the_searches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, embed = _Held(), FakeEncoder.encode_text

    def hang(self: FakeEncoder, texts: list[str]) -> Vectors:
        if texts == ["hang"]:
            held()
        return embed(self, texts)

    monkeypatch.setattr(FakeEncoder, "encode_text", hang)
    with open_page(web={"max_searches": 1, "timeout": 0.3}) as page:
        try:
            while not held.begun.is_set():
                assert page.get("/?q=hang").status_code == 503
            for query in ("like=b", "q=red&mode=keyword"):
                answer = page.get(f"/?{query}")
                assert answer.status_code == 503
                assert "took longer than 0.3 seconds" in answer.text
        finally:
            held.goes_on.set()
        while page.get("/?like=b").status_code != 200:
            pass
