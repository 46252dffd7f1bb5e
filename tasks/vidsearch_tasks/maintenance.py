"""The periodic work, which the tasks and the command line share: the sweep and the scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from vidsearch.errors import VidsearchError
from vidsearch.metrics import measured_sweep
from vidsearch_tasks.broker import queue_depth
from vidsearch_tasks.register import enqueue, enqueue_many, enqueue_slices
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.ingest import Finding
    from vidsearch.registry import SweepReport

__all__ = ["run_scan", "run_sweep"]


@measured_sweep
def run_sweep(*, services: Services | None = None, app: Celery | None = None) -> SweepReport:
    """Requeue what was lost, slices included; see ``vidsearch.registry.sweep``.

    Args:
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
    """
    from vidsearch.ingest import remove_document
    from vidsearch.registry import sweep

    services = services or current_services()
    sender = app or services.app
    slices = _swept_slices(services, sender)
    videos = sweep(
        services.registry,
        enqueue=lambda id: enqueue(id, services=services, app=sender),
        clean=lambda id: remove_document(services.registry, services.open_index(), id),
        depth=lambda: queue_depth(sender, queue=services.settings.broker.queue),
    )
    return replace(videos, slices=len(slices.requeued), problem=videos.problem or slices.problem)


def _swept_slices(services: Services, app: Celery) -> SweepReport:
    """The sweep of the board; the video of a slice that is dead is told of it."""
    from vidsearch.registry import SweepReport, sweep

    board = services.board
    if not board.exists:
        return SweepReport()
    report = sweep(
        board.entries,
        enqueue=lambda id: enqueue_slices([id], services=services, app=app),
        clean=board.entries.purge,
        depth=lambda: queue_depth(app, queue=services.settings.broker.queue),
    )
    for id in report.dead:
        with suppress(VidsearchError):  # its own lease runs out as well
            video = board.entries.get(id).fields["video_id"]
            enqueue(video, services=services, app=app)
    return report


def run_scan(
    *,
    services: Services | None = None,
    app: Celery | None = None,
    quick: bool = False,
    everything: bool = False,
    retry: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
) -> Iterator[Finding]:
    """Enqueue what an attached index lacks, in batches; see ``vidsearch.ingest.scan_index``.

    Args:
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
        quick, everything, retry, dry_run, limit: as for ``scan_index``.
    """
    from vidsearch.ingest import scan_index

    services = services or current_services()
    return scan_index(
        services.registry,
        services.open_index(),
        enqueue=lambda batch: enqueue_many(batch, services=services, app=app),
        quick=quick,
        everything=everything,
        retry=retry,
        dry_run=dry_run,
        limit=limit,
    )
