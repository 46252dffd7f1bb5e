"""A search as steps that somebody else carries out, in this thread or in an event loop.

What a search does is written once, as a generator: it yields what it needs of the outside (an
answer of the engine, work that takes a while) and is given the outcome, or has the error raised
inside it. :func:`run` carries the steps out one after the other, :func:`run_async` awaits them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from vidsearch.engines.base import AsyncEngine, Engine

__all__ = ["Ask", "Steps", "Work", "run", "run_async"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of the engine: the method of that name with these arguments."""

    method: Literal["info", "features", "indices_of", "mapping", "search", "msearch"]
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Something that needs no engine but may take a while: loading a model, embedding."""

    function: Callable[[], Any]


Steps = Generator[Ask | Work, Any, _T]


def run(steps: Steps[_T], engine: Engine) -> _T:
    """Carry the steps out in this thread; gives what they return."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Ask):
                    outcome = getattr(engine, step.method)(*step.args)
                else:
                    outcome = step.function()
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()  # interrupted, or cancelled


async def run_async(steps: Steps[_T], engine: AsyncEngine) -> _T:
    """Await the engine's answers, and do the work in a thread; gives what the steps return."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Ask):
                    outcome = await getattr(engine, step.method)(*step.args)
                else:
                    outcome = await asyncio.to_thread(step.function)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    finally:
        steps.close()  # interrupted, or cancelled
