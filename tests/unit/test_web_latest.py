"""Answers that are good enough for some seconds."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from vidsearch.web.latest import Latest


def test_a_question_that_was_forgotten_keeps_no_later_answer_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("vidsearch.web.latest.time", SimpleNamespace(monotonic=lambda: now))

    async def test() -> None:
        nonlocal now
        answers: list[asyncio.Future[str]] = []

        async def ask() -> str:
            answers.append(asyncio.get_running_loop().create_future())
            return await answers[-1]

        async def asked(number: int) -> None:
            while len(answers) < number:
                await asyncio.sleep(0)

        known: Latest[str] = Latest(ask, seconds=60, what="the state")
        old = asyncio.create_task(known.get())
        await asked(1)
        known.forget()
        new = asyncio.create_task(known.get())
        await asked(2)
        answers[1].set_result("new")
        assert await new == "new"
        now += 4
        answers[0].set_result("old")
        assert await old == "old"
        assert await known.get() == "new"
        now += 2
        later = asyncio.create_task(known.get())
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(answers) == 3, "the new one is older than five seconds"
        answers[2].set_result("later")
        assert await later == "later"

    asyncio.run(asyncio.wait_for(test(), 60))
