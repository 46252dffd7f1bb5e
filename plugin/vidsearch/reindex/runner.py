"""Drives a run from step to step; whoever takes it up after a kill goes on where it stood."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from vidsearch.config import IndexSettings
from vidsearch.defaults import NOTICE_SECONDS, OUTAGE_SECONDS
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine
from vidsearch.errors import (
    BackendUnavailableError,
    ReindexError,
    VidsearchError,
    WorkerStoppingError,
)
from vidsearch.index.follow import BY_NUMBERS, Following, following_of
from vidsearch.index.replacement import keep_attachment
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch.outages import Outages, log_outage
from vidsearch.registry import ErrorRecord, Registry
from vidsearch.registry.index import registry_layout
from vidsearch.reindex import decisions, indices
from vidsearch.reindex import target as targets
from vidsearch.reindex.attached_documents import AttachedDocuments
from vidsearch.reindex.attached_steps import AttachedSteps
from vidsearch.reindex.changes import Changes, Target
from vidsearch.reindex.in_place import InPlace
from vidsearch.reindex.lease import RunLease, user_and_host
from vidsearch.reindex.plan import Plan, log_problem, plan_of, problems_of
from vidsearch.reindex.run import ReindexRun, require_throttle
from vidsearch.reindex.run_store import RunStore
from vidsearch.reindex.steps import Documents, RunSteps

__all__ = ["Reindexer"]


class Reindexer:
    """Reindexes one videos index under live traffic.

    Methods raise what :class:`~vidsearch.engines.Engine` raises. Where one breaks off, the run is
    open: :meth:`resume` goes on, :meth:`roll_back` undoes it.

    Args:
        engine: the cluster.
        settings: of the index.
        registry: of its videos.
        runs: where the records are kept.
        documents: what is done with them.
        attached: what is done with those of an attached index.
        identity_of: the identity of a model, by its name.
        lease_seconds: for which a process has a run without renewing its lease.
        notice_seconds: that search clients get to load another model before the swap.
        outage_seconds: for which the engine may be away or overloaded until a run breaks off.
        on_outage: told the error, and in how many seconds the run is tried again.
        on_problem: told each sentence on what speaks against a run that begins all the same.
        on_step: told each record when a step has begun.
        on_progress: told how many videos of how many are in the target.
    """

    def __init__(
        self,
        engine: Engine,
        settings: IndexSettings,
        *,
        registry: Registry,
        runs: RunStore,
        documents: Documents,
        attached: AttachedDocuments,
        identity_of: Callable[[str], ModelIdentity],
        lease_seconds: float = 30.0,
        notice_seconds: float = NOTICE_SECONDS,
        outage_seconds: float = OUTAGE_SECONDS,
        on_outage: Callable[[BackendUnavailableError, float], None] = log_outage,
        on_problem: Callable[[str], None] = log_problem,
        on_step: Callable[[ReindexRun], None] = lambda run: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.runs = runs
        self._engine = engine
        self._registry = registry
        self._settings = settings
        self._identity_of = identity_of
        self._lease_seconds = lease_seconds
        self._outages = Outages(outage_seconds, told=on_outage)
        self._on_problem = on_problem
        shared: dict[str, Any] = {
            "engine": engine,
            "settings": settings,
            "now": runs.now,
            "notice_seconds": notice_seconds,
            "on_step": self._outages.steps(on_step),
            "on_progress": self._outages.numbers(on_progress),
        }
        self._steps = RunSteps(documents=documents, **shared)
        self._attached_steps = AttachedSteps(documents=attached, **shared)
        self._owner = f"{user_and_host()}:{os.getpid()}:{uuid4().hex[:6]}"

    def start(
        self,
        changes: Changes,
        *,
        throttle: float | None = None,
        canary: tuple[str, ...] = (),
        swap: bool = True,
        keep_old: bool = True,
        changed_field: str | None = None,
    ) -> ReindexRun:
        """Reindex, to the end. See :meth:`begin` for the arguments.

        Returns the record: ``swapped``, or ``done`` without ``keep_old``, or ``verified`` without
        ``swap``.

        Raises:
            ReindexCheckError: the target did not pass its check; searches go to the source.
            ReindexError, ConfigError, ModelUnavailableError: see :meth:`begin`.
        """
        run = self.begin(
            changes,
            throttle=throttle,
            canary=canary,
            swap=swap,
            keep_old=keep_old,
            changed_field=changed_field,
        )
        return self.drive(run.id)

    def begin(
        self,
        changes: Changes,
        *,
        throttle: float | None = None,
        canary: tuple[str, ...] = (),
        swap: bool = True,
        keep_old: bool = True,
        background: bool = False,
        changed_field: str | None = None,
    ) -> ReindexRun:
        """Record a run, and leave it to :meth:`resume`.

        Args:
            changes: what is to differ; an index that has it already is copied all the same, and
                ``on_problem`` is told so, as it is where the disk is too small.
            throttle: maximum number of documents per second that are copied; ``None``: as many as
                leave the cluster half of its time; ``math.inf``: no limit; at least 0.1.
            canary: queries whose results are put side by side before the swap.
            swap: whether to swap when the target has passed its check.
            keep_old: whether to keep the source after the swap.
            background: whether workers are to drive it.
            changed_field: of an attached index, a field of its documents that says when one
                changed, for where the numbers of writes cannot be followed. Writes are refused
                while all ids are compared then: see :attr:`Plan.blocked_seconds`.

        Raises:
            ReindexError: another run is open; no change is named; the index is used by its own
                name; an attached index takes the changes in place; ``throttle`` is below 0.1.
            MappingConflictError: an attached index takes no writes, or is rolled over.
            ConfigError, ModelUnavailableError: see :meth:`Target.of`.
        """
        require_throttle(throttle)
        source, target = self.planned(changes)
        if target.in_place is not None:
            raise ReindexError(
                f"index {source.name!r} takes that in place, and needs no run: `vidsearch reindex` "
                "with the same options changes it, or Reindexer.change_in_place"
            )
        layout = registry_layout(self._engine, self._settings)
        if target.way != "copy" and layout.is_older:  # it could not note what is made
            raise ReindexError(f"{layout}, before segments or the model are changed")

        followed = self._followed(source, changed_field)
        for problem in problems_of(source, target):
            self._on_problem(problem)

        def make(id: str, now: float) -> ReindexRun:
            return ReindexRun(
                id=id,
                alias=source.alias,
                source=source.name,
                target=self._next_name(source),
                uuids=indices.uuid_behind(self._engine, source.alias, source.name),
                way=target.way,
                attached=source.attached,
                followed_by=followed.by,
                changed_field=followed.field,
                changes=changes.given(),
                body=target.body,
                by=user_and_host(),
                started_at=now,
                updated_at=now,
                throttle=throttle,
                canary=canary,
                swap=swap,
                keep_old=keep_old,
                background=background,
            )

        run = self.runs.begin(make)
        self._steps.on_step(run)
        return run

    def planned(self, changes: Changes) -> tuple[VideosIndex, Target]:
        """The source, and the target that the changes make of it; nothing is done.

        Raises:
            ReindexError, ConfigError, ModelUnavailableError: see :meth:`begin`.
        """
        source = open_videos_index(self._engine, self._settings)
        target = Target.of(source, changes, settings=self._settings, identity_of=self._identity_of)
        if source.name == source.alias and target.in_place is None:
            raise ReindexError(
                f"{source.name!r} is an index and not an alias, so searches cannot be moved to "
                "another: "
                + (
                    "let your application use an alias of it, then `vidsearch index detach`, and "
                    "`vidsearch index attach` to the alias"
                    if source.attached
                    else "give it an alias, and name that in the setting index.name"
                )
            )
        return source, target

    def plan(
        self,
        changes: Changes,
        *,
        throttle: float | None = None,
        changed_field: str | None = None,
    ) -> Plan:
        """What :meth:`start` would do, and what it would take; nothing is done.

        Raises:
            ReindexError, ConfigError, ModelUnavailableError: see :meth:`begin`; but an open run is
                among the ``problems``.
        """
        require_throttle(throttle)
        source, target = self.planned(changes)
        return plan_of(
            source,
            target=target,
            name=self._next_name(source),
            changes=changes.given(),
            registry=self._registry,
            runs=self.runs.all(),
            throttle=throttle,
            following=self._followed(source, changed_field),
        )

    def change_in_place(self, changes: Changes) -> InPlace | None:
        """Change an attached index as the engine allows without another index.

        ``None`` where only another one has what is asked for: then :meth:`start`. Where segments
        have another length now, workers make documents anew by ``vidsearch reindex --changed``.

        Raises:
            ReindexError: a run is open, or see :meth:`begin`.
        """
        source, target = self.planned(changes)
        made = target.in_place
        if made is None:
            return None
        if (run := self.runs.open()) is not None:
            raise ReindexError(
                f"{run.called} is open ({run.step}): `vidsearch reindex list` shows how far it is, "
                "and what ends it"
            )
        if made.mapping:
            self._engine.put_mapping(source.name, made.mapping)
        if made.settings:
            self._engine.put_settings(source.name, made.settings)
        keep_attachment(self._engine, self._settings, source.name)
        return made

    def resume(self, id: str | None = None, *, throttle: float | None = None) -> ReindexRun:
        """Go on with a run, by default the open one, where it stands; a rollback too.

        ``throttle`` is as of :meth:`begin`, from now on; ``None``: as before.

        Raises:
            ReindexError: there is none, it is over, another process drives it, or ``throttle`` is
                below 0.1.
            ReindexCheckError: see :meth:`start`.
        """
        require_throttle(throttle)
        run = self._outages.outlast(lambda: self._retried(id))
        return self.drive(run.id, throttle=throttle)

    def _retried(self, id: str | None) -> ReindexRun:
        run = self._chosen(id)
        self._steps_of(run).documents.retry(run)
        return run

    def drive(self, id: str, *, throttle: float | None = None) -> ReindexRun:
        """As :meth:`resume`, but what workers gave up stays so, and a run that is over is left as
        it is."""
        try:
            return self._outages.outlast(
                lambda: self._drive(id, throttle=throttle),
                noted=lambda seconds: self.runs.note_wait(id, seconds),
            )
        except BaseException as error:
            self._attached_steps.end(error, lambda: self._lease(id, waits=False))
            raise

    def _drive(self, id: str, *, throttle: float | None) -> ReindexRun:
        with self._lease(id) as lease:
            if (run := lease.run).is_open:
                lease.change(error=None, tries_again_at=None, throttle=throttle or run.throttle)
            steps = self._steps_of(lease.run).under(lease)
            try:
                while steps.next(lease):
                    pass
            except WorkerStoppingError:
                raise
            except Exception as error:
                with suppress(VidsearchError):  # the error that led here is the one to tell
                    if (run := lease.run).is_open:
                        lease.change(error=ErrorRecord.of(error, stage=str(run.step)))
                raise
        return self.runs.get(id)

    def swap(self, id: str | None = None) -> ReindexRun:
        """Go on with a run that was to stop before the swap: it is checked once more.

        Raises:
            ReindexError: there is none, it is over or being undone, or another process drives it.
            ReindexCheckError: see :meth:`start`.
        """
        return self._decided(lambda: self._chosen(id), decisions.to_swap)

    def roll_back(self, id: str | None = None) -> ReindexRun:
        """Undo a run: the alias stands for the source, and the target is deleted.

        What was written since the swap is in the source, too.

        Raises:
            ReindexError: there is no open run, or another process drives it; or it was swapped, and
                others have moved the alias, or dropped an index of it.
        """
        return self._decided(lambda: self._any(id), decisions.to_roll_back)

    def clean(self, id: str | None = None) -> ReindexRun:
        """End a run that was swapped: its source is deleted.

        Raises:
            ReindexError: there is none, it was not swapped, or another process drives it; or an
                alias stands for the source by now.
        """
        return self._decided(lambda: self._any(id), decisions.to_clean)

    def _decided(
        self, chosen: Callable[[], ReindexRun], decide: Callable[[RunLease, RunSteps], None]
    ) -> ReindexRun:
        def decided() -> str:
            run = chosen()
            with self._lease(run.id) as lease:
                decide(lease, self._steps_of(run))
            return run.id

        return self.drive(self._outages.outlast(decided))

    def _lease(self, id: str, *, waits: bool = True) -> RunLease:
        seconds = self._lease_seconds
        return RunLease(self.runs, id, owner=self._owner, seconds=seconds, waits=waits)

    def _steps_of(self, run: ReindexRun) -> RunSteps:
        return self._attached_steps if run.attached else self._steps

    def _followed(self, source: VideosIndex, changed_field: str | None) -> Following:
        if source.attached:
            return following_of(self._engine, source.name, changed_field=changed_field)
        if changed_field is not None:
            raise ReindexError(
                f"--changed-field is for an index of your own: all writes to {source.name!r} are "
                "those of vidsearch, and in the registry"
            )
        return BY_NUMBERS

    def _next_name(self, source: VideosIndex) -> str:
        return targets.next_name(self._engine, source.alias, source.name, attached=source.attached)

    def _chosen(self, id: str | None) -> ReindexRun:
        """A run that can be gone on with."""
        run = self._any(id)
        if not run.is_open:
            raise ReindexError(f"{run.called} is over ({run.step}), and cannot be gone on with")
        return run

    def _any(self, id: str | None) -> ReindexRun:
        if id:
            return self.runs.get(id)
        run = self.runs.open()
        if run is None:
            raise ReindexError(f"no reindex of {self._settings.name!r} is open")
        return run
