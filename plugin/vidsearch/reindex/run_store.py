"""Where the records of runs are kept: beside the videos index, one open run per alias at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from vidsearch.compare_and_set import until_unchanged
from vidsearch.engines import Document
from vidsearch.errors import ReindexError, ReindexTakenOverError
from vidsearch.registry.notes import Notes
from vidsearch.reindex.run import ReindexRun

__all__ = ["RunStore"]

_KIND = "reindex"


class RunStore:
    """The runs of one videos index. Thread-safe.

    A run is a note of the index of operations, and its id counts up. A run may begin where the last
    one has ended, and two that begin at once would have the same id, so that one of them fails.
    Every change is a compare-and-set.

    Methods raise what :class:`~vidsearch.engines.Engine` raises.

    Args:
        notes: where they are kept (``Services.notes``).
        clock: seconds since the epoch; best the one of the engine, as leases go by it.
    """

    def __init__(self, notes: Notes, *, clock: Callable[[], float] = time.time) -> None:
        self._notes = notes
        self._time = clock

    def now(self) -> float:
        """The time that leases go by, in seconds since the epoch, as records keep it."""
        return round(self._time(), 3)

    def begin(self, make: Callable[[str, float], ReindexRun]) -> ReindexRun:
        """Record a new run.

        ``make`` gets its id and the time; it is called again where another run came first and has
        ended.

        Raises:
            ReindexError: a run is open.
        """

        def begin() -> ReindexRun:
            last = self.last()
            if last is not None and last.is_open:
                raise ReindexError(
                    f"{last.called} is open ({last.step}, since it began to make {last.target!r} "
                    f"from {last.source!r}), and there is one at a time: {_next(last)}"
                )
            run = make(str(int(last.id) + 1 if last else 1), self.now())
            self._notes.put(_note(run.id), _KIND, run.to_source(), over=None)
            return run

        return until_unchanged(begin, of="the list of reindex runs")

    def all(self) -> list[ReindexRun]:
        """Every run, the newest first."""
        runs = [ReindexRun.from_source(value) for value in self._notes.of_kind(_KIND).values()]
        return sorted(runs, key=lambda run: int(run.id), reverse=True)

    def last(self) -> ReindexRun | None:
        """The newest run, ``None`` where there never was one."""
        runs = self.all()
        # What others have written since the search is read in real time.
        return self.get(runs[0].id) if runs else None

    def open(self) -> ReindexRun | None:
        """The run that has not ended, ``None`` where there is none."""
        last = self.last()
        return last if last is not None and last.is_open else None

    def get(self, id: str) -> ReindexRun:
        """One run, in real time.

        Raises:
            ReindexError: there is no such run.
        """
        return _run(self._stored(id))

    def update(self, id: str, change: Callable[[ReindexRun], ReindexRun]) -> ReindexRun:
        """Change a record; ``change`` gets it as it is, and is called again where others wrote it.

        Raises:
            ReindexError: there is no such run.
        """

        def update() -> ReindexRun:
            stored = self._stored(id)
            before = _run(stored)
            after = change(before)
            if after != before:
                after = after.changed(updated_at=self.now())
                self._notes.put(_note(id), _KIND, after.to_source(), over=stored)
            return after

        return until_unchanged(update, of=f"reindex run {id}")

    def take(self, id: str, *, owner: str, seconds: float) -> ReindexRun:
        """Take the lease, so that nobody else drives the run; again: renew it.

        Raises:
            ReindexError: another process has it.
        """

        def take(run: ReindexRun) -> ReindexRun:
            now = self.now()
            if run.owner not in {None, owner} and (run.lease_until or 0) > now:
                raise ReindexError(
                    f"{run.called} is driven by {run.owner}, whose lease runs for another "
                    f"{(run.lease_until or 0) - now:.0f} s: wait for it, or end that process and "
                    "wait until its lease has run out"
                )
            return run.changed(owner=owner, lease_until=now + seconds)

        return self.update(id, take)

    def change(self, id: str, *, held_by: str, **values: Any) -> ReindexRun:
        """Change a record as the one who holds its lease.

        Raises:
            ReindexTakenOverError: another process has taken it over.
        """

        def change(run: ReindexRun) -> ReindexRun:
            if run.owner != held_by:
                raise ReindexTakenOverError(
                    f"{run.called} was taken over by {run.owner or 'nobody'}, as its lease had run "
                    "out: leave it to that process"
                )
            return run.changed(**values)

        return self.update(id, change)

    def note_wait(self, id: str, seconds: float) -> None:
        """Record that the process which drove a run, and has given back its lease, tries again in
        so many seconds; nothing where another one drives it by now, or it is over."""

        def note(run: ReindexRun) -> ReindexRun:
            waits = run.is_open and run.owner is None
            return run.changed(tries_again_at=self.now() + seconds) if waits else run

        self.update(id, note)

    def _stored(self, id: str) -> Document:
        stored = self._notes.get(_note(id)) if id.isdecimal() else None
        if stored is None:
            raise ReindexError(f"there is no reindex run {id!r}: see `vidsearch reindex list`")
        return stored


def _note(id: str) -> str:
    return f"{_KIND}:{id}"


def _run(stored: Document) -> ReindexRun:
    return ReindexRun.from_source(stored.source["value"])


def _next(run: ReindexRun) -> str:
    """How to end an open run."""
    if run.swapped_at is not None:
        return (
            f"`vidsearch reindex clean` ends it and deletes {run.source!r}, `vidsearch reindex "
            "rollback` goes back to it"
        )
    return "`vidsearch reindex resume` finishes it, `vidsearch reindex rollback` undoes it"
