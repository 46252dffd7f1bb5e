"""Registering many videos: requests, outcomes, and messages over an in-memory broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.memory_stage import Stage
from tests.registry_layouts import unversioned_layout

from vidsearch import errors
from vidsearch.cli.registering import Registering
from vidsearch.engines import BulkResult, Document, Write
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.errors import (
    BackendUnavailableError,
    MappingConflictError,
    RegistryError,
    VideoNotRegisteredError,
)
from vidsearch.registration import Row, VideoList
from vidsearch.registry import ErrorRecord, NewVideo, Registry, State
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings import registry_index
from vidsearch_tasks import enqueue_many, retry_videos, stream_registrations

INDEX = "videos-registry"


class Watched(MemoryEngine):
    """Counts requests; ``before_bulk`` runs once, between the read and the write of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self.before_bulk: Any = None

    def mget(self, *args: Any, **options: Any) -> dict[str, Document]:
        self.requests["mget"] += 1
        gets = self.requests["get"]
        found = super().mget(*args, **options)
        self.requests["get"] = gets  # in memory it reads them one by one
        return found

    def get(self, *args: Any, **options: Any) -> Document | None:
        self.requests["get"] += 1
        return super().get(*args, **options)

    def mapping(self, index: str) -> Any:
        self.requests["mapping"] += 1
        return super().mapping(index)

    def put(self, *args: Any, **options: Any) -> Any:
        self.requests["put"] += 1
        return super().put(*args, **options)

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool = False) -> BulkResult:
        self.requests["bulk"] += 1
        act, self.before_bulk = self.before_bulk, None
        if act:
            act()
        return super().bulk(index, writes, refresh=refresh)


@pytest.fixture
def engine() -> Watched:
    engine = Watched()
    engine.create_index(INDEX, registry_index("elasticsearch", shards=1, replicas=0))
    return engine


@pytest.fixture
def registry(engine: Watched) -> Registry:
    return Registry(engine, index=INDEX)


@pytest.fixture
def stage(registry: Registry) -> Iterator[Stage]:
    stage = Stage(registry)
    yield stage
    stage.app.close()


def videos(number: int) -> list[NewVideo]:
    return [NewVideo(f"v{i}", f"/{i}.mp4", {"title": f"clip {i}"}) for i in range(number)]


def test_a_batch_takes_one_read_and_two_bulks(stage: Stage, engine: Watched) -> None:
    done = stage.register(videos(1200))
    assert +engine.requests == {"mget": 3, "bulk": 6}
    assert [one.id for one in done] == [f"v{i}" for i in range(1200)]
    assert {one.record.state for one in done} == {State.QUEUED}
    assert stage.registry.counts()[State.QUEUED] == stage.waiting == 1200
    assert stage.registry.get("v7").fields == {"title": "clip 7"}


def test_a_batch_is_queued_before_the_next_one_is_read(stage: Stage) -> None:
    read = 0

    def endless() -> Iterator[NewVideo]:
        nonlocal read
        while True:
            read += 1
            yield NewVideo(f"v{read}", f"/{read}.mp4")

    done = stream_registrations(endless(), services=stage)  # type: ignore[arg-type]
    assert (read, stage.waiting) == (0, 0)
    assert next(done).require().state is State.QUEUED
    assert (read, stage.waiting) == (500, 500)
    assert [next(done).id for _ in range(500)][-1] == "v501"
    assert (read, stage.waiting) == (1000, 1000)


def test_failed_videos_are_retried_in_one_batch(
    stage: Stage, registry: Registry, engine: Watched
) -> None:
    stage.register(videos(3))
    broken = ErrorRecord(type="T", stage="decode", message="m")
    for id in ("v0", "v1"):
        registry.fail(registry.claim(id, owner="w"), broken)
    engine.requests.clear()
    done = enqueue_many(registry.retry_many(["v0", "v2", "none", "v1"]), services=stage)  # type: ignore[arg-type]
    assert +engine.requests == {"mget": 1, "bulk": 2}
    assert [one.id for one in done if not one.error] == ["v0", "v1"]
    assert {one.require().state for one in done if not one.error} == {State.QUEUED}
    assert "v2' is queued; only failed or dead" in str(done[1].error)
    assert isinstance(done[2].error, VideoNotRegisteredError)
    assert stage.waiting == 5


