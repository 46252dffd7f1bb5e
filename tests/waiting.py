"""Waiting for what another thread, process or node does: as long as a busy machine needs for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

__all__ = ["Watched", "is_gone", "processes_of", "until", "until_none_of"]

_SECONDS = 120.0
"""Ends a test that would never end; nothing is measured by it."""


class Watched(Protocol):
    """A process that a condition depends on."""

    def alive(self) -> bool: ...

    def text(self) -> str: ...


def until(
    condition: Callable[[], object],
    *,
    what: str,
    worker: Watched | None = None,
    seconds: float = _SECONDS,
) -> None:
    """Wait until a condition gives something true; a timeout shows the end of the worker's log.

    The condition is asked before the thing is there, too: it has to give something false then, and
    not to raise.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        ended = worker is not None and not worker.alive()
        if ended or time.monotonic() > deadline:
            log = worker.text()[-3000:] if worker else ""
            why = "the worker ended" if ended else f"{seconds:g} s passed"
            raise AssertionError(f"{why}, but not: {what}\n{log}")
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked how."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def processes_of(folder: Path) -> list[int]:
    """Pids of all processes whose command line names the folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or [])
    ]


def until_none_of(folder: Path) -> None:
    """Wait until no process names the folder: the kernel takes a moment for those of a group."""
    until(lambda: not processes_of(folder), what=f"no process is left of {folder}")
