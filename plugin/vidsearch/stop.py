"""Telling work that is under way to stop, across the processes that do it."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

from vidsearch.errors import WorkerStoppingError

__all__ = ["Stop"]

_LOOK_SECONDS = 0.2


class Stop:
    """As ``threading.Event``, but a process that was forked since sees it as well.

    It may be set in a signal handler, and is never cleared: what is told to stop ends.

    Args:
        file: of one byte, in which processes that were not forked see it, too.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._flag = mmap.mmap(-1, 1) if file is None else _mapped(file)

    def share(self, file: Path) -> None:
        """See it in a file from now on, which this writes; threads may be at work meanwhile."""
        file.write_bytes(self._flag[:1])
        self._flag = _mapped(file)

    def set(self) -> None:
        """Tell all to stop."""
        self._flag[0] = 1

    def is_set(self) -> bool:
        """Whether they are to stop."""
        return bool(self._flag[0])

    def check(self) -> None:
        """Go on, or end the work.

        Raises:
            WorkerStoppingError: it is set.
        """
        if self.is_set():
            raise WorkerStoppingError("the worker was told to stop while it worked on this")

    def pause(self, seconds: float) -> None:
        """Wait; raises as :meth:`check`, also meanwhile."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            self.check()


def _mapped(file: Path) -> mmap.mmap:
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), 1)