def test_listed_videos_that_are_not_failed_any_more_do_not_stop_the_others(
    stage: Stage, registry: Registry
) -> None:
    stage.register(videos(4))
    broken = ErrorRecord(type="T", stage="decode", message="m")
    for id in ("v0", "v3"):
        registry.fail(registry.claim(id, owner="w"), broken)
    listed = ["v0", "v1", "purged", "v3"]
    with pytest.raises(RegistryError, match="'v1' is queued"):
        retry_videos(["v1"], services=stage)  # type: ignore[arg-type]
    done = retry_videos(listed, listed=True, services=stage)  # type: ignore[arg-type]
    assert [(one.id, one.state) for one in done] == [("v0", State.QUEUED), ("v3", State.QUEUED)]


def test_a_deleted_video_among_reopened_ones_is_told_alone(registry: Registry) -> None:
    registry.register_many(videos(2))
    registry.delete("v0")
    deleted, reopened = registry.reopen_many(["v0", "v1"], forget=True)
    with pytest.raises(VideoNotRegisteredError, match="video 'v0' was deleted"):
        deleted.require()
    assert reopened.require() == registry.get("v1")


def test_an_unreadable_record_does_not_stop_the_others(registry: Registry, engine: Watched) -> None:
    registry.register_many(videos(2))
    engine.put(INDEX, "v0", {"uri": "/0.mp4", "state": "sliced"})
    newer, other = registry.register_many(videos(2))
    assert "cannot be read by this version" in str(newer.error)
    assert other.require() == registry.get("v1")


def test_the_mapping_of_an_older_registry_is_read_once_per_bulk() -> None:
    engine = Watched()
    engine.create_index(INDEX, unversioned_layout(without=("routing",)))
    batch = [NewVideo(f"v{i}", f"/{i}.mp4", routing="shop") for i in range(20)]
    done = Registry(engine, index=INDEX).register_many(batch)
    assert all("lacks routing" in str(one.error) for one in done)
    assert +engine.requests == {"mget": 1, "bulk": 1, "mapping": 1}


def test_registering_again_writes_and_sends_nothing(stage: Stage, engine: Watched) -> None:
    stage.register(videos(3))
    engine.requests.clear()
    again = stage.register(videos(3))
    assert +engine.requests == {"mget": 1}
    assert {one.record.state for one in again} == {State.QUEUED}
    assert stage.waiting == 3


def test_a_video_that_cannot_be_registered_does_not_stop_the_others(stage: Stage) -> None:
    good, *bad = done = stage.register(
        [
            NewVideo("good", "/a.mp4"),
            NewVideo("", "/a.mp4"),
            NewVideo("no-uri", " "),
            NewVideo("taken", "/a.mp4", {"video": 1}),
        ]
    )
    assert (good.record.state, good.error) == (State.QUEUED, None)
    assert all(one.record is None and isinstance(one.error, RegistryError) for one in bad)
    assert "needs a uri: give a path, file://" in str(done[2].error)
    assert "s3://" in str(done[2].error)
    assert stage.waiting == 1


def test_an_id_that_is_given_twice_is_registered_once(registry: Registry) -> None:
    first, same, other = registry.register_many(
        [NewVideo("a", "/a.mp4"), NewVideo("a", "/a.mp4"), NewVideo("a", "/b.mp4")]
    )
    assert first == same
    assert registry.get("a").uri == "/a.mp4"
    assert "given twice" in str(other.error)


def test_of_a_url_that_is_given_twice_the_last_signature_counts(registry: Registry) -> None:
    first, second = (
        f"https://h/a.mp4?Expires={at}&Signature={at}&AWSAccessKeyId=k" for at in (1, 2)
    )
    done = registry.register_many([NewVideo("a", first), NewVideo("a", second)])
    assert [one.error for one in done] == [None, None]
    assert registry.get("a").uri == second
    titled = NewVideo("a", first, {"title": "A"})
    _, refused = registry.register_many([NewVideo("a", second), titled])
    assert "given twice" in str(refused.error)


def test_a_refused_duplicate_is_reported_beside_the_accepted_video(stage: Stage) -> None:
    first, other = stage.register([NewVideo("a", uri="/a.mp4"), NewVideo("a", uri="/b.mp4")])
    assert first.error is None
    assert "given twice" in str(other.error)


def test_who_is_overtaken_looks_again(registry: Registry, engine: Watched) -> None:
    engine.before_bulk = lambda: registry.register("v1", uri="/other.mp4")
    done = registry.register_many(videos(3))
    assert [one.error for one in done] == [None] * 3
    assert registry.get("v1").uri == "/1.mp4"
    assert engine.requests["bulk"] == 2, "the second holds the one that was overtaken"


