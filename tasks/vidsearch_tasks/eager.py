"""Ingestion in the process that registers, where the app has ``task_always_eager``; for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidsearch.errors import ConfigError, VideoNotRegisteredError
from vidsearch_mappings.registry import WAITING
from vidsearch_tasks.celery_app import EMBED_SLICE, FILL
from vidsearch_tasks.configured import current_services

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["run_in_process"]


def run_in_process(app: Celery, task: str, ids: Sequence[str]) -> None:
    """Do the work of a message per id, one after the other.

    An attempt that did not end well is repeated at once, up to ``ingest.max_attempts`` times; the
    delays that a worker would wait are left out. What went wrong is in the records.

    Raises:
        ConfigError: the tasks of this process work with another app.
    """
    app.loader.import_module("vidsearch_tasks.tasks")  # an app loads what it includes when it works
    services = current_services()
    if services.app != app:
        raise ConfigError(
            "task_always_eager is set, but the tasks of this process have not been given the app: "
            "call vidsearch_tasks.configure(settings, app=app) where it is made"
        )
    boards = {EMBED_SLICE: lambda: services.board.entries, FILL: lambda: services.fills.entries}
    entries = boards.get(task, lambda: services.registry)()
    for id in ids:
        for _ in range(services.settings.ingest.max_attempts):
            # An error that no record tells of is raised.
            app.tasks[task].apply(args=[id]).get(disable_sync_subtasks=False)
            try:
                if entries.get(id).state not in WAITING:
                    break
            except VideoNotRegisteredError:  # slices are forgotten with the last one
                break
