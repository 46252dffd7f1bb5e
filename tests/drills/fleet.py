"""Workers that are started again when they end, as by systemd, Docker or Kubernetes.

Nothing is ever signalled but processes below those that this process has started.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from tests.integration.worker import Worker, until
from tests.waiting import is_gone

__all__ = ["Fleet"]

APP = "tests.drills.drill_app"


class Fleet:
    """Some workers of two pool processes each.

    Args:
        folder: for their logs and temporary files.
        env: settings of each.
        count: number of workers.
        chance: chooses victims.
    """

    POOL = 2

    def __init__(
        self, folder: Path, env: Mapping[str, str], *, count: int, chance: random.Random
    ) -> None:
        self._folder, self._env, self._chance = folder, env, chance
        self._started = 0
        self._seen: set[psutil.Process] = set()
        self._workers = [self._start() for _ in range(count)]

    @property
    def processes(self) -> int:
        """Number of pool processes when all workers run."""
        return self.POOL * len(self._workers)

    @property
    def names(self) -> list[str]:
        """Of the workers, as they are now."""
        return [worker.log.parent.name for worker in self._workers]

    def tend(self) -> None:
        """Start those anew that have ended."""
        for place, worker in enumerate(self._workers):
            if not worker.alive():
                self._workers[place] = self._start()

    def ready(self) -> bool:
        """Whether all are up; starts those anew that have ended."""
        self.tend()
        return all(worker.is_ready() for worker in self._workers)

    def until_ready(self) -> None:
        """Wait for that."""
        until(self.ready, what="all workers are ready")

    def strike(self, kind: str) -> bool:
        """SIGKILL to one process: of the ``pool``, a ``parent`` of one or a ``decoder``.

        Returns:
            Whether there was one.
        """
        ready = [worker for worker in self._workers if worker.alive() and worker.is_ready()]
        victims = [process for worker in ready for process in self._of(worker)[kind]]
        if not victims:
            return False
        with suppress(psutil.NoSuchProcess):
            self._chance.choice(victims).kill()
            return True
        return False

    def kill_all(self) -> None:
        """SIGKILL to every process of every worker."""
        for worker in self._workers:
            self._of(worker)
            worker.kill()

    def terminate_all(self, *, grace: float) -> int:
        """SIGTERM to every process, and twice more to the parents; SIGKILL to what is left.

        Args:
            grace: seconds until then.

        Returns:
            The number of workers that had to be killed.
        """
        everything = [self._of(worker) for worker in self._workers]
        _send([one for found in everything for some in found.values() for one in some])
        for _ in range(2):
            time.sleep(0.3)
            _send([one for found in everything for one in found["parent"]])
        deadline = time.monotonic() + grace
        while any(worker.alive() for worker in self._workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [worker for worker in self._workers if worker.alive()]
        for worker in left:
            worker.kill()
        return len(left)

    def stop(self) -> int:
        """End all.

        Returns:
            The number of processes that outlived their worker.
        """
        for worker in self._workers:
            self._of(worker)
            worker.stop()
        deadline = time.monotonic() + 15
        while (left := _living(self._seen)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in left:
            process.kill()
        return len(left)

    def logs(self) -> str:
        """What the last of them wrote."""
        return "\n".join(worker.text()[-1500:] for worker in self._workers)

    def _start(self) -> Worker:
        self._started += 1
        folder = self._folder / f"worker-{self._started}"
        options = ("--concurrency", str(self.POOL))
        return Worker(folder, self._env, app=APP, options=options)

    def _of(self, worker: Worker) -> dict[str, list[psutil.Process]]:
        found = worker.processes()
        self._seen.update(process for some in found.values() for process in some)
        return found


def _send(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)


def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended. (``psutil.wait_procs`` raises where one ends while it looks, on
    kernels that then know no file of it.)"""
    return [one for one in processes if one.is_running() and not is_gone(one.pid)]
