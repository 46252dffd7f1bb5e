"""What pool processes are told that are started afresh instead of forked.

Celery does so on macOS, and elsewhere with ``worker_pool_start_method = "spawn"``. Such a process
has nothing of its worker's memory but the Celery app, and imports no more than its ``include``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

__all__ = ["hand_over", "handed_over", "starts_afresh"]

_NAME = "_VIDSEARCH_WORKER"
"""Environment variable, as that reaches a process before it imports anything."""


def starts_afresh(worker: Any) -> bool:
    """Whether a worker, as Celery's signals give it, starts its pool's processes afresh."""
    from billiard import get_start_method

    pool: str = worker.pool_cls.__module__
    if not pool.endswith(".prefork"):
        return False
    # The attribute is of Celery 5.7; billiard has another default on macOS.
    method: str = getattr(worker, "pool_start_method", "fork")
    return method != "fork" or get_start_method() != "fork"


def hand_over(**facts: str) -> None:
    """Tell the processes that this one starts from now on."""
    os.environ[_NAME] = json.dumps({"parent": os.getpid(), **facts})


def handed_over() -> Mapping[str, str]:
    """What the worker told that started this process; nothing in any other process."""
    facts: dict[str, Any] = json.loads(os.environ.get(_NAME) or "{}")
    return facts if facts.pop("parent", None) == os.getppid() else {}
