"""When a worker sweeps, and when it lets others renew their leases before."""

from __future__ import annotations

import pytest

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.registry import SweepReport
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, maintenance
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
