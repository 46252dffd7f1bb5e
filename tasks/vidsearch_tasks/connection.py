"""Connections to the broker of any Celery app, with a limit of time and errors of the one tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vidsearch.config import redact_url
from vidsearch.errors import BackendUnavailableError, ConfigError
from vidsearch_tasks.broker_url import (
    NO_CLUSTER,
    broker_url,
    is_redis,
    require_usable,
    without_passwords,
)

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["asking", "broker_errors", "connection"]


@contextmanager
def asking(app: Celery) -> Iterator[str]:
    """The URL of the broker, found usable; errors of its client are mapped.

    Raises:
        BackendUnavailableError: the broker cannot be reached or refuses.
        ConfigError: Celery cannot work with it, or a worker answers in another format.
    """
    url = broker_url(app)
    require_usable(url, app.conf.broker_transport_options or {})
    with broker_errors(url):
        yield url


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
        if _is_refusal(error.__cause__ or error):  # no rights, a replica, a disk that is full
            raise BackendUnavailableError(
                f"the broker at {shown} refuses: {reason.rstrip('.')}. It is there: look into its "
                "log and its rights, and whether broker.url is right"
            ) from error
        raise BackendUnavailableError(
            f"the broker at {shown} does not answer: {reason.rstrip('.')}. "
            "Is it running, and is broker.url right?"
        ) from error


def _is_refusal(error: BaseException) -> bool:
    """Whether the broker has answered."""
    from redis import exceptions as redis_errors

    answers = (
        redis_errors.ResponseError,
        redis_errors.AuthenticationError,
        redis_errors.BusyLoadingError,
    )
    return isinstance(error, answers) or bool(getattr(error, "reply_code", None))


def connection(app: Celery, url: str, timeout: float) -> Any:
    """A connection that gives up within the timeout, whoever made the app.

    By its defaults Celery tries to connect for seconds, in the request of a user who waits. A third
    of the timeout is for each: a place in the pool, a connection, the answer to a message.
    """
    share, urls = timeout / 3, url.split(";")
    connect = share / len(urls)
    options: dict[str, float] = {
        "max_retries": len(urls) - 1,
        "interval_start": 0,
        "interval_step": 0,
    }
    if is_redis(urls[0]):
        options |= {"socket_connect_timeout": connect, "socket_timeout": share}
    return app.connection_for_write(connect_timeout=connect, transport_options=options)
