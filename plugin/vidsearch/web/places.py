"""How many calls are at work at once, in which threads, and for how long they are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from vidsearch.web.problems import RETRY_SECONDS, Problem

__all__ = ["Places", "Threads", "TookTooLongError", "in_time", "looked_at"]

_T = TypeVar("_T")


class TookTooLongError(Problem):
    """A call was waited for as long as it may be; it may go on."""


async def in_time(task: asyncio.Task[Any], *, seconds: float, what: str) -> None:
    """Wait for a task, which goes on where it takes longer.

    Args:
        task: not cancelled here.
        seconds: for which it is waited for.
        what: takes too long, for the message.

    Raises:
        TookTooLongError: it took too long.
    """
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        raise TookTooLongError.of_status(
            503, f"{what} took longer than {seconds:g} seconds", retry_after=RETRY_SECONDS
        )


def looked_at(task: asyncio.Task[Any]) -> None:
    """So that an error is not reported as one that nobody has looked at, as all have gone."""
    if not task.cancelled():
        task.exception()


class Threads:
    """Threads for what an event loop should not wait for.

    Args:
        number: of them; ``None``: as many as Python has in other pools.
        name: of the threads.
    """

    def __init__(self, number: int | None, *, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)

    async def call(self, function: Callable[[], _T]) -> _T:
        """What a function returns that is called in one of the threads.

        A thread cannot be stopped. Where the caller is cancelled, a call that waits for a thread is
        dropped, and one that has begun is waited for, unless the caller is cancelled once more.
        """
        job = self._pool.submit(copy_context().run, function)
        outcome: asyncio.Future[_T] = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            try:
                if not job.cancel():
                    await asyncio.wait({outcome})
            finally:
                outcome.cancel()  # so that a thread which goes on tells it no loop
            raise

    def close(self) -> None:
        """Begin no further call; those that have begun go on."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Places:
    """Places for calls, each of which is given up after a time.

    A call that is given up keeps its place until it has ended, which takes as long as its thread
    goes on: there are never more at work than there are places.

    Args:
        number: of the places. Further calls wait for one.
        seconds: for which a call is waited for, its wait for a place included.
        what: what takes too long, for the message.
    """

    def __init__(self, number: int, *, seconds: float, what: str) -> None:
        self._places = asyncio.Semaphore(number)
        self._seconds = seconds
        self._what = what
        self._tasks: set[asyncio.Task[Any]] = set()

    async def call(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """What the work gives.

        Raises:
            TookTooLongError: it took too long.
        """
        task = asyncio.create_task(self._in_turn(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(looked_at)
        try:
            await in_time(task, seconds=self._seconds, what=self._what)
        finally:
            task.cancel()  # which does nothing to one that is done
        return await task

    @property
    def taken(self) -> int:
        """Number of calls that are at work or wait, those included that were given up."""
        return len(self._tasks)

    def close(self) -> None:
        """Wait for no call any more, whether its thread has ended or not."""
        for task in self._tasks:
            task.cancel()

    async def _in_turn(self, work: Callable[[], Awaitable[_T]]) -> _T:
        async with self._places:
            return await work()
