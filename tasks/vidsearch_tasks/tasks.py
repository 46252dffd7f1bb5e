"""The tasks, and the remote control command that tells what a worker is set up for.

They are shared tasks: every Celery app that includes this module has them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.worker.control import inspect_command

from vidsearch.errors import BackendUnavailableError, VidsearchError
from vidsearch_tasks import task_events, upkeep  # noqa: F401  (connect to signals of workers)
from vidsearch_tasks.attempts import FILLS, SLICES, VIDEOS, attempted
from vidsearch_tasks.celery_app import (
    EMBED_SLICE,
    FILL,
    INGEST,
    REINDEX,
    SCAN,
    SWEEP,
    TIME_LIMIT,
    WORKER_INFO,
)
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.maintenance import run_due_scan, run_due_sweep, run_quick_scan
from vidsearch_tasks.register import enqueue_fills, enqueue_slices
from vidsearch_tasks.reindexing import drive_reindex, send_due_reindex

if TYPE_CHECKING:
    from vidsearch.ingest import Outcome

__all__ = ["embed_slice", "fill_video", "ingest_video", "reindex", "scan", "sweep", "worker_info"]

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
        owner: of a lease that the worker before could not give back, which is taken up.
    """
    return _ingest(self, video_id, owner).status


@shared_task(name=EMBED_SLICE, **_LIMITS)  # type: ignore[untyped-decorator]
def embed_slice(self: Any, slice_id: str, owner: str | None = None) -> str:
    """Embed one slice of a long video; where it is the last one, make the document.

    Args:
        self: the task.
        slice_id: as it is on the board.
        owner: as for :func:`ingest_video`.
    """
    services = current_services()
    outcome = attempted(self, services, slice_id, SLICES, owner=owner)
    if outcome.ready is not None or outcome.ready_fill is not None:
        services.slice_worker.let_go()
    if outcome.ready is not None:
        _ingest(self, outcome.ready)  # it waits behind no other message
    if outcome.ready_fill is not None:
        _fill(self, outcome.ready_fill)
    return outcome.status


@shared_task(name=FILL, **_LIMITS)  # type: ignore[untyped-decorator]
def fill_video(self: Any, fill_id: str, owner: str | None = None) -> str:
    """Make the document of an indexed video in another index, during a reindex.

    Args:
        self: the task.
        fill_id: as it is on the board; see ``vidsearch.ingest.FillBoard``.
        owner: as for :func:`ingest_video`.
    """
    return _fill(self, fill_id, owner).status


def _ingest(task: Any, video_id: str, owner: str | None = None) -> Outcome:
    return _followed_up(task, attempted(task, current_services(), video_id, VIDEOS, owner=owner))


def _fill(task: Any, fill_id: str, owner: str | None = None) -> Outcome:
    return _followed_up(task, attempted(task, current_services(), fill_id, FILLS, owner=owner))


def _followed_up(task: Any, outcome: Outcome) -> Outcome:
    """Send the messages that an attempt asks for."""
    services = current_services()
    if outcome.slices:
        with suppress(BackendUnavailableError):  # the sweep sends them
            enqueue_slices(outcome.slices, services=services, app=task.app)
    if outcome.fills:
        with suppress(BackendUnavailableError):
            enqueue_fills(outcome.fills, services=services, app=task.app)
    return outcome


@shared_task(name=SWEEP, bind=True, acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(self: Any) -> dict[str, int]:
    """Requeue what was lost and send what is due, unless another worker has just done it.

    Where it is time, it scans an attached index as well, so that this needs no beat.
    """
    by = self.request.hostname
    try:
        report = run_due_sweep(app=self.app, by=by)
    except VidsearchError as error:
        _log.warning("no sweep: %s", error)
        return {}
    if report is None:
        return {}
    counts = report.counts()
    if any(counts.values()):
        _log.info("sweep: %s", counts)
    try:
        if scanned := run_due_scan(app=self.app, by=by):
            _log.info("scan: %s", scanned)
    except VidsearchError as error:
        _log.warning("no scan: %s", error)
    try:
        if run := send_due_reindex(services=current_services(), app=self.app):
            _log.info("%s goes on: %s", run.called, run.step)
    except VidsearchError as error:
        _log.warning("no reindex: %s", error)
    return counts


@shared_task(name=SCAN, bind=True, ignore_result=True)  # type: ignore[untyped-decorator]
def scan(self: Any) -> dict[str, int]:
    """Enqueue documents of an attached index without vectors, or with another model's.

    There are none in a managed index.
    """
    counts = run_quick_scan(app=self.app)
    if counts:
        _log.info("scan: %s", counts)
    return counts


@shared_task(name=REINDEX, acks_late=True, ignore_result=True)  # type: ignore[untyped-decorator]
def reindex(run_id: str) -> str:
    """Go on with a reindex that :func:`~vidsearch_tasks.start_reindex` began.

    Args:
        run_id: of its record.
    """
    return drive_reindex(run_id)


@inspect_command(name=WORKER_INFO)  # type: ignore[untyped-decorator]
def worker_info(state: Any) -> dict[str, Any]:
    """Index, engine and model of this worker, and what it embeds with.

    A message holds an id only. A worker with other settings than the sender takes it, too, finds no
    such video in its registry, and drops it; this command shows such a worker.
    """
    from vidsearch_tasks.worker_start import app_conflicts

    services = current_services()
    conflicts = app_conflicts(state.app, services.settings)
    return {**services.worker_info(), **services.model_info(), "conflicts": conflicts}
