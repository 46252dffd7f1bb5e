"""Drives a run from step to step; whoever takes it up after a kill goes on where it stood."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from socket import gethostname
from typing import Protocol
from uuid import uuid4

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Json
from vidsearch.errors import (
    IndexNotFoundError,
    ReindexCheckError,
    ReindexError,
    VidsearchError,
)
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch.registry import ErrorRecord
from vidsearch.reindex import target as targets
from vidsearch.reindex.changes import Changes, Target
from vidsearch.reindex.lease import RunLease
from vidsearch.reindex.run import ReindexRun, Step
from vidsearch.reindex.run_store import RunStore

__all__ = ["Report", "Reindexer", "Work"]

_PASSES = 50
_NOTE_SECONDS = 2.0
_LOOK_SECONDS = 1.0


class Report(Protocol):
    """What the check before the swap found."""

    @property
    def passed(self) -> bool: ...

    @property
    def problems(self) -> tuple[str, ...]: ...

    def to_json(self) -> Json: ...


class Work(Protocol):
    """What is done with the documents of a run; all of it is safe to repeat."""

    def total(self, run: ReindexRun) -> int:
        """Number of videos to bring into the target."""

    def fill(self, run: ReindexRun, *, told: Callable[[int], None]) -> bool:
        """Bring them there; ``False`` where workers are still at it, and it is to be called again.

        ``told`` gets the number of videos that are there; what it raises ends the work.
        """

    def catch_up(self, run: ReindexRun, *, back: bool = False) -> int:
        """Bring into the target what changed in the source since the start of the run; ``back``:
        from the target into the source. Returns how many documents were changed."""

    def check(self, run: ReindexRun) -> Report:
        """Compare the target with the source."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Whom to tell what."""

    step: Callable[[ReindexRun], None]
    progress: Callable[[int, int], None]


