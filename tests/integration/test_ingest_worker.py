"""Registered videos and a real worker process on a real engine and Redis."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.integration.relay import Relay
from tests.integration.stage import Stage, running_stage
from tests.integration.worker import Worker, until
from tests.messages import send_ingest

from vidsearch.errors import BackendUnavailableError, VideoNotRegisteredError
from vidsearch.ingest import delete_video
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, enqueue, queue_depth, register_video, run_sweep

pytestmark = pytest.mark.integration

LONG_LEASE = 600
"""Seconds that are not over before the test is, on whatever machine."""
BY_THE_TEST = {"VIDSEARCH_INGEST__SWEEP_SECONDS": "600"}
"""No sweep of a worker comes before the one whose report is looked at."""


@pytest.fixture
def everywhere(
    search_node: SearchNode, redis_url: str, index_name: str, tmp_path: Path
) -> Iterator[Stage]:
    """On each of the engines in turn."""
    with running_stage(search_node, redis_url, index_name, tmp_path) as stage:
        yield stage


def test_registered_videos_end_indexed_or_failed(
    everywhere: Stage, red: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 5000)
    record = everywhere.register("good", red, title="Red", tags=["warm"])
    assert record.state is State.QUEUED
    everywhere.register("broken", broken)
    everywhere.register("absent", tmp_path / "absent.mp4")
    assert (
        queue_depth(everywhere.services.app, queue=everywhere.services.settings.broker.queue) == 3
    )
    with everywhere.worker() as worker:
        good = everywhere.until("good", State.INDEXED, worker=worker)
        assert (good.attempts, good.frames, good.segments) == (1, 6, 3)
        document = everywhere.document("good")
        assert document is not None
        assert (document["title"], document["tags"]) == ("Red", ["warm"])
        text = FakeEncoder().encode_text(["red"])[0]
        assert np.dot(text, document["video"]["vector"]) > 0.9
        assert document["video"]["fingerprint"] == good.fingerprint

        for id, kind in (("broken", "VideoOpenError"), ("absent", "SourceNotFoundError")):
            failed = everywhere.until(id, State.FAILED, worker=worker)
            assert failed.error is not None
            assert failed.error.type == kind
            assert everywhere.document(id) is None

        # Other fields: they are in the document at once, and its vectors are kept as they are.
        changed = everywhere.register("good", red, title="Crimson")
        assert (changed.state, changed.due_at) == (State.INDEXED, None)
        again = everywhere.document("good")
        assert again == {"title": "Crimson", "video": document["video"]}

        # Asked for by hand: a worker finds that the content is the same.
        everywhere.services.registry.reopen("good")
        enqueue("good", services=everywhere.services)
        until(
            lambda: (everywhere.record("good").indexed_at or 0) > (good.indexed_at or 0),
            what="good is indexed again",
            worker=worker,
        )
        assert everywhere.document("good") == again


def test_duplicate_message_does_nothing(stage: Stage, red: Path) -> None:
    stage.register("a", red)
    with stage.worker() as worker:
        first = stage.until("a", State.INDEXED, worker=worker)
        before = stage.services.open_index().read("a")
        for _ in range(3):
            send_ingest(stage.services.app, "a", queue=stage.services.settings.broker.queue)
        until(
            lambda: worker.text().count("nothing is to be done") == 3,
            what="three duplicates were skipped",
            worker=worker,
        )
        assert stage.record("a") == first
        assert stage.services.open_index().read("a") == before


def test_message_for_an_unknown_id_is_ignored(stage: Stage, red: Path) -> None:
    send_ingest(stage.services.app, "nobody", queue=stage.services.settings.broker.queue)
    stage.register("a", red)
    with stage.worker() as worker:
        stage.until("a", State.INDEXED, worker=worker)
        assert "message ignored: no video 'nobody' is registered" in worker.text()
    with pytest.raises(VideoNotRegisteredError):
        stage.record("nobody")


def test_messages_hold_the_id_and_nothing_else(stage: Stage, red: Path, redis_url: str) -> None:
    import base64

    import redis

    stage.register("a", red, title="a secret title")
    client = redis.Redis.from_url(redis_url)
    (raw,) = client.lrange(stage.services.settings.broker.queue, 0, -1)
    client.close()
    message = json.loads(raw)
    assert message["content-type"] == "application/json"
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == (["a"], {})
    assert b"secret" not in raw
    assert str(red).encode() not in raw


def test_video_of_a_killed_worker_is_ingested_by_the_next(stage: Stage, red: Path) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", red)
    with stage.worker(VIDSEARCH_INGEST__LEASE_SECONDS=str(LONG_LEASE)) as first:
        until(lambda: (stage.switches / "at-work").exists(), what="work began", worker=first)
        first.kill()
        held = stage.record("a")
        assert held.state is State.PROCESSING
        (stage.switches / "slow").unlink()
        assert run_sweep(services=stage.services).requeued == (), "the lease is still live"
        with stage.worker() as second, stage.later(LONG_LEASE) as later:
            assert run_sweep(services=later).requeued == ("a",)
            after = stage.until("a", State.INDEXED, worker=second)
    assert after.attempts == 2
    assert after.error is None


def test_video_that_kills_its_worker_ends_dead_and_can_be_retried(stage: Stage, red: Path) -> None:
    (stage.switches / "deadly").touch()
    stage.register("a", red)
    with stage.worker(**BY_THE_TEST) as worker:
        reports = []

        def swept() -> bool:
            reports.append(run_sweep(services=stage.services))
            return stage.record("a").state is State.DEAD

        until(swept, what="a is dead", worker=worker)
        dead = stage.record("a")
        assert dead.attempts == 2
        assert dead.error is not None
        assert (dead.error.type, dead.error.stage) == ("WorkerLost", "processing")
        assert [r.dead for r in reports if r.dead] == [("a",)]

        (stage.switches / "deadly").unlink()
        assert stage.services.registry.retry("a").attempts == 0
        enqueue("a", services=stage.services)
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1


def test_deletion_during_and_after_ingestion_leaves_no_document(stage: Stage, red: Path) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", red)
    index = stage.services.open_index()
    with stage.worker() as worker:
        until(lambda: (stage.switches / "at-work").exists(), what="work began", worker=worker)
        delete_video(stage.services.registry, index, "a")
        until(lambda: "left alone" in worker.text(), what="the work stopped", worker=worker)
        assert stage.document("a") is None
        assert stage.record("a").state is State.DELETED

        (stage.switches / "slow").unlink()
        stage.register("a", red, title="again")
        stage.until("a", State.INDEXED, worker=worker)
        assert stage.document("a") is not None
        delete_video(stage.services.registry, index, "a")
        assert stage.document("a") is None


def test_registration_without_a_broker_is_queued_by_the_sweep(stage: Stage, red: Path) -> None:
    away = stage.services.settings.model_copy(
        update={
            "broker": stage.services.settings.broker.model_validate(
                {
                    "url": "redis://:hush@127.0.0.1:1/0",
                    "queue": stage.services.settings.broker.queue,
                }
            )
        }
    )
    services = Services(away)
    started = time.monotonic()
    with pytest.raises(
        BackendUnavailableError, match="'a' is registered but not queued, the sweep will"
    ) as caught:
        register_video("a", uri=str(red), services=services)
    assert time.monotonic() - started < 30, "Celery itself would go on for minutes"
    assert "hush" not in str(caught.value)
    assert stage.record("a").state is State.REGISTERED
    with pytest.raises(BackendUnavailableError):
        queue_depth(services.app, queue="any")
    services.close()

    stage.sweep_up("a")
    with stage.worker() as worker:
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1


def test_redis_that_lost_its_queue_loses_no_video(stage: Stage, red: Path, redis_url: str) -> None:
    import redis

    stage.register("a", red)
    client = redis.Redis.from_url(redis_url)
    client.delete(stage.services.settings.broker.queue)
    client.close()
    stage.sweep_up("a")
    with stage.worker() as worker:
        stage.until("a", State.INDEXED, worker=worker)


def test_beat_sends_the_sweep(stage: Stage, red: Path) -> None:
    stage.services.registry.register("a", uri=str(red))  # and no message
    env = {**stage.env, "VIDSEARCH_INGEST__SWEEP_SECONDS": "1"}
    options = ("--beat", "--schedule", str(stage.folder / "beat"))
    worker = Worker(stage.folder / "with-beat", env, options=options)
    stage.workers.append(worker)
    with worker:
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1


def test_engine_outage_during_ingestion_is_retried(
    stage: Stage, red: Path, elasticsearch_9: SearchNode
) -> None:
    relay = Relay(elasticsearch_9.url)
    (stage.switches / "slow").touch()
    stage.register("a", red)
    try:
        with stage.worker(VIDSEARCH_ENGINE__URL=relay.url) as worker:
            until(lambda: (stage.switches / "at-work").exists(), what="work began", worker=worker)
            relay.down()
            until(lambda: "next try in" in worker.text(), what="a retry", worker=worker)
            assert stage.record("a").state is State.PROCESSING
            (stage.switches / "slow").unlink()
            relay.up()
            after = stage.until("a", State.INDEXED, worker=worker)
            assert after.attempts == 1, "an outage uses up no attempt"
    finally:
        relay.down()


def test_redis_outage_during_ingestion_is_survived(stage: Stage, red: Path, redis_url: str) -> None:
    relay = Relay(redis_url)
    (stage.switches / "slow").touch()
    stage.register("a", red)
    try:
        with stage.worker(VIDSEARCH_BROKER__URL=relay.url) as worker:
            until(lambda: (stage.switches / "at-work").exists(), what="work began", worker=worker)
            relay.down()
            stage.until("a", State.INDEXED, worker=worker)
            stage.register("b", red)
            (stage.switches / "slow").unlink()
            relay.up()
            assert stage.until("b", State.INDEXED, worker=worker).attempts == 1
    finally:
        relay.down()


def test_worker_whose_pool_process_is_killed_goes_on(stage: Stage, red: Path) -> None:
    (stage.switches / "slow").touch()
    stage.register("a", red)
    with stage.worker(**BY_THE_TEST) as worker:
        until(lambda: (stage.switches / "at-work").exists(), what="work began", worker=worker)
        os.kill(worker.child(), signal.SIGKILL)
        (stage.switches / "slow").unlink()
        stage.sweep_up("a")
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 2


def test_worker_of_an_application_with_its_own_app_and_client_ingests(
    stage: Stage, red: Path
) -> None:
    options = ("-Q", f"the-applications-own,{stage.services.settings.broker.queue}")
    app = "tests.integration.application"
    stage.register("a", red)
    with Worker(stage.folder / "application", stage.env, app=app, options=options) as worker:
        stage.workers.append(worker)
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1
        assert "application.hello" in worker.text()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="torch has one thread anyway")
@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 1), pytest.param(2, 2, marks=pytest.mark.drill)]
)
def test_worker_uses_the_threads_of_the_settings(
    stage: Stage, red: Path, asked: int | None, threads: int
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    env = {
        **stage.env,
        "VIDSEARCH_MODEL__ENCODER": "tests.integration.thread_encoder:ThreadEncoder",
        "VIDSEARCH_MODEL__THREADS": "" if asked is None else str(asked),
        "OMP_NUM_THREADS": "",
        "MKL_NUM_THREADS": "",
    }
    stage.register("red", red)
    with Worker(stage.folder / "threads", env, app="vidsearch_tasks") as worker:
        stage.until("red", State.INDEXED, worker=worker)
    found = json.loads((stage.switches / "threads.json").read_text())
    assert found == {"before": threads, "after": threads}
