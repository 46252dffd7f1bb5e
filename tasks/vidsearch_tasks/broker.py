"""The broker: send a message, count the waiting ones, ask the workers about themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidsearch.batches import in_batches
from vidsearch.config import redact_url
from vidsearch.defaults import BROKER_SECONDS
from vidsearch.errors import BackendUnavailableError, ConfigError
from vidsearch_tasks.backlog import count_messages, message_ids
from vidsearch_tasks.broker_url import (
    NO_CLUSTER,
    broker_url,
    is_redis,
    require_usable,
    without_passwords,
)
from vidsearch_tasks.celery_app import SWEEP, WORKER_INFO, bulk_queue, make_app

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings

__all__ = [
    "BrokerState",
    "WorkerState",
    "broker_errors",
    "broker_state",
    "messages_of",
    "queue_depth",
    "send_ids",
    "send_sweep",
]

_MODEL_PAUSE = 0.5
_AT_ONCE = 100
"""Messages per request to the broker."""
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


@contextmanager
def broker_errors(url: str) -> Iterator[None]:
    """Map the errors of the broker's client.

    Raises:
        BackendUnavailableError: the broker cannot be reached or refuses.
        ConfigError: it is a Redis Cluster, or a worker answers in another format.
    """
    from amqp.exceptions import AMQPError
    from kombu.exceptions import ContentDisallowed, KombuError
    from redis import exceptions as redis_errors

    shown = redact_url(url)
    try:
        yield
    except ContentDisallowed as error:
        raise ConfigError(
            f"a worker at {shown} answers in another format than JSON: set task_serializer of its "
            "Celery app to 'json'"
        ) from error
    except (
        redis_errors.AskError,  # also that a key has moved to another node
        redis_errors.ClusterCrossSlotError,
    ) as error:
        raise ConfigError(f"broker.url {shown!r} is not usable: {NO_CLUSTER}") from error
    except (AMQPError, KombuError, redis_errors.RedisError, OSError) as error:
        # A client's message may show the URL with its password.
        reason = without_passwords(str(error), url) or type(error).__name__
        if "maxmemory" in reason:
            raise BackendUnavailableError(
                f"the broker at {shown} takes no more messages, as its memory is full "
                f"({reason.rstrip('.')}): raise its maxmemory, or lower ingest.max_queued"
            ) from error
        raise BackendUnavailableError(
            f"the broker at {shown} does not answer: {reason.rstrip('.')}. "
            "Is it running, and is broker.url right?"
        ) from error


def send_ids(
    app: Celery,
    task: str,
    ids: Sequence[str],
    *,
    queue: str,
    timeout: float = BROKER_SECONDS,
    max_queued: int | None = None,
    counted: Sequence[str] = (),
) -> tuple[Sequence[str], BackendUnavailableError | None]:
    """Put messages, which hold an id only, into the queue, over one connection.

    Args:
        app: whoever made it; its own retries and timeouts do not count here.
        task: name of the task.
        ids: one message each.
        queue: where they go.
        timeout: seconds until a broker that is away is given up.
        max_queued: number of messages in the queues ``counted`` that are not exceeded.

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
    try:
        with (
            broker_errors(_url(app)),
            _producer(app, timeout) as producer,
            _flushing(producer) as flush,
        ):
            if max_queued is not None:
                waiting = count_messages(producer.connection, counted)
                ids = ids[: max(0, max_queued - waiting)]
            for batch in in_batches(ids, _AT_ONCE):
                put: list[str] = []
                try:
                    for id in batch:
                        app.send_task(
                            task,
                            args=[id],
                            queue=queue,
                            producer=producer,
                            serializer="json",
                            retry=False,
                            ignore_result=True,
                            # As Celery would find out with some effort, for its events and logs.
                            argsrepr=repr([id]),
                            kwargsrepr="{}",
                            # The queue is declared with the first message, and not for each.
                            declare=[] if put or sent else None,
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
    with broker_errors(_url(app)), _connection(app, timeout) as connection:
        if not count_messages(connection, [queue]):
            producer = app.amqp.Producer(connection, auto_declare=False)
            options = {"serializer": "json", "retry": False, "ignore_result": True}
            app.send_task(SWEEP, queue=queue, producer=producer, **options)


@contextmanager
def _producer(app: Celery, timeout: float) -> Iterator[Any]:
    """A producer of a pool like Celery's own, whose connections give up within the timeout."""
    from kombu import pools

    producers = pools.producers[_connection(app, timeout)]
    with producers.acquire(block=True, timeout=timeout / 3) as producer:
        yield producer


def _connection(app: Celery, timeout: float) -> Any:
    """A connection that gives up within the timeout.

    By its defaults Celery tries to connect for seconds, in the request of a user who waits. A third
    of the timeout is for each: a place in the pool, a connection, the answer to a message.
    """
    share, urls = timeout / 3, _url(app).split(";")
    connect = share / len(urls)
    options: dict[str, float] = {
        "max_retries": len(urls) - 1,
        "interval_start": 0,
        "interval_step": 0,
    }
    if is_redis(urls[0]):
        options |= {"socket_connect_timeout": connect, "socket_timeout": share}
    return app.connection_for_write(connect_timeout=connect, transport_options=options)


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


def queue_depth(app: Celery, *, queue: str) -> int:
    """Number of messages that wait in a queue, and in the one beside it for bulk imports.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    with broker_errors(_url(app)), app.connection_for_write() as connection:
        return count_messages(connection, (queue, bulk_queue(queue)))


def messages_of(app: Celery, *, queue: str, held_seconds: float) -> frozenset[str] | None:
    """The ids in the messages of a queue and the one beside it; see ``backlog.message_ids``.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    with broker_errors(_url(app)), app.connection_for_read() as connection:
        return message_ids(connection, (queue, bulk_queue(queue)), held_seconds=held_seconds)


def broker_state(
    settings: Settings, *, timeout: float = 1.0, model_seconds: float = 0.0
) -> BrokerState:
    """Ask the broker about the queue, and the workers about themselves.

    Args:
        settings: names the broker and the queue.
        timeout: seconds to wait for the workers' answers.
        model_seconds: seconds to wait until the workers have found out what they embed with.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    app = make_app(settings)
    queue = settings.broker.queue
    queued = queue_depth(app, queue=queue)
    until = time.monotonic() + model_seconds
    with broker_errors(_url(app)):
        answers = _ask(app, "active_queues", timeout=timeout)
        takes = [(name, tuple(each["name"] for each in found)) for name, found in answers]
        names = [name for name, queues in takes if queue in queues]
        infos = _ask(app, WORKER_INFO, names=names, timeout=timeout)
        while any(_is_unsure(info) for _, info in infos) and time.monotonic() < until:
            time.sleep(_MODEL_PAUSE)
            infos = _ask(app, WORKER_INFO, names=names, timeout=timeout)
    rest = [*infos]
    workers: list[WorkerState] = []
    for name, queues in sorted(takes):
        info = next((each for each in rest if each[0] == name), None) if queue in queues else None
        if info:
            rest.remove(info)
        known = info[1] if info and isinstance(info[1], dict) else {}
        workers.append(WorkerState(name, queues, **{key: known.get(key) for key in _INFO}))
    return BrokerState(
        url=redact_url(_url(app)), queue=queue, queued=queued, workers=tuple(workers)
    )


def _ask(
    app: Celery, command: str, *, timeout: float, names: Sequence[str] | None = None
) -> list[tuple[str, Any]]:
    """The answers of workers by their names; of some names, it ends with the last answer.

    A name comes twice where two workers have it.
    """
    if names is not None and not names:  # Celery would ask all workers
        return []
    asked = {} if names is None else {"destination": sorted({*names}), "limit": len(names)}
    replies = app.control.broadcast(command, reply=True, timeout=timeout, **asked) or []
    return [each for reply in replies for each in reply.items()]


def _is_unsure(info: Any) -> bool:
    """Whether a worker of this version has not found out yet what it embeds with."""
    return (
        isinstance(info, dict)
        and "identity" in info
        and info["identity"] is None
        and info.get("problem") is None
    )


def _url(app: Celery) -> str:
    url = broker_url(app)
    require_usable(url, app.conf.broker_transport_options or {})
    return url
