"""The worker of the local stack, with beat in the same process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from vidsearch.errors import LocalError
from vidsearch.local.process import Process, spawn, tail

__all__ = ["start_worker", "wait_for_worker"]

_DEADLINE = 90.0


def start_worker(log: Path, environment: Mapping[str, str], *, bound: bool) -> Process:
    """Start the worker; :func:`wait_for_worker` tells when it is ready.

    Args:
        log: in a folder of the worker's own.
        environment: added to that of this process, so that its settings hold for the worker too.
    """
    command = [
        sys.executable,
        *("-m", "celery", "-A", "vidsearch_tasks", "worker"),
        *("--loglevel", "INFO"),
        *("--concurrency", "1"),
        # There is one worker only, so there are none to synchronise with.
        *("--without-mingle", "--without-gossip"),
        # beat runs the sweep, which finds lost videos.
        *("--beat", "--schedule", str(log.with_name("beat"))),
    ]
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return spawn(command, log=log, env=env, bound=bound)


def wait_for_worker(process: Process, log: Path, *, broker: str) -> None:
    """Wait until the worker answers over its broker.

    Raises:
        LocalError: it ended or did not answer in time; with the end of its log.
    """
    from celery import Celery

    until = time.monotonic() + _DEADLINE
    with Celery(broker=broker, set_as_current=False) as client:
        while process.alive() and time.monotonic() < until:
            if client.control.ping(timeout=1.0, limit=1):
                return
    raise LocalError(f"the worker did not start. The end of its log ({log}):\n{tail(log)}")
