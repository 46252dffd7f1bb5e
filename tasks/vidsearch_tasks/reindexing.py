"""A reindex that workers do: begun by an application, driven by a task, taken up by the sweep."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vidsearch.errors import (
    BackendUnavailableError,
    ReindexError,
    VidsearchError,
    WorkerStoppingError,
)
from vidsearch_tasks.broker import send_ids
from vidsearch_tasks.celery_app import REINDEX, maintenance_queue
from vidsearch_tasks.services import Services, current_services
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.reindex import ReindexRun

__all__ = ["drive_reindex", "send_due_reindex", "start_reindex"]

_log = logging.getLogger(__name__)
_RESEND_SECONDS = 10.0
"""After which a message counts as lost, and an error is tried again."""


def start_reindex(
    *,
    throttle: float | None = None,
    canary: tuple[str, ...] = (),
    swap: bool = True,
    keep_old: bool = True,
    services: Services | None = None,
    app: Celery | None = None,
    **changes: Any,
) -> ReindexRun:
    """Begin a reindex that workers do, under live traffic.

    ``start_reindex(quantization="binary", shards=3)``. Where the broker is away, the next sweep
    sends the message. To reindex in this process instead, ``Services().reindexer().start(…)``.

    Args:
        throttle: maximum number of documents per second.
        canary: queries whose results are put side by side before the swap.
        swap: whether to move searches to the new index when it has passed its check.
        keep_old: whether the old index is kept for a rollback.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
        changes: what is to differ, as of :class:`vidsearch.reindex.Changes`.

    Returns:
        The record; ``services.runs.get(run.id)`` shows how far it is.

    Raises:
        ReindexError: another run is open, or nothing differs, or the index is attached.
        ConfigError, ModelUnavailableError: the engine or this machine lacks what is asked for.
    """
    from vidsearch.reindex import Changes

    services = services or current_services()
    try:
        wanted = Changes(**changes)
    except TypeError as error:
        raise ReindexError(f"cannot reindex with {', '.join(changes)}: {error}") from error
    run = services.reindexer().begin(
        wanted, throttle=throttle, canary=canary, swap=swap, keep_old=keep_old, background=True
    )
    return _sent(run, services, app or services.app)


def send_due_reindex(*, services: Services, app: Celery) -> ReindexRun | None:
    """Have a worker go on with the open run where workers are to drive it and none does."""
    run = services.runs.open()
    if run is None or not run.background or run.is_at_rest:
        return None
    now = services.runs.now()
    if (run.lease_until or 0) > now or (run.sent_at or 0) + _RESEND_SECONDS > now:
        return None
    return _sent(run, services, app)


def _sent(run: ReindexRun, services: Services, app: Celery) -> ReindexRun:
    broker = services.settings.broker
    queue = maintenance_queue(broker.queue)  # else it would wait behind the videos that it needs
    _, problem = send_ids(app, REINDEX, [run.id], queue=queue, timeout=broker.timeout)
    if problem is not None:
        _log.warning("%s: the sweep will send its message: %s", run.called, problem)
        return run
    return services.runs.update(run.id, lambda run: run.changed(sent_at=services.runs.now()))


def drive_reindex(run_id: str, *, services: Services | None = None) -> str:
    """Go on with a run as far as it goes now; returns its step.

    Where other workers still embed, it ends, and the sweep has it gone on with later. What goes
    wrong is in the record.
    """
    services = services or current_services()

    def progress(done: int, total: int) -> None:
        STOP.check()

    run = services.runs.get(run_id)
    if (run.lease_until or 0) > services.runs.now():
        return "driven"  # where that process was killed, the sweep will tell
    try:
        run = services.reindexer(on_progress=progress).drive(run_id)
    except WorkerStoppingError:
        _log.info("reindex run %s is left to another worker, as this one ends", run_id)
    except BackendUnavailableError as error:
        _log.warning("reindex run %s goes on later: %s", run_id, error)
    except VidsearchError as error:
        _log.warning("reindex run %s: %s", run_id, error)
    else:
        return str(run.step)
    return "interrupted"
