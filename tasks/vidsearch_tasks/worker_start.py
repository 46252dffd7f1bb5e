"""What a worker needs of the Celery app it belongs to, looked at when it starts.

Only a worker that takes from the queue of the settings is looked at: an application may start
others of the same app, for its own tasks, as it likes.
"""

from __future__ import annotations

import atexit
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery.signals import celeryd_after_setup, celeryd_init

from vidsearch.config import redact_url
from vidsearch.defaults import KILL_SECONDS
from vidsearch.errors import ConfigError, TemporaryFolderError, VidsearchError
from vidsearch_tasks.broker_url import (
    broker_url,
    is_rabbitmq,
    is_redis,
    is_unverified,
    require_usable,
)
from vidsearch_tasks.celery_app import (
    EMBED_SLICE,
    FILL,
    INGEST,
    PROCESS_SECONDS,
    REINDEX,
    SCAN,
    SWEEP,
    TIME_LIMIT,
)
from vidsearch_tasks.configured import configured_in, current_services
from vidsearch_tasks.spawned import hand_over, starts_afresh
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings

__all__ = ["app_conflicts", "broker_advice", "require_suitable"]

_log = logging.getLogger(__name__)

_TASKS = (INGEST, EMBED_SLICE, FILL)
_REINDEX_SECONDS = 7 * 86_400
"""After which the process is ended that drives a reindex; another one goes on with it."""
_REDIS_VISIBILITY = 3600
"""Celery's default, in seconds."""
_IN_TURN = "round_robin"
"""kombu's default ``queue_order_strategy``."""
_RABBITMQ_TIMEOUT = 1800
"""RabbitMQ's default ``consumer_timeout``, in seconds."""
_NO_GREENLETS = (
    "the pool {pool} cannot run vidsearch's tasks: decoding and computing would stop all its "
    "greenlets, leases included; start this worker with --pool prefork, threads or solo"
)


def require_suitable(app: Celery, *, pool: str) -> None:
    """Refuse to work where it cannot end well.

    Args:
        app: of the worker.
        pool: the module of its pool.

    Raises:
        ConfigError: a pool of greenlets, an app that does not read JSON, or a broker that Celery
            cannot work with.
    """
    from kombu import serialization

    accepted: Any = serialization.prepare_accept_content
    name = pool.rpartition(".")[2]
    if name in {"gevent", "eventlet"}:
        raise ConfigError(_NO_GREENLETS.format(pool=name))
    if "application/json" not in accepted(app.conf.accept_content):
        raise ConfigError(
            f"accept_content of the Celery app is {[*app.conf.accept_content]}, but the messages "
            "of vidsearch are JSON: add 'json' to it"
        )
    require_usable(broker_url(app), app.conf.broker_transport_options or {})


def app_conflicts(app: Celery, settings: Settings) -> list[str]:
    """What an app has set against what ingestion needs, each in a sentence."""
    conf, found = app.conf, []
    if any(name in app.tasks and not app.tasks[name].acks_late for name in _TASKS):
        found.append(
            "task_annotations make acks_late false for vidsearch's tasks: a worker that is killed "
            "loses its message; leave it true"
        )
    if conf.worker_prefetch_multiplier != 1 and not conf.get("worker_disable_prefetch"):
        found.append(
            f"worker_prefetch_multiplier is {conf.worker_prefetch_multiplier}: a busy worker holds "
            "messages that others could work on; set it to 1"
        )
    visible = (conf.broker_transport_options or {}).get("visibility_timeout", _REDIS_VISIBILITY)
    longest = settings.ingest.time_limit + KILL_SECONDS
    if is_redis(broker_url(app)) and visible <= longest:
        found.append(
            f"visibility_timeout in broker_transport_options is {visible}: a message is delivered "
            f"again while its worker still works; set it above {longest} (ingest.time_limit and "
            f"{KILL_SECONDS} s)"
        )
    order = (conf.broker_transport_options or {}).get("queue_order_strategy", _IN_TURN)
    if is_redis(broker_url(app)) and order != _IN_TURN:
        found.append(
            f"queue_order_strategy in broker_transport_options is {order!r}: no sweep is done "
            f"while videos of a bulk import wait; leave it out, or set it to {_IN_TURN!r}"
        )
    return found


