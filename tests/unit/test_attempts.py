"""What a worker does around an attempt: waiting for the engine, pausing, handing back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_prerun

from vidsearch.config import Settings
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    LeaseLostError,
    ModelUnavailableError,
    SourceUnavailableError,
    WorkerStoppingError,
)
from vidsearch.ingest import Outcome
from vidsearch.registry import ErrorRecord, Notes, Operations, Registry, State
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.registry import registry_index
from vidsearch_tasks import attempts, queue_depth, stopping
from vidsearch_tasks.attempts import VIDEOS, attempted
from vidsearch_tasks.stopping import WorkerStop

SETUP = "setup:w@host"


class Flaky(MemoryEngine):
    away = False

    def get(self, index: str, id: str, **options: Any) -> Any:
        if self.away:
            raise BackendUnavailableError("connection refused")
        return super().get(index, id, **options)


class Stage:
    """Services with an engine and a broker in memory, whose indexer does what a test says."""

    def __init__(self, stop: WorkerStop) -> None:
        self.engine = Flaky()
        self.settings = Settings(broker={"queue": uuid4().hex}, ingest={"retry_seconds": 0.2})
        body = registry_index("elasticsearch", shards=1, replicas=0)
        self.engine.create_index(self.settings.index.registry, body)
        self.registry = Registry(self.engine, index=self.settings.index.registry, max_attempts=2)
        self.operations = Operations(Notes(self.engine, index=self.settings.index.operations))
        self.clock: Callable[[], float] = time.time
        self.app = Celery("application", broker="memory://", set_as_current=False)
        self.stop = stop
        self.work: Callable[[], Outcome] = lambda: Outcome("indexed")
        self.claims: list[str] = []
        self.registry.register("a", uri="/a.mp4")

    @property
    def indexer(self) -> Stage:
        return self

    def ingest(self, id: str, *, owner: str) -> Outcome:
        self.claims.append(owner)
        self.lease = self.registry.claim(id, owner=owner)
        return self.work()

    def attempt(self, id: str = "a", **options: Any) -> Outcome:
        request = SimpleNamespace(called_directly=False, is_eager=False, hostname="w@host")
        task = SimpleNamespace(request=request, app=self.app)
        return attempted(task, self, id, VIDEOS, **options)  # type: ignore[arg-type]

    @property
    def waiting(self) -> int:
        return queue_depth(self.app, queue=self.settings.broker.queue)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stop = WorkerStop()
    monkeypatch.setattr(attempts, "STOP", stop)
    monkeypatch.setattr(attempts, "_circuit", attempts._Circuit())
    return Stage(stop)


def test_worker_keeps_its_message_and_its_owner_until_the_engine_is_back(stage: Stage) -> None:
    stage.engine.away = True
    threading.Timer(1.5, setattr, [stage.engine, "away", False]).start()
    assert stage.attempt().status == "indexed"
    assert len(stage.claims) > 1
    assert len({*stage.claims}) == 1
    assert stage.registry.get("a").attempts == 1
    assert stage.waiting == 0


def test_worker_that_waits_for_the_engine_hands_its_message_back_with_the_owner(
    stage: Stage,
) -> None:
    stage.engine.away = True
    stage.app.conf.task_serializer = "pickle"  # of the application's own tasks
    threading.Timer(0.5, stage.stop.set).start()
    started = time.monotonic()
    outcome = stage.attempt(owner="first")
    assert isinstance(outcome.error, WorkerStoppingError)
    assert time.monotonic() - started < 20
    message = _message(stage)
    assert message.headers["task"] == "vidsearch.ingest_video"
    assert message.content_type == "application/json"
    args, kwargs = message.payload[:2]
    assert (args, kwargs["owner"].split()[0]) == (["a"], "first")


def _message(stage: Stage) -> Any:
    with stage.app.connection_for_read() as connection:
        return connection.SimpleQueue(stage.settings.broker.queue).get(timeout=30)


def _put_back(stage: Stage) -> str:
    """The owner in the message that was put back."""
    args, kwargs = _message(stage).payload[:2]
    assert args == ["a"]
    return str(kwargs["owner"])


def test_time_limit_during_an_outage_within_an_attempt_uses_up_none(stage: Stage) -> None:
    def outlasts() -> Outcome:
        raise BackendUnavailableError("away") from SoftTimeLimitExceeded()

    stage.work = outlasts
    outcome = stage.attempt()
    assert (outcome.status, len(stage.claims)) == ("retry", 1)
    stage.work = lambda: Outcome("indexed")
    stage.attempt(owner=_put_back(stage))
    assert stage.registry.get("a").attempts == 1


def test_a_message_that_is_delivered_again_leaves_the_video_to_the_worker_that_has_it(
    stage: Stage,
) -> None:
    """As RabbitMQ does where a worker takes longer than its ``consumer_timeout``."""
    lease = stage.registry.claim("a", owner="first")

    def work() -> Outcome:
        stage.work = lambda: Outcome("indexed")
        with pytest.raises(LeaseLostError, match="is being worked on"):
            stage.registry.claim("a", owner="first second")
        own = stage.registry.renew(stage.lease)
        assert stage.registry.hand_back("a", owner="first second") == own.record
        return Outcome("indexed")

    stage.work = work
    stage.attempt(owner=str(lease.record.owner).partition("#")[0])
    assert stage.registry.get("a").attempts == 1


def test_an_engine_that_stays_away_does_not_lose_the_owners_of_a_lease(stage: Stage) -> None:
    stage.registry.claim("a", owner="first")
    stage.engine.away = True
    owner = "first"
    for _ in range(2):
        stage.stop.limit(0.2)
        stage.attempt(owner=owner)
        owner = _put_back(stage)
    assert len(owner.split()) == 3
    stage.engine.away = False
    stage.stop.limit(None)
    assert stage.attempt(owner=owner).status == "indexed"
    assert stage.registry.get("a").attempts == 1


def test_a_time_limit_that_a_client_took_for_an_error_of_its_request_ends_the_attempt(
    stage: Stage,
) -> None:
    def outlasts() -> Outcome:
        stage.stop.limit(0.0)
        raise BackendUnavailableError("away") from ConnectionError("the client's")

    stage.work = outlasts
    assert stage.attempt().status == "retry"
    owner = _put_back(stage)
    assert stage.registry.get("a").owner is not None
    assert str(stage.registry.get("a").owner).startswith(f"{owner}#")


def test_work_that_did_not_hear_of_its_time_limit_is_told_between_two_steps(stage: Stage) -> None:
    stage.stop.limit(3600.0)
    stage.stop.check()
    stage.stop.limit(0.0)
    with pytest.raises(SoftTimeLimitExceeded):
        stage.stop.check()
    stage.stop.limit(None)
    stage.stop.check()


def test_one_message_is_sent_where_the_worker_ends_while_it_puts_its_message_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_GRACE_SECONDS", 0.0)
    sent: list[str] = []

    def slow(app: Any, task: str, ids: list[str], **_: Any) -> Any:
        stage.stop.set()
        sent.extend(ids)
        time.sleep(4 * attempts._LOOK_SECONDS)
        return ids, None

    monkeypatch.setattr(attempts, "send_ids", slow)
    stage.engine.away = True
    stage.stop.limit(0.2)
    stage.attempt()
    assert sent == ["a"]


@pytest.mark.parametrize(
    ("process", "task", "is_limited"),
    [
        ("ForkPoolWorker-1", "vidsearch.ingest_video", True),
        ("ForkPoolWorker-1", "application.own", False),
        ("MainProcess", "vidsearch.ingest_video", False),
    ],
)
def test_the_time_limit_is_known_where_celery_enforces_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, process: str, task: str, is_limited: bool
) -> None:
    stage.settings = Settings(ingest={"time_limit": 10})
    monkeypatch.setattr(attempts, "current_services", lambda: stage)
    monkeypatch.setattr(attempts, "current_process", lambda: SimpleNamespace(name=process))
    request = SimpleNamespace(is_eager=False)
    task_prerun.send(sender=None, task=SimpleNamespace(name=task, request=request))
    inner = SimpleNamespace(name="application.own", request=SimpleNamespace(is_eager=True))
    task_prerun.send(sender=None, task=inner)
    for seconds, is_late in ((11, False), (13, is_limited)):  # Celery's own alarm comes at 10
        at = time.monotonic() + seconds
        monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda at=at: at))
        assert stage.stop.is_late is is_late


def test_time_limit_of_a_worker_that_waits_for_the_engine_puts_its_message_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(seconds: float) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(stage.stop, "pause", limit)
    stage.engine.away = True
    assert stage.attempt(owner="first").status == "retry"
    assert _put_back(stage).split()[0] == "first"


def test_time_limit_while_the_engine_is_there_is_no_outage(stage: Stage) -> None:
    def limit() -> Outcome:
        raise SoftTimeLimitExceeded

    stage.work = limit
    with pytest.raises(SoftTimeLimitExceeded):
        stage.attempt()
    assert stage.waiting == 0


def test_three_evictions_use_up_no_attempt(stage: Stage) -> None:
    def stopped() -> Outcome:
        stage.stop.set()
        stage.stop.check()
        raise AssertionError

    stage.work = stopped
    for n in range(3):
        stage.stop._flag[0] = 0
        assert stage.attempt().status == "retry"
        record = stage.registry.get("a")
        assert (record.state, record.attempts, record.owner) == (State.QUEUED, 0, None)
        assert record.error is not None
        assert record.error.type == "WorkerStopped"
        assert stage.waiting == n + 1


def test_message_that_comes_to_a_worker_that_ends_goes_back(stage: Stage) -> None:
    stage.registry.mark_queued("a")
    stage.stop.set()
    assert stage.attempt().status == "retry"
    assert stage.claims == []
    assert (stage.registry.get("a").state, stage.waiting) == (State.QUEUED, 1)


def test_long_video_whose_slices_ended_as_the_worker_ends_goes_to_another_worker(
    stage: Stage,
) -> None:
    lease = stage.registry.claim("a", owner="w")
    stage.registry.hand_over(lease, lease_seconds=600)
    stage.stop.set()
    assert stage.attempt().status == "retry"
    assert (stage.registry.get("a").owner, stage.waiting) == ("slices", 1)
    stage.stop._flag[0] = 0
    assert stage.attempt().status == "indexed"
    assert stage.registry.get("a").attempts == 1


def test_work_that_does_not_stop_is_handed_back_while_it_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_GRACE_SECONDS", 0.3)

    def hang() -> Outcome:
        stage.stop.set()
        deadline = time.monotonic() + 60
        while stage.waiting == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert stage.registry.get("a").state is State.QUEUED
        return Outcome("skipped")

    stage.work = hang
    assert stage.attempt().status == "skipped"
    assert (stage.registry.get("a").attempts, stage.waiting) == (0, 1)


def test_process_that_is_ended_hands_back(stage: Stage) -> None:
    def end() -> Outcome:
        raise SystemExit(-241)

    stage.work = end
    with pytest.raises(SystemExit):
        stage.attempt()
    record = stage.registry.get("a")
    assert (record.state, record.attempts, stage.waiting) == (State.QUEUED, 0, 1)


def test_worker_without_a_model_gives_videos_back_and_pauses_longer_each_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Any) -> Any:
        raise ModelUnavailableError("no folder /models/clip")

    monkeypatch.setattr(Stage, "indexer", property(missing))
    took: list[float] = []
    monkeypatch.setattr(stage.stop, "pause", took.append)
    for tries in (1, 2, 3, 4):
        outcome = stage.attempt()
        record = stage.registry.get("a")
        assert (outcome.status, record.state, record.attempts) == ("retry", State.REGISTERED, 0)
        assert record.due_at == record.updated_at
        (pause,) = stage.operations.pauses()
        assert (pause.key, pause.tries, pause.by) == (SETUP, tries, "w@host")
        assert pause.error.message == "no folder /models/clip"
    assert 0.1 <= took[0] <= 0.2
    assert 0.8 <= took[3] <= 1.6
    assert stage.waiting == 0, "the sweep sends it"


def test_worker_that_works_again_says_so(stage: Stage) -> None:
    error = ErrorRecord(type="ConfigError", stage="prepare", message="of a process before")
    stage.operations.pause(SETUP, error=error, until=time.time(), by="w@host")
    stage.work = lambda: Outcome("retry", error=SourceUnavailableError("away"))
    stage.attempt()
    assert stage.operations.pauses(), "that does not tell whether it can work"
    stage.work = lambda: Outcome("indexed")
    stage.attempt(owner=str(stage.lease.record.owner).partition("#")[0])
    assert stage.operations.pauses() == []


def test_encoder_that_cannot_be_made_is_the_workers_fault(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("CUDA error: no device; see https://me:hunter2@host/?key=hunter2")

    monkeypatch.setattr(Stage, "indexer", property(broken))
    stage.attempt()
    record = stage.registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert "this worker cannot embed videos: RuntimeError: CUDA error" in str(record.error)
    assert "see https://…@host/?…" in str(record.error)
    (pause,) = stage.operations.pauses()
    assert "hunter2" not in f"{record.error} {pause.error}"


def test_message_goes_on_to_others_where_a_worker_has_no_registry(stage: Stage) -> None:
    stage.engine.delete_index(stage.settings.index.registry)
    outcome = stage.attempt()
    assert isinstance(outcome.error, IndexNotFoundError)
    assert stage.waiting == 1
    assert [pause.key for pause in stage.operations.pauses()] == [SETUP]


def test_record_of_a_newer_version_is_left_to_its_workers(stage: Stage) -> None:
    index = stage.settings.index.registry
    record = stage.engine.get(index, "a").source
    stage.engine.put(index, "a", {**record, "state": "translated"})
    outcome = stage.attempt()
    assert outcome.status == "retry"
    assert "Update vidsearch in this process" in str(outcome.reason)
    assert stage.waiting == 0, "it would come back at once"
    assert stage.operations.pauses() == [], "it may work on other videos"


def test_pause_ends_when_the_worker_is_told_to_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "pause_delay", lambda tries, first: 30.0)
    stage.work = lambda: Outcome("retry", error=ModelUnavailableError("none"))
    threading.Timer(0.3, stage.stop.set).start()
    started = time.monotonic()
    stage.attempt()
    assert time.monotonic() - started < 20
