"""Long work is gone on with when the engine, which was away or overloaded, answers again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from vidsearch import backoff
from vidsearch.errors import BackendError, BackendUnavailableError

__all__ = ["Outages", "log_outage"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


def log_outage(error: BackendUnavailableError, seconds: float) -> None:
    """Note that work is tried again in so many seconds."""
    _log.warning("trying again in %.0f s: %s", seconds, error)


class Outages:
    """Does work again, after longer and longer pauses, while the engine is away or overloaded.

    Args:
        seconds: for how long that may be so, without any progress; 0: not at all. Pauses count,
            and of each try half a minute at most: where one fails later, the engine was there.
        told: the error, and in how many seconds the work is done again.
        sleep: waits so many seconds.
        clock: seconds, from any start.
    """

    def __init__(
        self,
        seconds: float,
        *,
        told: Callable[[BackendUnavailableError, float], object] = log_outage,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._told = told
        self._sleep = sleep
        self._clock = clock
        self._most = self._tries = 0
        self._away = 0.0

    def outlast(
        self, work: Callable[[], _T], *, noted: Callable[[float], object] = lambda seconds: None
    ) -> _T:
        """What the work returns, which has to be safe to repeat.

        ``noted`` is told in how many seconds it is done again; it may fail as well.

        Raises:
            BackendUnavailableError: the engine is away, or turns requests away, for too long.
        """
        self._over()
        self._most = 0
        failed_at = tried_at = self._clock()
        while True:
            try:
                return work()
            except BackendUnavailableError as error:
                now = self._clock()
                if self._tries:
                    self._away += min(now - tried_at, _LONGEST_PAUSE)
                else:
                    failed_at = now
                self._tries += 1
                pause = backoff.delay(self._tries, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
                if self._away + pause > self._seconds:
                    if self._tries == 1:
                        raise
                    raise BackendUnavailableError(
                        f"{self._tries} tries in {now - failed_at:.0f} s failed, the last "
                        f"one so: {error}"
                    ) from error
                self._told(error, pause)
                with suppress(BackendError):
                    noted(pause)
            self._sleep(pause)
            self._away += pause
            tried_at = self._clock()

    def steps(self, told: Callable[[_T], object]) -> Callable[[_T], None]:
        """``told`` each step, which is one of progress."""

        def begun(step: _T) -> None:
            self._over()
            told(step)

        return begun

    def numbers(self, told: Callable[[int, int], object]) -> Callable[[int, int], None]:
        """``told`` how much of how much is done. It is progress where it is more than ever before:
        what is done again counts anew."""

        def counted(done: int, total: int) -> None:
            if done > self._most:
                self._most = done
                self._over()
            told(done, total)

        return counted

    def _over(self) -> None:
        self._tries = 0
        self._away = 0.0
