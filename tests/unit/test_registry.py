"""The registry's transitions, each a compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.claiming import race_for

from vidsearch.errors import (
    IndexNotFoundError,
    LeaseLostError,
    RegistryError,
    VideoNotRegisteredError,
)
from vidsearch.registry import ErrorRecord, Lease, NewVideo, Registry, State, VideoRecord
from vidsearch.registry.holders import HANDED_OVER, SLICES, is_handed_over
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.memory_engine import MemoryEngine

INDEX = "videos-registry"
BROKEN = ErrorRecord(type="VideoOpenError", stage="decode", message="not a video")
AWAY = ErrorRecord(type="BackendUnavailableError", stage="write", message="timed out")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def memory() -> MemoryEngine:
    engine = MemoryEngine()
    engine.create_index(INDEX, {})
    return engine


@pytest.fixture
def registry(memory: MemoryEngine, clock: FakeClock) -> Registry:
    return Registry(memory, index=INDEX, lease_seconds=60, max_attempts=2, clock=clock)


def complete(registry: Registry, lease: Lease, fingerprint: str = "f1") -> None:
    registry.complete(
        lease,
        fingerprint=fingerprint,
        frames=3,
        damaged=0,
        segments=1,
        duration=3.0,
        seconds={"decode": 1.0},
    )


def index_one(registry: Registry, id: str = "a", *, uri: str = "/a.mp4") -> None:
    registry.register(id, uri=uri, fields={"title": "A"})
    complete(registry, registry.claim(id, owner="w"))


def test_a_video_goes_from_registered_to_indexed(registry: Registry, clock: FakeClock) -> None:
    record = registry.register("a", uri="/a.mp4", fields={"title": "A", "tags": ["x"]})
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert registry.mark_queued("a").state is State.QUEUED
    lease = registry.claim("a", owner="w1")
    assert lease.record.lease_until == clock.now + 60
    complete(registry, lease)
    found = registry.get("a")
    assert found.state is State.INDEXED
    assert (found.attempts, found.frames, found.segments) == (1, 3, 1)
    assert found.fields == {"title": "A", "tags": ["x"]}
    assert found.seconds == {"decode": 1.0}
    assert (found.owner, found.lease_until, found.error) == (None, None, None)


def test_registering_the_same_again_changes_nothing(
    registry: Registry, memory: MemoryEngine
) -> None:
    index_one(registry)
    before = memory.get(INDEX, "a")
    assert registry.register("a", uri="/a.mp4", fields={"title": "A"}).state is State.INDEXED
    assert memory.get(INDEX, "a") == before


def test_registering_another_uri_starts_again(registry: Registry) -> None:
    index_one(registry)
    record = registry.register("a", uri="/other.mp4", fields={"title": "A"})
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.fingerprint == "f1", "lets an ingest see that the vectors are current"


def test_fields_that_are_not_given_stay_and_empty_ones_go(registry: Registry) -> None:
    index_one(registry)
    assert registry.register("a", uri="/a.mp4").fields == {"title": "A"}
    assert registry.register("a", uri="/moved.mp4").fields == {"title": "A"}
    assert registry.register("a", uri="/moved.mp4", fields={}).fields == {}


def test_defaults_are_for_videos_that_are_not_registered_yet(registry: Registry) -> None:
    def register(**fields: str) -> Mapping[str, Any]:
        defaults = {"title": "a", "lang": "en"}
        video = NewVideo("a", "/a.mp4", fields or None, defaults=defaults)
        (one,) = registry.register_many([video])
        return one.require().fields

    assert register(lang="de") == {"title": "a", "lang": "de"}
    registry.set_fields("a", {"title": "Boat"})
    assert register() == {"title": "Boat", "lang": "de"}
    assert register(lang="fr") == {"title": "Boat", "lang": "fr"}
    registry.delete("a")
    assert register() == {"title": "a", "lang": "en"}


def test_registering_other_fields_keeps_an_indexed_video_and_marks_it_until_they_are_written(
    registry: Registry, clock: FakeClock
) -> None:
    index_one(registry)
    record = registry.register("a", uri="/a.mp4", fields={"title": "B"})
    assert (record.state, record.fields, record.due_at) == (
        State.INDEXED,
        {"title": "B"},
        clock.now,
    )
    assert registry.register("a", uri="/a.mp4", fields={"title": "B"}) == record
    (other,) = registry.mark_fields_written({"a": {"title": "A"}})
    assert other.require() == record
    (written,) = registry.mark_fields_written({"a": {"title": "B"}})
    assert written.require().due_at is None
    assert registry.get("a").fields == {"title": "B"}


def test_fields_that_nobody_wrote_are_left_to_a_worker_by_the_sweep(
    registry: Registry, clock: FakeClock
) -> None:
    index_one(registry)
    registry.register("a", uri="/a.mp4", fields={"title": "B"})
    assert list(registry.sweepable()) == []
    clock.now += 61
    assert [record.id for record in registry.sweepable()] == ["a"]
    recovered = registry.recover("a")
    assert recovered is not None
    assert (recovered.state, recovered.attempts) == (State.REGISTERED, 0)
    assert recovered.fields == {"title": "B"}


def test_registering_during_ingestion_ends_the_lease(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    lease = registry.claim("a", owner="w")
    registry.register("a", uri="/b.mp4")
    with pytest.raises(LeaseLostError, match="is lost: it is registered"):
        complete(registry, lease)
    assert registry.get("a").uri == "/b.mp4"


def test_a_live_lease_is_refused_and_one_that_ran_out_is_taken(
    registry: Registry, clock: FakeClock
) -> None:
    registry.register("a", uri="/a.mp4")
    old = registry.claim("a", owner="w1")
    with pytest.raises(LeaseLostError, match="worked on by w1"):
        registry.claim("a", owner="w2")
    clock.now += 61
    new = registry.claim("a", owner="w2")
    assert new.record.attempts == 2
    with pytest.raises(LeaseLostError, match="owned by w2"):
        registry.renew(old)
    with pytest.raises(LeaseLostError):
        complete(registry, old)
    with pytest.raises(LeaseLostError):
        registry.fail(old, BROKEN)
    with pytest.raises(LeaseLostError):
        registry.release(old, AWAY, counted=True)
    complete(registry, new)


def test_renewed_lease_is_kept(registry: Registry, clock: FakeClock) -> None:
    registry.register("a", uri="/a.mp4")
    lease = registry.claim("a", owner="w1")
    for _ in range(5):
        clock.now += 50
        lease = registry.renew(lease)
    with pytest.raises(LeaseLostError):
        registry.claim("a", owner="w2")
    complete(registry, lease)


def test_renewal_whose_answer_was_lost_keeps_the_lease(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    lease = registry.claim("a", owner="w1")
    registry.renew(lease)  # stored, but the worker holds the older revision still
    complete(registry, lease)
    assert registry.get("a").state is State.INDEXED


@pytest.mark.parametrize("state", [State.INDEXED, State.FAILED, State.DEAD, State.DELETED])
def test_late_duplicate_message_does_nothing(registry: Registry, state: State) -> None:
    registry.register("a", uri="/a.mp4")
    lease = registry.claim("a", owner="w1")
    if state is State.INDEXED:
        complete(registry, lease)
    elif state is State.FAILED:
        registry.fail(lease, BROKEN)
    elif state is State.DEAD:
        registry.release(lease, AWAY, counted=True)
        registry.release(registry.claim("a", owner="w1"), AWAY, counted=True)
    else:
        registry.delete("a")
    assert registry.get("a").state is state
    with pytest.raises(LeaseLostError, match=f"is {state}, nothing is to be done"):
        registry.claim("a", owner="w2")


def test_video_without_attempts_is_dead_and_retry_resets_them(
    registry: Registry, clock: FakeClock
) -> None:
    registry.register("a", uri="/a.mp4")
    record = registry.release(registry.claim("a", owner="w"), AWAY, counted=True, delay=7)
    assert (record.state, record.attempts, record.due_at) == (State.REGISTERED, 1, clock.now + 7)
    record = registry.release(registry.claim("a", owner="w"), AWAY, counted=True)
    assert (record.state, record.attempts) == (State.DEAD, 2)
    assert record.error == AWAY
    record = registry.retry("a")
    assert (record.state, record.attempts, record.error) == (State.REGISTERED, 0, None)


def test_a_video_that_kills_its_workers_is_dead_after_the_last_attempt(
    registry: Registry, clock: FakeClock
) -> None:
    registry.register("a", uri="/a.mp4")
    for _ in range(2):
        registry.claim("a", owner=f"w{clock.now}")
        clock.now += 61
    with pytest.raises(LeaseLostError, match="is dead: WorkerLost"):
        registry.claim("a", owner="w3")
    assert (registry.get("a").state, registry.get("a").attempts) == (State.DEAD, 2)


def test_retry_that_is_not_due_is_not_requeued(registry: Registry, clock: FakeClock) -> None:
    registry.register("a", uri="/a.mp4")
    registry.release(registry.claim("a", owner="w"), AWAY, counted=False, delay=600)
    clock.now += 61
    assert list(registry.sweepable()) == []
    assert registry.due(limit=9) == []
    assert registry.get("a").due_at == clock.now + 539
    clock.now += 540
    assert [record.id for record in registry.due(limit=9)] == ["a"]


def test_an_outage_uses_up_no_attempt(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    for _ in range(5):
        record = registry.release(registry.claim("a", owner="w"), AWAY, counted=False)
        assert (record.state, record.attempts) == (State.REGISTERED, 0)


def test_outages_in_a_row_end_dead_by_their_age_and_not_by_their_number(
    registry: Registry, clock: FakeClock
) -> None:
    registry.register("a", uri="https://h/a.mp4")
    first = clock.now
    for _ in range(9):
        record = registry.release(
            registry.claim("a", owner="w"), AWAY, counted=False, delay=60, give_up_after=1000
        )
        assert (record.state, record.attempts) == (State.REGISTERED, 0)
        assert (record.failing_since, record.due_at) == (first, clock.now + 60)
        clock.now += 100
    # Another worker's trouble in between changes nothing.
    registry.release(registry.claim("a", owner="w"), AWAY, counted=False)
    clock.now += 100
    record = registry.release(
        registry.claim("a", owner="w"), AWAY, counted=False, give_up_after=1000
    )
    assert (record.state, record.error) == (State.DEAD, AWAY)
    assert registry.retry("a").failing_since is None


@pytest.mark.parametrize("way", ["hand over", "count", "complete"])
def test_an_outage_that_is_over_does_not_count_towards_the_next(
    registry: Registry, way: str
) -> None:
    registry.register("a", uri="https://h/a.mp4")
    registry.release(registry.claim("a", owner="w"), AWAY, counted=False, give_up_after=1000)
    lease = registry.claim("a", owner="w")
    assert lease.record.failing_since is not None
    if way == "hand over":
        registry.hand_over(lease, lease_seconds=60)
    elif way == "count":
        registry.release(lease, BROKEN, counted=True)
    else:
        complete(registry, lease)
    assert registry.get("a").failing_since is None


def test_the_query_for_what_slices_have_finds_what_they_have(
    memory: MemoryEngine, registry: Registry
) -> None:
    for state in State:
        for owner in (SLICES, "w#1", None):
            record = VideoRecord.from_source("a", {"uri": "/a.mp4", "state": str(state)})
            memory.put(INDEX, f"{state} {owner}", record.changed(owner=owner).to_source())
    every = {one.id: VideoRecord.from_source(one.id, one.source) for one in memory.scan(INDEX)}
    found = {one.id for one in memory.scan(INDEX, query=HANDED_OVER)}
    assert (
        found == {id for id, one in every.items() if is_handed_over(one)} == {"processing slices"}
    )


def test_a_video_is_handed_back_by_its_owner_alone(registry: Registry, clock: FakeClock) -> None:
    registry.register("a", uri="/a.mp4")
    for n in range(3):
        lease = registry.claim("a", owner=f"w{n}")
        assert registry.hand_back("a", owner="other", error=AWAY) == lease.record
        record = registry.hand_back("a", owner=f"w{n}", error=AWAY)
        assert (record.state, record.attempts, record.due_at) == (State.REGISTERED, 0, clock.now)
        assert record.error == AWAY
        with pytest.raises(LeaseLostError):
            registry.renew(lease)
    assert registry.hand_back("a", owner="w2") == record, "once"


def test_a_claim_by_the_same_message_continues_its_lease_uncounted(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    first = registry.claim("a", owner="m1")
    second = registry.claim("a", owner="m1")
    assert second.record.attempts == 1
    with pytest.raises(LeaseLostError):
        registry.renew(first)
    complete(registry, second)


def test_only_failed_and_dead_videos_are_retried(registry: Registry) -> None:
    index_one(registry)
    with pytest.raises(RegistryError, match="'a' is indexed; only failed or dead"):
        registry.retry("a")


def test_registering_a_failed_video_again_retries_it(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    registry.fail(registry.claim("a", owner="w"), BROKEN)
    assert registry.get("a").error == BROKEN
    assert registry.register("a", uri="/a.mp4").state is State.REGISTERED


def test_reopening_keeps_the_fingerprint_unless_it_is_to_forget(registry: Registry) -> None:
    index_one(registry)
    kept = registry.reopen("a")
    assert (kept.state, kept.fingerprint) == (State.REGISTERED, "f1")
    assert registry.reopen("a").updated_at == kept.updated_at
    assert registry.reopen("a", forget=True).fingerprint is None


def test_a_replaced_file_is_read_again_and_lost_to_the_worker_that_has_begun(
    registry: Registry,
) -> None:
    index_one(registry)
    registry.reopen("a")
    (waiting,) = registry.reopen_many(["a"], replaced=True)
    lease = registry.claim("a", owner="w")
    (begun,) = registry.reopen_many(["a"], replaced=True)
    for end in (waiting, begun):
        record = end.require()
        assert (record.state, record.content, record.source) == (State.REGISTERED, None, {})
    assert waiting.require().fingerprint == "f1"
    assert begun.require().fingerprint is None, "its worker may still write the document"
    with pytest.raises(LeaseLostError):
        registry.renew(lease)


def test_a_delete_during_the_work_takes_the_lease_and_is_swept(
    registry: Registry, clock: FakeClock
) -> None:
    registry.register("a", uri="/a.mp4", fields={"title": "A"})
    lease = registry.claim("a", owner="w")
    tombstone = registry.delete("a")
    assert (tombstone.state, tombstone.fields) == (State.DELETED, {})
    with pytest.raises(LeaseLostError, match="it is deleted"):
        complete(registry, lease)
    assert registry.purge("a") is False, "its worker may still write"
    clock.now += 61
    assert [r.id for r in registry.sweepable()] == ["a"]
    recovered = registry.recover("a")
    assert recovered is not None
    assert recovered.state is State.DELETED
    assert list(registry.sweepable()) == []
    assert registry.purge("a") is True
    with pytest.raises(VideoNotRegisteredError):
        registry.get("a")


def test_deleted_id_can_be_registered_again(registry: Registry) -> None:
    index_one(registry)
    registry.delete("a")
    with pytest.raises(VideoNotRegisteredError, match="deleted"):
        registry.reopen("a")
    record = registry.register("a", uri="/a.mp4", fields={"title": "A"})
    assert (record.state, record.fingerprint) == (State.REGISTERED, None)


def test_only_a_deleted_video_is_purged(registry: Registry) -> None:
    index_one(registry)
    assert registry.purge("a") is False
    assert registry.purge("nobody") is False
    registry.delete("a")
    assert registry.purge("a") is True


@pytest.mark.parametrize("method", ["get", "mark_queued", "retry", "reopen", "delete", "recover"])
def test_an_id_that_is_not_registered_is_named(registry: Registry, method: str) -> None:
    with pytest.raises(VideoNotRegisteredError, match="no video 'x' is registered"):
        getattr(registry, method)("x")


def test_a_missing_registry_names_index_create(memory: MemoryEngine) -> None:
    registry = Registry(memory, index="nowhere")
    for act in (
        lambda: registry.register("a", uri="/a.mp4"),
        lambda: registry.get("a"),
        registry.counts,
    ):
        with pytest.raises(IndexNotFoundError, match="vidsearch index create"):
            act()


@pytest.mark.parametrize(
    ("id", "uri", "fields", "message"),
    [
        ("", "/a.mp4", {}, "a video's id"),
        ("x" * 600, "/a.mp4", {}, "512 bytes"),
        ("..", "/a.mp4", {}, "at least one character other than dots and spaces"),
        ("a\udcff", "/a.mp4", {}, "id 'a.udcff' is no text in Unicode"),
        ("a", "/\udcff.mp4", {}, "uri of video 'a' is no text in Unicode"),
        ("a", "/a.mp4", {"title": ["\udcff"]}, "^field 'title' of video 'a', item 0 is no text"),
        ("a", "/a.mp4", {"a\udcff": 1}, "^the name 'a.udcff' of a field of video 'a' is no text"),
        ("a", " ", {}, "needs a uri"),
        ("a", "/a.mp4", {"video": 1}, "field 'video' is taken"),
        ("a", "/a.mp4", {"video.uri": 1}, "field 'video.uri' is taken"),
        (
            "a",
            "/a.mp4",
            {"when": object()},
            "^field 'when' of video 'a' is an object, which JSON lacks",
        ),
        ("a", "/a.mp4", {"score": float("nan")}, "is nan, which JSON lacks"),
        ("a", "/a.mp4", {"score": np.float32(4.2)}, r"a float32, .* float\(str\(value\)\)$"),
        (
            "a",
            "/a.mp4",
            {"score": np.ones(2, "f4")},
            r"\[float\(str\(each\)\) for each in value\]$",
        ),
        ("a", "/a.mp4", {"score": np.int64(4)}, r"value\.tolist\(\)$"),
        ("a", "/a.mp4", {"": 1}, "name must be a text"),
        ("a", "/a.mp4", {"a..b": 1}, "two in a row, not 'a..b'"),
        ("a", "/a.mp4", {".a": 1}, "without a dot in front"),
        ("a", "/a.mp4", {"a. .b": 1}, "name must be a text"),
        ("a", "/a.mp4", {"...": 1}, "name must be a text"),
        ("a", "/a.mp4", {"_id": None}, "'_id' of video 'a' is one that the engines keep"),
        ("a", "/a.mp4", {"_id": "x"}, "'_id' of video 'a' is one that the engines keep"),
    ],
)
def test_id_uri_or_field_that_cannot_be_stored_is_refused(
    registry: Registry, id: str, uri: str, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(RegistryError, match=message):
        registry.register(id, uri=uri, fields=fields)


def test_names_that_engines_take_or_take_below_the_top_are_registered(registry: Registry) -> None:
    fields = {"counts": {"wait...": 3, ".a": 1}, "meta": {"": 1}, "etc..": 1, "_doc_count": 2}
    assert registry.register("a", uri="/a.mp4", fields=fields).fields == fields


def test_a_field_can_be_taken_away_whatever_its_name(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4", fields={"title": "A"})
    bad = {"title": "A", "_id": "x", "a..b": 1}
    # As an earlier version has registered them.
    registry._store.change("a", lambda record, _: record and record.changed(fields=bad))
    assert registry.set_fields("a", {"_id": None, "a..b": None}).record.fields == {"title": "A"}
    with pytest.raises(RegistryError, match="'video' is the object"):
        registry.set_fields("a", {"video": None})


def test_listings_leave_tombstones_out_and_counts_do_not(
    registry: Registry, clock: FakeClock
) -> None:
    for id in ("a", "b", "c"):
        clock.now += 1
        registry.register(id, uri=f"/{id}.mp4")
    clock.now += 1
    registry.fail(registry.claim("b", owner="w"), BROKEN)
    clock.now += 1
    registry.delete("c")
    assert [r.id for r in registry.list()] == ["b", "a"]
    assert [r.id for r in registry.list(limit=1)] == ["b"]
    assert [r.id for r in registry.list(state=State.DELETED)] == ["c"]
    counts = registry.counts()
    assert {state: n for state, n in counts.items() if n} == {
        State.REGISTERED: 1,
        State.FAILED: 1,
        State.DELETED: 1,
    }
    assert sorted(r.id for r in registry.scan()) == ["a", "b"]
    assert [r.id for r in registry.scan(State.FAILED)] == ["b"]


def test_only_one_of_many_workers_gets_the_lease(registry: Registry) -> None:
    registry.register("a", uri="/a.mp4")
    assert len(race_for(registry, "a", workers=8)) == 1
    assert registry.get("a").attempts == 1


def test_retry_that_a_worker_has_noted_before_its_message_is_marked_stays_due_later(
    registry: Registry,
) -> None:
    error = ErrorRecord("X", "fetch", "no answer")
    first = registry.register_many([NewVideo(id, "/a.mp4") for id in "ab"])
    for id, delay in (("a", 600.0), ("b", 0.0)):
        registry.release(registry.claim(id, owner="w"), error, counted=False, delay=delay)
    later = {id: registry.get(id) for id in "ab"}
    assert registry.mark_queued("a") == later["a"]
    assert [one.require() for one in registry.mark_many_queued(first)] == [*later.values()]
    for id, record in later.items():
        assert (record.state, registry.get(id)) == (State.REGISTERED, record)
    assert registry.mark_queued("b", due_at=later["b"].due_at).state is State.QUEUED
