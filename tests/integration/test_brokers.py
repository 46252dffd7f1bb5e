"""Messages over Redis Sentinel, over a Redis that is shared by a prefix, and over RabbitMQ."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from tests.integration.relay import free_port
from tests.integration.worker import until
from tests.messages import send_ingest

from vidsearch.config import Settings
from vidsearch.errors import BackendUnavailableError
from vidsearch.local import RedisServer
from vidsearch.local.process import spawn, tail
from vidsearch.local.redis import redis_program
from vidsearch_tasks import make_app, queue_depth

pytestmark = pytest.mark.integration

GROUP, PREFIX, PASSWORD = "shop", "shop-", "hunter2/secret"


def app_of(url: str, **options: Any) -> Celery:
    return make_app(Settings(broker={"url": url, "transport_options": options, "queue": "q"}))


def assert_messages_come_through(app: Celery, *, queue: str) -> None:
    assert queue_depth(app, queue=queue) == 0
    for id in ("a", "b"):
        send_ingest(app, id, queue=queue, timeout=10)
    assert queue_depth(app, queue=queue) == 2
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
            until(lambda: "+monitor" in tail(log), what="Sentinel watches", seconds=20)
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
    program = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")
    if program is None:
        pytest.skip("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    port, epmd_port, log = free_port(), str(free_port()), tmp_path / "rabbitmq.log"
    settings = tmp_path / "rabbitmq.conf"
    settings.write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\n"
        f"default_user = me\ndefault_pass = {PASSWORD}\nlog.console = true\n"
    )
    own = {
        "HOME": str(tmp_path),
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": epmd_port,
        "RABBITMQ_CONFIG_FILE": str(settings),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(tmp_path / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(tmp_path),
        "RABBITMQ_LOG_BASE": str(tmp_path),
        "RABBITMQ_LOGS": "-",
    }
    process = spawn([program], log=log, env={**os.environ, **own}, bound=True)
    try:
        until(lambda: "startup complete" in log.read_text(), what="RabbitMQ runs", seconds=60)
        yield f"amqp://me:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}//"
    finally:
        process.stop()
        # Erlang's name server outlives the node that started it.
        subprocess.run(["epmd", "-port", epmd_port, "-kill"], capture_output=True, check=False)


def test_rabbitmq_takes_messages_and_counts_them(rabbitmq_url: str) -> None:
    assert_messages_come_through(app_of(rabbitmq_url), queue="q")
    wrong = rabbitmq_url.replace("me:hunter2", "me:hunter3")
    with pytest.raises(BackendUnavailableError, match=r"broker at amqp://me:\*\*\*@") as caught:
        send_ingest(app_of(wrong), "a", queue="q", timeout=10)
    assert "hunter" not in str(caught.value)
    with pytest.raises(BackendUnavailableError):
        queue_depth(app_of(wrong), queue="q")
