"""Fixtures of an index in memory whose videos, worker and sweeps are as a test says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.registry import State, VideoRecord
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import BrokerState, Services, WorkerState, overview

__all__ = ["INDEX", "Put", "now", "put", "services", "worker"]

SETTINGS = Settings(ingest={"lease_seconds": 60, "sweep_seconds": 30})
INDEX = SETTINGS.index

Put = Callable[..., None]


@pytest.fixture
def now() -> float:
    return round(time.time(), 3)


@pytest.fixture
def services() -> Services:
    services = Services(SETTINGS)
    vars(services)["engine"] = engine = MemoryEngine()
    create_videos_index(engine, INDEX, FakeEncoder().identity)
    return services


@pytest.fixture
def put(services: Services, now: float) -> Put:
    """Stores a record as it was some seconds ago."""

    def put(id: str, state: State, *, ago: float = 0.0, **values: Any) -> None:
        times = {"registered_at": now - ago, "updated_at": now - ago}
        record = VideoRecord(id, "/a.mp4", state=state, **{**times, **values})
        services.engine.put(INDEX.registry, id, record.to_source())

    return put


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether a worker answers; none does at first."""

    def answer(there: bool) -> None:
        found = WorkerState("w@h", ("vidsearch",), index="videos")
        state = BrokerState("redis://h", "vidsearch", 3, (found,) if there else ())
        monkeypatch.setattr(overview, "broker_state", lambda *_, **__: state)

    answer(False)
    return answer
