"""Registries of older and newer versions: what is kept, what is added, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.registry_layouts import unversioned_layout

from vidsearch.config import IndexSettings
from vidsearch.errors import IndexNotFoundError, MappingConflictError, RegistryError
from vidsearch.index import create_videos_index
from vidsearch.registry import (
    ErrorRecord,
    FieldChange,
    NewVideo,
    Registry,
    State,
    VideoRecord,
    transitions,
    written,
)
from vidsearch.registry.index import (
    create_registry_index,
    registry_layout,
    upgrade_registry_index,
)
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings import registry_index
from vidsearch_mappings.registry import REGISTRY_VERSION

SETTINGS = IndexSettings()
NAME = SETTINGS.registry
BROKEN = ErrorRecord(type="VideoOpenError", stage="decode", message="not a video")
NEWER = {"newer": "en", "newer_object": {"audio": 2}}
MADE = {
    "fingerprint": "f",
    "frames": 3,
    "damaged": 0,
    "segments": 1,
    "duration": 3.0,
    "seconds": {"decode": 1.0},
}

TRANSITIONS: dict[str, Callable[[VideoRecord, float], VideoRecord]] = {
    "register": partial(transitions.register, video=NewVideo("a", "/b.mp4")),
    "mark_queued": transitions.mark_queued,
    "claim": partial(
        transitions.claim, token="w#1", owners=["w"], lease_seconds=60, max_attempts=3
    ),
    "hand_back": partial(transitions.hand_back, owners=["w"], error=BROKEN),
    "hand_over": partial(transitions.hand_over, lease_seconds=60, content="c"),
    "fields_written": lambda record, now: written.fields_written(
        record.changed(due_at=4.0), now, fields=record.fields
    ),
    "fields_taken_back": partial(
        written.fields_taken_back, change=FieldChange({}, removed=None), kept={"title": "t"}
    ),
    "filled": partial(written.filled, index="new", of="old", fingerprint="g"),
    "renew": partial(transitions.renew, lease_seconds=60),
    "complete": partial(transitions.complete, **MADE),
    "fail": partial(transitions.fail, error=BROKEN),
    "mark_gone": partial(transitions.mark_gone, error=BROKEN),
    "release": partial(transitions.release, error=BROKEN, counted=True, delay=1.0, max_attempts=3),
    "retry": transitions.retry,
    "set_fields": partial(transitions.set_fields, fields={"title": "t"}),
    "reopen": partial(transitions.reopen, forget=True),
    "delete": partial(transitions.delete, error=None),
    "mark_removed": lambda record, now: transitions.mark_removed(record.changed(due_at=4.0), now),
    "recover": partial(transitions.recover, max_attempts=3),
}
FROM = {
    "claim": State.QUEUED,
    "retry": State.FAILED,
    "mark_queued": State.REGISTERED,
    "mark_removed": State.DELETED,
    "fields_written": State.INDEXED,
    "filled": State.INDEXED,
}


@pytest.fixture
def memory() -> MemoryEngine:
    return MemoryEngine()


@pytest.mark.parametrize("name", TRANSITIONS)
def test_every_transition_keeps_fields_of_a_newer_version(name: str) -> None:
    source = {"uri": "/a.mp4", "state": "processing", "owner": "w#0", **NEWER}
    record = VideoRecord.from_source("a", source)
    record = record.changed(state=FROM.get(name, State.PROCESSING), fingerprint="old", attempts=1)
    after = TRANSITIONS[name](record, 5.0)
    assert after != record
    assert NEWER.items() <= after.to_source().items()


def test_every_transition_is_tested() -> None:
    tested = {*TRANSITIONS, "is_purgeable"}
    functions = {name for name in transitions.__all__ if callable(getattr(transitions, name))}
    assert tested == {*functions, *written.__all__}


def test_registering_over_a_tombstone_keeps_fields_of_a_newer_version() -> None:
    old = VideoRecord.from_source("a", {"uri": "/a.mp4", "state": "deleted", **NEWER})
    after = transitions.register(old, 5.0, video=NewVideo("a", "/a.mp4"))
    assert after.state is State.REGISTERED
    assert NEWER.items() <= after.to_source().items()


def test_an_error_of_a_newer_version_is_kept_whole() -> None:
    error = {"type": "T", "stage": "decode", "message": "m", "code": 7}
    source = {"uri": "/a.mp4", "state": "failed", "error": error}
    record = VideoRecord.from_source("a", source)
    assert str(record.error) == "T (decode): m"
    assert record.changed(attempts=2).to_source()["error"] == error


def test_fields_of_a_newer_version_are_not_shown() -> None:
    record = VideoRecord.from_source("a", {"uri": "/a.mp4", **NEWER})
    assert not NEWER.keys() & record.to_json().keys()


def test_a_worker_of_this_version_keeps_what_a_newer_registry_holds(memory: MemoryEngine) -> None:
    body = registry_index("elasticsearch", shards=1, replicas=0)
    body["mappings"]["properties"] |= {"newer": {"type": "keyword"}, "newer_object": {}}
    memory.create_index(NAME, body)
    memory.put(NAME, "a", {"uri": "/a.mp4", "state": "queued", "attempts": 0, **NEWER})
    registry = Registry(memory, index=NAME)
    lease = registry.renew(registry.claim("a", owner="w"))
    registry.complete(lease, **MADE)  # type: ignore[arg-type]
    registry.delete("a")
    stored = memory.get(NAME, "a")
    assert stored is not None
    assert NEWER.items() <= stored.source.items()


def test_the_layout_before_versions_takes_every_transition(memory: MemoryEngine) -> None:
    memory.create_index(NAME, unversioned_layout(without=("routing", "damaged")))
    registry = Registry(memory, index=NAME)
    registry.register("a", uri="/a.mp4", fields={"title": "A"})
    registry.mark_queued("a")
    registry.release(registry.claim("a", owner="w"), BROKEN, counted=True)
    registry.fail(registry.claim("a", owner="w"), BROKEN)
    registry.retry("a")
    done = registry.complete(registry.claim("a", owner="w"), **MADE)  # type: ignore[arg-type]
    assert done.state is State.INDEXED
    registry.reopen("a", forget=True)
    registry.mark_gone(registry.claim("a", owner="w"), BROKEN)
    assert registry.purge("a")


def test_a_field_that_the_registry_lacks_is_left_out_and_named(
    memory: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    memory.create_index(NAME, unversioned_layout(without=("damaged",)))
    registry = Registry(memory, index=NAME)
    for id in ("a", "b"):
        registry.register(id, uri="/a.mp4")
        made: Any = {**MADE, "damaged": 2}
        registry.complete(registry.claim(id, owner="w"), **made)
        found = registry.get(id)
        assert (found.state, found.frames, found.damaged) == (State.INDEXED, 3, None)
    (warning,) = caplog.messages
    assert "lacks damaged" in warning
    assert "vidsearch index upgrade" in warning


def test_a_field_that_ingestion_needs_is_never_left_out(memory: MemoryEngine) -> None:
    memory.create_index(NAME, unversioned_layout(without=("routing",)))
    registry = Registry(memory, index=NAME)
    with pytest.raises(MappingConflictError, match=r"lacks routing: run `vidsearch index upgrade`"):
        registry.register("a", uri="/a.mp4", routing="shop")
    one, other = registry.register_many(
        [NewVideo("a", "/a.mp4", routing="shop"), NewVideo("b", "/b.mp4")]
    )
    assert "vidsearch index upgrade" in str(one.error)
    assert other.record == registry.get("b")


def test_an_upgrade_adds_fields_while_workers_run(memory: MemoryEngine) -> None:
    memory.create_index(NAME, unversioned_layout(without=("routing", "damaged")))
    registry = Registry(memory, index=NAME)
    registry.register("a", uri="/a.mp4")
    lease = registry.claim("a", owner="w")
    before = upgrade_registry_index(memory, SETTINGS)
    assert (before.version, before.is_older) == (0, True)
    assert {"damaged", "routing"} <= set(before.missing)
    made: Any = {**MADE, "damaged": 2}
    assert registry.complete(lease, **made).damaged == registry.get("a").damaged == 2
    assert registry.register("b", uri="/b.mp4", routing="shop") == registry.get("b")


def test_an_upgraded_registry_is_as_a_new_one_and_stays_so(memory: MemoryEngine) -> None:
    memory.create_index(NAME, unversioned_layout(without=("routing",)))
    memory.put_mapping(NAME, {"_meta": {"team": "search"}})
    upgrade_registry_index(memory, SETTINGS)
    mapping = memory.mapping(NAME)
    created = registry_index("elasticsearch", shards=1, replicas=0)["mappings"]
    assert mapping["properties"] == created["properties"]
    assert mapping["_meta"] == {"team": "search", **created["_meta"]}
    again = upgrade_registry_index(memory, SETTINGS)
    assert not again.is_older
    assert str(again).endswith("nothing is to be upgraded")
    assert memory.mapping(NAME) == mapping


def test_fields_within_an_object_are_added(memory: MemoryEngine) -> None:
    body = unversioned_layout()
    del body["mappings"]["properties"]["error"]["properties"]["stage"]
    memory.create_index(NAME, body)
    assert "error" in upgrade_registry_index(memory, SETTINGS).missing
    added = memory.mapping(NAME)["properties"]["error"]["properties"]
    assert added.keys() == {"type", "stage", "message", "causes"}


def test_a_newer_registry_is_left_as_it_is(memory: MemoryEngine) -> None:
    body = registry_index("elasticsearch", shards=1, replicas=0)
    body["mappings"]["_meta"]["vidsearch"]["registry"]["version"] = REGISTRY_VERSION + 1
    del body["mappings"]["properties"]["frames"]
    memory.create_index(NAME, body)
    layout = upgrade_registry_index(memory, SETTINGS)
    assert layout.is_newer
    assert "is left as it is" in str(layout)
    assert memory.mapping(NAME) == body["mappings"]


def test_a_new_registry_has_this_version(memory: MemoryEngine) -> None:
    create_registry_index(memory, SETTINGS)
    layout = registry_layout(memory, SETTINGS)
    assert (layout.version, layout.missing) == (REGISTRY_VERSION, ())
    assert not layout.is_older


def test_creating_the_index_again_names_the_upgrade_of_an_older_registry(
    memory: MemoryEngine,
) -> None:
    identity = FakeEncoder().identity
    create_videos_index(memory, SETTINGS, identity)
    with pytest.raises(MappingConflictError, match="exists already") as caught:
        create_videos_index(memory, SETTINGS, identity)
    assert "upgrade" not in str(caught.value)
    (name,) = memory.indices_of(NAME)
    memory.delete_index(name)
    memory.create_index(NAME, unversioned_layout(without=("damaged",)))
    with pytest.raises(
        MappingConflictError, match=r"lacks .*damaged.*: run `vidsearch index upgrade`"
    ):
        create_videos_index(memory, SETTINGS, identity)


def test_without_a_registry_an_upgrade_says_what_to_do(memory: MemoryEngine) -> None:
    with pytest.raises(IndexNotFoundError, match="vidsearch index create"):
        upgrade_registry_index(memory, SETTINGS)


def test_record_of_a_newer_state_is_named_and_does_not_end_a_listing() -> None:
    engine = MemoryEngine()
    create_registry_index(engine, SETTINGS)
    registry = Registry(engine, index=NAME)
    for id in ("a", "b"):
        registry.register(id, uri=f"/{id}.mp4")
    stored = engine.get(NAME, "a")
    assert stored is not None
    engine.put(NAME, "a", {**stored.source, "state": "sliced"})
    assert [record.id for record in registry.list()] == ["b"]
    assert [record.id for record in registry.scan()] == ["b"]
    with pytest.raises(RegistryError, match="video 'a' cannot be read by this version: 'sliced'"):
        registry.claim("a", owner="w")
    after = engine.get(NAME, "a")
    assert after is not None
    assert after.source["state"] == "sliced"
