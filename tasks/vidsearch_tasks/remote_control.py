"""Questions to the workers over Celery's remote control, and the end of the wait for answers.

Nobody knows how many workers there are. Redis says how many clients have heard a message to all:
where as many have answered, nobody else will. A worker that has heard it and is busy, or whose
process was stopped, is waited for, as long as the timeout allows. RabbitMQ says only whether
anybody has heard it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vidsearch_tasks.broker_url import broker_url, is_rabbitmq, is_redis

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["ask_workers"]

_POLL_SECONDS = 0.1
"""How long one look for answers in Redis lasts, which is waited for when the time is over."""


def ask_workers(
    app: Celery, command: str, *, timeout: float, names: Sequence[str] | None = None
) -> list[tuple[str, Any]]:
    """The answers of workers by their names; it ends with the last one that can come.

    A name comes twice where two workers have it.

    Args:
        app: one of ours, whose questions go over the connection that is opened here from now on.
        command: Celery's, or one that the tasks bring along.
        timeout: seconds until the next answer, for which is waited at most.
        names: of those that are asked; ``None``: all.
    """
    if names is not None and not names:  # Celery would ask all workers
        return []
    url, to_all = broker_url(app), names is None
    asked = {"destination": sorted({*names}), "limit": len(names)} if names else {}
    # On a connection of its own: on Redis, one that was asked on before still waits for answers to
    # that question, a second by default, and reads no others until then.
    options = {"polling_interval": _POLL_SECONDS} if is_redis(url) else {}
    app.control.mailbox.producer_pool = None  # which has connections of its own
    answers: list[tuple[str, Any]] = []
    with app.connection_for_write(transport_options=options) as connected:
        if to_all and is_rabbitmq(url) and not _is_heard(connected, app.control.mailbox.exchange):
            return []
        hearers = _Hearers(connected.default_channel) if to_all and is_redis(url) else None

        def note(reply: dict[str, Any]) -> None:
            answers.extend(reply.items())
            if hearers is not None and 0 < hearers.number <= len(answers):
                raise _AllAnsweredError

        with suppress(_AllAnsweredError):
            app.control.broadcast(
                command, reply=True, timeout=timeout, connection=connected, callback=note, **asked
            )
    return answers


def _is_heard(connected: Any, exchange: Any) -> bool:
    """Whether a queue gets what is sent to an exchange: RabbitMQ returns what must and cannot."""
    returned: list[object] = []
    with connected.channel() as channel:
        bound = exchange(channel)
        bound.declare()
        producer = connected.Producer(channel, bound, on_return=lambda *told: returned.append(told))
        # To a worker that there is not, so that none does anything.
        producer.publish({"method": "ping", "destination": [""]}, mandatory=True, serializer="json")
        bound.declare()  # whose answer comes after the message
    return not returned


class _AllAnsweredError(Exception):
    """Whoever has heard the question has answered."""


class _Hearers:
    """Counts who hears the messages to all that a Redis channel publishes.

    Raises ``_AllAnsweredError`` in the publisher where nobody does.
    """

    def __init__(self, channel: Any) -> None:
        self.number = 0
        """0 where it is not known, as the message went over another channel after an error."""
        self._open = channel.conn_or_acquire
        channel.conn_or_acquire = self._counting

    @contextmanager
    def _counting(self, client: Any = None) -> Iterator[Any]:
        heard: list[int] = []

        def note(number: int, **_: Any) -> int:
            heard.append(number)
            return number

        with self._open(client) as opened:
            opened.set_response_callback("PUBLISH", note)
            yield opened
        self.number += sum(heard)
        if heard and not self.number:
            raise _AllAnsweredError
