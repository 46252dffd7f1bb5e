"""Steps are carried out in order, are given errors, and end where they are left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from vidsearch.engines.steps import Answer, Request, Steps, Work, run, run_async, working_by

ASK = Request("GET", "/")


def _answered(request: Request) -> Answer:
    return Answer(200, request.path)


def _run_in_a_loop(steps: Steps[Any], send: Callable[[Request], Answer]) -> Any:
    async def answered(request: Request) -> Answer:
        return send(request)

    return asyncio.run(run_async(steps, answered))


both = pytest.mark.parametrize("carry_out", [run, _run_in_a_loop])


def _ending(seen: list[str], first: Request | Work) -> Steps[None]:
    try:
        yield first
    finally:
        seen.append("ended")


@both
def test_steps_are_given_answers_and_results(carry_out: Any) -> None:
    def steps() -> Steps[tuple[Any, Any]]:
        answer = yield ASK
        return answer.body, (yield Work(lambda: 7))

    assert carry_out(steps(), _answered) == ("/", 7)


@both
def test_an_error_is_raised_inside_the_steps(carry_out: Any) -> None:
    def refuse(*_: Any) -> Any:
        raise ValueError("no")

    def steps() -> Steps[list[str]]:
        caught = []
        for step in (ASK, Work(refuse)):
            try:
                yield step
            except ValueError as error:
                caught.append(str(error))
        return caught

    assert carry_out(steps(), refuse) == ["no", "no"]


@both
def test_an_error_that_steps_do_not_handle_reaches_the_caller(carry_out: Any) -> None:
    def refuse(_: Request) -> Answer:
        raise ValueError("no")

    seen: list[str] = []
    with pytest.raises(ValueError, match="no"):
        carry_out(_ending(seen, ASK), refuse)
    assert seen == ["ended"]


@both
def test_a_pause_is_waited_for_before_the_request(
    carry_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("asyncio.sleep", sleep)

    def steps() -> Steps[Any]:
        yield ASK
        yield Request("GET", "/", pause=2.5)
        return list(waited)

    assert carry_out(steps(), _answered) == [2.5]


def test_work_runs_beside_the_event_loop() -> None:
    def steps() -> Steps[Any]:
        return (yield Work(threading.get_ident))

    assert run(steps(), _answered) == threading.get_ident()
    assert _run_in_a_loop(steps(), _answered) != threading.get_ident()


def test_work_runs_where_the_task_says_and_elsewhere_in_other_tasks() -> None:
    def steps() -> Steps[Any]:
        return (yield Work(threading.get_ident))

    async def here(function: Callable[[], Any]) -> Any:
        return function()

    async def never(_: Request) -> Answer:
        raise AssertionError

    async def both() -> tuple[Any, Any]:
        other = asyncio.create_task(run_async(steps(), never))
        with working_by(here):
            own = await run_async(steps(), never)
        return own, await other

    own, other = asyncio.run(both())
    assert own == threading.get_ident() != other


def test_a_cancelled_search_ends_its_steps_at_once() -> None:
    seen: list[str] = []
    kept = _ending(seen, ASK)  # so that it is not the garbage collector that ends it

    async def never(_: Request) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError

    async def cancelled() -> None:
        task = asyncio.create_task(run_async(kept, never))
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
    kept = _ending(seen, Work(interrupted))
    with pytest.raises(KeyboardInterrupt):
        run(kept, _answered)
    assert seen == ["ended"]
