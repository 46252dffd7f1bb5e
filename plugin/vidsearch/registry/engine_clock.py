"""The time of the engine, by which workers whose own clocks differ agree on leases."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from vidsearch.engines import Engine
from vidsearch.errors import BackendError

__all__ = ["EngineClock"]

_log = logging.getLogger(__name__)
_TRUSTED_SECONDS = 300.0
"""For which the engine is not asked again: no clock drifts much in that time."""
_RETRY_SECONDS = 30.0
_SLOW_SECONDS = 2.0
"""An answer that took longer may be of any moment of that time."""
_SLEPT_SECONDS = 2.0
"""By how much this machine's time may get ahead of its monotonic clock, which stands still while
the machine sleeps."""
_NOW = {
    "size": 0,
    "aggs": {"now": {"date_range": {"field": "registered_at", "ranges": [{"from": "now"}]}}},
}


class EngineClock:
    """Seconds since the epoch as the engine counts them. Thread-safe.

    The engine is asked every five minutes, and when this machine has slept. In between, this
    machine's monotonic clock counts. While the engine has never answered, it is this machine's
    time, and the log says so.

    Args:
        engine: the cluster.
        index: of a registry; who may work with it may ask it for the time.
        local: seconds since the epoch by this machine.
        ticks: seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        index: str,
        local: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._index = index
        self._local = local
        self._ticks = ticks
        self._offset: float | None = None
        """From ``ticks`` to the engine's time."""
        self._ask_at = ticks()
        self._ahead = local() - ticks()
        """Of this machine's time before its monotonic clock, when the engine answered last."""
        self._asking = threading.Lock()

    def __call__(self) -> float:
        """Now."""
        # The time since a machine slept is not known at all.
        must_ask = self._offset is None or self._has_slept()
        if (must_ask or self._ticks() >= self._ask_at) and self._asking.acquire(blocking=must_ask):
            try:
                if self._has_slept() or self._ticks() >= self._ask_at:
                    self._ask()
            finally:
                self._asking.release()
        offset = self._offset
        return self._local() if offset is None else self._ticks() + offset

    def _has_slept(self) -> bool:
        return self._local() - self._ticks() - self._ahead > _SLEPT_SECONDS

    def _ask(self) -> None:
        before, ahead_before = self._ticks(), self._local() - self._ticks()
        try:
            answer = self._engine.search(self._index, _NOW)
            now = answer["aggregations"]["now"]["buckets"][0]["from"] / 1000
        except (BackendError, KeyError, IndexError) as error:
            self._ask_at = self._ticks() + _RETRY_SECONDS
            if self._offset is None:
                _log.warning("leases go by the clock of this machine for now: %s", error)
            return
        after = self._ticks()
        if after - before > _SLOW_SECONDS and self._offset is not None and not self._has_slept():
            self._ask_at = after + _RETRY_SECONDS  # what is known is better
            return
        self._offset, self._ahead = now - (before + after) / 2, ahead_before
        self._ask_at = after + _TRUSTED_SECONDS
        if abs(ahead := self._local() - now) > 1 + after - before:
            _log.info("the clock of this machine is %+.1f s off the engine's", ahead)
