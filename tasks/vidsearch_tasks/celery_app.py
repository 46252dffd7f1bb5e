"""The Celery app, for applications that do not bring their own."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.entity import Queue

from vidsearch.config import Settings
from vidsearch.defaults import TIME_LIMIT
from vidsearch_tasks.broker_url import is_redis, require_usable

__all__ = [
    "EMBED_SLICE",
    "FILL",
    "INGEST",
    "PROCESS_SECONDS",
    "REINDEX",
    "SCAN",
    "SWEEP",
    "TIME_LIMIT",
    "WORKER_INFO",
    "beat_schedule",
    "bulk_queue",
    "maintenance_queue",
    "make_app",
    "queue_of",
]

INGEST = "vidsearch.ingest_video"
EMBED_SLICE = "vidsearch.embed_slice"
FILL = "vidsearch.fill_video"
SWEEP = "vidsearch.sweep"
SCAN = "vidsearch.scan"
REINDEX = "vidsearch.reindex"
WORKER_INFO = "vidsearch_worker_info"
"""Remote control command, not a task: ``celery -A … inspect vidsearch_worker_info``."""

PROCESS_SECONDS = 60.0
"""For which a process of a worker's pool may start."""
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 10.0


def bulk_queue(queue: str) -> str:
    """Where videos with the priority ``bulk`` wait, beside the queue for all others.

    Workers take from both in turn, so that one of the other queue is next.
    """
    return f"{queue}-bulk"


def maintenance_queue(queue: str) -> str:
    """Where the sweep waits, so that no video is before it."""
    return f"{queue}-maintenance"


def queue_of(app: Celery, name: str) -> Queue:
    """A queue as the app declares it, also where ``task_create_missing_queues`` is off.

    It is not added to those of such an app: before 5.7, workers of Celery that are given no queues
    take from all that the app has when they connect again.
    """
    queues = app.amqp.queues
    try:
        found: Queue = queues[name]
    except KeyError:
        found = app.amqp.Queues([queues.new_missing(name)])[name]
    return found


def make_app(settings: Settings) -> Celery:
    """A Celery app with the tasks of ``vidsearch_tasks.tasks``, their queue and their schedule.

    It does not become the process's current app: an application that registers videos keeps its
    own.

    Raises:
        ConfigError: Celery cannot work with the broker's URL.
    """
    url = settings.broker.url.get_secret_value()
    require_usable(url, settings.broker.transport_options)
    app = Celery(
        "vidsearch",
        broker=url,
        include=["vidsearch_tasks.tasks"],
        set_as_current=False,
    )
    app.conf.update(
        # Messages hold ids only, results are in the registry.
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=settings.broker.queue,
        # A message is acknowledged when the work is done. The sweep requeues what a killed worker
        # leaves behind: `task_reject_on_worker_lost` has no effect on Redis (celery #3541), and
        # with other brokers it would requeue a video that kills its worker without end.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        # No worker holds a message that another one could work on.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=is_redis(url),  # of Celery 5.6; with Redis only
        worker_eta_task_limit=1,  # of Celery 5.6
        broker_connection_retry_on_startup=True,
        # Celery gives up after a hundred times, which is three quarters of an hour.
        broker_connection_max_retries=None,
        # RabbitMQ closes the channel of a worker that has not acknowledged a message in time: it
        # opens another one, and the task goes on, as its lease does.
        broker_channel_error_retry=True,
        # Celery ends a process of the pool that has not started after four seconds, and starts
        # another, for ever: on a busy machine, none would get to the end of its imports.
        worker_proc_alive_timeout=PROCESS_SECONDS,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            # Redis delivers a message again that is not acknowledged for so long. It must exceed
            # the longest task; the sweep replaces a message lost with its worker much sooner.
            "visibility_timeout": settings.visibility_timeout,
            # An application that registers a video must not hang while the broker is away. The
            # worker reconnects by `broker_connection_retry`.
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_timeout": _ANSWER_SECONDS,
            "socket_keepalive": True,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.2,
            "interval_max": 0.2,
            **settings.broker.transport_options,
        },
        beat_schedule=beat_schedule(settings),
        worker_send_task_events=True,  # for Flower and celery-exporter
        task_send_sent_event=True,
        enable_utc=True,
        timezone="UTC",
        # In a cold shutdown (SIGQUIT), pool processes have so long to hand back their videos.
        worker_soft_shutdown_timeout=5.0,
    )
    return app


def beat_schedule(settings: Settings) -> dict[str, Any]:
    """Entries for Celery beat; an application with its own app adds them to its schedule.

    The sweep every ``ingest.sweep_seconds``, which workers do by themselves as well, and the scan
    of an attached index every ``ingest.scan_seconds`` unless that is 0.
    """
    periods = {SWEEP: settings.ingest.sweep_seconds, SCAN: settings.ingest.scan_seconds}
    return {
        task: {
            "task": task,
            "schedule": seconds,
            # A message that waited until the next is due is dropped.
            "options": {
                "queue": maintenance_queue(settings.broker.queue),
                "expires": max(seconds, 1.0),
            },
        }
        for task, seconds in periods.items()
        if seconds
    }
