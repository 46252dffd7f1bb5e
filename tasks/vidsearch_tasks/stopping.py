"""How pool processes and threads learn that their worker was told to end, or their time is over."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from celery import bootsteps
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import celeryd_init, worker_ready, worker_shutting_down

from vidsearch.stop import Stop
from vidsearch_tasks.spawned import handed_over

__all__ = ["STOP", "WorkerStop"]


class WorkerStop(Stop):
    """Also raises what Celery raises once, at the soft time limit, and what clients of engines take
    for an error of a request: the work else goes on, until the hard limit kills the process."""

    _until: float | None = None

    def limit(self, seconds: float | None) -> None:
        """What this process does takes at most so long from now; ``None``: as long as it takes."""
        self._until = None if seconds is None else time.monotonic() + seconds

    @property
    def is_late(self) -> bool:
        """Whether it has taken longer."""
        return self._until is not None and time.monotonic() >= self._until

    def check(self) -> None:
        """As ``Stop.check``; raises ``SoftTimeLimitExceeded`` where it is late."""
        super().check()
        if self.is_late:
            raise SoftTimeLimitExceeded


def _of_this_worker() -> WorkerStop:
    file = handed_over().get("stop")
    with suppress(OSError):  # the worker has ended
        return WorkerStop(Path(file) if file else None)
    return WorkerStop()


STOP = _of_this_worker()
"""Set as soon as the worker is told to end. Made before the pool's processes are forked; those that
are started afresh see it in a file."""


class _Ending(bootsteps.StartStopStep):  # type: ignore[misc]
    """Covers ``celery control shutdown``, of which no signal tells."""

    requires = ("celery.worker.components:Pool",)

    def close(self, worker: Any) -> None:
        STOP.set()


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _add_step(instance: Any = None, **_: Any) -> None:
    instance.app.steps["worker"].add(_Ending)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    STOP.set()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _hear_first(**_: Any) -> None:
    """Celery tells of a cold shutdown only when it has waited for its tasks and ended them."""
    for number in (signal.SIGTERM, signal.SIGQUIT):
        handler = signal.getsignal(number)
        if not callable(handler):
            continue

        def stop(signum: int, frame: FrameType | None, handle: Any = handler) -> None:
            STOP.set()
            handle(signum, frame)

        with suppress(ValueError):  # a worker in a thread, as in tests, hears no signals
            signal.signal(number, stop)
