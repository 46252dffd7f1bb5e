"""The tasks as functions, and the app that carries them."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, current_app
from tests.messages import send_ingest

import vidsearch_tasks
from vidsearch.config import Settings
from vidsearch.errors import BackendUnavailableError, ConfigError, VideoNotRegisteredError
from vidsearch.ingest import Outcome
from vidsearch_tasks import (
    Services,
    beat_schedule,
    configure,
    configured,
    current_services,
    make_app,
)
from vidsearch_tasks import tasks as tasks_module
from vidsearch_tasks.tasks import ingest_video


class FakeIndexer:
    """Ends every attempt as told, and notes how it was called."""

    def __init__(self, end: Outcome | Exception) -> None:
        self.end = end
        self.calls: list[dict[str, Any]] = []

    def ingest(self, video_id: str, **options: Any) -> Outcome:
        self.calls.append({"id": video_id, **options})
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


class FakeServices:
    def __init__(self, end: Outcome | Exception) -> None:
        self.settings = Settings(ingest={"retry_seconds": 4})
        self.indexer = FakeIndexer(end)


@pytest.fixture
def services(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeServices:
    fake = FakeServices(request.param)
    monkeypatch.setattr(tasks_module, "current_services", lambda: fake)
    return fake


@pytest.mark.parametrize("services", [Outcome("indexed")], indirect=True)
def test_task_returns_the_outcome(services: FakeServices) -> None:
    assert ingest_video("a") == "indexed"
    (call,) = services.indexer.calls
    assert call["id"] == "a"
    ingest_video("a")
    owners = [call["owner"] for call in services.indexer.calls]
    assert owners[0] != owners[1], "two deliveries are two owners"
    ingest_video("a", owner="first")
    taken_up, own = services.indexer.calls[-1]["owner"].split()
    assert taken_up == "first"
    assert own not in owners


@pytest.mark.parametrize("services", [BackendUnavailableError("away")], indirect=True)
def test_task_without_a_worker_raises_an_outage_of_the_engine(services: FakeServices) -> None:
    with pytest.raises(BackendUnavailableError, match="away"):
        ingest_video("a")
    assert len(services.indexer.calls) == 1


@pytest.mark.parametrize(
    "services", [VideoNotRegisteredError("no video 'a' is registered")], indirect=True
)
def test_message_for_an_unregistered_video_is_dropped(services: FakeServices) -> None:
    assert ingest_video("a") == "unknown"
    assert len(services.indexer.calls) == 1


def test_made_app_has_all_tasks_their_queue_and_schedule() -> None:
    settings = Settings(broker={"url": "redis://h:1/0", "queue": "q"}, ingest={"sweep_seconds": 9})
    before = current_app._get_current_object()
    app = make_app(settings)
    assert current_app._get_current_object() is before, (
        "the application's app stays the current one"
    )
    app.loader.import_default_modules()
    names = {name for name in app.tasks if name.startswith("vidsearch.")}
    assert names == {
        "vidsearch.embed_slice",
        "vidsearch.fill_video",
        "vidsearch.ingest_video",
        "vidsearch.reindex",
        "vidsearch.scan",
        "vidsearch.sweep",
    }
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_acks_late is True
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.task_default_queue == "q"
    entry = app.conf.beat_schedule["vidsearch.sweep"]
    assert (entry["schedule"], entry["options"]) == (9, {"queue": "q-maintenance", "expires": 9})
    task = app.tasks["vidsearch.ingest_video"]
    assert app.conf.broker_transport_options["visibility_timeout"] > task.time_limit
    assert task.time_limit > task.soft_time_limit


def test_including_app_has_the_tasks_with_their_limits() -> None:
    app = Celery("application", include=["vidsearch_tasks.tasks"], set_as_current=False)
    app.conf.beat_schedule = beat_schedule(Settings())
    app.loader.import_default_modules()
    task = app.tasks["vidsearch.ingest_video"]
    assert task.acks_late is True
    assert task.ignore_result is True
    assert task.max_retries is None
    assert app.conf.beat_schedule["vidsearch.sweep"]["task"] in app.tasks


@pytest.mark.parametrize("several", [list, ";".join], ids=["list", "text"])
def test_unreachable_brokers_are_named_without_passwords(several: Callable[..., Any]) -> None:
    url = several(["redis://:hunter2@127.0.0.1:1/0", "redis://:hunter3@127.0.0.1:2/0"])
    app = Celery("application", broker=url, set_as_current=False)
    app.conf.broker_transport_options = {"socket_connect_timeout": 1, "max_retries": 0}
    with pytest.raises(BackendUnavailableError, match=r"broker at redis://:\*\*\*@127") as caught:
        send_ingest(app, "a", queue="q")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown", "why"),
    [
        (
            "nonsense://me:hunter2@host/0",
            "nonsense://me:***@host/0",
            "vidsearch works with redis, rediss, redis+socket, sentinel, amqp, amqps",
        ),
        (
            "redis://:hunter2@host:port/0",
            "redis://:***@host:port/0",
            "its host or port cannot be read",
        ),
        ("redis://:hunter2/x@host/0", "redis://:***@host/0", "its host or port cannot be read"),
    ],
)
def test_invalid_broker_url_raises_without_the_password(url: str, shown: str, why: str) -> None:
    app = Celery("application", broker=url, set_as_current=False)
    with pytest.raises(ConfigError) as caught:
        send_ingest(app, "a", queue="q")
    assert str(caught.value) == (
        f"broker.url {shown!r} is not usable: {why}; write redis://host:6379/0, "
        "and a / in a password as %2F"
    )
    assert "hunter" not in "".join(traceback.format_exception(caught.value))  # as with -v


def test_configured_settings_and_app_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configured, "_current", current_services())  # put back at the end
    app = Celery("application", set_as_current=False)
    settings = Settings(index={"name": "clips"})
    services = configure(settings, app=app)
    assert current_services() is services
    assert vidsearch_tasks.app is app
    assert services.settings.index.registry == "vidsearch-clips-registry"


def test_worker_process_limits_threads_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    Services(
        Settings(model={"threads": 2}), app=Celery("application", set_as_current=False)
    ).after_fork()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["MKL_NUM_THREADS"] == "7", "the operator's word counts"


def test_misspelt_setting_raises_when_the_app_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_BROKER__QEUE", "x")
    with pytest.raises(ConfigError, match="VIDSEARCH_BROKER__QUEUE"):
        _ = Services().app


def test_import_of_the_tasks_loads_no_heavy_package() -> None:
    code = (
        "import sys, vidsearch_tasks.tasks\n"
        "heavy = {'torch', 'transformers', 'cv2', 'av', 'elasticsearch', 'opensearchpy', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
