"""The broker: how many messages wait, and what the workers say about themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidsearch.config import redact_url
from vidsearch_mappings.registry import PRIORITIES, Priority
from vidsearch_tasks.backlog import count_messages, message_ids
from vidsearch_tasks.celery_app import WORKER_INFO, bulk_queue, make_app
from vidsearch_tasks.connection import asking, connection
from vidsearch_tasks.remote_control import ask_workers

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings

__all__ = [
    "BrokerState",
    "WorkerState",
    "broker_state",
    "memory_advice",
    "messages_of",
    "queue_depth",
    "queue_depths",
]

_MODEL_PAUSE = 0.5
_PATIENCE = 30.0
"""Seconds for a look into the queues; a third of it until the broker answers each request."""
_INFO = (
    *("index", "engine", "model", "encoder", "identity", "others", "precision", "problem"),
    "conflicts",
)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker says about itself."""

    name: str
    queues: tuple[str, ...]
    """Those that it takes messages from."""
    index: str | None = None
    """Alias of the videos index that it writes to. ``None`` where it was not asked, because it does
    not take from the queue of the settings, or where it has no vidsearch tasks of this version."""
    engine: str | None = None
    """URL of the search engine that it writes to, where it is known."""
    model: str | None = None
    """Name of the model that its settings have."""
    encoder: str | None = None
    """Class of the encoder that it embeds with; this and what follows are ``None`` where it has not
    found out yet."""
    identity: Mapping[str, Any] | None = None
    """Of that encoder, as in the mapping of an index."""
    others: Sequence[Mapping[str, Any]] | None = None
    """Of the encoders that its setting ``model.others`` names."""
    precision: str | None = None
    """Numbers that it computes frames with."""
    problem: str | None = None
    """Why it cannot embed."""
    conflicts: Sequence[str] | None = None
    """What its Celery app has set against what ingestion needs."""


@dataclass(frozen=True, slots=True)
class BrokerState:
    """The queue of the settings, and all workers of the broker."""

    url: str
    """Without a password."""
    queue: str
    queued: int
    """Messages that wait in the queue, or in the one for bulk imports; those that a worker has
    taken are not counted."""
    workers: tuple[WorkerState, ...]
    """All that answered, by name; those of the queue with their index, engine and model. Workers
    that share a name are all listed where the broker lets all of them answer, as Redis does."""

    @property
    def of_queue(self) -> tuple[WorkerState, ...]:
        """The workers that take messages from the queue."""
        return tuple(worker for worker in self.workers if self.queue in worker.queues)


def queue_depth(app: Celery, *, queue: str) -> int:
    """Number of messages that wait in a queue, and in the one beside it for bulk imports.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    return sum(queue_depths(app, queue=queue).values())


def queue_depths(app: Celery, *, queue: str) -> dict[Priority, int]:
    """As :func:`queue_depth`, by priority.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    with asking(app) as url, connection(app, url, _PATIENCE) as connected:
        return {
            priority: count_messages(connected, [name])
            for priority, name in zip(PRIORITIES, (queue, bulk_queue(queue)), strict=True)
        }


def messages_of(app: Celery, *, queue: str, held_seconds: float) -> frozenset[str] | None:
    """The ids in the messages of a queue and the one beside it; see ``backlog.message_ids``.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    with asking(app) as url, connection(app, url, _PATIENCE) as connected:
        return message_ids(connected, (queue, bulk_queue(queue)), held_seconds=held_seconds)


def memory_advice(app: Celery) -> str | None:
    """What to change of a Redis that drops messages when its memory is full.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    from kombu.transport import redis
    from redis.exceptions import ResponseError

    with asking(app) as url, connection(app, url, _PATIENCE) as connected:
        channel: Any = connected.default_channel
        if not isinstance(channel, redis.Channel):
            return None
        try:
            memory = channel.client.info("memory")
        except ResponseError:  # no right to ask
            return None
    policy = str(memory.get("maxmemory_policy"))
    if not memory.get("maxmemory") or not policy.startswith("allkeys"):
        return None
    return (
        f"maxmemory-policy of this Redis is {policy}: when its memory is full it drops whole "
        "queues, which the sweep has to send again; set it to noeviction"
    )


def broker_state(
    settings: Settings, *, timeout: float = 1.0, model_seconds: float = 0.0
) -> BrokerState:
    """Ask the broker about the queue, and the workers about themselves.

    Args:
        settings: names the broker and the queue.
        timeout: seconds to wait for the workers' answers; with Redis, no longer than until all
            have answered that have heard the question.
        model_seconds: seconds to wait until the workers have found out what they embed with.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    app = make_app(settings)
    queue = settings.broker.queue
    queued = queue_depth(app, queue=queue)
    until = time.monotonic() + model_seconds
    with asking(app) as url:
        answers = ask_workers(app, "active_queues", timeout=timeout)
        takes = [(name, tuple(each["name"] for each in found)) for name, found in answers]
        names = [name for name, queues in takes if queue in queues]
        infos = ask_workers(app, WORKER_INFO, names=names, timeout=timeout)
        while any(_is_unsure(info) for _, info in infos) and time.monotonic() < until:
            time.sleep(_MODEL_PAUSE)
            infos = ask_workers(app, WORKER_INFO, names=names, timeout=timeout)
    rest = [*infos]
    workers: list[WorkerState] = []
    for name, queues in sorted(takes):
        info = next((each for each in rest if each[0] == name), None) if queue in queues else None
        if info:
            rest.remove(info)
        known = info[1] if info and isinstance(info[1], dict) else {}
        workers.append(WorkerState(name, queues, **{key: known.get(key) for key in _INFO}))
    return BrokerState(redact_url(url), queue, queued, tuple(workers))


def _is_unsure(info: Any) -> bool:
    """Whether a worker of this version has not found out yet what it embeds with."""
    return (
        isinstance(info, dict)
        and "identity" in info
        and info["identity"] is None
        and info.get("problem") is None
    )
