"""The sweep on real parts; the task and the command share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch_tasks.broker import queue_depth
from vidsearch_tasks.register import enqueue
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.registry import SweepReport

__all__ = ["run_sweep"]


def run_sweep(*, services: Services | None = None, app: Celery | None = None) -> SweepReport:
    """Requeue what was lost; see ``vidsearch.ingest.sweep``.

    Args:
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
    """
    from vidsearch.ingest import remove_document
    from vidsearch.registry import sweep

    services = services or current_services()
    sender = app or services.app
    return sweep(
        services.registry,
        enqueue=lambda id: enqueue(id, services=services, app=sender),
        clean=lambda id: remove_document(services.registry, services.open_index(), id),
        depth=lambda: queue_depth(sender, queue=services.settings.broker.queue),
    )
