"""An engine that changes something only while its user may.

A process that is stopped for a while, or a machine that sleeps, does not notice. What it was about
to write is of then, and another process may have taken over its work since.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from vidsearch.engines.base import Engine
from vidsearch.engines.steps import Answer, Request, Steps, run

__all__ = ["Confirmation", "guarded"]

_T = TypeVar("_T")
_CHANGING = frozenset(
    {
        *("create_index", "delete_index", "put_mapping", "put_settings", "update_aliases"),
        *("put", "update", "delete", "bulk", "block_writes"),
    }
)


class Confirmation:
    """Asks whether something is so, unless it was told a moment ago. Thread-safe.

    A moment is over by whichever clock went further: a machine that slept has counted that by its
    own time alone, and a clock that was put back has not counted at all.

    Args:
        confirm: asks, and raises where it is not so.
        seconds: for which an answer counts, from before it was asked for.
        clocks: in seconds.
    """

    def __init__(
        self,
        confirm: Callable[[], object],
        *,
        seconds: float,
        clocks: Sequence[Callable[[], float]] = (time.monotonic, time.time),
    ) -> None:
        self._confirm = confirm
        self._seconds = seconds
        self._clocks = tuple(clocks)
        self._asked: tuple[float, ...] | None = None
        self._asking = threading.Lock()

    def __call__(self) -> None:
        """Ask where the last answer does not count any more.

        Raises:
            Exception: what ``confirm`` raises.
        """
        if not self._counts():
            with self._asking:
                if not self._counts():
                    self.ask()

    def ask(self) -> None:
        """Ask in any case."""
        asked = self._now()
        self._confirm()
        self._asked = asked

    def _counts(self) -> bool:
        asked = self._asked
        return asked is not None and all(
            now - then < self._seconds for now, then in zip(self._now(), asked, strict=True)
        )

    def _now(self) -> tuple[float, ...]:
        return tuple(clock() for clock in self._clocks)


def guarded(engine: Engine, check: Callable[[], object]) -> Engine:
    """The same cluster; ``check`` is called before each request of a call that changes something,
    and what it raises keeps that from being sent."""
    return cast(Engine, _Guarded(engine, check))


class _Guarded:
    def __init__(self, engine: Engine, check: Callable[[], object]) -> None:
        self._engine = engine
        self._check = check

    def run(self, steps: Steps[_T]) -> _T:
        """See :meth:`Engine.run`: what was checked may be over when the next request is sent."""
        self._check()
        return run(steps, self._send)

    def _send(self, request: Request) -> Answer:
        self._check()
        return self._engine.run(_alone(replace(request, pause=0.0)))  # it has been waited for

    def __getattr__(self, name: str) -> Any:
        if name not in _CHANGING:
            return getattr(self._engine, name)

        def checked(*args: Any, **options: Any) -> Any:
            return self.run(getattr(self._engine.calls, name)(*args, **options))

        return checked


def _alone(request: Request) -> Steps[Answer]:
    answer: Answer = yield request
    return answer
