"""The application's field with a URI, and what a scan makes of the registry: no node needed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import count
from typing import Any, Literal

import pytest

from vidsearch import outages
from vidsearch.config import IndexSettings
from vidsearch.engines import Document, Engine, Write
from vidsearch.errors import (
    BackendUnavailableError,
    MappingConflictError,
    VersionConflictError,
)
from vidsearch.index import (
    attach_index,
    create_videos_index,
    detach_index,
    following,
    open_videos_index,
)
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy import copy_with_settings
from vidsearch.index.copy_note import CopyNote, leave_note, undo_broken_copy
from vidsearch.index.engine_queue import wait_for_queue
from vidsearch.index.following import WritesWaitLongError
from vidsearch.index.uri_field import check_uri_field, uri_in
from vidsearch.ingest import scan_index
from vidsearch.registry import ErrorRecord, Registration, Registry, State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings import index_meta, read_meta

SETTINGS = IndexSettings(name="shop")
IDENTITY = FakeEncoder().identity


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ({"media": {"url": "/a.mp4"}}, "/a.mp4"),
        ({"media.url": "/a.mp4"}, "/a.mp4"),
        ({"media": [{"url": "/a.mp4"}]}, "/a.mp4"),
        ({"media": {"url": ["/a.mp4"]}}, "/a.mp4"),
        ({"media": {"url": ["/a.mp4", "/b.mp4"]}}, None),
        ({"media": {"url": ["/a.mp4", "/a.mp4"]}}, "/a.mp4"),
        ({"media": {"url": " /a b.mp4\n"}}, "/a b.mp4"),
        ({"media": {"url": "file:///a.mp4%20 "}}, "file:///a.mp4%20"),
        ({"media": {"url": " "}}, None),
        ({"media": {"url": 3}}, None),
        ({"media": "x"}, None),
        ({}, None),
    ],
)
def test_uri_in_a_document_is_read_where_there_is_one(
    source: dict[str, Any], uri: str | None
) -> None:
    assert uri_in(source, "media.url") == uri


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"type": "keyword"}, None),
        ({"type": "text"}, None),
        ({"type": "keyword", "index": False}, None),
        ({"type": "keyword", "index": False, "doc_values": False}, "neither indexed"),
        ({"type": "text", "index": False}, "neither indexed"),
        ({"type": "long"}, "of type 'long'"),
        ({"type": "alias", "path": "x"}, "of type 'alias'"),
        ({"properties": {}}, "of type 'object'"),
    ],
)
def test_uri_field_of_an_unfit_type_is_refused(
    definition: dict[str, Any], message: str | None
) -> None:
    mapping = {"properties": {"media": {"properties": {"url": definition}}}}
    if message is None:
        check_uri_field(mapping, "media.url", index="shop")
    else:
        with pytest.raises(MappingConflictError, match=message):
            check_uri_field(mapping, "media.url", index="shop")
    with pytest.raises(MappingConflictError, match=r"'media\.uri' of index 'shop' is not mapped"):
        check_uri_field(mapping, "media.uri", index="shop")
    nested = {"properties": {"media": {"type": "nested", "properties": {"url": definition}}}}
    with pytest.raises(MappingConflictError, match="nested"):
        check_uri_field(nested, "media.url", index="shop")


def test_meta_of_an_attached_index_holds_its_uri_field() -> None:
    said = {"model": {}, "quantization": "int8", "field": "video", "segment_seconds": 1.0}
    assert read_meta({"_meta": index_meta(**said)}).uri_field is None  # type: ignore[arg-type]
    attached = index_meta(**said, uri_field="url")  # type: ignore[arg-type]
    assert read_meta({"_meta": attached}).uri_field == "url"


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    engine.create_index("shop", {"mappings": {"properties": {"url": {"type": "keyword"}}}})
    engine.bulk("shop", [Write("index", id, {"url": f"/{id}.mp4"}, f"r{id}") for id in "abc"])
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    return engine


@pytest.fixture
def registry(engine: MemoryEngine) -> Registry:
    return Registry(engine, index=SETTINGS.registry)


def scan(engine: MemoryEngine, registry: Registry, **options: Any) -> dict[str, tuple[str, str]]:
    index = open_videos_index(engine, SETTINGS)
    found = scan_index(registry, index, enqueue=registry.mark_many_queued, **options)
    return {finding.id: (finding.action, finding.why) for finding in found}


def test_scan_of_decided_videos_leaves_their_state(
    engine: MemoryEngine, registry: Registry
) -> None:
    assert scan(engine, registry) == dict.fromkeys("abc", ("enqueue", ""))
    assert registry.get("a").routing == "ra"
    registry.claim("b", owner="w")
    assert scan(engine, registry)["b"] == ("skip", "processing")
    registry.delete("c")
    assert scan(engine, registry)["c"] == ("skip", "deleted")
    # Another URI is another video.
    engine.update("shop", "c", {"url": "/other.mp4"}, routing="rc")
    assert scan(engine, registry)["c"] == ("enqueue", "")
    assert registry.get("c").uri == "/other.mp4"
    engine.put("shop", "e", {"url": ["/a.mp4", "/b.mp4"]})
    assert scan(engine, registry)["e"] == (
        "skip",
        "its field 'url' holds no URI, or several: a document has one video",
    )
    engine.put("shop", "d", {"url": "/x" * 20_000})
    action, why = scan(engine, registry)["d"]
    assert (action, "more than 32766 bytes" in why) == ("skip", True)


def test_scan_deletes_the_video_of_a_document_without_its_uri(
    engine: MemoryEngine, registry: Registry
) -> None:
    scan(engine, registry)
    for id in ("a", "b"):
        engine.update("shop", id, {"url": None, "video": {"uri": f"/{id}.mp4"}}, routing=f"r{id}")
    registry.delete("b")
    registry.purge_many(["b"])  # as of another registry
    assert scan(engine, registry, dry_run=True)["a"] == ("delete", "")
    found = scan(engine, registry)
    assert {id: action for id, (action, _) in found.items()} == {
        "a": "delete",
        "b": "delete",
        "c": "skip",
    }
    for id in ("a", "b"):
        assert engine.get("shop", id, routing=f"r{id}").source == {"url": None}  # type: ignore[union-attr]
    assert "a" not in scan(engine, registry)
    engine.update("shop", "a", {"url": "/a.mp4"}, routing="ra")
    assert scan(engine, registry)["a"] == ("enqueue", "")


def test_scan_writes_a_batch_at_once_and_stops_at_the_limit(
    engine: MemoryEngine, registry: Registry
) -> None:
    index = open_videos_index(engine, SETTINGS)
    batches: list[list[str]] = []

    def enqueue(batch: Sequence[Registration]) -> Sequence[Registration]:
        batches.append([one.id for one in batch])
        return registry.mark_many_queued(batch)

    found = list(scan_index(registry, index, enqueue=enqueue, quick=True, limit=2))
    assert batches == [["a", "b"]] == [[finding.id for finding in found]]
    assert registry.find("c") is None


def test_scan_ends_with_the_error_of_a_video_that_was_not_enqueued(
    engine: MemoryEngine, registry: Registry
) -> None:
    index = open_videos_index(engine, SETTINGS)

    def enqueue(batch: Sequence[Registration]) -> list[Registration]:
        return [replace(one, error=BackendUnavailableError("away")) for one in batch]

    with pytest.raises(BackendUnavailableError, match="away"):
        list(scan_index(registry, index, enqueue=enqueue))
    assert registry.get("c").state is State.REGISTERED


class Routed(MemoryEngine):
    """Reads no document without its routing, as where the mapping has ``_routing.required``."""

    def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        if index == "shop" and routing is None:
            raise MappingConflictError("routing_missing_exception")
        return super().get(index, id, routing=routing)


def test_a_record_without_the_routing_that_its_document_needs_ends_no_scan() -> None:
    engine = Routed()
    engine.create_index("shop", {"mappings": {"properties": {"url": {"type": "keyword"}}}})
    engine.bulk("shop", [Write("index", id, {"url": f"/{id}.mp4"}, f"r{id}") for id in "abc"])
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    registry = Registry(engine, index=SETTINGS.registry)
    for id in ("a", "never there"):
        registry.register(id, uri=f"/{id}.mp4")
    scan(engine, registry)
    engine.delete("shop", "b", routing="rb")
    assert scan(engine, registry) == {
        "a": ("skip", "registered"),
        "b": ("delete", ""),
        "c": ("skip", "queued"),
        "never there": ("skip", "routing_missing_exception"),
    }


def test_scan_of_a_document_that_came_back_enqueues_it(
    engine: MemoryEngine, registry: Registry
) -> None:
    scan(engine, registry)
    engine.delete("shop", "a")
    assert scan(engine, registry, dry_run=True)["a"] == ("delete", "")
    assert registry.get("a").state is State.QUEUED
    assert scan(engine, registry)["a"] == ("delete", "")
    assert registry.get("a").state is State.DELETED
    assert "a" not in scan(engine, registry)  # said once
    engine.put("shop", "a", {"url": "/a.mp4"}, routing="elsewhere")
    assert scan(engine, registry)["a"] == ("enqueue", "")
    assert registry.get("a").routing == "elsewhere"


def test_scan_of_a_deleted_video_whose_document_came_back_leaves_it_deleted(
    engine: MemoryEngine, registry: Registry
) -> None:
    scan(engine, registry)
    registry.delete("a")
    engine.delete("shop", "a")
    assert "a" not in scan(engine, registry)
    engine.put("shop", "a", {"url": "/a.mp4"})
    assert scan(engine, registry)["a"] == ("skip", "deleted")


def test_scan_of_a_url_that_is_signed_anew_retries_what_failed_and_leaves_what_was_deleted(
    engine: MemoryEngine, registry: Registry
) -> None:
    def sign(at: int) -> None:
        for id in ("a", "b"):
            url = f"https://h/{id}.mp4?Expires={at}&Signature={at}&AWSAccessKeyId=k"
            engine.update("shop", id, {"url": url}, routing=f"r{id}")

    sign(1)
    scan(engine, registry)
    registry.delete("a")
    registry.fail(registry.claim("b", owner="w"), ErrorRecord("VideoError", "fetch", "expired"))
    sign(2)
    found = scan(engine, registry)
    assert (found["a"], found["b"]) == (("skip", "deleted"), ("enqueue", ""))


def test_scan_takes_fields_from_a_video_that_failed_by_them(
    engine: MemoryEngine, registry: Registry
) -> None:
    registry.register("a", uri="/a.mp4", fields={"title": "A"}, routing="ra")
    reason = ErrorRecord("VideoError", "prepare", "it was registered with fields")
    registry.fail(registry.claim("a", owner="w"), reason)
    assert scan(engine, registry)["a"] == ("skip", "failed")
    assert scan(engine, registry, retry=True)["a"] == ("enqueue", "")
    assert (registry.get("a").state, registry.get("a").fields) == (State.QUEUED, {})


def test_attach_with_a_lost_registry_creates_it(engine: MemoryEngine) -> None:
    engine.delete_index(f"{SETTINGS.registry}-000001")
    with pytest.raises(MappingConflictError, match="is attached already"):
        attach_index(engine, SETTINGS, IDENTITY, uri_field="other")
    attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    assert engine.indices_of(SETTINGS.registry) == (f"{SETTINGS.registry}-000001",)


def test_detach_during_a_write_of_the_application_keeps_the_write(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_videos_index(engine, SETTINGS)
    for id in "ab":
        found = index.read(id, routing=f"r{id}")
        assert found is not None
        index.merge({"uri": f"/{id}.mp4", "model": "fake@1"}, into=found)
    put, late = engine.put, []

    def race(name: str, id: str, source: Any, **options: Any) -> Any:
        if name == "shop" and not late:
            late.append(id)
            engine.update("shop", id, {"title": "new"}, routing=f"r{id}")
        return put(name, id, source, **options)

    monkeypatch.setattr(engine, "put", race)
    assert detach_index(engine, SETTINGS) == 2
    for id in "ab":
        left = engine.get("shop", id, routing=f"r{id}")
        assert left is not None
        assert left.source == {"url": f"/{id}.mp4"} | ({"title": "new"} if id in late else {})
    assert "vidsearch" not in engine.mapping("shop")["_meta"]


def test_merge_and_removal_of_a_document_that_changed_are_refused(engine: MemoryEngine) -> None:
    index = open_videos_index(engine, SETTINGS)
    engine.update("shop", "a", {"video": {"uri": "/a.mp4"}}, routing="ra")
    before = index.read("a", routing="ra")
    assert before is not None
    engine.update("shop", "a", {"title": "new"}, routing="ra")
    with pytest.raises(VersionConflictError):
        index.merge({"uri": "/a.mp4"}, into=before)
    with pytest.raises(VersionConflictError):
        index.remove("a", expect=before.revision, routing="ra")
    assert index.remove("a", routing="ra")
    assert engine.get("shop", "a", routing="ra").source == {  # type: ignore[union-attr]
        "url": "/a.mp4",
        "title": "new",
    }


def test_merge_clears_what_the_earlier_object_held(engine: MemoryEngine) -> None:
    index = open_videos_index(engine, SETTINGS)
    for ours in ({"uri": "/a.mp4", "subtitles": "hello"}, {"uri": "/a.mp4"}):
        found = index.read("a", routing="ra")
        assert found is not None
        index.merge(ours, into=found)
    after = index.read("a", routing="ra")
    assert after is not None
    assert after.source == {"url": "/a.mp4", "video": {"uri": "/a.mp4", "subtitles": None}}


def test_attach_through_a_filtered_alias_is_refused() -> None:
    # A scan would enqueue the documents that the alias hides.
    engine = MemoryEngine()
    mapping = {"properties": {"url": {"type": "keyword"}}}
    some = {"filter": {"term": {"tenant": "a"}}}
    engine.create_index("all-1", {"mappings": mapping, "aliases": {"shop": some, "all": {}}})
    with pytest.raises(MappingConflictError, match=r"alias 'shop' has a filter.*'all-1'"):
        attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    assert not engine.indices_of(SETTINGS.registry)
    attach_index(engine, IndexSettings(name="all"), IDENTITY, uri_field="url")


def test_attach_of_a_closed_index_is_refused() -> None:
    engine = MemoryEngine()
    mapping = {"properties": {"url": {"type": "keyword"}}}
    closed = {"index": {"verified_before_close": "true"}}  # which engines set
    engine.create_index("shop", {"mappings": mapping, "settings": closed})
    with pytest.raises(MappingConflictError, match=r"'shop' is closed.*open it, then attach"):
        attach_index(engine, SETTINGS, IDENTITY, uri_field="url")
    assert not engine.indices_of(SETTINGS.registry)


def test_attach_and_detach_of_a_managed_index_are_refused() -> None:
    engine = MemoryEngine()
    create_videos_index(engine, IndexSettings(name="videos"), IDENTITY)
    with pytest.raises(MappingConflictError, match="vidsearch's own"):
        attach_index(engine, IndexSettings(name="videos"), IDENTITY, uri_field="url")
    with pytest.raises(MappingConflictError, match="vidsearch index drop"):
        detach_index(engine, IndexSettings(name="videos"))


CHANGES = {
    *("create_index", "bulk", "put_mapping", "put_settings", "block_writes", "update_aliases")
}


class Mortal(MemoryEngine):
    """Its user is killed before a change of a certain number, and asks nothing more."""

    def __init__(self, *, changes: int) -> None:
        super().__init__()
        self.left: int | None = None
        self.create_index("shop-1", {"mappings": {"_meta": {"a": 1}}, "aliases": {"shop": {}}})
        self.bulk("shop-1", [Write("index", id, {"url": f"/{id}.mp4"}) for id in "abc"])
        self.left = changes

    def scan_slices(self, index: str, slices: int, **options: Any) -> Any:
        return super().scan_slices(index, 1, **options)  # its changes are counted in one order

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in {"left", "kind"} or self.left is None:
            return found
        if self.left <= 0:
            raise Killed
        if name in CHANGES:
            self.left -= 1
            if not self.left:
                raise Killed
        return found


class Killed(BaseException):
    pass


COPY: dict[str, Any] = {
    "settings": {"knn": True},
    "mapping": {"_meta": {"a": 1, "vidsearch": {}}},
    "to": "copy",
    "confirm": lambda index, copy: None,
    "before_swap": lambda copy: None,
    "progress": lambda done, total: None,
}


def given(engine: Engine, name: str) -> dict[str, Any]:
    """The settings of an index, but for what the engine has made up."""
    return {key: value for key, value in engine.settings(name).items() if key != "uuid"}


def copied(engine: Engine, *, alias: str | None, **options: Any) -> str:
    undo_broken_copy(engine, "shop-1")
    copy, _ = copy_with_settings(engine, "shop-1", alias=alias, **COPY, **options)
    return copy


@pytest.mark.parametrize("alias", ["shop", None])
@pytest.mark.parametrize("changes", range(1, 12))
def test_copy_killed_at_any_point_is_undone_or_complete(changes: int, alias: str | None) -> None:
    engine = Mortal(changes=changes)
    with suppress(Killed):
        copied(engine, alias=alias)
    died, engine.left = engine.left == 0, None
    assert died == (changes <= (10 if alias else 9)), "every change of the way is tried"
    whole = engine.indices_of("shop") == ("copy",) if alias else not died
    if not whole:
        undo_broken_copy(engine, "shop-1")
        assert engine.indices_of("copy") == ()
        assert given(engine, "shop-1") == {}
        assert engine.mapping("shop-1")["_meta"] == {"a": 1}
        assert copied(engine, alias=alias) == "copy"
    assert engine.count("copy") == 3
    assert given(engine, "shop-1") == {"blocks.write": True}
    assert engine.indices_of("shop") == ("copy" if alias else "shop-1",)
    if not alias:
        with pytest.raises(MappingConflictError, match=r"set index\.name to 'copy'"):
            undo_broken_copy(engine, "shop-1")


Done = Literal["not", "at once", "late"]
MOVE = 9
"""Number of the call that puts the copy in place."""


class Unsteady(Mortal):
    """Away for a call of a certain number, which is done at once, before the next one, or not.

    It may be away for some calls after that as well, which are not done.
    """

    def __init__(self, *, calls: int, done: Done, away: int = 1) -> None:
        self._calls, self._done, self._away = 10**9, done, away
        self._late: list[Callable[[], Any]] = []
        super().__init__(changes=10**6)
        self._calls = calls

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CHANGES:
            return found

        def called(*args: Any, **options: Any) -> Any:
            self._calls -= 1
            if not -self._away < self._calls <= 0:
                while self._late:
                    self._late.pop()()
                return found(*args, **options)
            if not self._calls and self._done == "at once":
                found(*args, **options)
            if not self._calls and self._done == "late":
                self._late.append(lambda: found(*args, **options))
            raise BackendUnavailableError("HTTP 503")

        return called


@pytest.mark.parametrize("alias", ["shop", None])
@pytest.mark.parametrize("done", ["not", "at once", "late"])
@pytest.mark.parametrize("call", range(2, 11))
def test_copy_goes_on_after_an_outage_at_any_point(
    monkeypatch: pytest.MonkeyPatch, call: int, done: Done, alias: str | None
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.0)
    engine = Unsteady(calls=call, done=done)
    took_writes: list[bool] = []

    def told(error: BackendUnavailableError, seconds: float) -> None:
        in_place = (
            engine.indices_of("shop") == ("copy",) if alias else call == MOVE and done != "not"
        )
        if not in_place:
            engine.put("shop-1", "d", {"url": "/d.mp4"})
        took_writes.append(given(engine, "shop-1") == {} or in_place)

    assert copied(engine, alias=alias, on_outage=told) == "copy"
    # What is turned away after the copy's settings and before the move, the swap itself outlasts.
    assert took_writes == [True] * (call <= MOVE and call not in {MOVE - 2, MOVE - 1})
    assert engine.count("copy") == engine.count("shop-1")
    assert given(engine, "shop-1") == {"blocks.write": True}
    assert engine.indices_of("shop") == ("copy" if alias else "shop-1",)
    assert engine.settings("copy").get("gc_deletes") is None


@pytest.mark.parametrize("alias", ["shop", None])
@pytest.mark.parametrize("away", [1, 2, 3])
@pytest.mark.parametrize("outage_seconds", [60.0, 0.0])
def test_a_move_that_is_done_after_an_outage_is_not_worked_against(
    monkeypatch: pytest.MonkeyPatch, alias: str | None, away: int, outage_seconds: float
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)
    engine = Unsteady(calls=MOVE, done="late", away=away)
    with nullcontext() if outage_seconds else pytest.raises(BackendUnavailableError):
        copied(engine, alias=alias, outage_seconds=outage_seconds)
    assert given(engine, "shop-1") == {"blocks.write": True}, "what is written there is lost"
    assert engine.indices_of("shop") == ("copy" if alias else "shop-1",)
    assert given(engine, "copy") == {"knn": True}
    if alias is None:
        with pytest.raises(MappingConflictError, match=r"set index\.name to 'copy'"):
            undo_broken_copy(engine, "shop-1")


def test_copy_without_patience_is_undone_in_an_outage() -> None:
    engine = Unsteady(calls=3, done="not")
    with pytest.raises(BackendUnavailableError):
        copied(engine, alias="shop", outage_seconds=0.0)
    assert engine.indices_of("copy") == ()
    assert engine.mapping("shop-1")["_meta"] == {"a": 1}


class Counting(MemoryEngine):
    """Notes what the ``_meta`` of an index was after each change of its mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.metas: list[dict[str, Any]] = []

    def put_mapping(self, index: str, body: Any) -> None:
        super().put_mapping(index, body)
        self.metas.append(self.mapping(index)["_meta"])