def broker_advice(app: Celery, settings: Settings) -> list[str]:
    """What to see to at the broker, where nobody but its administrator can."""
    url, limit, found = broker_url(app), settings.ingest.time_limit, []
    if is_unverified(url, ssl=app.conf.broker_use_ssl):
        found.append(
            f"the certificate of {redact_url(url)} is not verified: add ?ssl_cert_reqs=required to "
            "the URL (and ssl_ca_certs=/path for an authority of your own)"
        )
    if is_rabbitmq(url) and limit + KILL_SECONDS >= _RABBITMQ_TIMEOUT:
        found.append(
            "RabbitMQ delivers a message again that a worker has not acknowledged for its "
            f"consumer_timeout, which it tells no client (by default {_RABBITMQ_TIMEOUT} s; see "
            "`rabbitmqctl environment`): have its administrator set it above ingest.time_limit "
            f"({limit} s), consumer_timeout = {1000 * (limit + KILL_SECONDS)} in rabbitmq.conf"
        )
    return found


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _refuse_misread_url(instance: Any, **_: Any) -> None:
    """Before Celery quotes a piece of the password in a traceback."""
    url = broker_url(instance.app)
    if is_redis(url) or is_rabbitmq(url):
        with _ending_the_worker():
            require_usable(url, instance.app.conf.broker_transport_options or {})


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _prepare_worker(instance: Any, **_: Any) -> None:
    app = instance.app
    with _ending_the_worker():
        settings = current_services().settings
        if settings.broker.queue not in app.amqp.queues.consume_from:
            return
        require_suitable(app, pool=instance.pool_cls.__module__)
        if starts_afresh(instance):
            _hand_over()
    for each in (*app_conflicts(app, settings), *broker_advice(app, settings)):
        _log.warning("%s", each)
    # A worker would end, and not come back, where Redis refuses a command for once (its memory or
    # disk is full, it has become a replica), RabbitMQ takes back a message, or the broker is away
    # for three quarters of an hour.
    app.conf.broker_channel_error_retry = True
    app.conf.broker_connection_max_retries = None
    longest = app.conf.worker_proc_alive_timeout or 0.0  # None: as by default
    app.conf.worker_proc_alive_timeout = max(longest, PROCESS_SECONDS)
    # Remote control answers in the serializer of the app's own tasks, which may be pickle.
    app.control.mailbox.serializer = "json"
    # Those of the app are for its own tasks.
    limits = dict.fromkeys(_TASKS, settings.ingest.time_limit)
    # Where all videos are short, that of an attempt may be seconds; a scan of many takes minutes.
    upkeep = dict.fromkeys((SWEEP, SCAN), max(settings.ingest.time_limit, TIME_LIMIT))
    for name, limit in {**limits, **upkeep, REINDEX: _REINDEX_SECONDS}.items():
        app.tasks[name].soft_time_limit = limit
        app.tasks[name].time_limit = limit + KILL_SECONDS
        app.tasks[name].rate_limit = _rate_limit_by_name(app, name)
    instance.consumer.reset_rate_limits()  # it has those of the app by now


def _rate_limit_by_name(app: Celery, name: str) -> Any:
    """What ``task_annotations`` say of this very task; what holds for all tasks of an app would let
    a sweep, or a video, wait for minutes."""
    said = [each.annotate(app.tasks[name]) or {} for each in app.annotations]
    return next((each["rate_limit"] for each in said if "rate_limit" in each), None)


def _hand_over() -> None:
    """What the pool's processes need of this one, from which they are not forked.

    Raises:
        ConfigError: what the application configured is in a module that they do not import.
        TemporaryFolderError: there is no room for the file that tells them to stop.
    """
    module = configured_in()
    if module == "__main__":
        raise ConfigError(
            "the processes of this pool are started afresh, and do not run the program that called "
            "vidsearch_tasks.configure: call it in a module that the program imports"
        )
    try:
        folder = tempfile.TemporaryDirectory(prefix="vidsearch-worker-")
        atexit.register(folder.cleanup)
        file = Path(folder.name) / "stop"
        STOP.share(file)
    except OSError as error:
        raise TemporaryFolderError(
            "the processes of this pool are started afresh, and are told to stop by a file, which "
            f"cannot be written: {error}. Make room, or set TMPDIR to another folder"
        ) from error
    hand_over(stop=str(file), configured_in=module or "")


@contextmanager
def _ending_the_worker() -> Iterator[None]:
    try:
        yield
    except VidsearchError as error:
        _log.critical("this worker cannot start: %s", error)
        raise SystemExit(1) from None
