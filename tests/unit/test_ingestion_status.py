"""The numbers of a registry, and what of them needs a person."""

# ruff: noqa: F811  (fixtures)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.reindex_runs import reindex_run
from tests.status_stage import INDEX, Put, now, put, services, worker  # noqa: F401

from vidsearch.cli.status import _line, _rows
from vidsearch.errors import BackendUnavailableError, IndexNotFoundError
from vidsearch.ingest import Slice
from vidsearch.registry import ErrorRecord, State, summarize
from vidsearch.registry.summary import RegistrySummary
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch.web.pages.admin_view import admin_view
from vidsearch_tasks import BrokerState, Services, ingestion_status, overview, run_store
from vidsearch_tasks.overview import duration

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
BROKEN = ErrorRecord("VideoOpenError", "decode", "not a video", ("InvalidDataError: moov",))
AWAY = ErrorRecord("BackendUnavailableError", "write", "timed out")


def summary(services: Services) -> Any:
    return summarize(services.engine, INDEX.registry, lease_seconds=60, overdue_after=120)


def test_waiting_videos_are_counted_by_age_and_the_oldest_is_named(
    services: Services, put: Put, now: float
) -> None:
    for id, ago in (("a", 10), ("b", 5 * MINUTE), ("c", 2 * HOUR), ("d", 3 * DAY)):
        put(id, State.QUEUED, ago=ago)
    put("again", State.REGISTERED, ago=9 * DAY, requested_at=now - 2 * MINUTE, due_at=now + 90)
    put("done", State.INDEXED, ago=30 * DAY)
    found = summary(services)
    assert found.ages == {0: 1, 60: 2, 600: 0, 3600: 1, 86_400: 1}
    assert (found.waiting, found.later) == (5, 1)
    assert found.oldest.id == "d"
    assert 3 * DAY <= found.oldest.seconds < 3 * DAY + 30
    put("d", State.INDEXED)
    put("c", State.PROCESSING)
    assert summary(services).oldest.id == "b"


def test_retried_video_is_as_old_as_its_retry(services: Services) -> None:
    registry = services.registry
    registry.register("a", uri="/a.mp4")
    assert registry.get("a").requested_at is None
    registry.mark_queued("a")
    registry.fail(registry.claim("a", owner="w"), BROKEN)
    asked = registry.retry("a").requested_at
    assert asked is not None
    registry.mark_queued("a")
    registry.release(registry.claim("a", owner="w"), AWAY, counted=False, delay=60)
    assert registry.get("a").requested_at == asked, "a try does not move it"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (0.25, "0.25"), (99.94, "99.9"), (123.6, "124"), (1234, "1,234")],
)
def test_rate_is_shown_in_all_its_digits_before_the_point(
    services: Services, monkeypatch: pytest.MonkeyPatch, number: float, shown: str
) -> None:
    monkeypatch.setattr(RegistrySummary, "per_minute", number)
    found = ingestion_status(services=services)
    assert f"; {shown}/min" in _line(found)
    assert dict(admin_view(found, []).facts)["Rate"] == f"{shown} a minute"


def test_rate_is_taken_of_the_shortest_time_with_enough_videos(
    services: Services, put: Put, now: float
) -> None:
    assert summary(services).eta_seconds == 0.0
    for n in range(30):
        put(f"i{n}", State.INDEXED, ago=DAY, indexed_at=now - 5 * MINUTE)
    put("f", State.FAILED, ago=2 * MINUTE)
    put("x", State.DEAD, ago=30 * MINUTE)
    put("w", State.QUEUED)
    put("p", State.PROCESSING)
    found = summary(services)
    assert found.finished == {60: 0, 600: 31, 3600: 32}
    assert found.per_minute == pytest.approx(3.1)
    assert found.eta_seconds == pytest.approx(2 / 3.1 * 60)


def test_rate_without_a_finished_video_gives_no_time(services: Services, put: Put) -> None:
    put("w", State.QUEUED)
    found = summary(services)
    assert (found.per_minute, found.eta_seconds) == (0.0, None)


