"""Sweeps, priorities and the limit of the queue, on real parts and without beat."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from tests.integration.stage import LEASE, Stage
from tests.integration.worker import until

from vidsearch.config import Settings
from vidsearch.registry import State, VideoRecord
from vidsearch_tasks import (
    Services,
    delete_video,
    queue_depth,
    register_video,
    register_videos,
    run_sweep,
)
from vidsearch_tasks.broker import messages_of

pytestmark = pytest.mark.integration

OFTEN = {"VIDSEARCH_INGEST__SWEEP_SECONDS": "1"}


@pytest.fixture
def limited(stage: Stage) -> Iterator[Services]:
    """Services with room for five messages."""
    settings = stage.services.settings
    ingest = settings.ingest.model_copy(update={"max_queued": 5})
    with Services(Settings(**{**dict(settings), "ingest": ingest})) as services:
        yield services


def depth(stage: Stage) -> int:
    return queue_depth(stage.services.app, queue=stage.services.settings.broker.queue)


def indexed_before(video: VideoRecord, others: list[VideoRecord]) -> int:
    """How many of the others were indexed before it."""
    assert video.indexed_at is not None
    return sum(one.indexed_at is not None and one.indexed_at < video.indexed_at for one in others)


def import_many(services: Services, path: Path, count: int) -> list[State]:
    videos = [{"id": f"v{n}", "uri": str(path)} for n in range(count)]
    return [one.require().state for one in register_videos(videos, services=services)]


def test_upload_and_lost_video_go_before_a_backlog(stage: Stage, red: Path) -> None:
    (stage.switches / "slow").touch()
    import_many(stage.services, red, 40)
    stage.services.registry.register("lost", uri=str(red), priority="bulk")
    stage.services.registry.claim("lost", owner="killed")
    stage.register("upload", red)
    with stage.worker(**OFTEN) as worker:
        upload = stage.until("upload", State.INDEXED, worker=worker)
        lost = stage.until("lost", State.INDEXED, worker=worker)
        assert lost.attempts == 2
        backlog = [one for one in stage.services.registry.scan() if one.id.startswith("v")]
        assert indexed_before(upload, backlog) <= 1, "at most one of the backlog was before it"
        assert indexed_before(lost, backlog) < 40, "it was before some of the backlog"
        last = stage.services.operations.last_sweep()
        assert last is not None
        assert "worker-0@" in last.by
        worker.kill()


def test_lost_queue_is_filled_again_in_bulk_with_each_id_once(
    stage: Stage, red: Path, redis_url: str
) -> None:
    count, queue = 1000, stage.services.settings.broker.queue
    assert {*import_many(stage.services, red, count)} == {State.QUEUED}
    with redis.Redis.from_url(redis_url) as client:
        kept = client.lindex(f"{queue}-bulk", 7)
        client.delete(f"{queue}-bulk")
        client.lpush(f"{queue}-bulk", kept)  # one is not lost
    with stage.later(2 * LEASE) as later, ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: run_sweep(services=later), range(2)))
    assert sum(len(one.requeued) + len(one.sent) for one in reports) == count - 1
    assert depth(stage) == count
    ids = messages_of(stage.services.app, queue=queue, held_seconds=60)
    assert {*(ids or ())} == {f"v{n}" for n in range(count)}, (
        "each once, as there are no more messages"
    )


def test_lost_messages_are_found_behind_those_of_deleted_videos(
    stage: Stage, red: Path, redis_url: str
) -> None:
    import_many(stage.services, red, 8)  # the message of v0 is the last one of the list
    with redis.Redis.from_url(redis_url) as client:
        key = f"{stage.services.settings.broker.queue}-bulk"
        client.ltrim(key, 2, -1)  # those of v6 and v7 are lost
    for n in range(4):
        delete_video(f"v{n}", services=stage.services)
    assert depth(stage) == 6, "more than the four videos that are queued"
    with stage.later(2 * LEASE) as later:
        assert {*run_sweep(services=later, by="w1").requeued} == {"v6", "v7"}
        assert run_sweep(services=later, by="w2").requeued == ()
        assert depth(stage) == 8


def test_sweep_of_a_user_who_may_not_read_queues_goes_by_their_numbers(
    stage: Stage, red: Path, redis_url: str
) -> None:
    import_many(stage.services, red, 3)
    settings = stage.services.settings
    url = redis_url.replace("redis://", "redis://counter:secret@")
    broker = {**settings.broker.model_dump(), "url": url}
    with (
        redis.Redis.from_url(redis_url) as client,
        Services(Settings(**{**dict(settings), "broker": broker})) as services,
    ):
        client.rpop(f"{settings.broker.queue}-bulk")
        rights = ("~*", "&*", "+@all", "-lrange")
        client.execute_command("ACL", "SETUSER", "counter", "on", ">secret", *rights)
        try:
            vars(services)["clock"] = lambda: stage.services.clock() + 2 * LEASE
            assert len(run_sweep(services=services).requeued) == 1
        finally:
            client.execute_command("ACL", "DELUSER", "counter")
    assert depth(stage) == 3


def test_videos_beyond_the_limit_wait_in_the_registry_and_are_all_ingested(
    stage: Stage, limited: Services, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.mp4"  # ends at once
    states = import_many(limited, absent, 12)
    assert (states.count(State.QUEUED), states.count(State.REGISTERED)) == (5, 7)
    assert run_sweep(services=limited).sent == (), "there is no room"
    assert depth(stage) == 5
    with stage.worker(**OFTEN, VIDSEARCH_INGEST__MAX_QUEUED="5") as worker:
        until(
            lambda: stage.services.registry.counts()[State.FAILED] == 12,
            what="all are done",
            worker=worker,
        )


def test_upload_is_next_where_bulk_messages_fill_the_broker(
    stage: Stage, limited: Services, red: Path
) -> None:
    states = import_many(limited, red, 12)
    assert states.count(State.QUEUED) == 5
    upload = register_video("upload", uri=str(red), services=limited)
    assert upload.state is State.QUEUED
    limited.registry.register("away", uri=str(red))  # as where the broker was away
    limited.registry.defer(["away"])
    assert run_sweep(services=limited).sent == ("away",)
    assert depth(stage) == 7
    (stage.switches / "slow").touch()
    with stage.worker(**OFTEN, VIDSEARCH_INGEST__MAX_QUEUED="5") as worker:
        done = [stage.until(id, State.INDEXED, worker=worker) for id in ("upload", "away")]
        backlog = [one for one in stage.services.registry.scan() if one.id.startswith("v")]
        assert indexed_before(done[0], backlog) <= 1
        assert indexed_before(done[1], backlog) <= 2
        worker.kill()


def test_full_redis_leaves_videos_registered(stage: Stage, red: Path, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", 1)
        try:
            videos = [{"id": "a", "uri": str(red)}]
            (one,) = register_videos(videos, services=stage.services)
        finally:
            client.config_set("maxmemory", before)
    assert "memory is full" in str(one.error)
    assert stage.record("a").state is State.REGISTERED
    stage.sweep_up("a")
