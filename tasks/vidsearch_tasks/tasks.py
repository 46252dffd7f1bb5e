"""The tasks, and what a worker answers who asks whom it serves.

They are shared tasks: our own app has them, and so has a host's app.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any
from uuid import uuid4

from celery import shared_task
from celery.worker.control import inspect_command

from vidsearch import backoff
from vidsearch.errors import VideoNotRegisteredError, VidsearchError
from vidsearch_tasks.celery_app import INGEST, SCAN, SERVES, SWEEP, TIME_LIMIT
from vidsearch_tasks.scan import run_scan
from vidsearch_tasks.services import current_services
from vidsearch_tasks.sweep import run_sweep

__all__ = ["ingest_video", "retry_delay", "scan", "serves", "sweep"]

_log = logging.getLogger(__name__)
_LONGEST_DELAY = 600.0
_OUTAGES_PER_ATTEMPT = 10
"""So many tries in a row that end in an outage use up one attempt: with the growing delay that is
more than half an hour. A source that never answers must not be asked for ever."""


def retry_delay(retries: int, *, first: float) -> float:
    """Seconds before the next try: doubles each time up to ten minutes, less up to half of it.

    The jitter keeps the videos that one outage stopped from returning all at once.
    """
    return backoff.delay(retries + 1, first=first, longest=_LONGEST_DELAY)


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
        owner: set by a retry, to take up a lease that could not be given back in an outage.
    """
    services = current_services()
    owner = owner or uuid4().hex[:12]
    tries = self.request.retries
    delay = retry_delay(tries, first=services.settings.ingest.retry_seconds)
    again = {"args": [video_id], "kwargs": {"owner": owner}, "countdown": delay}
    try:
        outcome = services.indexer.ingest(
            video_id,
            owner=owner,
            retry_delay=delay,
            count_outage=(tries + 1) % _OUTAGES_PER_ATTEMPT == 0,
        )
    except VideoNotRegisteredError as error:
        _log.warning("message ignored: %s", error)
        return "unknown"
    except VidsearchError as error:
        _log.warning("video %r: next try in %.0f s after %s", video_id, delay, error)
        raise self.retry(exc=error, **again) from error
    if outcome.status == "retry":
        raise self.retry(**again)
    return outcome.status


@shared_task(name=SWEEP, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> dict[str, Any]:
    """Requeue what was lost; beat sends it every ``ingest.sweep_seconds``."""
    report = run_sweep(app=self.app)
    _log.info("sweep: %s", report)
    return report.to_json()


@shared_task(name=SCAN, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def scan(self: Any) -> dict[str, int]:
    """Enqueue what an attached index lacks; beat sends it every ``ingest.scan_seconds``.

    The quick look only: documents without vectors, or with another model's.
    """
    counts: Counter[str] = Counter(finding.action for finding in run_scan(app=self.app, quick=True))
    _log.info("scan: %s", dict(counts))
    return dict(counts)


@inspect_command(name=SERVES)  # type: ignore[untyped-decorator]
def serves(state: object) -> dict[str, str | None]:
    """Tell the index, the engine and the model that this worker serves."""
    # A message holds an id only: a worker with other settings than the sender takes it as gladly,
    # finds no such video in its own registry, and drops it.
    return current_services().serves()
