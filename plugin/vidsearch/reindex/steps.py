"""What each step of a run does. All of it is safe to repeat, from wherever it broke off."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from vidsearch.config import IndexSettings
from vidsearch.defaults import NOTICE_SECONDS
from vidsearch.engines import Engine, Json
from vidsearch.engines.guarded import guarded
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    ReindexCheckError,
    VidsearchError,
)
from vidsearch.registry import ErrorRecord
from vidsearch.reindex import indices
from vidsearch.reindex import target as targets
from vidsearch.reindex.lease import RunLease
from vidsearch.reindex.run import ReindexRun, Step

__all__ = ["Documents", "Held", "Report", "RunSteps"]

Held = Callable[[], object]
"""Raises where a run is not this process's any more; called before each write."""

_S = TypeVar("_S", bound="RunSteps")
_NOTE_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class Report(Protocol):
    """What the check before the swap found."""

    @property
    def passed(self) -> bool:
        """Whether the target may be swapped in."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""

    def to_json(self) -> Json:
        """All that was found."""


class Documents(Protocol):
    """What is done with the documents of a run; all of it is safe to repeat.

    Methods raise ReindexTakenOverError where ``held`` does.
    """

    def total(self, run: ReindexRun) -> int:
        """Number of videos to bring into the target."""

    def fill(self, run: ReindexRun, *, held: Held, told: Callable[[int], None]) -> bool:
        """Bring them there; ``False`` where workers are still at it, and it is to be called again.

        ``told`` gets the number of videos that are there; what it raises ends the work.
        """

    def catch_up(self, run: ReindexRun, *, held: Held, back: bool = False) -> bool:
        """Bring into the target what changed in the source since the start of the run; ``back``:
        from the target into the source. ``False`` as for :meth:`fill`."""

    def tried_again(self, run: ReindexRun) -> str | None:
        """The documents that workers try again after an error, and may for long, as a place is
        away: part of a sentence, ``None`` where there are none."""

    def waits_for(self, run: ReindexRun) -> str | None:
        """What searches find and the target is to get by workers that nobody has asked for it, as
        they embed it again: part of a sentence, ``None`` where there is nothing."""

    def check(self, run: ReindexRun, *, held: Held) -> Report:
        """Compare the target with the source."""

    def lost(self, run: ReindexRun) -> tuple[str, ...]:
        """What is to be in the target and workers gave up, a sentence each."""

    def reopen(self, run: ReindexRun) -> None:
        """Before a rollback ends, have videos ingested anew that workers gave up for the source:
        so one that cannot be embedded any more is ``failed``, and says why."""

    def retry(self, run: ReindexRun) -> None:
        """Have workers try again what they gave up."""

    def end(self, run: ReindexRun) -> None:
        """The run is over: forget what was noted for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteps:
    """The steps of the runs of one videos index."""

    engine: Engine
    settings: IndexSettings
    documents: Documents
    now: Callable[[], float]
    """The time that is recorded."""
    notice_seconds: float = NOTICE_SECONDS
    """That search clients get to load another model, from the write alias to the swap."""
    on_step: Callable[[ReindexRun], None] = lambda run: None
    """Told each record when a step has begun, and when it begins to wait for something."""
    on_progress: Callable[[int, int], None] = lambda done, total: None
    """Told how many videos of how many are in the target."""

    def under(self: _S, lease: RunLease) -> _S:
        """The same steps, which change nothing any more where the lease is lost."""
        return replace(self, engine=guarded(self.engine, lease.held))

    def next(self, lease: RunLease) -> bool:
        """Do what the step of a run asks for; ``False`` where nothing is left to do (now).

        Raises:
            BackendError: the engine refuses the target, and the run is over.
            ReindexCheckError: the target did not pass its check.
            ReindexTakenOverError: another process has the lease.
            ReindexError: an index or an alias is not what it has to be.
        """
        run = lease.run
        if run.step is Step.PLANNED:
            self.make_target(lease)
            targets.add_write_alias(self.engine, run, self.settings.write_alias)
            self.enter(lease, Step.WRITING_BOTH)
        elif run.step is Step.WRITING_BOTH:
            self.enter(lease, Step.COPYING, total=self.documents.total(run))
        elif run.step is Step.COPYING:
            done = self._fill(lease)
            if done is None:
                return False
            self.enter(lease, Step.CATCHING_UP, done=done, total=done)
        elif run.step is Step.CATCHING_UP:
            if not self._complete(lease):
                return False
            self._check(lease)
        elif run.step is Step.VERIFIED:
            return run.swap and self._swap(lease)
        elif run.step is Step.SWAPPED:
            has_source = indices.is_there(self.engine, run, run.source)
            if self.engine.indices_of(run.alias) == (run.target,):
                if has_source:
                    targets.set_final_pipeline(self.engine, run, run.source, runs=False)
                # With writers that looked at the alias before.
                if has_source and not self._catch_up(lease):
                    return False
                targets.unmark_target(self.engine, run)
            if has_source and run.keep_old:
                return False
            return self._finish(lease)
        elif run.step is Step.ROLLING_BACK:
            indices.require_way_back(self.engine, run)
            return self._undo(lease)
        return not run.step.is_over

    def make_target(self, lease: RunLease) -> None:
        """Create the target. Where the engine refuses it, nothing is there to be undone or gone on
        with, so that the run is over; where a process is killed before that is recorded, whoever
        takes up the run gets here again.

        Raises:
            BackendError, ReindexError: see :func:`ensure_target`.
        """
        run = lease.run
        try:
            targets.ensure_target(self.engine, run)
            lease.change(uuids={**run.uuids, **indices.uuid_of(self.engine, run.target)})
        except BackendUnavailableError:
            raise  # the target may be there, or come
        except BackendError as error:
            with suppress(VidsearchError):  # the error that led here is the one to tell
                if not self.engine.indices_of(run.target):
                    targets.drop_write_alias(self.engine, run, self.settings.write_alias)
                    noted = ErrorRecord.of(error, stage=str(run.step))
                    self.enter(lease, Step.ROLLED_BACK, error=noted, ended_at=self.now())
            raise

    def enter(
        self, lease: RunLease, step: Step, *, error: ErrorRecord | None = None, **values: object
    ) -> None:
        """Record that a step begins."""
        began = {**lease.run.began, str(step): self.now()}
        values["waits_for"] = None
        self.on_step(lease.change(step=step, began=began, error=error, **values))

    def _fill(self, lease: RunLease) -> int | None:
        """Number of videos in the target; ``None`` where workers are still at it."""
        noted_at, last = time.monotonic(), 0
        run, since = lease.run, dict[str, float]()
        lease.change(starts=run.starts + 1)
        if is_resumed := run.way == "copy" and run.done > 0:
            lease.change(filled_since=self.now(), filled_before=run.done)

        def told(done: int) -> None:
            nonlocal noted_at, last, since
            last = done
            lease.held()
            total = max(run.total, done)
            self.on_progress(done, total)
            if is_resumed and done <= run.done:  # counted once more, and much faster than copied
                done, since = run.done, {"filled_since": self.now()}
            if time.monotonic() - noted_at >= _NOTE_SECONDS:
                lease.change(done=done, total=total, **since)
                noted_at = time.monotonic()

        done = self._waited_for(lease, lambda: self.documents.fill(run, held=lease.held, told=told))
        return last if done else None

    def _catch_up(self, lease: RunLease, *, back: bool = False) -> bool:
        """``False`` where workers are still at it. What is written now, writers bring to both."""
        run = lease.run
        return self._waited_for(
            lease, lambda: self.documents.catch_up(run, held=lease.held, back=back)
        )

    def _complete(self, lease: RunLease) -> bool:
        """As :meth:`_catch_up`, and wait for what searches find and the target still lacks."""
        return self._waited_for(
            lease,
            lambda: self.documents.catch_up(lease.run, held=lease.held),
            and_for=self.documents.waits_for,
        )

    def _waited_for(
        self,
        lease: RunLease,
        is_done: Callable[[], bool],
        *,
        and_for: Callable[[ReindexRun], str | None] = lambda run: None,
    ) -> bool:
        """Wait for workers, and then for what ``and_for`` names, unless a worker waits itself: it
        may be the only one. Looks take the cluster half of the time at most, but for long ones."""
        told: set[bool] = set()
        while True:
            began = time.monotonic()
            ended = is_done()
            run = lease.run
            waits_for = and_for(run) if ended else self.documents.tried_again(run)
            if waits_for != run.waits_for:
                run = lease.change(waits_for=waits_for)
            if waits_for is not None and ended not in told:
                self.on_step(run)
                told.add(ended)
            if ended and waits_for is None:
                return True
            if run.background:
                return False
            looked = time.monotonic() - began
            time.sleep(min(max(_LOOK_SECONDS, looked), _LONGEST_PAUSE_SECONDS))

    def _check(self, lease: RunLease) -> None:
        run = lease.run
        self.engine.refresh(run.target)
        report = self.documents.check(run, held=lease.held)
        if not report.passed:
            lease.change(report=report.to_json())
            raise _refusal(run, report.problems)
        self.enter(lease, Step.VERIFIED, report=report.to_json())

    def _swap(self, lease: RunLease) -> bool:
        run = lease.run
        if not self._waited_for(lease, lambda: self._is_noticed(run)) or not self._complete(lease):
            return False
        if lost := self.documents.lost(run):  # since the check
            raise _refusal(run, lost)
        targets.ready_target(self.engine, run)
        self._put_behind_alias(lease, old=run.source, new=run.target)
        self.enter(lease, Step.SWAPPED, swapped_at=self.now())
        return True

    def _is_noticed(self, run: ReindexRun) -> bool:
        """Whether search clients have had the time to load the model of the target."""
        since = run.began.get(str(Step.WRITING_BOTH), 0.0)
        return run.way != "embed" or self.now() - since >= self.notice_seconds

    def _finish(self, lease: RunLease) -> bool:
        run = lease.run
        indices.require_replaced(self.engine, run, write_alias=self.settings.write_alias)
        targets.drop_write_alias(self.engine, run, self.settings.write_alias)
        targets.delete_written(self.engine, run, run.source)
        lease.held()
        self.documents.end(run)
        self._end(lease, Step.DONE)
        return False

    def _undo(self, lease: RunLease) -> bool:
        run = lease.run
        if run.swapped_at is not None and self.engine.indices_of(run.target):
            if not self._catch_up(lease, back=True):
                return False
            targets.set_final_pipeline(self.engine, run, run.source, runs=True)
            self._put_behind_alias(lease, old=run.target, new=run.source)
            # With writers that looked at the alias before.
            if not self._catch_up(lease, back=True):
                return False
            lease.held()
            self.documents.reopen(run)
        targets.drop_write_alias(self.engine, run, self.settings.write_alias)
        self._delete_target(run)
        lease.held()
        self.documents.end(run)
        self._end(lease, Step.ROLLED_BACK)
        return False

    def _delete_target(self, run: ReindexRun) -> None:
        """Delete what was filled; unless the source is gone and nothing is behind the alias, as
        it is the only copy then."""
        if self.engine.indices_of(run.source) or self.engine.indices_of(run.alias):
            targets.delete_target(self.engine, run)

    def _end(self, lease: RunLease, step: Step) -> None:
        left = indices.left_of(self.engine, lease.run)
        self.enter(lease, step, ended_at=self.now(), left=left)

    def _put_behind_alias(self, lease: RunLease, *, old: str, new: str) -> None:
        run = lease.change()  # raises where it is lost: another process may have moved it back
        targets.put_behind_alias(
            self.engine, run, old=old, new=new, write_alias=self.settings.write_alias
        )


def _refusal(run: ReindexRun, problems: Sequence[str]) -> ReindexCheckError:
    return ReindexCheckError(
        f"{run.target!r} did not pass the check, and searches still go to {run.source!r}: "
        f"{'; '.join(problems)}. `vidsearch reindex show` tells more; `vidsearch reindex resume` "
        "checks again, `vidsearch reindex rollback` deletes it"
    )
