"""The registry on the real engines: dates, listings and races are the engine's work."""

from __future__ import annotations

import logging
import time

import pytest
from tests.claiming import race_for
from tests.registry_layouts import unversioned_layout

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine
from vidsearch.registry import ErrorRecord, NewVideo, Registry, State
from vidsearch.registry.index import registry_layout, upgrade_registry_index
from vidsearch_mappings import registry_index

pytestmark = pytest.mark.integration

BROKEN = ErrorRecord(type="VideoOpenError", stage="decode", message="not a video")


@pytest.fixture
def registry(engine: Engine, index_name: str) -> Registry:
    engine.create_index(index_name, registry_index(engine.kind, shards=1, replicas=0))
    return Registry(engine, index=index_name, lease_seconds=30, max_attempts=3)


def test_record_is_read_back_as_it_was_written(registry: Registry) -> None:
    fields = {"title": "A", "tags": ["x"], "deep": {"year": 2020}, "empty": None}
    registry.register("a", uri="https://h/a.mp4?sig=1", fields=fields)
    lease = registry.claim("a", owner="w")
    assert registry.get("a") == lease.record
    done = registry.complete(
        lease,
        fingerprint="f",
        frames=3,
        damaged=0,
        segments=1,
        duration=2.5,
        seconds={"decode": 0.25},
    )
    assert registry.get("a") == done
    assert registry.get("a").fields == fields


def test_only_one_of_many_workers_gets_the_lease(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    assert len(race_for(registry, "a", workers=6)) == 1
    assert registry.get("a").attempts == 1


def test_listings_counts_and_the_sweep_agree(registry: Registry, engine: Engine) -> None:
    for id in ("a", "b", "c", "d"):
        registry.register(id, uri=f"/{id}.mp4")
        time.sleep(0.002)  # stamps count milliseconds
    registry.mark_queued("a")
    registry.claim("b", owner="w")
    registry.fail(registry.claim("c", owner="w"), BROKEN)
    registry.claim("d", owner="w")
    registry.delete("d")

    assert {record.id for record in registry.list()} == {"a", "b", "c"}
    assert registry.list(limit=1)[0].id == "c"
    assert [record.error for record in registry.list(state=State.FAILED)] == [BROKEN]
    assert {str(state): n for state, n in registry.counts().items() if n} == {
        "queued": 1,
        "processing": 1,
        "failed": 1,
        "deleted": 1,
    }
    assert {record.id for record in registry.scan()} == {"a", "b", "c"}
    assert {record.id for record in registry.among(["a", "d", "nobody"])} == {"a", "d"}
    assert list(registry.sweepable()) == []

    late = Registry(engine, index=registry.index, lease_seconds=30, clock=lambda: time.time() + 31)
    assert {record.id for record in late.sweepable()} == {"a", "b", "d"}
    recovered = {id: late.recover(id) for id in ("a", "b", "c", "d")}
    assert {id: record and str(record.state) for id, record in recovered.items()} == {
        "a": "registered",
        "b": "registered",
        "c": None,
        "d": "deleted",
    }
    assert list(late.sweepable()) == []
    assert registry.purge("d") is True
    assert registry.find("d") is None


def test_a_batch_of_videos_takes_three_requests(
    registry: Registry, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    registry.register_many([NewVideo("first", "/first.mp4")])  # what an adapter asks for once
    logger = "elastic_transport.transport" if engine.kind == "elasticsearch" else "opensearch"
    with caplog.at_level(logging.INFO, logger=logger):
        caplog.clear()
        registered = registry.register_many(
            [NewVideo(f"v{i}", f"/{i}.mp4", {"title": f"clip {i}"}) for i in range(500)]
        )
        marked = registry.mark_many_queued(registered)
        requests = [m for m in caplog.messages if "_mget" in m or "_bulk" in m or "_doc" in m]
    assert len(requests) == 3
    assert {one.record and one.record.state for one in marked} == {State.QUEUED}
    assert registry.counts()[State.QUEUED] == 500
    assert registry.get("v7") == next(one.record for one in marked if one.id == "v7")


def test_many_videos_meet_those_that_are_registered(registry: Registry) -> None:
    registry.register("same", uri="/same.mp4")
    registry.register("other", uri="/before.mp4")
    lease = registry.claim("other", owner="w")
    registry.complete(
        lease, fingerprint="f", frames=1, damaged=0, segments=1, duration=1.0, seconds={}
    )
    same, other, bad, new = registry.register_many(
        [
            NewVideo("same", "/same.mp4"),
            NewVideo("other", "/after.mp4"),
            NewVideo("bad", ""),
            NewVideo("new", "/new.mp4"),
        ]
    )
    assert bad.error is not None
    for one in (same, other, new):
        assert one.record == registry.get(one.id)
    assert other.record is not None
    assert (other.record.state, other.record.fingerprint) == (State.REGISTERED, "f")


def test_the_layout_before_versions_is_used_and_upgraded(engine: Engine, index_name: str) -> None:
    settings = IndexSettings(name=index_name.removesuffix("-registry"))
    engine.create_index(settings.registry, unversioned_layout(without=("routing", "damaged")))
    try:
        registry = Registry(engine, index=settings.registry)
        registry.register("a", uri="/a.mp4", fields={"title": "A"})
        lease = registry.claim("a", owner="w")
        done = {"fingerprint": "f", "frames": 3, "segments": 1, "duration": 2.5, "seconds": {}}
        registry.complete(lease, damaged=2, **done)  # type: ignore[arg-type]
        assert (registry.get("a").frames, registry.get("a").damaged) == (3, None)
        (one,) = registry.register_many([NewVideo("b", "/b.mp4", routing="shop")])
        assert "vidsearch index upgrade" in str(one.error)

        assert {"damaged", "routing"} <= set(upgrade_registry_index(engine, settings).missing)
        mapping = engine.mapping(settings.registry)
        created = registry_index(engine.kind, shards=1, replicas=0)["mappings"]
        assert mapping["_meta"] == created["_meta"]
        assert mapping["properties"].keys() == created["properties"].keys()
        assert not registry_layout(engine, settings).is_older
        assert not upgrade_registry_index(engine, settings).is_older

        assert registry.register("b", uri="/b.mp4", routing="shop") == registry.get("b")
        registry.reopen("a")
        registry.complete(registry.claim("a", owner="w"), damaged=2, **done)  # type: ignore[arg-type]
        assert registry.get("a").damaged == 2
        assert registry.get("a").fields == {"title": "A"}
    finally:
        engine.delete_index(settings.registry)


def test_a_worker_keeps_fields_of_a_newer_version(engine: Engine, registry: Registry) -> None:
    engine.put_mapping(registry.index, {"properties": {"newer": {"type": "keyword"}}})
    registry.register("a", uri="/a.mp4")
    engine.update(registry.index, "a", {"newer": "en"})
    registry.mark_queued("a")
    registry.fail(registry.claim("a", owner="w"), BROKEN)
    registry.retry("a")
    registry.delete("a")
    stored = engine.get(registry.index, "a")
    assert stored is not None
    assert stored.source["newer"] == "en"
