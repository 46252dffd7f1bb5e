"""A real worker process for benchmarks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vidsearch.local.process import Process, spawn

__all__ = ["start_worker"]

_ROOT = Path(__file__).resolve().parent.parent


def start_worker(
    log: Path,
    environment: Mapping[str, str],
    *,
    queue: str,
    app: str = "vidsearch_tasks",
    core: int | None = None,
) -> Process:
    """Start a prefork worker with one child, and wait until it takes messages.

    It ends with this process at the latest.

    Args:
        log: a file, whose name is that of the worker, too.
        environment: settings.
        queue: that it takes from.
        app: what ``-A`` names.
        core: number of the core that it and its children stay on, of those that this process may
            use, so that a second worker brings a core of its own; ``None`` for any.
    """
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--queues", queue]
    command += ["--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO"]
    command += ["--hostname", f"{queue}-{log.stem}@%h"]
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, **environment}
    with _on_core(core):
        process = spawn(command, log=log, env=env, bound=True)
    while " ready." not in log.read_text():
        if not process.alive():
            raise SystemExit(f"the worker ended before it was ready:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)
    return process


@contextmanager
def _on_core(number: int | None) -> Iterator[None]:
    """What is started meanwhile stays on one core."""
    before = os.sched_getaffinity(0)
    if number is not None:
        os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
