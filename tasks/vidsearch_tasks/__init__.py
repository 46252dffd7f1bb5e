"""The Celery side: ``celery -A vidsearch_tasks worker``, and ``register_video`` for applications.

``app`` is built from the settings when it is first asked for, so that importing this package reads
no settings and connects nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidsearch_tasks.broker import BrokerState, WorkerState, broker_state, queue_depth
from vidsearch_tasks.celery_app import beat_schedule, make_app
from vidsearch_tasks.register import enqueue, register_video, register_videos
from vidsearch_tasks.scan import run_scan
from vidsearch_tasks.services import Services, configure, current_services
from vidsearch_tasks.sweep import run_sweep

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
    "enqueue",
    "make_app",
    "queue_depth",
    "register_video",
    "register_videos",
    "run_scan",
    "run_sweep",
    "current_services",
]


def __getattr__(name: str) -> Any:
    if name == "app":
        return current_services().app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
