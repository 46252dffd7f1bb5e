"""What each step of a run of an attached index does. All of it is safe to repeat.

The application writes to the index directly, so there is no write alias. What it writes during the
copy is brought to the target in passes; writes are refused for the last pass and the swap alone.
From then on the source takes no writes. A rollback goes the same way back: what was written to the
target since the swap is brought to the source.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from vidsearch.errors import ReindexError
from vidsearch.index.replacement import keep_attachment
from vidsearch.index.swap import RefusedWrites, Swap, undone_or_told
from vidsearch.interrupts import Uninterrupted
from vidsearch.reindex import indices
from vidsearch.reindex import target as targets
from vidsearch.reindex.attached_documents import AttachedDocuments, following
from vidsearch.reindex.lease import RunLease
from vidsearch.reindex.run import Step
from vidsearch.reindex.steps import RunSteps

__all__ = ["AttachedSteps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedSteps(RunSteps):
    """The steps of the runs of one attached index."""

    documents: AttachedDocuments
    _refused: dict[str, RefusedWrites] = field(default_factory=dict)
    """By index, for how long this process has had it refuse writes."""

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
            if self._keep_attachment(lease, run.target):
                targets.unmark_target(self.engine, run)
            if run.keep_old and indices.is_there(self.engine, run, run.source):
                return False
            # Of a rollback that broke off.
            stopped = run.target in run.may_have_stopped
            if stopped and indices.is_there(self.engine, run, run.target):
                self.engine.put_settings(run.target, {"blocks.write": None})
            return self._finish(lease)
        return RunSteps.next(self, lease)  # `super()` knows no class with slots

    def _swap(self, lease: RunLease) -> bool:
        run = lease.run
        blocked = self._put_in_place(lease) or run.blocked_seconds
        self.enter(lease, Step.SWAPPED, swapped_at=self.now(), blocked_seconds=blocked)
        self._refused.clear()
        self.documents.end(run)
        return True

    def _undo(self, lease: RunLease) -> bool:
        run = lease.run
        if self.engine.indices_of(run.source):
            self._put_in_place(lease)
            if run.swapped_at is not None or run.source in run.may_have_stopped:
                self.engine.put_settings(run.source, {"blocks.write": None})
            self._refused.clear()
            self._keep_attachment(lease, run.source)
        self._delete_target(run)
        self.documents.end(run)
        self._end(lease, Step.ROLLED_BACK)
        return False

    def _keep_attachment(self, lease: RunLease, name: str) -> bool:
        """Keep how an index is attached; ``False`` where the alias does not stand for it, or it was
        created anew and is not attached yet."""
        run = lease.run
        if self.engine.indices_of(run.alias) != (name,) or indices.is_another(
            self.engine, run, name
        ):
            return False
        keep_attachment(self.engine, self.settings, name)
        return True

    def end(self, error: BaseException, lease: Callable[[], RunLease]) -> None:
        """A run breaks off with an error: have the index take writes again that a swap has left
        without, as the engine was away.

        Raises:
            VidsearchError: it cannot be told so; the message says what to do.
        """

        def undo() -> None:
            with lease() as held:
                if held.run.step in {Step.VERIFIED, Step.ROLLING_BACK}:
                    self.under(held)._swap_of(held, interrupts).undo()

        with Uninterrupted("the swap") as interrupts:
            self._undone_or_told(undo, error)

    def _put_in_place(self, lease: RunLease) -> float:
        """Have the alias stand for the target; in a rollback, for the source again.

        Returns the seconds in which this process had writes refused.
        """
        run = lease.run
        with Uninterrupted("the swap") as interrupts:
            swap = self._swap_of(lease, interrupts)
            with interrupts.allowed():
                has_moved, there = swap.has_moved_after_all(), self.engine.indices_of(run.alias)
            is_there = has_moved or there == (swap.old,)
            if swap.is_back and run.swapped_at is None and not is_there:  # nor was it ever
                return 0.0
            try:
                swap.carry_out()
            except BaseException:
                if interrupts.is_waiting:  # at the end of this block the process may end
                    self._undone_or_told(swap.undo, KeyboardInterrupt())
                raise
        return swap.refused.seconds

    def _swap_of(self, lease: RunLease, interrupts: Uninterrupted) -> Swap:
        """That of a run, or the one that is its way back."""
        run = lease.run
        is_back = run.step is Step.ROLLING_BACK
        old, new = (run.target, run.source) if is_back else (run.source, run.target)

        def mark() -> None:
            if not is_back:  # a way back that begins some writes earlier than it must loses none
                marked = following(run).mark(self.engine, new)
                lease.change(marks={**run.marks, "target": marked})

        def keep(ours: bool) -> None:
            others = [name for name in run.may_have_stopped if name != old]
            lease.change(may_have_stopped=(*others, old) if ours else tuple(others))

        return Swap(
            engine=self.engine,
            old=old,
            new=new,
            alias=run.alias,
            note_in=new,  # which is there
            follower=lambda: self.documents.changes(run, held=lease.held, back=is_back),
            confirm=lease.change,  # raises where it is lost, which a paused process does not know
            interrupts=interrupts,
            prepared=mark,
            keep=keep,
            ours=old in run.may_have_stopped,
            moved_off=lambda there: indices.moved_off(run, there),
            same=lambda: indices.refuse_another(self.engine, run, old),
            is_back=is_back,
            in_doubt=True,  # of a process that was killed
            refused=self._refused.setdefault(old, RefusedWrites()),
        )

    def _undone_or_told(self, undo: Callable[[], object], error: BaseException) -> None:
        stopped = {name: one for name, one in self._refused.items() if one.ongoing}

        def unless_lost() -> None:
            with suppress(ReindexError):  # another process has the run
                undo()

        def left() -> str:
            perhaps = any(one.has_perhaps_moved for one in stopped.values())
            return (
                f"index {' and '.join(map(repr, stopped))} "
                f"{'may have been replaced, else it takes' if perhaps else 'may take'} no writes "
                "until `vidsearch reindex resume` or `vidsearch reindex rollback` is run, as the "
                "swap could not be undone"
            )

        if stopped:
            undone_or_told(unless_lost, error, left=left)
        self._refused.clear()
