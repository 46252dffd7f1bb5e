"""How registered videos come into the queue: which of them are due, and their transitions.

An application sends the message of a new video itself, and marks it queued then
(``transitions.mark_queued``). A video with a ``due_at`` is left to the sweep: it found the queue
full, waits for a retry, or was recovered. The sweep takes it first and sends the message then, so
that of several sweeps at once one sends it.

Its priority says in which queue it waits. A bulk video that a worker had begun with, and that was
killed or told to end, waits among the interactive ones: it has had its turn, and thousands may have
come after it. There are never more of these than worker processes.
"""

from __future__ import annotations

from vidsearch.engines import Json
from vidsearch_mappings.registry import Priority, State, VideoRecord, to_stamp

__all__ = [
    "IN_ORDER",
    "WORKER_LOST",
    "WORKER_STOPPED",
    "defer",
    "due_query",
    "is_unsent",
    "put_back",
    "queue_priority",
    "take_due",
]

WORKER_LOST = "WorkerLost"
"""Class of the error of a video whose worker fell silent."""
WORKER_STOPPED = "WorkerStopped"
"""Class of the error of a video whose worker was told to end."""

_INTERRUPTED = (WORKER_LOST, WORKER_STOPPED)

IN_ORDER: list[Json] = [
    # `interactive` is the default value, which is not stored.
    {"priority": {"order": "asc", "missing": "_first", "unmapped_type": "keyword"}},
    {"registered_at": "asc"},
]
"""The order in which due videos are sent."""


def is_unsent(record: VideoRecord) -> bool:
    """Whether its message is still to be sent by whoever registered it."""
    return record.state is State.REGISTERED and record.due_at is None


def queue_priority(record: VideoRecord) -> Priority:
    """With which priority the message of a video waits: its own, or more; see above."""
    is_interrupted = record.error is not None and record.error.type in _INTERRUPTED
    return "interactive" if is_interrupted else record.priority


def due_query(now: float, *, priority: Priority | None = None) -> Json:
    """The query for the records that :func:`take_due` takes; ``priority`` is that of their messages
    (:func:`queue_priority`), ``None`` for both."""
    due = [
        {"term": {"state": str(State.REGISTERED)}},
        {"range": {"due_at": {"lte": to_stamp(now)}}},
    ]
    in_bulk = {
        "bool": {
            "filter": [{"term": {"priority": "bulk"}}],
            "must_not": [{"terms": {"error.type": [*_INTERRUPTED]}}],
        }
    }
    if priority == "bulk":
        return {"bool": {"filter": [*due, in_bulk]}}
    return {"bool": {"filter": due, "must_not": [in_bulk] if priority else []}}


def defer(record: VideoRecord, now: float) -> VideoRecord:
    """The queue is full: leave the video to the sweep."""
    return record.changed(due_at=now, updated_at=now) if is_unsent(record) else record


def take_due(record: VideoRecord, now: float) -> VideoRecord:
    """The sweep is about to send its message; nothing changes where another sweep was faster."""
    if record.state is not State.REGISTERED or record.due_at is None or record.due_at > now:
        return record
    return record.changed(state=State.QUEUED, due_at=now, updated_at=now)


def put_back(record: VideoRecord, now: float) -> VideoRecord:
    """The broker did not take its message after all."""
    if record.state is not State.QUEUED:
        return record
    return record.changed(state=State.REGISTERED, due_at=now, updated_at=now)