class Reindexer:
    """Reindexes one videos index under live traffic.

    Methods raise what :class:`~vidsearch.engines.Engine` raises. Where one breaks off, the run is
    open: :meth:`resume` goes on, :meth:`roll_back` undoes it.

    Args:
        engine: the cluster.
        settings: of the index.
        runs: where the records are kept.
        work: what is done with documents.
        identity_of: the identity of a model, by its name.
        lease_seconds: for which a process has a run without renewing its lease.
        on_step: told each record when a step has begun.
        on_progress: told how many videos of how many are in the target.
    """

    def __init__(
        self,
        engine: Engine,
        settings: IndexSettings,
        *,
        runs: RunStore,
        work: Work,
        identity_of: Callable[[str], ModelIdentity],
        lease_seconds: float = 30.0,
        on_step: Callable[[ReindexRun], None] = lambda run: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.runs = runs
        self._engine = engine
        self._settings = settings
        self._work = work
        self._identity_of = identity_of
        self._lease_seconds = lease_seconds
        self._told = _Told(on_step, on_progress)
        self._owner = f"{_who()}:{os.getpid()}:{uuid4().hex[:6]}"

    # -- what can be asked for

    def start(
        self,
        changes: Changes,
        *,
        throttle: float | None = None,
        canary: tuple[str, ...] = (),
        swap: bool = True,
        keep_old: bool = True,
    ) -> ReindexRun:
        """Reindex, to the end. See :meth:`begin` for the arguments.

        Returns the record: ``swapped``, or ``done`` without ``keep_old``, or ``verified`` without
        ``swap``.

        Raises:
            ReindexCheckError: the target did not pass its check; searches go to the source.
            ReindexError, ConfigError, ModelUnavailableError: see :meth:`begin`.
        """
        run = self.begin(changes, throttle=throttle, canary=canary, swap=swap, keep_old=keep_old)
        return self.resume(run.id)

    def begin(
        self,
        changes: Changes,
        *,
        throttle: float | None = None,
        canary: tuple[str, ...] = (),
        swap: bool = True,
        keep_old: bool = True,
        background: bool = False,
    ) -> ReindexRun:
        """Record a run, and leave it to :meth:`resume`.

        Args:
            changes: what is to differ.
            throttle: maximum number of documents per second; ``None``: no limit.
            canary: queries whose results are put side by side before the swap.
            swap: whether to swap when the target has passed its check.
            keep_old: whether to keep the source after the swap.
            background: whether workers are to drive it.

        Raises:
            ReindexError: another run is open; nothing differs; the index is attached, or is used
                by its own name.
            ConfigError, ModelUnavailableError: see :meth:`Target.of`.
        """
        source, target = self.planned(changes)

        def make(id: str, now: float) -> ReindexRun:
            if self._engine.indices_of(source.alias) != (source.name,):
                raise ReindexError(
                    f"alias {source.alias!r} was moved off {source.name!r} meanwhile: begin again"
                )
            return ReindexRun(
                id=id,
                alias=source.alias,
                source=source.name,
                target=targets.next_name(self._engine, source.alias, source.name),
                way=target.way,
                changes=changes.given(),
                body=target.body,
                by=_who(),
                started_at=now,
                updated_at=now,
                throttle=throttle,
                canary=canary,
                swap=swap,
                keep_old=keep_old,
                background=background,
            )

        run = self.runs.begin(make)
        self._told.step(run)
        return run

    def planned(self, changes: Changes) -> tuple[VideosIndex, Target]:
        """The source, and the target that the changes make of it; nothing is done.

        Raises:
            ReindexError, ConfigError, ModelUnavailableError: see :meth:`begin`.
        """
        source = open_videos_index(self._engine, self._settings)
        if source.attached:
            raise ReindexError(
                f"index {source.name!r} is your own, with vidsearch attached to it, and is not "
                "reindexed by vidsearch: make a new index with the settings that you want, move "
                f"the alias to it, and `vidsearch scan` brings its vectors; see docs/reindex.md"
            )
        if source.name == source.alias:
            raise ReindexError(
                f"{source.name!r} is an index and not an alias, so searches cannot be moved to "
                "another: give it an alias, and name that in the setting index.name"
            )
        target = Target.of(source, changes, settings=self._settings, identity_of=self._identity_of)
        return source, target

    def resume(self, id: str | None = None) -> ReindexRun:
        """Go on with a run, by default the open one, where it stands; a rollback too.

        Raises:
            ReindexError: there is none, or another process drives it.
            ReindexCheckError: see :meth:`start`.
        """
        return self._drive(id or self._open().id)

    def swap(self, id: str | None = None) -> ReindexRun:
        """Go on with a run that was to stop before the swap."""
        run = self.runs.get(id) if id else self._open()
        self.runs.update(run.id, lambda run: run.changed(swap=True))
        return self._drive(run.id)

    def roll_back(self, id: str | None = None) -> ReindexRun:
        """Undo a run: the alias stands for the source, and the target is deleted.

        What was written since the swap is in the source, too.

        Raises:
            ReindexError: there is no open run, or another process drives it.
        """
        run = self.runs.get(id) if id else self._open()
        with RunLease(self.runs, run.id, owner=self._owner, seconds=self._lease_seconds) as lease:
            if not lease.run.is_open:
                raise ReindexError(f"{run.called} is over ({run.step}), and cannot be rolled back")
            self._enter(lease, Step.ROLLING_BACK)
        return self._drive(run.id)

    def clean(self, id: str | None = None) -> ReindexRun:
        """End a run that was swapped: its source is deleted.

        Raises:
            ReindexError: there is none, or it was not swapped.
        """
        run = self.runs.get(id) if id else self._open()
        if run.step is not Step.SWAPPED:
            raise ReindexError(
                f"{run.called} is {run.step}, and searches still go to {run.source!r}: only what "
                "was swapped can be cleaned"
                if run.is_open
                else f"{run.called} is over ({run.step}), and left nothing behind"
            )
        self.runs.update(run.id, lambda run: run.changed(keep_old=False))
        return self._drive(run.id)

    # -- the steps

    def _open(self) -> ReindexRun:
        run = self.runs.open()
        if run is None:
            raise ReindexError(f"no reindex of {self._settings.name!r} is open")
        return run

    def _drive(self, id: str) -> ReindexRun:
        with RunLease(self.runs, id, owner=self._owner, seconds=self._lease_seconds) as lease:
            try:
                while self._do(lease):
                    pass
            except Exception as error:
                with suppress(VidsearchError):  # the error that led here is the one to tell
                    step = str(lease.run.step)
                    lease.change(error=ErrorRecord.of(error, stage=step))
                raise
        return self.runs.get(id)

    def _do(self, lease: RunLease) -> bool:
        """Do one step; ``False`` where nothing is to be done (now)."""
        run = lease.run
        if run.step is Step.PLANNED:
            targets.ensure_target(self._engine, run)
            targets.add_write_alias(self._engine, run, self._settings.write_alias)
            self._enter(lease, Step.WRITING_BOTH)
        elif run.step is Step.WRITING_BOTH:
            self._enter(lease, Step.COPYING, total=self._work.total(run))
        elif run.step is Step.COPYING:
            if not self._fill(lease):
                return False
            self._enter(lease, Step.CATCHING_UP)
        elif run.step is Step.CATCHING_UP:
            self._catch_up(lease)
            self._check(lease)
        elif run.step is Step.VERIFIED:
            if not run.swap:
                return False
            self._swap(lease)
        elif run.step is Step.SWAPPED:
            self._catch_up(lease)  # by writers that looked at the alias before
            targets.unmark_target(self._engine, run)
            if run.keep_old:
                return False
            self._finish(lease)
        elif run.step is Step.ROLLING_BACK:
            self._undo(lease)
        return not run.step.is_over

    def _enter(self, lease: RunLease, step: Step, **values: object) -> None:
        self._told.step(lease.change(step=step, error=None, **values))

    def _fill(self, lease: RunLease) -> bool:
        noted_at = time.monotonic()

        def told(done: int) -> None:
            nonlocal noted_at
            lease.check()
            total = max(run.total, done)
            self._told.progress(done, total)
            if time.monotonic() - noted_at >= _NOTE_SECONDS:
                lease.change(done=done, total=total)
                noted_at = time.monotonic()

        run = lease.run
        while not self._work.fill(run, told=told):
            if run.background:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _catch_up(self, lease: RunLease, *, back: bool = False) -> None:
        """Until a pass finds nothing to do."""
        for _ in range(_PASSES):
            if not self._work.catch_up(lease.run, back=back):
                return
        # What is written now, writers bring to both themselves.

    def _check(self, lease: RunLease) -> None:
        run = lease.run
        self._engine.refresh(run.target)
        report = self._work.check(run)
        if not report.passed:
            lease.change(report=report.to_json())
            raise ReindexCheckError(
                f"{run.target!r} did not pass the check, and searches still go to {run.source!r}: "
                f"{'; '.join(report.problems)}. `vidsearch reindex show` tells more; `vidsearch "
                "reindex resume` checks again, `vidsearch reindex rollback` deletes it"
            )
        self._enter(lease, Step.VERIFIED, report=report.to_json())

    def _swap(self, lease: RunLease) -> None:
        run = lease.run
        self._catch_up(lease)
        targets.ready_target(self._engine, run)
        lease.check()
        self._put_behind_alias(run, old=run.source, new=run.target)
        self._enter(lease, Step.SWAPPED, swapped_at=self.runs.now())

    def _finish(self, lease: RunLease) -> None:
        run = lease.run
        targets.drop_write_alias(self._engine, run, self._settings.write_alias)
        with suppress(IndexNotFoundError):
            self._engine.delete_index(run.source)
        self._enter(lease, Step.DONE, ended_at=self.runs.now())

    def _undo(self, lease: RunLease) -> None:
        run = lease.run
        if self._engine.indices_of(run.alias) == (run.target,):
            self._catch_up(lease, back=True)
            lease.check()
            self._put_behind_alias(run, old=run.target, new=run.source)
            self._catch_up(lease, back=True)
        targets.drop_write_alias(self._engine, run, self._settings.write_alias)
        targets.delete_target(self._engine, run)
        self._enter(lease, Step.ROLLED_BACK, ended_at=self.runs.now())

    def _put_behind_alias(self, run: ReindexRun, *, old: str, new: str) -> None:
        write_alias = self._settings.write_alias
        targets.put_behind_alias(self._engine, run.alias, old=old, new=new, write_alias=write_alias)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{gethostname()}"
