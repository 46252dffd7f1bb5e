"""A reindex that workers do: begun by an application, driven by a task, taken up by the sweep."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsearch.defaults import NOTICE_SECONDS, OUTAGE_SECONDS
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    ReindexError,
    VidsearchError,
    WorkerStoppingError,
)
from vidsearch_tasks.celery_app import REINDEX, maintenance_queue
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.register import enqueue_fills, request_fills
from vidsearch_tasks.sending import send_ids
from vidsearch_tasks.services import Services
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.encoders import ModelIdentity
    from vidsearch.index import VideosIndex
    from vidsearch.reindex import Reindexer, ReindexRun, RunStore
    from vidsearch.reindex.steps import Report

__all__ = ["drive_reindex", "reindexer", "run_store", "send_due_reindex", "start_reindex"]

_log = logging.getLogger(__name__)
_LEASE_SECONDS = 30.0
_RESEND_SECONDS = 10.0
"""After which a message counts as lost, and an error is tried again."""


def reindexer(
    services: Services | None = None,
    *,
    lease_seconds: float = _LEASE_SECONDS,
    notice_seconds: float = NOTICE_SECONDS,
    outage_seconds: float = OUTAGE_SECONDS,
    on_outage: Callable[[BackendUnavailableError, float], None] | None = None,
    on_problem: Callable[[str], None] | None = None,
    on_step: Callable[[ReindexRun], None] = lambda run: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reindexer:
    """What reindexes in this process: ``reindexer().start(Changes(quantization="binary"))``.

    Args:
        services: what to work with; by default those of this process.
        lease_seconds: for which a process has a run without renewing its lease.
        notice_seconds: that search clients get to load another model before the swap, counted from
            when the new index begins to be written; 0 where nobody searches meanwhile.
        outage_seconds: for which the engine may be away or overloaded until a run that has begun
            breaks off; 0: not at all.
        on_outage: told the error, and in how many seconds the run is tried again; by default that
            is logged.
        on_problem: told each sentence on what speaks against a run that begins all the same: the
            disk is too small, or the index has that already; by default that is logged.
        on_step: told each record when a step has begun.
        on_progress: told how many videos of how many are in the new index.
    """
    from vidsearch.outages import log_outage
    from vidsearch.reindex import Reindexer
    from vidsearch.reindex.attached_documents import AttachedDocuments
    from vidsearch.reindex.documents import ReindexedDocuments
    from vidsearch.reindex.plan import log_problem

    services = services or current_services()
    documents = ReindexedDocuments(
        engine=services.engine,
        registry=services.registry,
        fills=services.fills,
        slices=services.board,
        request=partial(request_fills, services=services),
        send=partial(enqueue_fills, services=services, app=services.app),
        checked=partial(_checked, services),
    )
    attached = AttachedDocuments(engine=services.engine, checked=partial(_checked, services))
    return Reindexer(
        services.engine,
        services.settings.index,
        registry=services.registry,
        runs=run_store(services),
        documents=documents,
        attached=attached,
        identity_of=partial(_identity_of, services),
        lease_seconds=lease_seconds,
        notice_seconds=notice_seconds,
        outage_seconds=outage_seconds,
        on_outage=on_outage or log_outage,
        on_problem=on_problem or log_problem,
        on_step=on_step,
        on_progress=on_progress,
    )


def run_store(services: Services | None = None) -> RunStore:
    """The records of the runs of the index."""
    from vidsearch.reindex import RunStore

    services = services or current_services()
    return RunStore(services.notes, clock=services.clock)


def _identity_of(services: Services, name: str) -> ModelIdentity:
    """Of a model as ``--model`` names it, with ``@`` and a revision where it has one."""
    from vidsearch.encoders import load_encoder
    from vidsearch.encoders.pool import model_named

    model = services.settings.model
    if not name:
        raise ReindexError("the name of the model is empty: give that of a hub id, or a folder")
    if name == model.name:
        return services.encoder.identity
    revision = ""
    if not Path(name).exists():  # whose name may have one, too
        name, _, revision = name.partition("@")
    other = model_named(name, model, revision=revision or None)
    return load_encoder(other, services.settings.ingest).identity


def _checked(
    services: Services,
    run: ReindexRun,
    source: VideosIndex,
    target: VideosIndex,
    problems: Sequence[str],
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Report:
    from vidsearch.reindex.canary import check_target

    report = check_target(
        source,
        target,
        services.registry,
        encoder_for=services.encoder_for,
        settings=services.settings.search,
        queries=run.canary,
        pause=pause,
    )
    return replace(report, problems=(*problems, *report.problems))


def start_reindex(
    *,
    throttle: float | None = None,
    canary: tuple[str, ...] = (),
    swap: bool = True,
    keep_old: bool = True,
    changed_field: str | None = None,
    services: Services | None = None,
    app: Celery | None = None,
    **changes: Any,
) -> ReindexRun:
    """Begin a reindex that workers do, under live traffic.

    ``start_reindex(quantization="binary", shards=3)``. Where the broker is away, the next sweep
    sends the message. Where the disk is too small, or the index has all that already, a warning is
    logged, and it begins all the same. To reindex in this process instead, :func:`reindexer`.

    Args:
        throttle: maximum number of documents per second that are copied.
        canary: queries whose results are put side by side before the swap.
        swap: whether to move searches to the new index when it has passed its check.
        keep_old: whether the old index is kept for a rollback.
        changed_field: of an attached index, a field of its documents that says when one changed,
            where the numbers of writes cannot be followed.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
        changes: what is to differ, as of :class:`vidsearch.reindex.Changes`.

    Returns:
        The record; ``run_store().get(run.id)`` shows how far it is.

    Raises:
        ReindexError: another run is open, or no change is named, or an attached index takes it in
            place (``reindexer().change_in_place``).
        ConfigError, ModelUnavailableError: the engine or this machine lacks what is asked for.
    """
    from vidsearch.reindex import Changes

    services = services or current_services()
    try:
        wanted = Changes(**changes)
    except TypeError as error:
        raise ReindexError(f"cannot reindex with {', '.join(changes)}: {error}") from error
    run = reindexer(services).begin(
        wanted,
        throttle=throttle,
        canary=canary,
        swap=swap,
        keep_old=keep_old,
        background=True,
        changed_field=changed_field,
    )
    return _sent(run, services, app or services.app)


def send_due_reindex(*, services: Services, app: Celery) -> ReindexRun | None:
    """Have a worker go on with the open run where workers are to drive it and none does."""
    runs = run_store(services)
    try:
        run = runs.open()
    except BackendAccessDeniedError:  # it may not read the index of operations
        return None
    if run is None or not run.background or run.is_at_rest:
        return None
    now = runs.now()
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
    return run_store(services).update(
        run.id, lambda run: run.changed(sent_at=run_store(services).now())
    )


def drive_reindex(run_id: str, *, services: Services | None = None) -> str:
    """Go on with a run as far as it goes now; returns its step.

    Where other workers still embed, it ends, and the sweep has it gone on with later. What goes
    wrong is in the record.
    """
    services = services or current_services()

    def progress(done: int, total: int) -> None:
        STOP.check()

    runs = run_store(services)
    if (runs.get(run_id).lease_until or 0) > runs.now():
        return "driven"  # where that process was killed, the sweep will tell
    try:
        # Where the engine is away, this worker is not to wait for it.
        run = reindexer(services, on_progress=progress, outage_seconds=0.0).drive(run_id)
    except WorkerStoppingError:
        _log.info("reindex run %s is left to another worker, as this one ends", run_id)
    except BackendUnavailableError as error:
        _log.warning("reindex run %s goes on later: %s", run_id, error)
    except VidsearchError as error:
        _log.warning("reindex run %s: %s", run_id, error)
    else:
        return str(run.step)
    return "interrupted"
