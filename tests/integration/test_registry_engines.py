"""The registry on the real engines: dates, listings and races are the engine's work."""

from __future__ import annotations

import time

import pytest
from tests.claiming import race_for

from vidsearch.engines.base import Engine
from vidsearch.registry import ErrorRecord, Registry, State
from vidsearch_mappings import registry_index

pytestmark = pytest.mark.integration

BROKEN = ErrorRecord(type="VideoOpenError", stage="decode", message="not a video")


@pytest.fixture
def registry(engine: Engine, index_name: str) -> Registry:
    engine.create_index(index_name, registry_index(engine.kind, shards=1, replicas=0))
    return Registry(engine, index=index_name, lease_seconds=30, max_attempts=3)


def test_a_record_comes_back_as_it_was_written(registry: Registry) -> None:
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


def test_of_many_workers_one_gets_the_lease(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    assert len(race_for(registry, "a", workers=6)) == 1
    assert registry.get("a").attempts == 1


def test_listings_counts_and_the_sweep(registry: Registry, engine: Engine) -> None:
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
