"""The sweep on real parts; the task and the command share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch_tasks.broker import queue_depth
from vidsearch_tasks.parts import Runtime, runtime
from vidsearch_tasks.registering import enqueue

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.ingest import SweepReport

__all__ = ["run_sweep"]


def run_sweep(*, using: Runtime | None = None, app: Celery | None = None) -> SweepReport:
    """Requeue what was lost; see ``vidsearch.ingest.sweep``.

    Args:
        using: the parts to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``using``.
    """
    from vidsearch.ingest import remove_document, sweep

    parts = using or runtime()
    sender = app or parts.app
    return sweep(
        parts.registry,
        enqueue=lambda id: enqueue(id, using=parts, app=sender),
        clean=lambda id: remove_document(parts.registry, parts.open_index(), id),
        depth=lambda: queue_depth(sender, queue=parts.settings.broker.queue),
    )