def test_a_worker_that_is_faster_than_the_mark_keeps_its_lease(
    registry: Registry, engine: Watched
) -> None:
    registered = registry.register_many(videos(2))
    engine.before_bulk = lambda: registry.claim("v0", owner="w")
    marked = {one.id: one.record for one in registry.mark_many_queued(registered)}
    assert {id: record and record.state for id, record in marked.items()} == {
        "v0": State.PROCESSING,
        "v1": State.QUEUED,
    }
    assert registry.get("v0").state is State.PROCESSING


def test_a_failed_video_starts_afresh_among_others(registry: Registry) -> None:
    registry.register("v0", uri="/0.mp4", fields={"title": "clip 0"})
    broken = ErrorRecord(type="T", stage="decode", message="m")
    registry.fail(registry.claim("v0", owner="w"), broken)
    states = [one.record and one.record.state for one in registry.register_many(videos(2))]
    assert states == [State.REGISTERED] * 2


def test_what_the_engine_rejects_is_told_of_that_video_alone(
    registry: Registry, engine: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(source: Any, mapping: Any) -> None:
        if source["uri"] == "/1.mp4":
            raise RequestRejectedError("too long")

    monkeypatch.setattr("vidsearch.testing.memory_writes.check", check)
    done = registry.register_many(videos(3))
    assert [one.error is None for one in done] == [True, False, True]
    assert isinstance(done[1].error, MappingConflictError)
    assert "rejected the request for document 'v1': too long" in str(done[1].error)
    assert done[2].record == registry.get("v2")


def test_a_video_that_the_registry_refuses_keeps_its_error_and_no_other_is_read_again(
    registry: Registry, engine: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(source: Any, mapping: Any) -> None:
        if source["uri"] == "/1.mp4":
            raise errors.BackendAccessDeniedError("no right to write /1.mp4")

    monkeypatch.setattr("vidsearch.testing.memory_writes.check", check)
    done = registry.register_many(videos(3))
    assert [type(one.error) for one in done] == [
        type(None),
        errors.BackendAccessDeniedError,
        type(None),
    ]
    assert +engine.requests == {"mget": 1, "bulk": 1}


def test_without_a_broker_the_videos_are_registered_and_say_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def send_task(name: str, *, args: list[str], **options: Any) -> None:
        if len(sent) == 2:
            raise ConnectionError("gone")
        sent.extend(args)

    monkeypatch.setattr(stage.app, "send_task", send_task)
    done = stage.register(videos(4))
    states = [one.record.state for one in done]
    assert states == [State.QUEUED] * 2 + [State.REGISTERED] * 2
    assert [type(one.error) for one in done[2:]] == [BackendUnavailableError] * 2
    assert "'v3' is registered but not queued, the sweep will" in str(done[3].error)


def test_a_broker_that_is_away_is_not_asked_for_every_batch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now = [0], [0.0]

    def send_task(name: str, **options: Any) -> None:
        asked[0] += 1
        raise ConnectionError("gone")

    monkeypatch.setattr(stage.app, "send_task", send_task)
    monkeypatch.setattr("vidsearch_tasks.register.time.monotonic", lambda: now[0])
    stream = stream_registrations(videos(2500), services=stage)  # type: ignore[arg-type]
    done = [next(stream) for _ in range(1500)]
    assert asked == [1]
    now[0] = 31.0
    done += [next(stream) for _ in range(500)]
    assert asked == [2]
    now[0] = 62.0
    monkeypatch.undo()
    done += stream
    assert Counter(one.record.state for one in done if one.record) == {
        State.REGISTERED: 2000,
        State.QUEUED: 500,
    }
    assert [one.changed for one in done] == [True] * 2500
    assert {str(one.error.__cause__) for one in done if one.error} == {
        "the broker at memory:// does not answer: gone. Is it running, and is broker.url right?"
    }
    again = stage.register(videos(2500))
    assert {one.record.state for one in again} == {State.QUEUED}
    assert ([one.changed for one in again], stage.waiting) == ([False] * 2500, 2500)


def test_rows_are_counted_and_bad_ones_told_with_their_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.register(videos(2))

    def send_task(name: str, **options: Any) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(stage.app, "send_task", send_task)
    rows = [Row("list, line 1", video) for video in videos(3)]
    rows += [Row("list, line 2"), Row("list, line 3", error="the uri is empty")]
    rows += [Row("list, line 4", NewVideo("x" * 600, "/a.mp4"))]
    kept: list[str] = []
    registering = Registering(
        stage,  # type: ignore[arg-type]
        fields={"title": "of all", "lang": "en"},
        keep=lambda one: kept.append(one.id),
    )
    registering.run(rows)
    registering.tell()
    assert registering.has_problems
    assert kept == ["v0", "v1", "v2"]
    assert stage.registry.get("v2").fields == {"title": "clip 2", "lang": "en"}
    said = capsys.readouterr().err.splitlines()[1:]
    assert said == [
        "error: list, line 3: the uri is empty",
        f"error: list, line 4: the id '{'x' * 40}'… has more than 512 bytes",
        (
            "error: 3 videos are registered but not queued; the sweep queues them later, or the "
            "same command again: the broker at memory:// does not answer: gone. Is it running, and "
            "is broker.url right?"
        ),
        "3 registered, 1 repeated, 2 bad (3 registered)",
    ]


def test_fields_of_every_video_take_no_others_from_one_that_names_none(stage: Stage) -> None:
    def register(fields: dict[str, Any] | None, *, of_all: dict[str, Any]) -> dict[str, Any]:
        registering = Registering(stage, fields=of_all)  # type: ignore[arg-type]
        registering.run([Row("line 1", NewVideo("a", "/a.mp4", fields))])
        return dict(stage.registry.get("a").fields)

    assert register({"title": "Boat"}, of_all={}) == {"title": "Boat"}
    assert register(None, of_all={}) == {"title": "Boat"}
    assert register(None, of_all={"lang": "en"}) == {"title": "Boat", "lang": "en"}
    assert register({}, of_all={"lang": "de"}) == {"lang": "de"}
    assert register({}, of_all={}) == {}


def test_a_row_whose_file_is_gone_changes_the_fields_of_the_video_that_has_it(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path.resolve()
    (here / "moved.mp4").touch()
    (here / "failed.mp4").touch()

    def register(title: str) -> str:
        lines = ["id,uri,title", f"moved,moved.mp4,{title}", f"other,{here}/new.mp4,{title}"]
        lines += [f"by-uri,{here}/by uri.mp4,{title}", f"failed,failed.mp4,{title}"]
        (here / "list.csv").write_text("\n".join(lines))
        registering = Registering(stage, fields={})  # type: ignore[arg-type]
        registering.run(VideoList(here / "list.csv").rows())
        registering.tell()
        return capsys.readouterr().err

    stage.register([NewVideo("by-uri", f"{here.as_uri()}/by%20uri.mp4", {"title": "Old"})])
    register("Old")
    error = ErrorRecord("SourceNotFoundError", "fetch", "no such file")
    stage.registry.fail(stage.registry.claim("failed", owner="w"), error)
    for name in ("moved.mp4", "failed.mp4"):
        (here / name).unlink()
    said = register("New")
    for id, uri in (("moved", f"{here}/moved.mp4"), ("by-uri", f"{here.as_uri()}/by%20uri.mp4")):
        record = stage.registry.get(id)
        assert (record.uri, record.fields) == (uri, {"title": "New"})
    assert stage.registry.find("other") is None
    assert stage.registry.get("failed").state is State.FAILED
    assert f"line 3: no such file: {here}/new.mp4 (give file:///" in said
    assert "line 5: no such file: failed.mp4" in said
    assert "`vidsearch videos set` changes the fields" in said
    assert "2 registered, 2 bad (2 queued)" in said


def test_the_file_uri_of_a_path_keeps_what_is_known_of_the_file(stage: Stage) -> None:
    stage.register([NewVideo("a", "/a b.mp4")])
    stage.registry.complete(stage.registry.claim("a", owner="w"), content="1" * 64)
    assert stage.registry.register("a", uri="file:///a%20b.mp4").content == "1" * 64
    assert stage.registry.register("a", uri="file:///other.mp4").content is None


def test_a_thousand_bad_rows_are_told_in_a_pipe_and_the_others_counted(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    registering = Registering(stage, fields={})  # type: ignore[arg-type]
    registering.run(Row(f"line {n}", error="the uri is empty") for n in range(1025))
    registering.tell()
    said = capsys.readouterr().err.splitlines()
    assert said[1000:] == [
        "error: line 999: the uri is empty",
        "… and 25 more errors",
        "1025 bad",
    ]


def test_an_aborted_ingest_says_how_far_it_came(
    stage: Stage,
    engine: Watched,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = engine.mget

    def until_interrupted(*args: Any, **options: Any) -> dict[str, Document]:
        if engine.requests["mget"]:
            raise KeyboardInterrupt
        return read(*args, **options)

    monkeypatch.setattr(engine, "mget", until_interrupted)
    rows = (Row("", NewVideo(f"v{i}", f"/{i}.mp4")) for i in range(600))
    with pytest.raises(KeyboardInterrupt):
        Registering(stage, fields={}).run(rows, total=600)  # type: ignore[arg-type]
    assert "Stopped: 500 of 600 videos are registered" in capsys.readouterr().err
    assert stage.registry.counts()[State.QUEUED] == stage.waiting == 500
