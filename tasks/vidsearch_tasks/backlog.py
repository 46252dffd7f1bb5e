"""The messages that wait in the broker: how many, and for which videos."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import orjson

from vidsearch_tasks.celery_app import SCAN, SWEEP

if TYPE_CHECKING:
    from kombu.connection import Connection

__all__ = ["count_messages", "message_ids"]

_AT_ONCE = 1000
"""Messages per request to Redis."""
_OURS = "vidsearch."
"""How the names of the tasks begin; an application may send its own over the same queue."""
_WITHOUT_ID = (SWEEP, SCAN)
"""A beat of the application may send them over the same queue, too."""


def count_messages(connection: Connection, queues: Iterable[str]) -> int:
    """Number of messages that wait in some queues; those in workers' hands are not counted."""
    return sum(_count(connection, queue) for queue in queues)


def _count(connection: Any, queue: str) -> int:
    from kombu.transport import virtual

    default: Any = connection.default_channel
    if isinstance(default, virtual.Channel):
        size: Any = default._size
        return int(size(queue))
    # A channel that asks for a queue that does not exist is closed by RabbitMQ.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0


def message_ids(
    connection: Connection, queues: Sequence[str], *, held_seconds: float
) -> frozenset[str] | None:
    """The ids in all messages of some queues, and in those that workers took a short time ago.

    ``held_seconds`` is that time: a worker that holds a message for longer and has not begun may
    have been killed. ``None`` where the broker lets nobody read its queues, or a message of ours
    cannot be read.
    """
    from kombu.transport import redis

    channel: Any = connection.default_channel
    if not isinstance(channel, redis.Channel):
        return None
    ids: set[str] = set()
    for message in (*_waiting(channel, queues), *_held(channel, queues, held_seconds)):
        task = (message.get("headers") or {}).get("task")
        if task is None or (task.startswith(_OURS) and task not in _WITHOUT_ID):
            if id := _id_in(message):
                ids.add(id)
            elif task is not None:
                return None
    return frozenset(ids)


def _waiting(channel: Any, queues: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    # New messages come in at the front, so none is passed over that was there at the beginning.
    for key in (channel._q_for_pri(queue, step) for queue in queues for step in _steps(channel)):
        for start in count(0, _AT_ONCE):
            page = _ask(channel, "LRANGE", key, start, start + _AT_ONCE - 1)
            yield from map(orjson.loads, page)
            if len(page) < _AT_ONCE:
                break


def _held(channel: Any, queues: Sequence[str], seconds: float) -> Iterator[Mapping[str, Any]]:
    # One list holds those of all queues of this Redis, with the queue that each came from.
    since = time.time() - seconds
    tags = _ask(channel, "ZRANGEBYSCORE", channel.unacked_index_key, since, "+inf")
    if tags:
        for raw in _ask(channel, "HMGET", channel.unacked_key, *tags):
            message, _, queue = orjson.loads(raw) if raw else ({}, "", "")
            if queue in queues:
                yield message


def _steps(channel: Any) -> Sequence[int]:
    steps: Sequence[int] = channel.priority_steps
    return steps


def _ask(channel: Any, command: str, key: str, *arguments: Any) -> list[Any]:
    # kombu's own client adds `global_keyprefix` to the keys of some commands, not of these.
    answer: list[Any] = channel.client.execute_command(
        command, f"{channel.global_keyprefix}{key}", *arguments
    )
    return answer


def _id_in(message: Mapping[str, Any]) -> str | None:
    """The id of the video or slice that a message is for."""
    from kombu import compression

    unpacked: Any = compression.decompress
    try:
        body: Any = message["body"]
        if message["properties"]["body_encoding"] == "base64":
            body = b64decode(body)
        if form := message["headers"].get("compression"):  # the application's `task_compression`
            body = unpacked(body, form)
        content = orjson.loads(body)
        # The older one of Celery's two protocols has an object.
        id = (content["args"] if isinstance(content, dict) else content[0])[0]
    except Exception:  # of another task, in whatever form
        return None
    return id if isinstance(id, str) else None
