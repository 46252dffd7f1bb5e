"""The scan on real parts; the task and the command share it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vidsearch_tasks.register import enqueue
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.ingest import Finding

__all__ = ["run_scan"]


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
    """Enqueue what an attached index lacks, one by one; see ``vidsearch.ingest.scan_index``.

    Args:
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
        quick, everything, retry, dry_run, limit: of ``scan_index``.
    """
    from vidsearch.ingest import scan_index

    services = services or current_services()
    return scan_index(
        services.registry,
        services.open_index(),
        enqueue=lambda id: enqueue(id, services=services, app=app),
        quick=quick,
        everything=everything,
        retry=retry,
        dry_run=dry_run,
        limit=limit,
    )
