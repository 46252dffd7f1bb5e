"""What each step of a run of an attached index does. All of it is safe to repeat.

The application writes to the index directly, so there is no write alias. What it writes during the
copy is brought to the target in passes; writes are refused for the last pass and the swap alone.
From then on the source takes no writes. A rollback goes the same way back: what was written to the
target since the swap is brought to the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vidsearch.engines import Json
from vidsearch.errors import ReindexError, VidsearchError
from vidsearch.index.copy_note import is_blocked
from vidsearch.index.kept import WHILE_FILLED, kept_of
from vidsearch.index.policies import put_policy
from vidsearch.index.replacement import keep_attachment
from vidsearch.index.swap import RefusedWrites, alias_moves, swap
from vidsearch.interrupts import Uninterrupted
from vidsearch.reindex import target as targets
from vidsearch.reindex.attached_documents import AttachedDocuments, following
from vidsearch.reindex.lease import RunLease
from vidsearch.reindex.run import ReindexRun, Step
from vidsearch.reindex.steps import RunSteps

__all__ = ["AttachedSteps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedSteps(RunSteps):
    """The steps of the runs of one attached index."""

    documents: AttachedDocuments

    def next(self, lease: RunLease) -> bool:
        """See :meth:`RunSteps.next`.

        Raises:
            ReindexError: the alias stands for neither index by now.
        """
        run = lease.run
        if run.step is Step.PLANNED:
            self.make_target(lease)
            self.enter(
                lease,
                Step.COPYING,
                total=self.documents.total(run),
                marks={"source": following(run).mark(self.engine, run.source)},
            )
            return True
        if run.step is Step.SWAPPED:
            targets.unmark_target(self.engine, run)
            keep_attachment(self.engine, self.settings, run.target)
            if run.keep_old and self.engine.indices_of(run.source):
                return False
            return self._finish(lease)
        return RunSteps.next(self, lease)  # `super()` knows no class with slots

    def _swap(self, lease: RunLease) -> bool:
        run = lease.run
        self._settle(run.target)
        there, blocked = self.engine.indices_of(run.alias), run.blocked_seconds
        if there == (run.source,):
            blocked = self._move(lease, old=run.source, new=run.target)
        elif there != (run.target,):
            raise _moved_off(run, there)
        self.enter(lease, Step.SWAPPED, swapped_at=self.now(), blocked_seconds=blocked)
        self.documents.end(run)
        return True

    def _undo(self, lease: RunLease) -> bool:
        run = lease.run
        self._settle(run.source)
        there = self.engine.indices_of(run.alias)
        if there == (run.target,):
            self._move(lease, old=run.target, new=run.source, back=True)
        elif there != (run.source,) and run.swapped_at is not None:
            raise _moved_off(run, there)
        self.engine.put_settings(run.source, {"blocks.write": None})
        keep_attachment(self.engine, self.settings, run.source)
        targets.delete_target(self.engine, run)
        self.documents.end(run)
        self.enter(lease, Step.ROLLED_BACK, ended_at=self.now())
        return False

    def _move(self, lease: RunLease, *, old: str, new: str, back: bool = False) -> float:
        """Let all aliases of ``old`` stand for ``new``, which has all that is in it by then.

        Returns the seconds in which writes were refused.
        """
        run, refused = lease.run, RefusedWrites()

        def allow_writes() -> None:
            self.engine.put_settings(old, {"blocks.write": None})

        with (
            Uninterrupted("the swap") as interrupts,
            self._undone(lease, run, old=old, new=new),
        ):
            with interrupts.allowed():
                if is_blocked(self.engine.settings(old)):
                    # An earlier try was killed within the swap, or its engine was away then. What
                    # is to be brought before the next one may take long.
                    allow_writes()
                kept = kept_of(self.engine, old)
                # Documents have been through the pipelines of `old`. An earlier try may have come
                # so far as to set those of `new`.
                self.engine.put_settings(new, {**WHILE_FILLED, "blocks.write": None})
                changes = self.documents.changes(run, held=lease.held, back=back)
                changes.until_small()
                self.engine.put_settings(new, kept.before_swap())
                put_policy(self.engine, new, kept.policy)
                if not back:  # a way back that begins some writes earlier than it must loses none
                    mark = following(run).mark(self.engine, new)
                    lease.change(marks={**run.marks, "target": mark})
                changes.until_short()

            def move(aliases: Json) -> None:
                self.engine.update_aliases(alias_moves(aliases, old=old, new=new))

            # `change` raises where the lease is lost, which a paused process does not know.
            swap(
                self.engine,
                changes,
                old=old,
                new=new,
                kept=kept,
                confirm=lease.change,
                interrupted=interrupts.check,
                move=move,
                refused=refused,
                allow_writes=allow_writes,
            )
        return refused.seconds

    def _settle(self, index: str) -> None:
        """Have the engine do a change that changes nothing, after what it was sent before.

        A move of aliases whose answer was lost may be done a moment later, and is done then.
        """
        blocked = is_blocked(self.engine.settings(index)) or None
        self.engine.put_settings(index, {"blocks.write": blocked})

    @contextmanager
    def _undone(self, lease: RunLease, run: ReindexRun, *, old: str, new: str) -> Iterator[None]:
        """Where it ends with an error, ``old`` takes writes as before, and the source none but
        where it is behind the alias. Nothing is done where another process has the run by now: it
        may have stopped the writes itself, for a last pass that would lack what comes after."""
        try:
            yield
        except BaseException:
            with suppress(VidsearchError):  # the error that led here is the one to tell
                lease.change()  # raises where it is lost
                self._settle(old)
                if self.engine.indices_of(run.alias) != (new,):
                    self.engine.put_settings(old, {"blocks.write": None})
                    if new == run.source:
                        self.engine.block_writes(new)
            raise


def _moved_off(run: ReindexRun, there: tuple[str, ...]) -> ReindexError:
    return ReindexError(
        f"alias {run.alias!r} stands for {', '.join(there) or 'no index'} by now, and neither for "
        f"{run.source!r} nor for {run.target!r}, which {run.called} has made of it: point it to "
        f"{run.target if run.swapped_at else run.source!r} again, then `vidsearch reindex resume`"
    )