def test_a_change_that_others_are_waited_for_by_is_one_and_leaves_nothing() -> None:
    engine = Counting()
    engine.create_index("shop-1", {"mappings": {"_meta": {"a": 1}}})
    wait_for_queue(engine, "shop-1")
    wait_for_queue(engine, "shop-1")
    first, after, second, last = engine.metas
    assert after == last == {"a": 1}, "what the application keeps there stays"
    assert len({str(one) for one in (first, after, second)}) == 3, "an engine may skip an empty one"
    # Of a process that was killed between the two.
    engine.put_mapping("shop-1", {"_meta": first})
    note = CopyNote(to="copy", run="1")
    leave_note(engine, "shop-1", note)
    leave_note(engine, "shop-1", None)
    assert engine.metas[-1] == {"a": 1}


class Gone(Mortal):
    """Away for good from when writes are stopped, or from another call on."""

    def __init__(self, at: str) -> None:
        self._at, self.is_away = "", False
        super().__init__(changes=10**6)
        self._at = at

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in {"is_away", "left"} or not self._at:
            return found
        if self.is_away and callable(found) and name not in {"run", "info"}:
            raise BackendUnavailableError("no answer")
        if name != self._at:
            return found

        def last(*args: Any, **options: Any) -> Any:
            found(*args, **options)
            self.is_away = True

        return last


