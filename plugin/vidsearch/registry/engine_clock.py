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
_NOW = {
    "size": 0,
    "aggs": {"now": {"date_range": {"field": "registered_at", "ranges": [{"from": "now"}]}}},
}


class EngineClock:
    """Seconds since the epoch as the engine counts them. Thread-safe.

    The engine is asked every five minutes. In between, this machine's monotonic clock counts. While
    the engine has never answered, it is this machine's time, and the log says so.

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
        self._asking = threading.Lock()

    def __call__(self) -> float:
        """Now."""
        if self._ticks() >= self._ask_at and self._asking.acquire(blocking=self._offset is None):
            try:
                if self._ticks() >= self._ask_at:
                    self._ask()
            finally:
                self._asking.release()
        offset = self._offset
        return self._local() if offset is None else self._ticks() + offset

    def _ask(self) -> None:
        before = self._ticks()
        try:
            answer = self._engine.search(self._index, _NOW)
            now = answer["aggregations"]["now"]["buckets"][0]["from"] / 1000
        except (BackendError, KeyError, IndexError) as error:
            self._ask_at = self._ticks() + _RETRY_SECONDS
            if self._offset is None:
                _log.warning("leases go by the clock of this machine for now: %s", error)
            return
        after = self._ticks()
        self._offset = now - (before + after) / 2
        self._ask_at = after + _TRUSTED_SECONDS
        if abs(ahead := self._local() - now) > 1 + after - before:
            _log.info("the clock of this machine is %+.1f s off the engine's", ahead)