def test_leases_are_expired_overdue_or_renewed(services: Services, put: Put, now: float) -> None:
    put("slices", State.PROCESSING, owner="slices", lease_until=now + 600)
    put("e", State.PROCESSING, owner="w#1", lease_until=now - 1)
    put("o", State.PROCESSING, owner="w#2", lease_until=now - 500)
    found = summary(services)
    assert (found.leases.expired, found.leases.overdue, found.leases.renewed) == (2, 1, False)
    assert 500 <= found.leases.overdue_seconds < 530
    assert found.sliced == ["slices"]
    put("r", State.PROCESSING, owner="w#3", lease_until=now + 59)
    assert summary(services).leases.renewed


def test_errors_are_grouped_by_class_with_the_last_one(services: Services, put: Put) -> None:
    put("a", State.FAILED, ago=10, error=BROKEN)
    put("b", State.FAILED, ago=5, error=BROKEN)
    put("c", State.QUEUED, error=AWAY)
    put("gone", State.DELETED, error=AWAY)
    first, second = summary(services).errors
    assert (first.type, first.videos, first.states, first.id) == (
        "VideoOpenError",
        2,
        {"failed": 2},
        "b",
    )
    assert first.error == BROKEN
    assert (second.type, second.states) == ("BackendUnavailableError", {"queued": 1})


def test_summary_without_a_registry_raises() -> None:
    with pytest.raises(IndexNotFoundError, match="vidsearch index create"):
        summarize(MemoryEngine(), "r", lease_seconds=60, overdue_after=120)


def test_status_of_an_idle_index_needs_nobody(
    services: Services, worker: Callable[[bool], None], put: Put
) -> None:
    put("a", State.INDEXED, ago=DAY)
    found = ingestion_status(services=services)
    assert found.ok
    shown = found.to_json()
    assert (shown["states"]["indexed"], shown["workers"], shown["slices"]) == (1, [], {})
    assert (shown["queued_messages"], shown["last_sweep"]) == (3, None)


def test_waiting_videos_without_a_worker_need_a_person(
    services: Services, worker: Callable[[bool], None], put: Put, now: float
) -> None:
    put("a", State.QUEUED)
    assert ingestion_status(services=services).ok, "one may be starting"
    put("a", State.QUEUED, ago=6)
    (problem,) = ingestion_status(services=services).problems
    assert "celery -A vidsearch_tasks worker" in problem
    # A solo worker does not answer while it is at work, but it renews its lease.
    put("b", State.PROCESSING, owner="w#1", lease_until=now + 59)
    assert ingestion_status(services=services).ok
    put("b", State.INDEXED)
    worker(True)
    assert ingestion_status(services=services).ok


def test_waiting_videos_that_nobody_sweeps_need_a_person(
    services: Services, worker: Callable[[bool], None], put: Put, now: float
) -> None:
    worker(True)
    put("a", State.QUEUED, ago=200)
    (problem,) = ingestion_status(services=services).problems
    assert "no sweep was ever noted, which should be every 30 s" in problem
    assert "`vidsearch sweep`" in problem
    services.operations.note_sweep(by="w", seconds=0.1, report={"requeued": 1})
    found = ingestion_status(services=services)
    assert found.ok
    assert found.to_json()["last_sweep"]["report"] == {"requeued": 1}
    assert found.to_json()["last_sweep"]["by"] == "w"


def test_busy_workers_may_sweep_late(
    services: Services, worker: Callable[[bool], None], put: Put, now: float
) -> None:
    worker(True)
    put("a", State.QUEUED, ago=20 * MINUTE)
    put("b", State.PROCESSING, owner="w#1", lease_until=now + 59)
    assert ingestion_status(services=services).ok
    put("a", State.QUEUED, ago=40 * MINUTE)
    assert not ingestion_status(services=services).ok


def test_lease_that_no_sweep_takes_up_needs_a_person(
    services: Services, worker: Callable[[bool], None], put: Put, now: float
) -> None:
    worker(True)
    put("a", State.PROCESSING, owner="w#1", lease_until=now - 119)
    assert ingestion_status(services=services).ok, "a lease and two sweeps are not over"
    put("a", State.PROCESSING, owner="w#1", lease_until=now - 130)
    (problem,) = ingestion_status(services=services).problems
    assert problem.startswith("the workers of 1 video fell silent 2 min ago")


