"""Calls that are made some time later unless they are cancelled before; one thread for all.

Most work ends before anybody has to look after it. A thread of its own, started for every piece of
work and ended with it, costs more than the looking.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable
from itertools import count

from vidsearch.error_texts import logger

__all__ = ["Later", "call_later"]

_log = logger(__name__)


class Later:
    """A call that is to come."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function: Callable[[], object] | None = function

    def cancel(self) -> None:
        """Leave the call out. Where it has begun, it goes on."""
        self._function = None  # the queue keeps nothing else of it

    @property
    def is_cancelled(self) -> bool:
        """Whether there is nothing to call any more."""
        return self._function is None

    def run(self) -> None:
        """Make the call, unless it was cancelled."""
        function, self._function = self._function, None
        if function is not None:
            function()


class _Queue:
    """What is to be called, the next first, and the thread that waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Later]] = []
        self._number = count()
        self._thread: threading.Thread | None = None

    def add(self, seconds: float, later: Later) -> None:
        with self._changed:
            entry = (time.monotonic() + seconds, next(self._number), later)
            heapq.heappush(self._waiting, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="later", daemon=True)
                self._thread.start()
            elif self._waiting[0] is entry:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            later = self._next()
            try:
                later.run()
            except Exception:  # such as no thread to be had; the others are to come all the same
                _log.exception("a call that was due has failed")

    def _next(self) -> Later:
        """Wait for the first that is due, and take it out."""
        with self._changed:
            while True:
                while self._waiting and self._waiting[0][2].is_cancelled:
                    heapq.heappop(self._waiting)
                left = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(left)


_queue = _Queue()


def call_later(seconds: float, function: Callable[[], object]) -> Later:
    """Call a function after so many seconds, in a thread that all such calls share.

    The function must be quick: it starts what takes time in a thread of its own. What it raises is
    logged.
    """
    later = Later(function)
    _queue.add(seconds, later)
    return later


def _forget() -> None:
    """In the child of a fork, to which the thread and what it waited for do not belong."""
    global _queue
    _queue = _Queue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
