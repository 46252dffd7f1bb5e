"""The Celery side: the tasks of ``celery -A vidsearch_tasks worker``, and what applications call.

An application registers, updates, looks up and deletes videos with the functions here; those of
:mod:`vidsearch_tasks.aio` do the same from an event loop. Searches are in :mod:`vidsearch`.

``app`` is built from the settings when it is first asked for, so that importing this package reads
no settings and connects to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidsearch.lazy import imported_late
from vidsearch_tasks.broker import BrokerState, WorkerState, broker_state, queue_depth
from vidsearch_tasks.celery_app import beat_schedule, make_app
from vidsearch_tasks.configured import configure, current_services
from vidsearch_tasks.maintenance import run_scan, run_sweep
from vidsearch_tasks.overview import IngestionStatus, LongVideo, ingestion_status
from vidsearch_tasks.register import (
    enqueue,
    enqueue_many,
    register_video,
    register_videos,
    stream_registrations,
)
from vidsearch_tasks.reindexing import reindexer, run_store, start_reindex
from vidsearch_tasks.services import Services
from vidsearch_tasks.videos import delete_video, retry_videos, update_fields, video_status
from vidsearch_tasks.worker_logs import set_up_handlers as _  # noqa: F401  (a signal calls it)
from vidsearch_tasks.worker_start import app_conflicts

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.registry import NewVideo, Registration, State, VideoRecord

    app: Celery

__all__ = [
    "BrokerState",
    "IngestionStatus",
    "LongVideo",
    "NewVideo",
    "Registration",
    "Services",
    "State",
    "VideoRecord",
    "WorkerState",
    "app",
    "app_conflicts",
    "beat_schedule",
    "broker_state",
    "configure",
    "current_services",
    "delete_video",
    "enqueue",
    "enqueue_many",
    "ingestion_status",
    "make_app",
    "queue_depth",
    "register_video",
    "register_videos",
    "reindexer",
    "retry_videos",
    "run_scan",
    "run_store",
    "run_sweep",
    "start_reindex",
    "stream_registrations",
    "update_fields",
    "video_status",
]

_of_registry, __dir__ = imported_late(
    __name__,
    dict.fromkeys(("NewVideo", "Registration", "State", "VideoRecord"), "vidsearch.registry"),
    present=tuple(__all__),
)


def __getattr__(name: str) -> Any:
    return current_services().app if name == "app" else _of_registry(name)
