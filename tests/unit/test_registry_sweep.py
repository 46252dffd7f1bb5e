"""What the sweep takes, as a predicate and as a query; what it sends, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.errors import BackendUnavailableError, RegistryError
from vidsearch.registry import NewVideo, Registry, State, VideoRecord, sweep
from vidsearch.registry.queueing import (
    WORKER_LOST,
    WORKER_STOPPED,
    due_query,
    queue_priority,
    take_due,
)
from vidsearch.registry.sweep_rule import needs_sweep, sweep_query
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.registry import PRIORITIES, ErrorRecord, Priority

NOW, TIMEOUT = 1_000_000.0, 60.0

# Around the two limits, now and now - timeout, by the millisecond.
_times = st.sampled_from(
    [limit + step for limit in (NOW, NOW - TIMEOUT) for step in (-1.0, -0.001, 0.0, 0.001, 1.0)]
)
_records = st.builds(
    VideoRecord,
    id=st.uuids().map(str),
    uri=st.just("/a.mp4"),
    state=st.sampled_from(State),
    lease_until=st.none() | _times,
    due_at=st.none() | _times,
    updated_at=_times,
    priority=st.sampled_from(PRIORITIES),
    error=st.none()
    | st.sampled_from(["X", WORKER_LOST]).map(partial(ErrorRecord, stage="s", message="m")),
)


@given(st.lists(_records, min_size=20, max_size=40, unique_by=lambda record: record.id))
def test_the_query_finds_what_the_predicate_holds_for(records: list[VideoRecord]) -> None:
    engine = MemoryEngine()
    engine.create_index("registry", {})
    for record in records:
        engine.put("registry", record.id, record.to_source())
    found = {d.id for d in engine.scan("registry", query=sweep_query(now=NOW, timeout=TIMEOUT))}
    wanted = {r.id for r in records if needs_sweep(r, now=NOW, timeout=TIMEOUT)}
    assert found == wanted


@given(st.lists(_records, min_size=20, max_size=40, unique_by=lambda record: record.id))
def test_due_videos_are_those_that_the_sweep_takes(records: list[VideoRecord]) -> None:
    engine = MemoryEngine()
    engine.create_index("registry", {})
    for record in records:
        engine.put("registry", record.id, record.to_source())
    due = [r for r in records if take_due(r, NOW) is not r]
    for priority in (None, *PRIORITIES):
        query = due_query(NOW, priority=priority)
        found = {d.id for d in engine.scan("registry", query=query)}
        assert found == {r.id for r in due if priority in {None, queue_priority(r)}}


def _filled(*videos: NewVideo, waiting: Iterable[str] = ()) -> tuple[Registry, list[float]]:
    """A registry of due videos, and its clock; those in ``waiting`` are queued already."""
    engine, now = MemoryEngine(), [NOW]
    engine.create_index("registry", {})
    registry = Registry(engine, index="registry", lease_seconds=TIMEOUT, clock=lambda: now[0])
    for video in videos:
        registry.register_many([video])
        now[0] += 1
    registry.defer([video.id for video in videos])
    registry.take_due(waiting)
    return registry, now


def _swept(
    registry: Registry,
    sent: list[str],
    *,
    room: int = 1000,
    bulk_room: int | None = None,
    takes: int = 10_000,
) -> Any:
    """A sweep with a broker that takes some messages and then goes away."""

    def send(records: Sequence[VideoRecord]) -> Any:
        ids = [record.id for record in records][: takes - len(sent)]
        sent.extend(ids)
        away = BackendUnavailableError("no broker") if len(ids) < len(records) else None
        return ids, away

    rooms: dict[Priority, int] = dict.fromkeys(PRIORITIES, room) | {"bulk": bulk_room or room}
    return sweep(registry, send=send, lost=lambda ids: ids, clean=lambda id: None, room=rooms)


def test_due_videos_are_sent_by_priority_and_then_in_order_of_registration() -> None:
    registry, _ = _filled(
        *(NewVideo(f"b{n}", "/a.mp4") for n in (2, 1)),
        *(NewVideo(f"i{n}", "/a.mp4", priority="interactive") for n in (2, 1)),
    )
    sent: list[str] = []
    report = _swept(registry, sent, room=3)
    assert sent == ["i2", "i1", "b2"]
    assert report.sent == ("i2", "i1", "b2")
    assert registry.get("b1").state is State.REGISTERED
    assert registry.get("b2").state is State.QUEUED
    _swept(registry, sent, room=3)
    assert sent == ["i2", "i1", "b2", "b1"]


def test_interactive_videos_are_sent_where_bulk_ones_fill_the_broker() -> None:
    registry, _ = _filled(
        *(NewVideo(id, "/a.mp4", priority="bulk") for id in ("b1", "lost")),
        *(NewVideo(id, "/a.mp4", priority="interactive") for id in ("i1", "i2", "i3")),
    )
    stopped = ErrorRecord(WORKER_STOPPED, "processing", "the worker was told to end")
    registry.claim("lost", owner="w")
    registry.hand_back("lost", owner="w", error=stopped)
    sent: list[str] = []
    _swept(registry, sent, room=2, bulk_room=-5)
    assert sent == ["i1", "i2"]
    _swept(registry, sent, room=9, bulk_room=-5)
    assert sent == ["i1", "i2", "i3", "lost"]
    _swept(registry, sent, room=9, bulk_room=1)
    assert sent == ["i1", "i2", "i3", "lost", "b1"]


def test_a_video_that_is_due_later_is_left_alone_however_old_it_is() -> None:
    registry, now = _filled()
    registry.register("a", uri="/a.mp4")
    engine_record = registry.get("a").changed(due_at=NOW + 10 * TIMEOUT)
    registry._store.change("a", lambda record, _: engine_record)
    now[0] = NOW + 9 * TIMEOUT
    sent: list[str] = []
    report = _swept(registry, sent)
    assert (sent, report.waiting) == ([], ())
    now[0] = NOW + 10 * TIMEOUT
    assert _swept(registry, sent).sent == ("a",)


def test_videos_that_the_broker_did_not_take_are_due_again() -> None:
    registry, _ = _filled(*(NewVideo(f"v{n}", "/a.mp4") for n in range(4)))
    sent: list[str] = []
    report = _swept(registry, sent, takes=2)
    assert (sent, report.problem) == (["v0", "v1"], "no broker")
    states = {id: record.state for id, record in registry.find_many(["v1", "v2", "v3"]).items()}
    assert states == {"v1": State.QUEUED, "v2": State.REGISTERED, "v3": State.REGISTERED}
    assert _swept(registry, sent).sent == ("v2", "v3")


def test_four_sweeps_at_once_send_each_of_many_lost_videos_once() -> None:
    ids = [f"v{n}" for n in range(700)]
    registry, now = _filled(*(NewVideo(id, "/a.mp4") for id in ids), waiting=ids)
    now[0] += 2 * TIMEOUT
    sent: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: _swept(registry, sent, room=9999), range(4)))
    assert sorted(sent) == sorted(ids)
    done = [id for report in reports for id in (*report.requeued, *report.sent)]
    assert sorted(done) == sorted(ids)


def test_registering_a_bulk_video_as_interactive_sends_it_again_ahead() -> None:
    registry, _ = _filled()
    registry.register_many([{"id": "a", "uri": "/a.mp4"}])
    registry.mark_queued("a")
    again = registry.register("a", uri="/a.mp4")
    assert (again.priority, again.state) == ("interactive", State.REGISTERED)
    registry.mark_queued("a")
    (bulk,) = registry.register_many([{"id": "a", "uri": "/a.mp4"}])
    assert not bulk.changed, "it is not demoted"


def test_an_unknown_priority_is_refused() -> None:
    registry, _ = _filled()
    with pytest.raises(RegistryError, match="priority of video 'a' is 'high': give 'interactive'"):
        registry.register("a", uri="/a.mp4", priority="high")  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["killed", "told to end"])
def test_bulk_video_whose_worker_ended_waits_among_the_interactive_ones(end: str) -> None:
    registry, now = _filled(NewVideo("a", "/a.mp4", priority="bulk"))
    assert queue_priority(registry.get("a")) == "bulk"
    registry.claim("a", owner="w")
    if end == "killed":
        now[0] += 2 * TIMEOUT
        registry.recover("a")
    else:
        stopped = ErrorRecord(WORKER_STOPPED, "processing", "the worker was told to end")
        registry.hand_back("a", owner="w", error=stopped)
    (record,) = registry.due(limit=10)
    assert (queue_priority(record), record.priority) == ("interactive", "bulk")


def test_bulk_video_whose_message_was_lost_or_that_is_tried_again_waits_in_bulk() -> None:
    registry, now = _filled(*(NewVideo(id, f"/{id}.mp4", priority="bulk") for id in "ab"))
    registry.take_due(["a"])
    error = ErrorRecord("SourceUnavailableError", "fetch", "no answer")
    lease = registry.claim("b", owner="w")
    registry.release(lease, error, counted=False, delay=0)
    now[0] += 2 * TIMEOUT
    registry.recover("a")
    assert [queue_priority(record) for record in registry.due(limit=10)] == ["bulk", "bulk"]