@pytest.mark.parametrize("is_interrupted", [False, True])
@pytest.mark.parametrize(
    ("at", "left"),
    [
        ("block_writes", "index 'shop-1' may take no writes until"),
        ("create_index", "index 'shop-1' has the incomplete copy 'copy' until"),
    ],
)
def test_what_cannot_be_undone_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    at: str,
    left: str,
    is_interrupted: bool,
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 0.0)
    engine = Gone(at)

    def interrupt(error: BackendUnavailableError, seconds: float) -> None:
        raise KeyboardInterrupt

    if is_interrupted:
        with pytest.raises(KeyboardInterrupt):
            copied(engine, alias="shop", on_outage=interrupt)
        told = [one.message for one in caplog.records if one.levelname == "ERROR"]
    else:
        with pytest.raises(BackendUnavailableError) as raised:
            copied(engine, alias="shop", outage_seconds=0.0)
        told = [str(raised.value)]
    (message,) = told
    assert f"{left} `vidsearch index attach` is run again" in message
    engine.is_away, engine._at = False, ""
    assert bool(given(engine, "shop-1")) == (at == "block_writes")
    assert copied(engine, alias="shop") == "copy", "the message is right"


def test_before_a_signal_ends_the_process_the_log_has_what_could_not_be_undone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That came while writes were refused, and the engine was away as well."""
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 0.0)
    engine = Gone("block_writes")
    block, told = engine.block_writes, list[bool]()

    def end(number: int, frame: object) -> None:
        told.append(any("may take no writes" in one.message for one in caplog.records))
        raise SystemExit

    def stop(name: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        block(name)

    engine.block_writes = stop  # type: ignore[method-assign]
    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(SystemExit):
            copied(engine, alias="shop", outage_seconds=0.0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [True]


def test_a_move_whose_answer_is_lost_is_not_told_as_writes_that_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidsearch.index.swap._UNDO_SECONDS", 0.0)
    engine = Gone("nothing")
    move = engine.update_aliases

    def lost(actions: Any) -> None:
        move(actions)
        engine.is_away = True
        raise BackendUnavailableError("no answer")

    engine.update_aliases = lost  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailableError) as raised:
        copied(engine, alias="shop", outage_seconds=0.0)
    assert "'shop-1' may have been replaced by its copy 'copy'; else it" in str(raised.value)


def test_an_engine_that_is_back_within_seconds_is_told_to_allow_writes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)
    engine = Unsteady(calls=MOVE, done="not", away=5)
    with pytest.raises(BackendUnavailableError) as raised:
        copied(engine, alias="shop", outage_seconds=0.0)
    assert "run again" not in str(raised.value)
    assert given(engine, "shop-1") == {}
    assert engine.indices_of("copy") == ()


def test_seconds_in_which_writes_were_allowed_between_two_tries_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("vidsearch.index.swap.time", clock)
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.0)
    engine = Mortal(changes=10**6)
    block, move, tries = engine.block_writes, engine.update_aliases, count(1)
    finish = CatchUp.finish

    def stop_writes(name: str) -> None:
        block(name)
        clock.now += 1.0

    def slow(self: CatchUp, *args: Any, **options: Any) -> Any:
        done = finish(self, *args, **options)
        if next(tries) in (1, 3):
            raise WritesWaitLongError
        return done

    def until_short(self: CatchUp) -> None:
        clock.now += 100.0

    def lost(actions: Any) -> None:
        engine.update_aliases = move  # type: ignore[method-assign]
        raise BackendUnavailableError("HTTP 503")

    monkeypatch.setattr(engine, "block_writes", stop_writes)
    monkeypatch.setattr(CatchUp, "finish", slow)
    monkeypatch.setattr(CatchUp, "until_short", until_short)
    engine.update_aliases = lost  # type: ignore[method-assign]
    undo_broken_copy(engine, "shop-1")
    _, refused = copy_with_settings(engine, "shop-1", **COPY, alias="shop")
    assert refused == 4.0, "a second of each time that writes were stopped"


def test_a_block_that_somebody_sets_during_a_copy_is_not_lifted_before_the_swap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Mortal(changes=10**6)
    until_short, blocks = CatchUp.until_short, list[Any]()

    def passing(self: CatchUp) -> None:
        blocks.append(engine.settings("shop-1").get("blocks.write"))
        until_short(self)

    def block(copy: str) -> None:
        engine.block_writes("shop-1")

    monkeypatch.setattr(CatchUp, "until_short", passing)
    copy_with_settings(engine, "shop-1", **{**COPY, "before_swap": block}, alias="shop")
    assert blocks == [True]


def test_a_block_of_an_earlier_try_that_came_late_is_lifted_before_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.0)
    engine = Mortal(changes=10**6)
    block, until_short, tries = engine.block_writes, CatchUp.until_short, count(1)
    blocks: list[Any] = []

    def away_once(name: str) -> None:
        monkeypatch.setattr(engine, "block_writes", block)
        raise BackendUnavailableError("HTTP 503")

    def short(self: CatchUp) -> None:
        blocks.append(engine.settings("shop-1").get("blocks.write"))
        if next(tries) == 2:  # writes were allowed, and now the engine carries out the block
            engine.block_writes("shop-1")
            raise BackendUnavailableError("HTTP 503")
        until_short(self)

    monkeypatch.setattr(engine, "block_writes", away_once)
    monkeypatch.setattr(CatchUp, "until_short", short)
    copy_with_settings(engine, "shop-1", **COPY, alias="shop")
    assert blocks == [None, None, None]


@pytest.mark.parametrize("moment", ["copied", "writes are refused"])
@pytest.mark.parametrize("others", [[], ["shop-read"]])
def test_an_alias_that_is_moved_while_its_index_is_copied_is_left_where_it_is(
    moment: str, others: list[str]
) -> None:
    engine = Mortal(changes=10**6)
    engine.create_index("shop-2", {"mappings": {"properties": {}}})
    block = engine.block_writes
    engine.update_aliases(
        [{"add": {"index": "shop-1", "alias": one}} for one in others or ["shop"]]
    )

    def move(at: str) -> None:
        if at == moment:
            engine.update_aliases(
                [
                    {"remove": {"index": "shop-1", "alias": "shop"}},
                    {"add": {"index": "shop-2", "alias": "shop"}},
                ]
            )

    def refuse_writes(name: str) -> None:
        block(name)
        move("writes are refused")

    engine.block_writes = refuse_writes  # type: ignore[method-assign]
    options = {**COPY, "before_swap": lambda copy: move("copied")}
    with pytest.raises(MappingConflictError, match=r"'shop' stands for shop-2 by now.*attach"):
        copy_with_settings(engine, "shop-1", alias="shop", **options)
    assert engine.indices_of("shop") == ("shop-2",)
    assert (engine.indices_of("copy"), engine.settings("shop-1").get("blocks.write")) == ((), None)
    assert [*engine.aliases("shop-1")] == others


def test_an_index_that_took_no_writes_before_takes_none_when_its_copy_is_undone() -> None:
    engine = Mortal(changes=10**6)
    engine.block_writes("shop-1")

    def fail(actions: Any) -> None:
        raise MappingConflictError("no")

    engine.update_aliases = fail  # type: ignore[method-assign]
    with pytest.raises(MappingConflictError, match="no"):
        copied(engine, alias="shop")
    assert given(engine, "shop-1") == {"blocks.write": True}


class Clock:
    """Goes on as told."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        return


