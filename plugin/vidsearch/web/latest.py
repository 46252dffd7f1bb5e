"""What takes long to find out, and is good enough for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from vidsearch.web.places import in_time, looked_at

__all__ = ["Latest"]

_T = TypeVar("_T")
_AGE = 5.0
"""Seconds for which an answer is good enough."""


class Latest(Generic[_T]):
    """Asks at most every few seconds, and once for all who want to know meanwhile.

    That something does not answer is kept, too: it may take long to find out.

    Args:
        ask: finds it out.
        seconds: for which anybody waits; the question goes on.
        what: is asked for, for the message.
    """

    def __init__(self, ask: Callable[[], Awaitable[_T]], *, seconds: float, what: str) -> None:
        self._ask = ask
        self._seconds = seconds
        self._what = what
        self._asking: asyncio.Task[_T] | None = None
        self._until = 0.0

    async def get(self) -> _T:
        """What was found out last, or is now.

        Raises:
            Problem: it takes too long.
            VidsearchError: what the question ended with.
        """
        task = self._asking
        if task is None or task.cancelled() or (task.done() and time.monotonic() >= self._until):
            task = self._asking = asyncio.create_task(self._asked())
            task.add_done_callback(looked_at)
        await in_time(task, seconds=self._seconds, what=self._what)
        error = task.exception()
        if error is not None:  # each time the same one, which would keep all who were told
            raise error.with_traceback(None)
        return task.result()

    def forget(self) -> None:
        """Ask anew, as it has changed."""
        self._asking = None

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _asked(self) -> _T:
        try:
            return await self._ask()
        finally:
            if asyncio.current_task() is self._asking:  # no older question, which ends late
                self._until = time.monotonic() + _AGE
