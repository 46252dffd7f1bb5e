"""The Celery application, for those who do not bring their own."""

from __future__ import annotations

from typing import Any

from celery import Celery

from vidsearch.config import Settings

__all__ = ["INGEST", "SCAN", "SERVES", "SWEEP", "TIME_LIMIT", "beat_schedule", "make_app"]

INGEST = "vidsearch.ingest_video"
SWEEP = "vidsearch.sweep"
SCAN = "vidsearch.scan"
SERVES = "vidsearch_serves"
"""Remote control command, not a task: ``celery -A … inspect vidsearch_serves``."""

TIME_LIMIT = 2 * 3600
"""Seconds after which a worker is told to give up a video; a minute later it is killed. A hanging
worker would else renew its lease for ever."""

_VISIBILITY_TIMEOUT = 2 * TIME_LIMIT
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 10.0


def make_app(settings: Settings) -> Celery:
    """A Celery application with our two tasks, their queue and the sweep's schedule.

    It does not become the process's current app: a host that only registers videos keeps its own.
    """
    app = Celery(
        "vidsearch",
        broker=settings.broker.url.get_secret_value(),
        include=["vidsearch_tasks.tasks"],
        set_as_current=False,
    )
    app.conf.update(
        # Messages hold ids only, results stand in the registry.
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=settings.broker.queue,
        # A message is done when the work is done. What a killed worker leaves behind is the
        # sweep's business: `task_reject_on_worker_lost` has no effect on Redis (celery #3541),
        # and elsewhere it would requeue a video that kills its worker without end.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Redis delivers again what was not acknowledged for so long. It must exceed the
            # longest task; a message lost with its worker is replaced much sooner by the sweep.
            "visibility_timeout": _VISIBILITY_TIMEOUT,
            # A host that registers a video must not hang on a broker that is away. The worker
            # has its own, patient way to reconnect.
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_timeout": _ANSWER_SECONDS,
            "socket_keepalive": True,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
        },
        beat_schedule=beat_schedule(settings),
        enable_utc=True,
        timezone="UTC",
    )
    return app


def beat_schedule(settings: Settings) -> dict[str, Any]:
    """Our entries in a beat schedule; a host with its own app adds them to its own.

    The sweep, and where ``ingest.scan_seconds`` is set, the scan of an attached index.
    """
    periods = {SWEEP: settings.ingest.sweep_seconds, SCAN: settings.ingest.scan_seconds}
    return {
        task: {
            "task": task,
            "schedule": seconds,
            # One that waited until the next is due has nothing to add.
            "options": {"queue": settings.broker.queue, "expires": max(seconds, 1.0)},
        }
        for task, seconds in periods.items()
        if seconds
    }
