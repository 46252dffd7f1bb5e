"""Messages over Redis Sentinel, over a Redis that is shared by a prefix, and over RabbitMQ."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from kombu import Queue
from tests.integration.relay import free_port
from tests.integration.stage import running_stage
from tests.integration.worker import Worker, until
from tests.messages import send_ingest
from tests.rabbitmq import running_rabbitmq

from vidsearch.config import Settings
from vidsearch.errors import BackendUnavailableError
from vidsearch.local import RedisServer, SearchNode
from vidsearch.local.process import spawn, tail
from vidsearch.local.redis import redis_program
from vidsearch.registry import State
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch_tasks import broker, broker_state, make_app, queue_depth
from vidsearch_tasks.broker import memory_advice
from vidsearch_tasks.celery_app import INGEST, SWEEP

pytestmark = pytest.mark.integration

GROUP, PREFIX = "shop", "shop-"


def app_of(url: str, **options: Any) -> Celery:
    return make_app(Settings(broker={"url": url, "transport_options": options, "queue": "q"}))


def assert_messages_come_through(app: Celery, *, queue: str) -> None:
    assert queue_depth(app, queue=queue) == 0
    for id in ("a", "b"):
        send_ingest(app, id, queue=queue, timeout=10)
    until(lambda: queue_depth(app, queue=queue) == 2, what="both messages wait")
    with app.connection_for_read() as connection:
        waiting = connection.SimpleQueue(queue)
        for id in ("a", "b"):
            message = waiting.get(timeout=10)
            assert message.payload[0] == [id]
            message.ack()
        waiting.close()
    assert queue_depth(app, queue=queue) == 0


def test_redis_that_is_shared_by_a_prefix_works(redis_url: str) -> None:
    app = app_of(redis_url, global_keyprefix=PREFIX)
    send_ingest(app, "a", queue="prefixed", timeout=10)
    assert queue_depth(app, queue="prefixed") == 1
    assert queue_depth(app_of(redis_url), queue="prefixed") == 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(f"{PREFIX}prefixed") == 1
        client.delete(f"{PREFIX}prefixed")
    assert_messages_come_through(app, queue="prefixed")


@pytest.mark.parametrize(
    "conf",
    [
        {"task_compression": "gzip"},
        {"task_protocol": 1},
        {"task_serializer": "pickle", "task_ignore_result": False},
        {"task_queues": [Queue("celery")], "task_create_missing_queues": False},
        {"task_routes": {"*": {"exchange": "media", "routing_key": "video"}}},
        {"task_routes": {"vidsearch.*": {"queue": "other"}}},
        {"task_default_queue": "media", "task_default_exchange_type": "topic"},
        {"task_annotations": {"*": {"time_limit": 5, "expires": 1, "exchange": "media"}}},
    ],
    ids=lambda conf: "-".join(conf),
)
def test_settings_of_the_application_do_not_reach_the_messages(
    conf: dict[str, Any], redis_url: str
) -> None:
    app = Celery("application", broker=redis_url, set_as_current=False)
    app.conf.update(conf, include=["vidsearch_tasks.tasks"])
    app.loader.import_default_modules()
    app.finalize()
    queue = f"q-{uuid4().hex}"
    send_ingest(app, "a", queue=queue, timeout=10)
    assert queue_depth(app, queue=queue) == 1
    assert broker.messages_of(app, queue=queue, held_seconds=60) == {"a"}
    with app.connection_for_read() as connection:
        waiting = connection.SimpleQueue(queue)
        message = waiting.get(timeout=10)
        told = message.payload if conf.get("task_protocol") == 1 else message.headers
        assert (told["task"], told["timelimit"], told["expires"]) == (INGEST, [None, None], None)
        message.ack()
        waiting.close()


def test_message_that_cannot_be_read_makes_nobody_guess(redis_url: str) -> None:
    app, queue = app_of(redis_url), f"q-{uuid4().hex}"
    send_ingest(app, "a", queue=queue, timeout=10)
    with redis.Redis.from_url(redis_url) as client:
        (raw,) = client.lrange(queue, 0, -1)
        message = json.loads(raw)
        client.lset(queue, 0, json.dumps({**message, "body": "?"}))
        assert broker.messages_of(app, queue=queue, held_seconds=60) is None
        for task in ("shop.pay", SWEEP):  # they are for no video
            other = {**message, "headers": {**message["headers"], "task": task}, "body": "?"}
            client.lset(queue, 0, json.dumps(other))
            assert broker.messages_of(app, queue=queue, held_seconds=60) == frozenset()
        client.delete(queue)


def test_redis_that_drops_messages_or_refuses_them_is_told() -> None:
    with RedisServer.start() as server, redis.Redis.from_url(server.url) as client:
        app = app_of(server.url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert memory_advice(app) is None, "without a limit it drops nothing"
        client.config_set("maxmemory", "100mb")
        assert "maxmemory-policy of this Redis is allkeys-lru" in str(memory_advice(app))
        client.config_set("maxmemory-policy", "noeviction")
        assert memory_advice(app) is None
        client.replicaof("127.0.0.1", str(free_port()))
        with pytest.raises(BackendUnavailableError, match=r"refuses: .*read only replica"):
            send_ingest(app, "a", queue="q", timeout=10)


@contextmanager
def listening(client: Any, pattern: str) -> Iterator[None]:
    """A client of Redis that hears, and never answers, as a worker that is busy or stopped."""
    with client.pubsub() as hearing:
        hearing.psubscribe(pattern)
        assert hearing.get_message(timeout=10)
        yield


def asked_workers(url: str, *, timeout: float, **options: Any) -> tuple[tuple[str, ...], bool]:
    """The workers that answer, and whether more than half of the timeout was waited."""
    began = time.monotonic()
    settings = Settings(broker={"url": url, "queue": "q", "transport_options": options})
    names = tuple(one.name for one in broker_state(settings, timeout=timeout).of_queue)
    return names, time.monotonic() - began > timeout / 2


def test_nobody_is_waited_for_where_no_worker_hears(tmp_path: Path) -> None:
    with RedisServer.start() as server, redis.Redis.from_url(server.url) as client:
        assert asked_workers(server.url, timeout=60) == ((), False)
        assert asked_workers(server.url, timeout=60, global_keyprefix=PREFIX) == ((), False)
        with listening(client, "/1.celery.pidbox"), listening(client, "/0.celeryev/*"):
            assert asked_workers(server.url, timeout=60) == ((), False)


def test_the_wait_for_workers_ends_once_all_that_heard_have_answered(tmp_path: Path) -> None:
    with RedisServer.start() as server, redis.Redis.from_url(server.url) as client:
        env = {"VIDSEARCH_BROKER__URL": server.url, "VIDSEARCH_BROKER__QUEUE": "q"}
        with Worker(tmp_path / "w", env, options=("--pool", "threads", "--queues", "q")):
            names, waited = asked_workers(server.url, timeout=60)
            assert (len(names), waited) == (1, False)
            with listening(client, "/0.celery.pidbox"):
                assert asked_workers(server.url, timeout=1) == (names, True)


@pytest.fixture
def sentinel_url(tmp_path: Path) -> Iterator[str]:
    with RedisServer.start() as primary:
        port, of_primary = free_port(), primary.url.rpartition(":")[2].partition("/")[0]
        settings, log = tmp_path / "sentinel.conf", tmp_path / "sentinel.log"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor {GROUP} 127.0.0.1 {of_primary} 1\n"
        )
        process = spawn([redis_program(), str(settings), "--sentinel"], log=log, bound=True)
        try:
            until(lambda: "+monitor" in tail(log), what="Sentinel watches")
            yield f"sentinel://127.0.0.1:{port}/0"
        finally:
            process.stop()


def test_sentinel_finds_the_primary(sentinel_url: str) -> None:
    assert_messages_come_through(app_of(sentinel_url, master_name=GROUP), queue="q")
    several = f"sentinel://127.0.0.1:{free_port()}/0;{sentinel_url}"
    send_ingest(app_of(several, master_name=GROUP), "a", queue="q", timeout=10)
    other = app_of(sentinel_url, master_name="other")
    with pytest.raises(BackendUnavailableError, match="No master found for 'other'"):
        send_ingest(other, "a", queue="q", timeout=2)


@pytest.fixture
def rabbitmq_url(tmp_path: Path) -> Iterator[str]:
    with running_rabbitmq(tmp_path) as url:
        yield url


def test_rabbitmq_takes_messages_and_counts_them(rabbitmq_url: str) -> None:
    assert_messages_come_through(app_of(rabbitmq_url), queue="q")
    wrong = rabbitmq_url.replace("me:hunter2", "me:hunter3")
    with pytest.raises(BackendUnavailableError, match=r"broker at amqp://me:\*\*\*@") as caught:
        send_ingest(app_of(wrong), "a", queue="q", timeout=10)
    assert "hunter" not in str(caught.value)
    with pytest.raises(BackendUnavailableError):
        queue_depth(app_of(wrong), queue="q")
    assert asked_workers(rabbitmq_url, timeout=60) == ((), False), "nobody hears the question"


def test_video_that_takes_longer_than_rabbitmq_waits_is_indexed_once(
    elasticsearch_9: SearchNode, index_name: str, tmp_path: Path, red: Path
) -> None:
    long = write_clip(tmp_path / "long.mp4", range(14), picture=moving_frame, rate=1)
    with (
        running_rabbitmq(tmp_path, "consumer_timeout = 2000") as url,
        running_stage(elasticsearch_9, url, index_name, tmp_path) as stage,
        stage.worker(VIDSEARCH_MODEL__BATCH_SIZE="1") as worker,
    ):
        (stage.switches / "held").touch()
        stage.register("a", long)
        told = "Timeout value used: 2000 ms"
        until(lambda: told in worker.text(), what="RabbitMQ has lost patience", worker=worker)
        (stage.switches / "held").unlink()
        record = stage.until("a", State.INDEXED, worker=worker)
        assert "PreconditionFailed" in worker.text()
        stage.register("b", red)
        stage.until("b", State.INDEXED, worker=worker)
        app, queue = stage.services.app, stage.services.settings.broker.queue
        until(lambda: queue_depth(app, queue=queue) == 0, what="no message is left")
        assert stage.record("a") == record, "the message that came again changed nothing"
        assert (record.attempts, stage.record("b").attempts) == (1, 1)
        settings = stage.services.settings
        until(lambda: broker_state(settings).of_queue, what="it answers a question", worker=worker)
