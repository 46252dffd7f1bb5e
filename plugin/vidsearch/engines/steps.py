"""I/O as steps that a runner carries out, in this thread or in an event loop.

What a call of an engine or a whole search does is written once, as a generator. It yields a step, a
:class:`Request` or :class:`Work`, and is given the outcome: the :class:`Answer`, or what the
function returned. An error is raised inside the generator, at its ``yield``:

    def mapping(self, index):
        answer = yield from self.request("GET", f"/{quoted(index)}/_mapping", index=index)
        return answer.body[…]["mappings"]

:func:`run` carries the steps out one after the other, :func:`run_async` awaits them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Answer", "InThread", "Request", "Steps", "Work", "run", "run_async", "working_by"]

_T = TypeVar("_T")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function in a thread, and gives what it returns."""
_in_thread: ContextVar[InThread] = ContextVar("in_thread", default=asyncio.to_thread)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request with one JSON body, JSON lines, or neither."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    lines: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds to wait before it is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: Any
    cause: BaseException | None = field(default=None, compare=False)
    """The client library's exception, where it made one of the status."""


@dataclass(frozen=True, slots=True)
class Work:
    """A function that needs no engine but may take a while: loading a model, embedding."""

    function: Callable[[], Any]


Steps = Generator[Request | Work, Any, _T]


def run(steps: Steps[_T], send: Callable[[Request], Answer]) -> _T:
    """Carry the steps out in this thread.

    Args:
        steps: closed at the end, also where they are interrupted.
        send: sends one request; raises only where none answers.

    Returns:
        What the steps return.
    """
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Work):
                    outcome = step.function()
                else:
                    if step.pause:
                        time.sleep(step.pause)
                    outcome = send(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()


@contextmanager
def working_by(in_thread: InThread) -> Iterator[None]:
    """Inside of it, :func:`run_async` has :class:`Work` called so; by default in any thread.

    It holds for the task that enters it. Who serves many clients has threads for their searches.
    """
    before = _in_thread.set(in_thread)
    try:
        yield
    finally:
        _in_thread.reset(before)


async def run_async(steps: Steps[_T], send: Callable[[Request], Awaitable[Answer]]) -> _T:
    """Carry the steps out in an event loop, :class:`Work` in a thread; see :func:`run`."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Work):
                    outcome = await _in_thread.get()(step.function)
                else:
                    if step.pause:
                        await asyncio.sleep(step.pause)
                    outcome = await send(step)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()
