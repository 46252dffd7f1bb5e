"""Messages that tests send by themselves."""

from __future__ import annotations

from celery import Celery

from vidsearch.defaults import BROKER_SECONDS
from vidsearch_tasks.celery_app import INGEST
from vidsearch_tasks.sending import send_ids

__all__ = ["send_ingest"]


def send_ingest(app: Celery, video_id: str, *, queue: str, timeout: float = BROKER_SECONDS) -> None:
    """Put the message for one video into the queue; raises why the broker did not take it."""
    _, problem = send_ids(app, INGEST, [video_id], queue=queue, timeout=timeout)
    if problem:
        raise problem
