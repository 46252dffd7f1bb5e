"""The Celery side: the tasks of ``celery -A vidsearch_tasks worker``, and ``register_video``.

``app`` is built from the settings when it is first asked for, so that importing this package reads
no settings and connects to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidsearch_tasks.broker import BrokerState, WorkerState, broker_state, queue_depth
from vidsearch_tasks.celery_app import beat_schedule, make_app
from vidsearch_tasks.maintenance import run_scan, run_sweep
from vidsearch_tasks.register import (
    enqueue,
    enqueue_many,
    register_video,
    register_videos,
    stream_registrations,
)
from vidsearch_tasks.services import Services, configure, current_services

if TYPE_CHECKING:
    from celery import Celery

    app: Celery

__all__ = [
    "BrokerState",
    "Services",
    "WorkerState",
    "app",
    "beat_schedule",
    "broker_state",
    "configure",
    "current_services",
    "enqueue",
    "enqueue_many",
    "make_app",
    "queue_depth",
    "register_video",
    "register_videos",
    "run_scan",
    "run_sweep",
    "stream_registrations",
]


def __getattr__(name: str) -> Any:
    if name == "app":
        return current_services().app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
