"""When a worker sweeps, and when it lets others renew their leases before."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.ingest import Slice
from vidsearch.registry import SweepReport
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, maintenance, run_sweep
from vidsearch_tasks.stopping import STOP


def test_the_first_sweep_after_an_outage_waits_until_leases_are_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = Services(Settings(ingest={"lease_seconds": 120, "sweep_seconds": 5}))
    vars(services)["engine"] = engine = MemoryEngine()
    vars(services)["clock"] = clock = FakeClock()
    create_videos_index(engine, services.settings.index, FakeEncoder().identity)
    done: list[str] = []

    def sweep(**options: object) -> SweepReport:
        done.append("swept")
        services.operations.note_sweep(by="w", seconds=0.1, report={})
        return SweepReport()

    monkeypatch.setattr(maintenance, "run_sweep", sweep)
    monkeypatch.setattr(STOP, "pause", lambda seconds: done.append(f"{seconds:g} s"))
    for later, expected in ((0, ["swept"]), (59, ["swept"]), (61, ["2 s", "swept"]), (1, [])):
        done.clear()
        clock.now += later
        maintenance.run_due_sweep(by="w", services=services)
        assert done == expected, f"{later} s after the sweep before"


def test_workers_look_for_ended_slices_four_times_per_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(ingest={"lease_seconds": 120}, broker={"queue": uuid4().hex})
    app = Celery("application", broker="memory://", set_as_current=False)
    services = Services(settings, app=app)
    vars(services)["engine"] = engine = MemoryEngine()
    vars(services)["clock"] = clock = FakeClock()
    create_videos_index(engine, settings.index, FakeEncoder().identity)
    looked: list[str] = []

    def recover(entries: Any, board: Any) -> tuple[str, ...]:
        looked.append("videos")
        return ()

    monkeypatch.setattr("vidsearch.ingest.recover_ended", recover)
    run_sweep(services=services, by="w")
    assert looked == [], "there never was a slice"
    services.board.add([Slice("film", "hash", 0, 2, 600.0)], uri="/film.mp4")
    for later, by, expected in ((0, "w", 1), (29, "v", 0), (2, "v", 1), (0, None, 1)):
        looked.clear()
        clock.now += later
        run_sweep(services=services, by=by)
        assert len(looked) == expected, f"{later} s after the sweep before, by {by}"


def test_the_entry_of_a_slice_is_purged_when_its_worker_is_gone() -> None:
    settings = Settings(ingest={"lease_seconds": 120}, broker={"queue": uuid4().hex})
    app = Celery("application", broker="memory://", set_as_current=False)
    services = Services(settings, app=app)
    vars(services)["engine"] = engine = MemoryEngine()
    vars(services)["clock"] = clock = FakeClock()
    create_videos_index(engine, settings.index, FakeEncoder().identity)
    part, other = Slice("film", "hash", 0, 2, 600.0), Slice("film", "hash", 1, 2, 600.0)
    services.board.add([part, other], uri="/film.mp4")
    entries = services.board.entries
    entries.claim(part.id, owner="w")
    entries.delete_many([part.id, other.id])
    clock.now += 1
    run_sweep(services=services)
    assert entries.find(part.id) is not None, "its worker may still be at work"
    assert entries.find(other.id) is None
    clock.now += 121
    run_sweep(services=services)
    assert entries.find(part.id) is None
