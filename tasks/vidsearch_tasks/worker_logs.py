"""The log of workers: without secrets, and in the form that the setting ``log.format`` asks for."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from vidsearch.error_texts import mask_record
from vidsearch_tasks.configured import current_services

__all__ = ["mask_own_record", "set_up_handlers"]

# Kombu's tell why a broker is away. Celery's own tell the errors of tasks; `celery.task` and
# `celery.redirected` are for what tasks log and print.
_OWN = frozenset({"vidsearch", "vidsearch_tasks", "vidsearch_mappings", "celery", "kombu"})
_OF_TASKS = frozenset({"celery.task", "celery.redirected"})


def mask_own_record(record: logging.LogRecord) -> bool:
    """Filter of a handler: masks secrets in what vidsearch and Celery log. What the application
    logs in a worker is its own."""
    if record.name.partition(".")[0] in _OWN and record.name not in _OF_TASKS:
        mask_record(record)
    return True


@after_setup_logger.connect  # type: ignore[untyped-decorator]
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def set_up_handlers(logger: logging.Logger, **_: Any) -> None:
    """Have the handlers that Celery has set up mask secrets, also in the errors that Celery itself
    logs, and write JSON where that is asked for."""
    is_json = current_services().settings.log.format == "json"
    for handler in logger.handlers:
        handler.addFilter(mask_own_record)
        if is_json:
            from vidsearch.logs import JsonFormatter

            handler.setFormatter(JsonFormatter())
