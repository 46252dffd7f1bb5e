"""The Celery side: ``celery -A vidsearch_tasks worker``, and ``register_video`` for applications.

``app`` is built from the settings when it is first asked for, so that importing this package reads
no settings and connects nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidsearch_tasks.broker import BrokerState, WorkerState, broker_state, queue_depth
from vidsearch_tasks.celery_app import beat_schedule, make_app
from vidsearch_tasks.parts import Runtime, configure, runtime
from vidsearch_tasks.registering import enqueue, register_video
from vidsearch_tasks.scanning import run_scan
from vidsearch_tasks.sweeping import run_sweep

if TYPE_CHECKING:
    from celery import Celery

    app: Celery

__all__ = [
    "BrokerState",
    "Runtime",
    "WorkerState",
    "app",
    "beat_schedule",
    "broker_state",
    "configure",
    "enqueue",
    "make_app",
    "queue_depth",
    "register_video",
    "run_scan",
    "run_sweep",
    "runtime",
]


def __getattr__(name: str) -> Any:
    if name == "app":
        return runtime().app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
