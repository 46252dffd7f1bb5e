"""A broker that is away costs its timeout and no more, whoever made the Celery app."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from celery import Celery
from tests.messages import send_ingest

from vidsearch.config import Settings, load_settings
from vidsearch.errors import BackendUnavailableError
from vidsearch.registry import Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.registry import State
from vidsearch_tasks import Services, register_video
from vidsearch_tasks.celery_app import make_app


def _own_app(url: str) -> Celery:
    """As in the README's recipe: the app of the user, with no timeouts of its own."""
    app = Celery("application", broker=url, set_as_current=False)
    app.conf.broker_transport_options = {"visibility_timeout": 4 * 3600}
    return app


def _vidsearch_app(url: str) -> Celery:
    return make_app(Settings(broker={"url": url}))  # type: ignore[arg-type]


@contextmanager
def _refusing() -> Iterator[str]:
    with socket.socket() as bound:  # and not listening, so that nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{bound.getsockname()[1]}/0"


@contextmanager
def _silent() -> Iterator[str]:
    """Takes connections, and says nothing: a Redis that is stopped."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


@contextmanager
def _unreachable() -> Iterator[str]:
    """Answers no attempt to connect: packets that get lost on the way."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield f"redis://127.0.0.1:{full.getsockname()[1]}/0"
        for one in waiting:
            one.close()


_TRIES = 10


def _once(is_in_time: Callable[[], bool]) -> bool:
    """Whether it is so in one of some tries: a busy machine makes many of them late, and what
    waits without a bound is never in time."""
    return any(is_in_time() for _ in range(_TRIES))


def _seconds(app: Celery, **options: float) -> float:
    begun = time.perf_counter()
    with pytest.raises(BackendUnavailableError, match="broker at redis://127"):
        send_ingest(app, "a", queue="q", **options)
    return time.perf_counter() - begun


@pytest.mark.parametrize("broker", [_refusing, _silent, _unreachable])
@pytest.mark.parametrize("make", [_own_app, _vidsearch_app])
def test_broker_that_is_away_is_given_up_within_a_second(make: type, broker: type) -> None:
    with broker() as url:
        app = make(url)
        _seconds(app)  # with all that is imported at first
        assert _once(lambda: _seconds(app) < 1.0)


def test_timeout_is_a_setting_and_the_video_stays_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDSEARCH_BROKER__TIMEOUT", "0.15")
    with _silent() as url:
        settings = load_settings()
        engine = MemoryEngine()
        create_registry_index(engine, settings.index)
        services = Services(settings, app=_own_app(url))
        services.__dict__["engine"] = engine
        services.__dict__["registry"] = Registry(engine, index=settings.index.registry)
        ids = iter(range(_TRIES))

        def is_given_up() -> bool:
            id = f"v{next(ids)}"
            begun = time.perf_counter()
            with pytest.raises(BackendUnavailableError, match=f"video {id!r} is registered"):
                register_video(id, uri=f"/{id}.mp4", services=services)
            return time.perf_counter() - begun < 0.3

        assert _once(is_given_up)
        assert services.registry.get("v0").state is State.REGISTERED


def test_many_threads_that_wait_for_one_pool_are_bounded_as_well() -> None:
    with _unreachable() as url:
        app = _own_app(url)
        _seconds(app)
        with ThreadPoolExecutor(24) as threads:
            assert _once(lambda: max(threads.map(lambda _: _seconds(app), range(24))) < 2.0)


def test_options_of_the_user_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noting(Celery):
        def connection_for_write(self, url: str | None = None, **options: object) -> object:
            asked.append(super().connection_for_write(url, **options))
            return asked[-1]

    app = Noting("application", broker="memory://", set_as_current=False)
    app.conf.broker_transport_options = {"visibility_timeout": 7, "global_keyprefix": "shop-"}
    send_ingest(app, "a", queue="q")
    assert asked[0].transport_options["visibility_timeout"] == 7
    assert asked[0].transport_options["global_keyprefix"] == "shop-"


def test_second_broker_takes_the_message_where_the_first_is_away(redis_url: str) -> None:
    queue = f"q-{time.time_ns()}"
    with _refusing() as away:
        app = Celery("application", broker=[away, redis_url], set_as_current=False)
        send_ingest(app, "a", queue=queue)
    with Celery("reader", broker=redis_url, set_as_current=False).connection_for_read() as reader:
        message = reader.SimpleQueue(queue).get(timeout=60)
        assert message.payload[0] == ["a"]
        message.ack()
        reader.SimpleQueue(queue).queue.delete()
