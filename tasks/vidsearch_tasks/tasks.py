"""The tasks, and the remote control command that tells what a worker is set up for.

They are shared tasks: every Celery app that includes this module has them.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import shared_task
from celery.worker.control import inspect_command

from vidsearch.errors import LeaseLostError, VideoNotRegisteredError, VidsearchError
from vidsearch.retry import outage_uses_up_attempt, retry_delay
from vidsearch_mappings.registry import ErrorRecord, State
from vidsearch_tasks.celery_app import INGEST, SCAN, SWEEP, TIME_LIMIT, WORKER_INFO
from vidsearch_tasks.maintenance import run_scan, run_sweep
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from vidsearch.ingest import Outcome

__all__ = ["ingest_video", "scan", "sweep", "worker_info"]

_log = logging.getLogger(__name__)


@shared_task(  # type: ignore[untyped-decorator]
    name=INGEST,
    bind=True,
    acks_late=True,
    ignore_result=True,
    max_retries=None,
    soft_time_limit=TIME_LIMIT,
    time_limit=TIME_LIMIT + 60,
)
def ingest_video(self: Any, video_id: str, owner: str | None = None) -> str:
    """Ingest one registered video.

    Args:
        self: the task.
        video_id: as registered.
        owner: set by a retry, which so takes up a lease that could not be given back.
    """
    services = current_services()
    owner = owner or uuid4().hex[:12]
    tries = self.request.retries
    delay = retry_delay(tries, first=services.settings.ingest.retry_seconds)
    again = {"args": [video_id], "kwargs": {"owner": owner}, "countdown": delay}
    counted = outage_uses_up_attempt(tries)
    try:
        outcome = _ingest(services, video_id, owner=owner, delay=delay, counted=counted)
    except VideoNotRegisteredError as error:
        _log.warning("message ignored: %s", error)
        return "unknown"
    except VidsearchError as error:
        _log.warning("video %r: next try in %.0f s after %s", video_id, delay, error)
        raise self.retry(exc=error, **again) from error
    if outcome.status == "retry":
        raise self.retry(**again)
    return outcome.status


def _ingest(services: Services, id: str, *, owner: str, delay: float, counted: bool) -> Outcome:
    """Ingest a video; where this worker cannot (no encoder, no decoder, …) its record says why."""
    from vidsearch.ingest import Outcome

    try:
        indexer = services.indexer
    except VidsearchError as error:
        reason = ErrorRecord.of(error, stage="prepare")
        try:
            lease = services.registry.claim(id, owner=owner)
            after = services.registry.release(lease, reason, counted=counted, delay=delay)
        except LeaseLostError as lost:
            return Outcome("skipped", reason=str(lost))
        if after.state is State.DEAD:
            return Outcome("dead", record=after, reason=str(reason))
        raise
    return indexer.ingest(id, owner=owner, retry_delay=delay, count_outage=counted)


@shared_task(name=SWEEP, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> dict[str, Any]:
    """Requeue videos whose worker or message was lost."""
    report = run_sweep(app=self.app)
    _log.info("sweep: %s", report)
    return report.to_json()


@shared_task(name=SCAN, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def scan(self: Any) -> dict[str, int]:
    """Enqueue documents of an attached index without vectors, or with another model's."""
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
