"""A delete that half failed, and how the sweep ends it."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.config import IndexSettings
from vidsearch.errors import BackendAccessDeniedError, BackendError, BackendUnavailableError
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index
from vidsearch.ingest import delete_video, purge_videos, remove_document
from vidsearch.registry import Registry, State, SweepReport, sweep
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="videos")


class Blocked(MemoryEngine):
    """Deletes of documents of videos are refused while there is an error."""

    error: BackendError | None = None

    def delete(self, index: str, id: str, **options: Any) -> bool:
        if self.error is not None and "registry" not in index:
            raise self.error
        return super().delete(index, id, **options)


@pytest.fixture
def engine() -> Blocked:
    engine = Blocked()
    create_videos_index(engine, SETTINGS, FakeEncoder().identity)
    return engine


@pytest.fixture
def index(engine: Blocked) -> VideosIndex:
    return open_videos_index(engine, SETTINGS)


@pytest.fixture
def registry(engine: Blocked) -> Registry:
    registry = Registry(engine, index=SETTINGS.registry, clock=FakeClock(1_000.0, step=1))
    for id in "ab":
        registry.register(id, uri=f"/{id}.mp4")
        engine.put("videos", id, {"title": id})
    return registry


def swept(registry: Registry, index: VideosIndex) -> SweepReport:
    return sweep(
        registry,
        send=lambda records: ([record.id for record in records], None),
        lost=lambda ids: ids,
        clean=lambda id: remove_document(registry, index, id),
        room={"interactive": 100, "bulk": 100},
    )


@pytest.mark.parametrize("error", [BackendAccessDeniedError, BackendUnavailableError])
def test_sweep_removes_the_document_that_a_delete_could_not(
    engine: Blocked, index: VideosIndex, registry: Registry, error: type[BackendError]
) -> None:
    engine.error = error("blocked")
    with pytest.raises(error, match="blocked"):
        delete_video(registry, index, "a")
    assert registry.get("a").state is State.DELETED
    registry.register("lost", uri="/lost.mp4")
    registry.claim("lost", owner="w")
    registry._time.now += 500  # type: ignore[attr-defined]

    report = swept(registry, index)
    assert (report.waiting, report.problem) == (("a",), "blocked")
    assert "lost" in report.requeued, "one document that stays keeps nobody else waiting"
    assert engine.get("videos", "a") is not None

    engine.error = None
    report = swept(registry, index)
    assert (report.cleaned, report.problem) == (("a",), None)
    assert engine.get("videos", "a") is None
    assert swept(registry, index).cleaned == ()
    assert purge_videos(registry, index, ["a"]) == {"a"}


def test_delete_that_went_well_leaves_nothing_to_the_sweep(
    engine: Blocked, index: VideosIndex, registry: Registry
) -> None:
    record = delete_video(registry, index, "a")
    assert (record.state, record.due_at) == (State.DELETED, None)
    assert swept(registry, index).cleaned == ()
    assert engine.get("videos", "b") is not None


def test_delete_during_an_ingest_is_left_to_its_lease(
    index: VideosIndex, registry: Registry
) -> None:
    registry.claim("a", owner="w")
    record = delete_video(registry, index, "a")
    assert record.lease_until is not None
    assert swept(registry, index).cleaned == ()
    assert purge_videos(registry, index, ["a"]) == set()
    registry._time.now += 500  # type: ignore[attr-defined]
    assert swept(registry, index).cleaned == ("a",)