def test_copy_keeps_up_with_what_the_application_does_meanwhile() -> None:
    engine = Mortal(changes=10**6)
    engine.put("shop-1", "d", {"url": "/d.mp4"}, version=70, routing="r")
    passes: list[str] = []
    open_point = engine.open_point_in_time

    def write_between(index: str, **options: Any) -> str:
        point = open_point(index, **options)
        passes.append(point)
        if len(passes) == 1:  # the copy is done, and this is not in the point in time
            engine.put("shop-1", "new", {"url": "/new.mp4"})
            engine.update("shop-1", "a", {"title": "changed"})
            engine.delete("shop-1", "b")
            engine.delete("shop-1", "d", routing="r")
            engine.put("shop-1", "d", {"url": "/again.mp4"}, routing="r")  # counted anew
        return point

    engine.open_point_in_time = write_between  # type: ignore[method-assign]
    copied(engine, alias="shop")
    assert len(passes) >= 2, "after the copy, and before the block"
    found = {one.id: one for one in engine.scan("copy")}
    assert {id: one.source for id, one in found.items()} == {
        "a": {"url": "/a.mp4", "title": "changed"},
        "c": {"url": "/c.mp4"},
        "d": {"url": "/again.mp4"},
        "new": {"url": "/new.mp4"},
    }
    assert {id: one.version for id, one in found.items()} == {"a": 2, "c": 1, "d": 1, "new": 1}
    assert found["d"].routing == "r"
    assert engine.indices_of("shop") == ("copy",)


