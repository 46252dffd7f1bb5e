"""The lease of the process that drives a run, kept alive while it works."""

from __future__ import annotations

import getpass
import logging
import os
import threading
import time
from socket import gethostname
from types import TracebackType
from typing import Any

from vidsearch.engines.guarded import Confirmation
from vidsearch.errors import ReindexError, ReindexTakenOverError, VidsearchError
from vidsearch.interrupts import Uninterrupted
from vidsearch.reindex.run import ReindexRun
from vidsearch.reindex.run_store import RunStore

__all__ = ["RunLease", "user_and_host"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5


class RunLease:
    """The right to drive a run; a context manager that renews it from a thread of its own.

    Where a process that was killed has the lease, entering waits until it has run out. Where the
    process that has it is alive, and renews it meanwhile, entering fails.

    Args:
        runs: where the record is kept.
        id: of the run.
        owner: this process.
        seconds: for which the lease is taken each time.
        waits: whether entering waits; else it fails where any other process has the lease.

    Raises:
        ReindexError: there is no such run, or another process drives it.
    """

    def __init__(
        self, runs: RunStore, id: str, *, owner: str, seconds: float, waits: bool = True
    ) -> None:
        self._runs = runs
        self._id = id
        self._owner = owner
        self._seconds = seconds
        self._waits = waits
        self._lost: ReindexTakenOverError | None = None
        # Nobody else can have it for twice as long, so that a clock may be wrong by that.
        self._confirmation = Confirmation(self._extend, seconds=seconds / 2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"reindex-{id}", daemon=True)

    def __enter__(self) -> RunLease:
        self._take()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second Ctrl-C would leave it until it runs out, and whoever resumes waits for that.
        with Uninterrupted("giving back the lease"):
            self._stop.set()
            self._thread.join()
            if self._lost is None:
                try:
                    self.change(owner=None, lease_until=None)
                except VidsearchError as problem:  # it runs out by itself
                    _log.warning("lease of reindex run %s not given back: %s", self._id, problem)

    @property
    def run(self) -> ReindexRun:
        """The record as it is now.

        Raises:
            ReindexTakenOverError: another process has the lease.
        """
        self.check()
        return self._runs.get(self._id)

    def check(self) -> None:
        """Raise where the lease is known to be lost.

        Raises:
            ReindexTakenOverError: another process has it.
        """
        if self._lost is not None:
            raise self._lost

    def held(self) -> None:
        """Raise where the lease may be lost: to be called before each write that may not meet those
        of another process.

        A process that was stopped for longer than its lease does not know, so the record is asked
        where that may be so.

        Raises:
            ReindexTakenOverError: another process has it.
        """
        self.check()
        self._confirmation()

    def change(self, **values: Any) -> ReindexRun:
        """Change the record.

        Raises:
            ReindexTakenOverError: another process has the lease.
        """
        self.check()
        return self._runs.change(self._id, held_by=self._owner, **values)

    def _extend(self) -> None:
        self.check()
        try:
            self._runs.change(
                self._id, held_by=self._owner, lease_until=self._runs.now() + self._seconds
            )
        except ReindexTakenOverError as error:
            self._lost = error
            raise

    def _take(self) -> None:
        seen = self._runs.get(self._id)
        while True:
            try:
                self._runs.take(self._id, owner=self._owner, seconds=self._seconds)
                return
            except ReindexError:
                now = self._runs.get(self._id)
                same = (now.owner, now.lease_until) == (seen.owner, seen.lease_until)
                if not (same and self._waits):
                    raise  # it is renewed: that process is alive
                time.sleep(_LOOK_SECONDS)

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                self._confirmation.ask()
            except ReindexTakenOverError:
                return
            except VidsearchError as error:
                # Nobody else can take the lease either while the engine is away.
                _log.warning("lease of reindex run %s not renewed: %s", self._id, error)


def user_and_host() -> str:
    """Who this process belongs to, and where it runs."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{gethostname()}"
