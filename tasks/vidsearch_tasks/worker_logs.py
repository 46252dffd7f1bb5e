"""The log of workers, where the setting ``log.format`` asks for another form than Celery's."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from vidsearch_tasks.configured import current_services

__all__ = ["set_formatter"]


@after_setup_logger.connect  # type: ignore[untyped-decorator]
@after_setup_task_logger.connect  # type: ignore[untyped-decorator]
def set_formatter(logger: logging.Logger, **_: Any) -> None:
    """Have the handlers that Celery has set up write JSON."""
    if current_services().settings.log.format == "json":
        from vidsearch.logs import JsonFormatter

        for handler in logger.handlers:
            handler.setFormatter(JsonFormatter())
