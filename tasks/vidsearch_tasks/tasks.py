"""The tasks, and the remote control command that tells what a worker is set up for.

They are shared tasks: every Celery app that includes this module has them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import shared_task
from celery.worker.control import inspect_command

from vidsearch.errors import (
    BackendUnavailableError,
    LeaseLostError,
    VideoNotRegisteredError,
    VidsearchError,
)
from vidsearch.retry import outage_uses_up_attempt, retry_delay
from vidsearch_mappings.registry import ErrorRecord, State
from vidsearch_tasks.celery_app import EMBED_SLICE, INGEST, SCAN, SWEEP, TIME_LIMIT, WORKER_INFO
from vidsearch_tasks.maintenance import run_scan, run_sweep
from vidsearch_tasks.register import enqueue_slices
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from vidsearch.ingest import Outcome
    from vidsearch.registry import Registry

__all__ = ["embed_slice", "ingest_video", "scan", "sweep", "worker_info"]

_log = logging.getLogger(__name__)


_LIMITS = {
    "bind": True,
    "acks_late": True,
    "ignore_result": True,
    "max_retries": None,
    "soft_time_limit": TIME_LIMIT,
    "time_limit": TIME_LIMIT + 60,
}


@shared_task(name=INGEST, **_LIMITS)  # type: ignore[untyped-decorator]
def ingest_video(self: Any, video_id: str, owner: str | None = None) -> str:
    """Ingest one registered video.

    Args:
        self: the task.
        video_id: as registered.
        owner: set by a retry, which so takes up a lease that could not be given back.
    """
    services = current_services()
    outcome = _attempted(self, services, video_id, owner, _ingest)
    _send_slices(self, services, outcome)
    return outcome.status


@shared_task(name=EMBED_SLICE, **_LIMITS)  # type: ignore[untyped-decorator]
def embed_slice(self: Any, slice_id: str, owner: str | None = None) -> str:
    """Embed one slice of a long video; where it is the last one, make the video's document.

    Args:
        self: the task.
        slice_id: as it is on the board.
        owner: as for :func:`ingest_video`.
    """
    services = current_services()
    outcome = _attempted(self, services, slice_id, owner, _embed)
    if outcome.ready is not None:
        services.slice_worker.let_go()
        _assemble(self, services, outcome.ready)
    return outcome.status


def _send_slices(task: Any, services: Services, outcome: Outcome) -> None:
    if outcome.slices:
        with suppress(BackendUnavailableError):  # the sweep sends them
            enqueue_slices(outcome.slices, services=services, app=task.app)


def _assemble(task: Any, services: Services, video_id: str) -> None:
    """Make the document of a video whose slices have ended; it waits behind no other message."""
    delay = retry_delay(0, first=services.settings.ingest.retry_seconds)
    try:
        outcome = _ingest(services, video_id, owner=uuid4().hex[:12], delay=delay, counted=False)
        again = outcome.status == "retry"
        _send_slices(task, services, outcome)  # the file has changed, or the store lost some
    except VideoNotRegisteredError:
        again = False
    except VidsearchError as error:
        _log.warning("video %r: next try in %.0f s after %s", video_id, delay, error)
        again = True
    if again:
        queue = services.settings.broker.queue
        ingest_video.apply_async(args=[video_id], queue=queue, countdown=delay)


def _attempted(
    task: Any,
    services: Services,
    id: str,
    owner: str | None,
    work: Callable[..., Outcome],
) -> Outcome:
    """Do the work of a task once, and have the task tried again where that did not end well."""
    owner = owner or uuid4().hex[:12]
    tries = task.request.retries
    delay = retry_delay(tries, first=services.settings.ingest.retry_seconds)
    again = {"args": [id], "kwargs": {"owner": owner}, "countdown": delay}
    counted = outage_uses_up_attempt(tries)
    try:
        outcome = work(services, id, owner=owner, delay=delay, counted=counted)
    except VideoNotRegisteredError as error:
        from vidsearch.ingest import Outcome

        _log.warning("message ignored: %s", error)
        return Outcome("unknown")
    except VidsearchError as error:
        _log.warning("video %r: next try in %.0f s after %s", id, delay, error)
        raise task.retry(exc=error, **again) from error
    if outcome.status == "retry":
        raise task.retry(**again)
    return outcome


def _ingest(services: Services, id: str, *, owner: str, delay: float, counted: bool) -> Outcome:
    """Ingest a video; where this worker cannot (no encoder, no decoder, …) its record says why."""
    try:
        indexer = services.indexer
    except VidsearchError as error:
        return _cannot_work(error, services.registry, id, owner, delay, counted)
    return indexer.ingest(id, owner=owner, retry_delay=delay, count_outage=counted)


def _embed(services: Services, id: str, *, owner: str, delay: float, counted: bool) -> Outcome:
    try:
        worker = services.slice_worker
    except VidsearchError as error:
        return _cannot_work(error, services.board.entries, id, owner, delay, counted)
    return worker.embed(id, owner=owner, retry_delay=delay, count_outage=counted)


def _cannot_work(
    error: VidsearchError, registry: Registry, id: str, owner: str, delay: float, counted: bool
) -> Outcome:
    """Record why this worker cannot work.

    Raises:
        VidsearchError: ``error``, unless nothing is left to be tried again.
    """
    from vidsearch.ingest import Outcome

    reason = ErrorRecord.of(error, stage="prepare")
    try:
        lease = registry.claim(id, owner=owner)
        after = registry.release(lease, reason, counted=counted, delay=delay)
    except LeaseLostError as lost:
        return Outcome("skipped", reason=str(lost))
    if after.state is State.DEAD:
        return Outcome("dead", record=after, reason=str(reason))
    raise error


@shared_task(name=SWEEP, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> dict[str, Any]:
    """Requeue videos whose worker or message was lost."""
    report = run_sweep(app=self.app)
    _log.info("sweep: %s", report)
    return report.to_json()


@shared_task(name=SCAN, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def scan(self: Any) -> dict[str, int]:
    """Enqueue documents of an attached index without vectors, or with another model's.

    There are none in a managed index.
    """
    if not current_services().open_index().attached:
        return {}
    counts: Counter[str] = Counter(finding.action for finding in run_scan(app=self.app, quick=True))
    _log.info("scan: %s", dict(counts))
    return dict(counts)


@inspect_command(name=WORKER_INFO)  # type: ignore[untyped-decorator]
def worker_info(state: object) -> dict[str, Any]:
    """Index, engine and model of this worker, and what it embeds with.

    A message holds an id only. A worker with other settings than the sender takes it, too, finds no
    such video in its registry, and drops it; this command shows such a worker.
    """
    services = current_services()
    return {**services.worker_info(), **services.model_info()}
