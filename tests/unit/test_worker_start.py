"""What a worker is refused for, warned of and given when it starts."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.concurrency import get_implementation
from celery.concurrency.solo import TaskPool
from celery.signals import celeryd_after_setup, celeryd_init
from kombu import Queue

from vidsearch.cli.workers import conflict_problem
from vidsearch.config import Settings
from vidsearch.errors import ConfigError
from vidsearch_tasks import BrokerState, WorkerState, configure, configured, make_app
from vidsearch_tasks.celery_app import EMBED_SLICE, FILL, INGEST, REINDEX, SCAN, SWEEP, queue_of
from vidsearch_tasks.worker_start import app_conflicts, broker_advice, require_suitable

SETTINGS = Settings(broker={"queue": "q"}, ingest={"time_limit": 900})
GREENLETS = SimpleNamespace(__module__="celery.concurrency.gevent")


def own_app(**conf: Any) -> Celery:
    app = Celery("application", broker="redis://h:1/0", include=["vidsearch_tasks.tasks"])
    app.conf.worker_prefetch_multiplier = 1
    app.conf.update(conf)
    app.loader.import_default_modules()
    return app


def start(
    app: Celery, monkeypatch: pytest.MonkeyPatch, *, queue: str = "q", pool: Any = TaskPool
) -> None:
    monkeypatch.setattr(configured, "_current", configured.current_services())
    configure(SETTINGS, app=app)
    app.amqp.queues.select(queue)
    consumer = SimpleNamespace(reset_rate_limits=lambda: None)
    worker = SimpleNamespace(app=app, pool_cls=pool, consumer=consumer)
    celeryd_after_setup.send("w@h", instance=worker, conf=app.conf)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_pools_of_processes_and_threads_are_suitable(pool: str) -> None:
    require_suitable(own_app(), pool=get_implementation(pool).__module__)


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_pools_of_greenlets_are_refused_with_the_reason(pool: str) -> None:
    with pytest.raises(ConfigError, match=f"the pool {pool} cannot run vidsearch's tasks: decod"):
        require_suitable(own_app(), pool=f"celery.concurrency.{pool}")


def test_app_that_reads_only_pickle_is_refused() -> None:
    app = own_app(task_serializer="pickle", accept_content=["pickle"])
    with pytest.raises(ConfigError, match=r"accept_content .* is \['pickle'\], .*: add 'json'"):
        require_suitable(app, pool="solo")
    app.conf.accept_content = ["pickle", "application/json"]
    require_suitable(app, pool="solo")


def test_unsuitable_worker_ends_and_logs_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit, match="1"):
        start(own_app(), monkeypatch, pool=GREENLETS)
    assert "this worker cannot start: the pool gevent cannot run" in caplog.text
    with pytest.raises(SystemExit):
        start(own_app(broker_url="redis+cluster://:hunter2@h:1"), monkeypatch)
    assert "Redis Cluster" in caplog.text
    assert "hunter2" not in caplog.text


def test_misread_url_ends_any_worker_before_celery_quotes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = own_app(broker_url="redis://:hunter2/secret@h:1/0")
    with pytest.raises(SystemExit):
        celeryd_init.send("w@h", instance=SimpleNamespace(app=app), conf=app.conf, options={})
    assert "its host or port cannot be read" in caplog.text
    assert "hunter2" not in caplog.text


def test_worker_of_other_queues_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = own_app(task_serializer="pickle", accept_content=["pickle"])
    start(app, monkeypatch, queue="celery", pool=GREENLETS)
    assert not caplog.records
    assert app.control.mailbox.serializer == "pickle"


def test_started_worker_has_the_time_limits_of_the_settings_and_answers_in_json(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = own_app(
        task_serializer="pickle",
        accept_content=["pickle", "json"],
        broker_transport_options={"visibility_timeout": 961},
        task_time_limit=5,
    )
    with caplog.at_level(logging.WARNING):
        start(app, monkeypatch)
    assert not caplog.records
    for name in (INGEST, EMBED_SLICE, FILL):
        task = app.tasks[name]
        assert (task.soft_time_limit, task.time_limit) == (900, 960)
    for name in (SWEEP, SCAN):
        task = app.tasks[name]
        assert (task.soft_time_limit, task.time_limit) == (7200, 7260), "of no single attempt"
    assert app.tasks[REINDEX].time_limit > 86_400, "it may copy an index for hours"
    assert app.control.mailbox.serializer == "json"


@pytest.mark.parametrize(
    "conf",
    [
        {"task_default_rate_limit": "10/m"},
        {"task_annotations": {"*": {"rate_limit": "10/m"}}},
        {"task_annotations": [{"*": {"rate_limit": "10/m"}}, {"tasks.shop": {"rate_limit": 1}}]},
    ],
)
def test_rate_limits_of_an_apps_own_tasks_are_not_those_of_a_started_worker(
    conf: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = own_app(**conf)
    start(app, monkeypatch)
    for name in (INGEST, EMBED_SLICE, FILL, SWEEP, SCAN, REINDEX):
        assert app.tasks[name].rate_limit is None


def test_rate_limit_that_an_app_gives_a_task_of_vidsearch_by_name_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = own_app(task_annotations={"*": {"rate_limit": "10/m"}, INGEST: {"rate_limit": "1/s"}})
    start(app, monkeypatch)
    assert (app.tasks[INGEST].rate_limit, app.tasks[SWEEP].rate_limit) == ("1/s", None)


@pytest.mark.parametrize("strategy", ["priority", "sorted"])
def test_fixed_order_of_redis_queues_is_named(strategy: str) -> None:
    options = {"visibility_timeout": 4000, "queue_order_strategy": strategy}
    (told,) = app_conflicts(own_app(broker_transport_options=options), SETTINGS)
    assert told.startswith(
        f"queue_order_strategy in broker_transport_options is {strategy!r}: no sweep is done"
    )
    rabbit = own_app(broker_url="amqp://h//", broker_transport_options=options)
    assert app_conflicts(rabbit, SETTINGS) == []
    options["queue_order_strategy"] = "round_robin"
    assert app_conflicts(own_app(broker_transport_options=options), SETTINGS) == []


def test_own_apps_settings_against_ingestion_are_named_and_fail_the_check(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = own_app(
        worker_prefetch_multiplier=4,
        broker_transport_options={"visibility_timeout": 960},
        task_annotations={INGEST: {"acks_late": False}},
    )
    prefetch, visibility, acks = (
        "worker_prefetch_multiplier is 4: a busy worker holds messages",
        "visibility_timeout in broker_transport_options is 960: a message is delivered again",
        "task_annotations make acks_late false",
    )
    start(app, monkeypatch)
    for said in (prefetch, visibility, acks):
        assert said in caplog.text
    worker = WorkerState("w@h", ("q",), conflicts=app_conflicts(app, SETTINGS))
    told = conflict_problem(BrokerState("redis://h:1/0", "q", 0, (worker,)))
    assert told is not None
    assert told.count("w@h: ") == 3
    assert app_conflicts(make_app(SETTINGS), SETTINGS) == []
    assert any(
        "visibility_timeout in broker_transport_options is 3600" in each
        for each in app_conflicts(own_app(), Settings())
    )


def test_brokers_that_need_an_administrator_are_told() -> None:
    settings = Settings(broker={"url": "amqp://h//"})
    (rabbit,) = broker_advice(make_app(settings), settings)
    assert "for its consumer_timeout, which it tells no client (by default 1800 s; see" in rabbit
    assert "above ingest.time_limit (7200 s), consumer_timeout = 7260000 in rabbitmq.conf" in rabbit
    assert broker_advice(make_app(settings), SETTINGS) == [], "shorter than the default"
    tls = Settings(broker={"url": "rediss://:hunter2@h/0"})
    (certificate,) = broker_advice(make_app(tls), tls)
    assert certificate.startswith("the certificate of rediss://:***@h/0 is not verified: add ?ssl_")


def test_worker_of_an_app_that_lists_its_queues_takes_from_those_beside_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = own_app(task_queues=[Queue("q")], task_create_missing_queues=False)
    start(app, monkeypatch)
    assert {*app.amqp.queues.consume_from} == {"q", "q-bulk", "q-maintenance"}


def test_queue_that_is_only_sent_to_is_none_of_an_app_that_lists_its_queues() -> None:
    conf = {"task_create_missing_queues": False, "task_queue_max_priority": 5}
    app = own_app(task_queues=[Queue("shop")], **conf)
    queue = queue_of(app, "q")
    assert (queue.name, queue.queue_arguments) == ("q", {"x-max-priority": 5})
    assert {*app.amqp.queues} == {"shop"}


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_started_worker_goes_on_after_errors_and_outages_of_its_broker(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = own_app(broker_url=f"{kind}://h/")
    assert not app.conf.broker_channel_error_retry
    start(app, monkeypatch, queue="celery")
    assert not app.conf.broker_channel_error_retry, "it takes from another queue"
    start(app, monkeypatch)
    assert app.conf.broker_channel_error_retry
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.worker_proc_alive_timeout == 60


@pytest.mark.parametrize(("own", "kept"), [(None, 60), (90, 90)])
def test_processes_have_no_less_time_to_start_than_the_application_gives_them(
    own: float | None, kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = own_app(worker_proc_alive_timeout=own)
    start(app, monkeypatch)
    assert app.conf.worker_proc_alive_timeout == kept
    assert app.tasks[INGEST].time_limit == 960, "what comes after it is set as well"


def test_limits_that_do_not_fit_each_other_are_refused() -> None:
    assert Settings(ingest={"time_limit": 100}).visibility_timeout == 320
    assert Settings(broker={"visibility_timeout": 7261}).visibility_timeout == 7261
    with pytest.raises(ValueError, match=r"broker\.visibility_timeout is 7260, but must exceed"):
        Settings(broker={"visibility_timeout": 7260})
    with pytest.raises(ValueError, match=r"broker\.visibility_timeout instead"):
        Settings(broker={"transport_options": {"visibility_timeout": 1}})