@pytest.mark.parametrize("alias", ["shop", None])
def test_a_copy_that_another_process_has_undone_meanwhile_writes_nothing_more(
    monkeypatch: pytest.MonkeyPatch, alias: str | None
) -> None:
    """A process that is stopped in a pass, and goes on when the copy of another one is in use."""
    engine = Mortal(changes=10**6)
    monkeypatch.setattr("vidsearch.index.copy._OURS_SECONDS", 0.0)
    changes, points = engine.changes, count()
    written: list[str] = []
    open_point = engine.open_point_in_time

    def write_between(index: str, **options: Any) -> str:
        point = open_point(index, **options)
        if next(points) == 0:
            engine.update("shop-1", "a", {"title": "changed"})
        return point

    def stopped(index: str, **options: Any) -> list[Document]:
        found = list(changes(index, **options))
        if found and not written:
            undo_broken_copy(engine, "shop-1")
            written.append("a")
            assert copied(engine, alias=alias) == "copy"
            engine.put("copy", "a", {"title": "newest"})
            engine.delete("copy", "b")
        return found

    monkeypatch.setattr(engine, "open_point_in_time", write_between)
    monkeypatch.setattr(engine, "changes", stopped)
    with pytest.raises(MappingConflictError, match="another process has undone this copy"):
        copied(engine, alias=alias)
    assert written
    found = {one.id: one.source.get("title") for one in engine.scan("copy")}
    assert found == {"a": "newest", "c": None}
    assert given(engine, "shop-1") == {"blocks.write": True}
    assert engine.indices_of("shop") == ("copy" if alias else "shop-1",)


def test_copy_of_an_index_that_changes_too_fast_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Mortal(changes=10**6)
    monkeypatch.setattr(following, "_PASSES", 3)
    monkeypatch.setattr(following, "LONGEST_PASS", 0.0)
    checkpoints, round_ = engine.checkpoints, iter(range(1000))

    def busy(index: str) -> dict[int, int]:
        n = next(round_)
        engine.bulk("shop-1", [Write("index", f"{n} {m}", {"url": "/x"}) for m in range(201)])
        return checkpoints(index)

    monkeypatch.setattr(engine, "checkpoints", busy)
    with pytest.raises(MappingConflictError, match=r"changes faster .* 201 documents were written"):
        copied(engine, alias="shop")
    assert engine.indices_of("copy") == ()
    assert given(engine, "shop-1") == {}
    assert engine.indices_of("shop") == ("shop-1",)
