"""Steps end where they are left: by a cancelled task, by an interrupt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vidsearch.search.steps import Ask, Steps, Work, run, run_async


class Stuck:
    """An engine that never answers."""

    async def info(self) -> Any:
        await asyncio.sleep(60)


def steps(seen: list[str], first: Ask | Work) -> Steps[None]:
    try:
        yield first
    finally:
        seen.append("ended")


def test_a_cancelled_search_ends_its_steps_at_once() -> None:
    seen: list[str] = []
    kept = steps(seen, Ask("info"))  # so that it is not the garbage collector that ends it

    async def cancelled() -> None:
        task = asyncio.create_task(run_async(kept, Stuck()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert seen == ["ended"]


def test_an_interrupted_search_ends_its_steps_at_once() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    seen: list[str] = []
    kept = steps(seen, Work(interrupted))
    with pytest.raises(KeyboardInterrupt):
        run(kept, Stuck())  # type: ignore[arg-type]
    assert seen == ["ended"]
