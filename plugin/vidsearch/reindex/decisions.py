"""What a person decides of an open run, put into its record. All of it is safe to repeat."""

from __future__ import annotations

from vidsearch.errors import ReindexError
from vidsearch.reindex import indices
from vidsearch.reindex.lease import RunLease
from vidsearch.reindex.run import Step
from vidsearch.reindex.steps import RunSteps

__all__ = ["to_clean", "to_roll_back", "to_swap"]


def to_swap(lease: RunLease, steps: RunSteps) -> None:
    """Have a run go on that was to stop before the swap; it is checked once more.

    Raises:
        ReindexError: it is being undone.
    """
    run = lease.run
    if run.step is Step.ROLLING_BACK:
        raise ReindexError(
            f"{run.called} is being undone, and its target is not swapped in any more: "
            "`vidsearch reindex resume` finishes that"
        )
    run = lease.change(swap=True)
    if run.step is Step.VERIFIED:  # perhaps long ago
        steps.enter(lease, Step.CATCHING_UP)


def to_roll_back(lease: RunLease, steps: RunSteps) -> None:
    """Have a run undone.

    Raises:
        ReindexError: it is over; or it was swapped, and there is no way back any more.
    """
    run = lease.run
    if not run.is_open:
        raise ReindexError(f"{run.called} is over ({run.step}), and cannot be rolled back")
    swapped_at = run.swapped_at
    if swapped_at is None and steps.engine.indices_of(run.alias) == (run.target,):
        swapped_at = steps.now()  # killed before it could note that
    indices.require_way_back(steps.engine, run.changed(swapped_at=swapped_at))
    steps.enter(lease, Step.ROLLING_BACK, swapped_at=swapped_at)


def to_clean(lease: RunLease, steps: RunSteps) -> None:
    """Have a run ended that was swapped: its source is deleted. One that is being undone, too,
    where that cannot be done any more.

    Raises:
        ReindexError: it was not swapped, or is over; or its source is in use.
    """
    run, engine = lease.run, steps.engine
    if not run.is_open:
        left = " and ".join(map(repr, run.left)) or "nothing behind"
        raise ReindexError(f"{run.called} is over ({run.step}), and left {left}")
    if run.step is Step.ROLLING_BACK:
        if run.swapped_at is None or indices.why_not_back(engine, run) is None:
            raise ReindexError(
                f"{run.called} is being undone, which `vidsearch reindex resume` finishes: only "
                "what was swapped can be cleaned"
            )
    elif run.step is not Step.SWAPPED:
        raise ReindexError(
            f"{run.called} is {run.step}, and searches still go to {run.source!r}: only what "
            "was swapped can be cleaned"
        )
    indices.require_replaced(engine, run, write_alias=steps.settings.write_alias)
    lease.change(step=Step.SWAPPED, keep_old=False)
