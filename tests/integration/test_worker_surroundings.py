"""What is around a worker: the settings of its application, a broker and hosts that refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from tests.http_stub import Reply, http_stub
from tests.integration.relay import Relay
from tests.integration.stage import LEASE, Stage, running_stage
from tests.integration.worker import Worker, until
from tests.services import WHOLE_WAYS

from vidsearch.errors import BackendUnavailableError
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch_tasks import ingestion_status

pytestmark = pytest.mark.integration

PLAIN = "tests.integration.plain_app"


def test_settings_that_an_application_has_for_its_own_tasks_do_not_matter(
    stage: Stage, red: Path, redis_url: str
) -> None:
    env = {
        **stage.env,
        "VIDSEARCH_INGEST__SWEEP_SECONDS": "0.5",
        "C_FORCE_ROOT": "1",
    }
    stage.register("a", red)
    app = "tests.integration.own_settings_app"
    with Worker(stage.folder / "own", env, app=app) as worker:
        stage.workers.append(worker)
        assert stage.until("a", State.INDEXED, worker=worker).attempts == 1
        with redis.Redis.from_url(redis_url) as client:
            stage.services.registry.register("b", uri=str(red))
            client.delete(stage.services.settings.broker.queue)
        # Nobody has sent its message: the worker's own sweep does.
        assert stage.until("b", State.INDEXED, worker=worker).attempts == 1
        assert stage.services.operations.last_sweep() is not None


def test_worker_of_any_app_survives_a_full_redis_and_one_that_is_away(
    stage: Stage, red: Path, redis_url: str
) -> None:
    (stage.switches / "held").touch()
    relay, queue = Relay(redis_url), stage.services.settings.broker.queue
    env = {
        **stage.env,
        "VIDSEARCH_INGEST__SWEEP_SECONDS": "1",
        "VIDSEARCH_BROKER__URL": relay.url,
    }
    stage.register("a", red)
    try:
        with (
            Worker(stage.folder / "plain", env, app=PLAIN, options=("--queues", queue)) as worker,
            redis.Redis.from_url(redis_url) as client,
        ):
            stage.workers.append(worker)
            stage.until("a", State.PROCESSING, worker=worker)
            stage.register("b", red)  # waits behind it
            before = client.config_get("maxmemory")["maxmemory"]
            client.config_set("maxmemory", 1)
            try:
                (stage.switches / "held").unlink()
                stage.until("a", State.INDEXED, worker=worker)
                refused = "used memory > 'maxmemory'..\nTrying to reconnect"
                until(lambda: refused in worker.text(), what="Redis refused", worker=worker)
                with pytest.raises(BackendUnavailableError, match="memory is full"):
                    stage.register("c", red)
            finally:
                client.config_set("maxmemory", before)
            for id in ("b", "c"):
                assert stage.until(id, State.INDEXED, worker=worker).attempts == 1

            relay.down()
            again = "Trying again in 4.00 seconds"
            until(lambda: again in worker.text(), what="a second try", worker=worker)
            relay.up()
            stage.register("d", red)
            assert stage.until("d", State.INDEXED, worker=worker).attempts == 1
    finally:
        relay.down()


@pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True)
def test_index_that_takes_no_writes_for_a_while_costs_no_attempt(
    search_node: SearchNode, redis_url: str, index_name: str, tmp_path: Path, red: Path
) -> None:
    with running_stage(search_node, redis_url, index_name, tmp_path) as stage:
        engine, registry = stage.services.engine, stage.services.registry.index
        stage.register("a", red)
        # As the engine sets it where a disk is full.
        engine.put_settings(registry, {"blocks.read_only_allow_delete": True})
        problems = ingestion_status(services=stage.services).problems
        assert any("index.blocks.read_only_allow_delete is true" in each for each in problems)
        with stage.worker() as worker:
            until(lambda: "next try in" in worker.text(), what="a look", worker=worker)
            engine.put_settings(registry, {"blocks.read_only_allow_delete": None})
            assert stage.until("a", State.INDEXED, worker=worker).attempts == 1


def test_task_that_is_revoked_takes_no_video_away(stage: Stage, red: Path, redis_url: str) -> None:
    (stage.switches / "held").touch()
    stage.register("a", red)
    with stage.worker(VIDSEARCH_INGEST__SWEEP_SECONDS="1") as worker:
        stage.until("a", State.PROCESSING, worker=worker)
        stage.register("b", red)
        with redis.Redis.from_url(redis_url) as client:
            (raw,) = client.lrange(stage.services.settings.broker.queue, 0, -1)
        id = json.loads(raw)["headers"]["id"]
        stage.services.app.control.revoke(id)
        until(lambda: f"flagged as revoked: {id}" in worker.text(), what="it knows", worker=worker)
        (stage.switches / "held").unlink()
        assert stage.until("b", State.INDEXED, worker=worker).attempts == 1
        assert f"Discarding revoked task: vidsearch.ingest_video[{id}]" in worker.text()


def test_videos_of_a_dead_host_leave_the_worker_to_others(
    elasticsearch_9: SearchNode, redis_url: str, index_name: str, tmp_path: Path, red: Path
) -> None:
    count = 30
    sources = {"private_hosts": ["127.0.0.1"]}
    with (
        http_stub(lambda asked: Reply(503, "away")) as dead,
        running_stage(
            elasticsearch_9, redis_url, index_name, tmp_path, more={"sources": sources}
        ) as stage,
        stage.worker(VIDSEARCH_INGEST__SWEEP_SECONDS="1") as worker,
    ):
        for n in range(count):
            stage.register(f"v{n}", f"{dead.url}/{n}.mp4")
        for n in range(3):
            stage.register(f"good{n}", red)
        for n in range(3):
            assert stage.until(f"good{n}", State.INDEXED, worker=worker).attempts == 1
        videos = [stage.record(f"v{n}") for n in range(count)]
        assert {one.attempts for one in videos} <= {0, 1}, "an outage uses up no attempt"
        asked = {one.path for one in dead.asked}
        assert len(asked) == 3, "the others wait for a minute"
        (pause,) = stage.services.operations.pauses()
        assert pause.key == f"source:{dead.url.removeprefix('http://')}"
        paused = [one for one in videos if one.error and one.error.type == "SourcePausedError"]
        assert len(paused) > count - 10
        assert min(one.due_at or 0 for one in paused) > stage.services.clock() + LEASE
