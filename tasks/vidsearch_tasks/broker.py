"""The broker: send a message, count what waits, ask who works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidsearch.config import redact_url
from vidsearch.errors import BackendUnavailableError, ConfigError

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings

__all__ = [
    "BrokerState",
    "WorkerState",
    "broker_errors",
    "broker_state",
    "queue_depth",
    "send_ingest",
    "send_ingests",
]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker says of itself."""

    name: str
    queues: tuple[str, ...]
    """Those it takes messages from."""
    index: str | None = None
    """Alias of the videos index it writes to; ``None`` where it does not tell: it has none of our
    tasks, or those of an older version; or it takes nothing from our queue, and was not asked."""
    engine: str | None = None
    """URL of the search engine it writes to, where it is known."""
    model: str | None = None
    """Name of the model it embeds with."""


@dataclass(frozen=True, slots=True)
class BrokerState:
    """What the broker and the workers say."""

    url: str
    """Without its password."""
    queue: str
    queued: int
    """Messages that wait in our queue; those that a worker has taken are not counted."""
    workers: tuple[WorkerState, ...]
    """All that answered, by name; those of our queue say whom they serve."""

    @property
    def of_queue(self) -> tuple[WorkerState, ...]:
        """The workers that take messages from our queue."""
        return tuple(worker for worker in self.workers if self.queue in worker.queues)


@contextmanager
def broker_errors(url: str) -> Iterator[None]:
    """Map what the broker's client raises.

    Raises:
        BackendUnavailableError: the broker cannot be reached or refuses.
        ConfigError: the URL names no broker.
    """
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    untyped: Any = Connection
    try:
        untyped(url).get_transport_cls()
    except (KeyError, ValueError, ImportError):
        # "from None": what was taken for a port may be a piece of the password.
        raise ConfigError(
            f"broker.url {redact_url(url)!r} is not usable: write redis://host:6379/0, "
            "and a / in a password as %2F"
        ) from None
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        # A client's message may show the URL with its password.
        reason = str(error).replace(url, redact_url(url)) or type(error).__name__
        raise BackendUnavailableError(
            f"the broker at {redact_url(url)} does not answer: {reason.rstrip('.')}. "
            "Is it running, and is broker.url right?"
        ) from error


def send_ingest(app: Celery, video_id: str, *, queue: str) -> None:
    """Put the message for one video into the queue: its id and nothing else.

    Raises:
        BackendUnavailableError: the broker did not take it.
    """
    _, problem = send_ingests(app, [video_id], queue=queue)
    if problem:
        raise problem


def send_ingests(
    app: Celery, video_ids: Sequence[str], *, queue: str
) -> tuple[Sequence[str], BackendUnavailableError | None]:
    """Put the messages for many videos into the queue, over one connection.

    Returns:
        The ids that the broker took, and why it did not take the others.
    """
    from vidsearch_tasks.celery_app import INGEST

    sent: list[str] = []
    try:
        with broker_errors(_url(app)), app.producer_or_acquire() as producer:
            for id in video_ids:
                app.send_task(
                    INGEST,
                    args=[id],
                    queue=queue,
                    producer=producer,
                    serializer="json",
                    retry=False,
                    ignore_result=True,
                )
                sent.append(id)
    except BackendUnavailableError as error:
        return sent, error
    return sent, None


def queue_depth(app: Celery, *, queue: str) -> int:
    """Messages that wait in a queue.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    with broker_errors(_url(app)), app.connection_for_write() as connection:
        channel = connection.default_channel
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:  # Redis knows no empty queues
            return 0


def broker_state(settings: Settings, *, timeout: float = 1.0) -> BrokerState:
    """Ask the broker for the queue, and the workers for themselves.

    Args:
        settings: whose broker and queue.
        timeout: seconds to wait for the workers' answers.

    Raises:
        BackendUnavailableError: the broker does not answer.
    """
    from vidsearch_tasks.celery_app import make_app

    app = make_app(settings)
    queue = settings.broker.queue
    queued = queue_depth(app, queue=queue)
    with broker_errors(_url(app)):
        answers = app.control.inspect(timeout=timeout).active_queues() or {}
        takes = {name: tuple(one["name"] for one in queues) for name, queues in answers.items()}
        serves = _whom_they_serve(
            app, [name for name, queues in takes.items() if queue in queues], timeout=timeout
        )
    workers = tuple(
        WorkerState(name, queues, **serves.get(name, {})) for name, queues in sorted(takes.items())
    )
    return BrokerState(url=redact_url(_url(app)), queue=queue, queued=queued, workers=workers)


def _whom_they_serve(
    app: Celery, names: list[str], *, timeout: float
) -> dict[str, dict[str, str | None]]:
    """What the workers of these names tell of index, engine and model; who cannot tell is left out.

    It ends with the last answer, not with the timeout.
    """
    from vidsearch_tasks.celery_app import SERVES

    if not names:  # to Celery, none would be all
        return {}
    replies = app.control.broadcast(SERVES, destination=names, reply=True, timeout=timeout) or []
    return {
        name: {part: told.get(part) for part in ("index", "engine", "model")}
        for reply in replies
        for name, told in reply.items()
    }


def _url(app: Celery) -> str:
    url = app.conf.broker_write_url or app.conf.broker_url
    return url if isinstance(url, str) else ";".join(url or ())
