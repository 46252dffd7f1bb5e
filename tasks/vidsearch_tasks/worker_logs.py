"""The log of workers: without secrets, and in the form that the setting ``log.format`` asks for."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from vidsearch.error_texts import mask_record
from vidsearch_tasks.configured import current_services

__all__ = ["set_up_handlers"]


@after_setup_logger.connect  # type: ignore[untyped-decorator]
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def set_up_handlers(logger: logging.Logger, **_: Any) -> None:
    """Have the handlers that Celery has set up mask secrets, also in the errors that Celery itself
    logs, and write JSON where that is asked for."""
    is_json = current_services().settings.log.format == "json"
    for handler in logger.handlers:
        handler.addFilter(mask_record)
        if is_json:
            from vidsearch.logs import JsonFormatter

            handler.setFormatter(JsonFormatter())
