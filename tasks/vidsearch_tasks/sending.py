"""Messages to the workers, over the broker of any Celery app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vidsearch.batches import in_batches
from vidsearch.defaults import BROKER_SECONDS
from vidsearch.errors import BackendUnavailableError
from vidsearch_tasks.backlog import count_messages
from vidsearch_tasks.celery_app import SWEEP, queue_of
from vidsearch_tasks.connection import asking, connection

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["send_ids", "send_sweep"]

_AT_ONCE = 100
"""Messages per request to the broker."""


def send_ids(
    app: Celery,
    task: str,
    ids: Sequence[str],
    *,
    queue: str,
    timeout: float = BROKER_SECONDS,
    max_queued: int | None = None,
    counted: Sequence[str] = (),
    owner: str | None = None,
) -> tuple[Sequence[str], BackendUnavailableError | None]:
    """Put messages, which hold an id and at most an owner, into the queue, over one connection.

    Args:
        app: whoever made it; its own retries and timeouts do not count here.
        task: name of the task.
        ids: one message each.
        queue: where they go.
        timeout: seconds until a broker that is away is given up.
        max_queued: number of messages in the queues ``counted`` that are not exceeded.
        counted: those queues.
        owner: of the leases, where they could not be given back.

    Where the app has ``task_always_eager``, their work is done here and now instead.

    Returns:
        The ids that the broker took, and why it did not take the others: ``None`` where there was
        no room for them.
    """
    if app.conf.task_always_eager:
        from vidsearch_tasks.eager import run_in_process

        run_in_process(app, task, ids)
        return ids, None
    sent: list[str] = []
    arguments = {} if owner is None else {"owner": owner}
    try:
        with (
            asking(app) as url,
            _producer(app, url, timeout) as producer,
            _flushing(producer) as flush,
        ):
            if max_queued is not None:
                waiting = count_messages(producer.connection, counted)
                ids = ids[: max(0, max_queued - waiting)]
            options = _options(app, queue)
            for batch in in_batches(ids, _AT_ONCE):
                put: list[str] = []
                try:
                    for id in batch:
                        app.send_task(
                            task,
                            args=[id],
                            kwargs=arguments,
                            producer=producer,
                            # As Celery would find out with some effort, for its events and logs.
                            argsrepr=repr([id]),
                            kwargsrepr=repr(arguments),
                            # The queue is declared with the first message, and not for each.
                            declare=[] if put or sent else None,
                            **options,
                        )
                        put.append(id)
                finally:
                    flush()
                    sent += put
    except BackendUnavailableError as error:
        return sent, error
    return sent, None


def send_sweep(app: Celery, *, queue: str, timeout: float = BROKER_SECONDS) -> None:
    """Put a sweep into its queue, unless one waits there already.

    The connection is not kept: a worker's parent process calls this, which forks.

    Raises:
        BackendUnavailableError: the broker did not take it.
    """
    with asking(app) as url, connection(app, url, timeout) as connected:
        if not count_messages(connected, [queue]):
            producer = app.amqp.Producer(connected, auto_declare=False)
            app.send_task(SWEEP, producer=producer, **_options(app, queue))


def _options(app: Celery, queue: str) -> dict[str, Any]:
    """What every message is sent with, whatever the app has set for its own tasks."""
    return {
        "queue": queue_of(app, queue),
        # To the queue itself: an exchange or a routing key of `task_routes` would lead elsewhere.
        "exchange": "",
        "routing_key": queue,
        "serializer": "json",
        "retry": False,
        "ignore_result": True,
        # From 5.7 on Celery writes the limits that the sender's process has into the message, where
        # they count before those of the worker.
        "time_limit": None,
        "soft_time_limit": None,
        "expires": None,
    }


@contextmanager
def _producer(app: Celery, url: str, timeout: float) -> Iterator[Any]:
    """A producer of a pool like Celery's own, whose connections give up within the timeout."""
    from kombu import pools

    producers = pools.producers[connection(app, url, timeout)]
    with producers.acquire(block=True, timeout=timeout / 3) as producer:
        yield producer


@contextmanager
def _flushing(producer: Any) -> Iterator[Callable[[], None]]:
    """Messages go to Redis with the next flush, all at once; each at once to another broker, and
    with kombu before 5.7."""
    from kombu.exceptions import KombuError

    if not hasattr(producer, "batch"):
        yield lambda: None
        return
    with producer.batch() as batch:

        def flush() -> None:
            try:
                batch.flush()
            except KombuError as error:
                raise (error.__cause__ or error) from error

        yield flush