def test_pause_for_want_of_setup_needs_a_person_and_one_of_a_source_does_not(
    services: Services, worker: Callable[[bool], None], now: float
) -> None:
    worker(True)
    error = ErrorRecord("ModelUnavailableError", "prepare", "no such folder")
    services.operations.pause("source:cdn", error=AWAY, until=now + 60, by="w1")
    assert ingestion_status(services=services).ok
    services.operations.pause("setup:w1", error=error, until=now + 60, by="w1")
    found = ingestion_status(services=services)
    assert [pause["key"] for pause in found.to_json()["pauses"]] == ["source:cdn", "setup:w1"]
    (problem,) = found.problems
    assert "ModelUnavailableError (prepare): no such folder" in problem


def test_pause_of_a_worker_that_is_gone_needs_nobody(
    services: Services, worker: Callable[[bool], None], now: float
) -> None:
    error = ErrorRecord("ModelUnavailableError", "prepare", "no such folder")
    services.operations.pause("setup:w@h", error=error, until=now - 200, by="w@h")
    worker(True)
    assert ingestion_status(services=services).problems, "it is there, and had nothing to do"
    worker(False)
    found = ingestion_status(services=services)
    assert (found.problems, found.pauses) == ([], []), "it was replaced"
    services.operations.pause("setup:w@h", error=error, until=now - 10, by="w@h")
    assert ingestion_status(services=services).problems, "it may be at its next video"


@pytest.mark.parametrize("name", ["read_only_allow_delete", "write"])
def test_index_that_takes_no_writes_needs_a_person(
    name: str, services: Services, worker: Callable[[bool], None]
) -> None:
    worker(True)
    for index in (INDEX.registry, INDEX.name):
        concrete = services.engine.indices_of(index)[0]
        services.engine.put_settings(concrete, {f"blocks.{name}": True})
        (problem,) = ingestion_status(services=services).problems
        assert f"as its setting index.blocks.{name} is true" in problem
        services.engine.put_settings(concrete, {f"blocks.{name}": None})
    assert ingestion_status(services=services).ok


def test_long_video_shows_its_slices(
    services: Services, worker: Callable[[bool], None], put: Put, now: float
) -> None:
    worker(True)
    slices = Slice.all_of("film", "c" * 64, count=3, seconds=600)
    put(
        "film",
        State.PROCESSING,
        owner="slices",
        lease_until=now + 600,
        content="c" * 64,
        source={"slices": {"count": 3, "seconds": 600}},
    )
    services.board.add(slices[1:], uri="/film.mp4")  # the first one was in the store
    registry = services.board.entries
    registry.complete(registry.claim(slices[1].id, owner="w"))
    found = ingestion_status(services=services)
    assert found.to_json()["long_videos"] == [{"id": "film", "done": 2, "slices": 3}]
    assert found.slices == {"registered": 1}


def test_broker_that_is_away_is_told_with_all_else(
    services: Services, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> BrokerState:
        raise BackendUnavailableError("the broker does not answer")

    monkeypatch.setattr(overview, "broker_state", away)
    put("a", State.QUEUED)
    found = ingestion_status(services=services)
    assert not found.ok
    assert "broker" in str(found.error)
    shown = found.to_json()
    assert (shown["queued_messages"], shown["workers"]) == (None, None)
    assert shown["states"]["queued"] == 1


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (7300, "2 h"), (2e5, "2 d")]
)
def test_duration_is_told_in_its_largest_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_a_reindex_that_stopped_needs_a_person(
    services: Services, worker: Callable[[bool], None]
) -> None:
    assert ingestion_status(services=services).reindex is None
    runs = run_store(services)
    run = runs.begin(reindex_run)
    found = ingestion_status(services=services)
    assert found.reindex == run
    assert found.to_json()["reindex"]["target"] == "videos-000002"
    assert not any("reindex" in problem for problem in found.problems)
    error = ErrorRecord(type="BackendUnavailableError", stage="copying", message="HTTP 503")
    runs.update(run.id, lambda run: run.changed(error=error))
    (problem,) = ingestion_status(services=services).problems
    assert problem.startswith("reindex run 1 of 'videos' stopped: BackendUnavailableError")
    runs.note_wait(run.id, 20.0)
    found = ingestion_status(services=services)
    assert found.ok, "its process tries again"
    assert any("waits for the engine" in note for _, _, note in _rows(found))
    runs.update(run.id, lambda run: run.changed(tries_again_at=None, waits_for="2 videos"))
    assert any(
        "; waits for 2 videos" in note for _, _, note in _rows(ingestion_status(services=services))
    )
    runs.update(run.id, lambda run: run.changed(background=True))
    assert ingestion_status(services=services).ok, "a worker tries again by itself"
