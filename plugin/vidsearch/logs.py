"""Log lines as JSON, with the id of the video that a worker works on."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

from vidsearch.error_texts import logged_error, traceback_of
from vidsearch.metrics import current_work
from vidsearch_mappings.masking import masked

__all__ = ["JsonFormatter"]


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``logger``, ``message``; ``video`` or
    ``slice`` with the id that is being worked on; ``task`` and ``task_id`` in Celery's task log;
    ``error`` with the traceback. Secrets in message and traceback are masked.

    A formatter like any other, for ``logging.config.dictConfig`` as well. Takes the arguments of
    :class:`logging.Formatter`, and needs none of them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, tz=timezone.utc)
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masked(record.getMessage()),
        }
        if work := current_work():
            line[work.kind] = work.id
        if task := _current_task():
            line |= task
        if (error := logged_error(record)) is not None:
            line["error"] = traceback_of(error)
        elif record.exc_text:
            line["error"] = masked(record.exc_text)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _current_task() -> dict[str, str]:
    if "celery" not in sys.modules:
        return {}
    from celery._state import get_current_task

    task = get_current_task()
    if task is None or task.request is None or not task.request.id:
        return {}
    return {"task": task.name, "task_id": task.request.id}
