"""One video's way through the indexer: real files, the engine and the encoder faked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.encoders import Vectors, require_sound
from vidsearch.engines import Write
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    BackendUnavailableError,
    DecoderKilledError,
    EncoderError,
    IndexNotFoundError,
    MappingConflictError,
    MissingExtraError,
    ModelMismatchError,
    ModelUnavailableError,
    RequestTooLargeError,
    SourceUnavailableError,
    VersionConflictError,
    VideoNotRegisteredError,
    VidsearchError,
    WorkerStoppingError,
)
from vidsearch.index import create_videos_index
from vidsearch.index.videos_index import open_videos_index
from vidsearch.ingest import Indexer, attempt, delete_video, remove_document
from vidsearch.media import FrameBatch, MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Lease, Registry, State, VideoRecord, sweep
from vidsearch.stop import Stop
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="videos", segment_seconds=2.0)


class Flaky(MemoryEngine):
    """Answers until told not to."""

    away = False

    def mappings_behind(self, name: str) -> Any:
        if self.away:
            raise BackendUnavailableError("connection refused")
        return super().mappings_behind(name)

    def get(self, index: str, id: str, **options: Any) -> Any:
        if self.away:
            raise BackendUnavailableError("connection refused")
        return super().get(index, id, **options)

    def put(self, index: str, id: str, source: Any, **options: Any) -> Any:
        if self.away:
            raise BackendUnavailableError("connection refused")
        return super().put(index, id, source, **options)


class Watched(FakeEncoder):
    """Counts frames, and lets a test step in before each batch."""

    frames = 0
    before: Callable[[], None] = staticmethod(lambda: None)

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        type(self).before()
        self.frames += len(frames.pts_seconds)
        return super().encode_frames(frames)


@pytest.fixture
def memory() -> Flaky:
    engine = Flaky()
    create_videos_index(engine, SETTINGS, FakeEncoder().identity)
    return engine


@pytest.fixture
def registry(memory: Flaky) -> Registry:
    return Registry(memory, index=SETTINGS.registry, lease_seconds=30, max_attempts=2)


@pytest.fixture
def encoder() -> Watched:
    class Fresh(Watched):
        pass

    fresh = Fresh()
    require_sound(fresh)  # whose frames are not counted below
    fresh.frames = 0
    return fresh


@pytest.fixture
def indexer(memory: Flaky, registry: Registry, encoder: Watched) -> Indexer:
    return make_indexer(memory, registry, encoder)


def make_indexer(
    memory: MemoryEngine, registry: Registry, encoder: FakeEncoder, **options: Any
) -> Indexer:
    return Indexer(
        memory,
        registry,
        embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), encoder, batch_size=2),
        index=SETTINGS,
        settings=IngestSettings(),
        sources=SourceSettings(private_hosts=("127.0.0.1",)),
        **options,
    )


def stored(memory: MemoryEngine, id: str) -> dict[str, Any]:
    document = memory.get("videos", id)
    assert document is not None
    return document.source


def test_registered_video_becomes_a_document(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path
) -> None:
    registry.register("a", uri=str(red), fields={"title": "Red", "tags": ["x"]})
    outcome = indexer.ingest("a", owner="w")
    assert outcome.status == "indexed"
    source = stored(memory, "a")
    assert (source["title"], source["tags"]) == ("Red", ["x"])
    ours = source["video"]
    assert ours["uri"] == str(red)
    assert (ours["width"], ours["height"]) == (64, 48)
    assert ours["duration"] == pytest.approx(6.0, abs=0.11)
    assert ours["model"] == "fake@1"
    assert np.linalg.norm(ours["vector"]) == pytest.approx(1, abs=1e-6)
    assert [(s["start"], s["end"]) for s in ours["segments"]] == [
        (0, 2),
        (2, 4),
        (4, pytest.approx(6.0, abs=0.11)),
    ]
    text = FakeEncoder().encode_text(["red"])[0]
    assert np.dot(text, ours["vector"]) > 0.9
    record = registry.get("a")
    assert record == outcome.record
    assert (record.state, record.frames, record.segments) == (State.INDEXED, 6, 3)
    assert record.fingerprint == ours["fingerprint"]
    assert list(record.seconds) == [
        "prepare",
        "fetch",
        "hash",
        "decode",
        "encode",
        "subtitles",
        "write",
    ]


def test_same_content_is_not_embedded_twice(
    memory: Flaky, registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    registry.register("a", uri=str(red), fields={"title": "Red"})
    indexer.ingest("a", owner="w")
    embedded, first = encoder.frames, stored(memory, "a")
    registry.register("a", uri=str(red), fields={"title": "Crimson"})
    registry.reopen("a")
    assert indexer.ingest("a", owner="w").status == "unchanged"
    assert encoder.frames == embedded
    assert stored(memory, "a") == {**first, "title": "Crimson"}
    assert registry.get("a").frames == 6

    registry.reopen("a")
    before = memory.get("videos", "a")
    assert indexer.ingest("a", owner="w").status == "unchanged"
    assert memory.get("videos", "a") == before, "nothing to write"

    registry.reopen("a", forget=True)
    another = make_indexer(memory, registry, encoder)  # the first one knows the pictures
    assert another.ingest("a", owner="w").status == "indexed"
    assert encoder.frames == 2 * embedded


def test_what_a_lost_worker_left_of_a_new_video_is_written_over(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path
) -> None:
    registry.register("a", uri=str(red), fields={"title": "Red"})
    memory.put("videos", "a", {"video": {"uri": "/before.mp4"}, "left": True})
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert stored(memory, "a").keys() == {"title", "video"}
    assert stored(memory, "a")["video"]["uri"] == str(red)


def test_a_video_that_is_embedded_anew_is_read_first_and_written_once(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    registry.reopen("a", forget=True)
    put, written = memory.put, []
    monkeypatch.setattr(
        memory,
        "put",
        lambda index, *rest, **more: written.append(index) or put(index, *rest, **more),
    )
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert written.count("videos-000001") == 1


def test_lost_document_is_embedded_again(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path
) -> None:
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    memory.delete("videos", "a")
    registry.reopen("a")
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert stored(memory, "a")["video"]["segments"]


def test_changed_file_under_the_same_uri_is_embedded_again(
    registry: Registry, indexer: Indexer, red: Path, tmp_path: Path
) -> None:
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    first = registry.get("a").fingerprint
    write_clip(red, [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
    registry.reopen("a")
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert registry.get("a").fingerprint != first


def test_duplicate_message_for_an_indexed_video_is_skipped(
    memory: Flaky, registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    document, embedded = memory.get("videos", "a"), encoder.frames
    outcome = indexer.ingest("a", owner="late")
    assert (outcome.status, outcome.reason) == (
        "skipped",
        "video 'a' is indexed, nothing is to be done",
    )
    assert (memory.get("videos", "a"), encoder.frames) == (document, embedded)


@pytest.mark.parametrize(
    ("content", "kind", "stage"),
    [(b"this is no video", "VideoOpenError", "decode"), (None, "SourceNotFoundError", "fetch")],
    ids=["damaged", "absent"],
)
def test_unreadable_file_fails_with_the_reason(
    memory: Flaky,
    registry: Registry,
    indexer: Indexer,
    tmp_path: Path,
    content: bytes | None,
    kind: str,
    stage: str,
) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    registry.register("a", uri=str(path))
    outcome = indexer.ingest("a", owner="w")
    record = registry.get("a")
    assert (outcome.status, record.state) == ("failed", State.FAILED)
    assert record.error is not None
    assert (record.error.type, record.error.stage) == (kind, stage)
    assert "bad.mp4" in record.error.message
    assert memory.get("videos", "a") is None


def test_uri_without_a_reader_fails(registry: Registry, indexer: Indexer) -> None:
    registry.register("a", uri="gopher://host/a.mp4")
    assert indexer.ingest("a", owner="w").status == "failed"
    assert "gopher" in str(registry.get("a").error)


def test_unregistered_id_raises(indexer: Indexer) -> None:
    with pytest.raises(VideoNotRegisteredError, match="'nobody'"):
        indexer.ingest("nobody", owner="w")


def test_encoder_of_another_model_raises_with_both_names(
    memory: Flaky, registry: Registry, red: Path
) -> None:
    registry.register("a", uri=str(red))
    other = make_indexer(memory, registry, FakeEncoder(revision="2"))
    assert isinstance(other.ingest("a", owner="w").error, ModelMismatchError)
    error = registry.get("a").error
    assert error is not None
    assert (error.type, error.stage) == (ModelMismatchError.__name__, "prepare")
    assert "fake@1" in error.message
    assert "fake@2" in error.message
    assert memory.get("videos", "a") is None


def test_vectors_of_other_dims_than_the_index_are_not_written(
    memory: Flaky, registry: Registry, red: Path
) -> None:
    class Short(FakeEncoder):
        def encode_frames(self, frames: FrameBatch) -> Vectors:
            return super().encode_frames(frames)[:, :16]

    registry.register("a", uri=str(red))
    outcome = make_indexer(memory, registry, Short()).ingest("a", owner="w")
    with pytest.raises(
        ModelMismatchError, match=r"'fake', Short.encode_frames .* 16 dims, .* says 32"
    ):
        raise outcome.error or AssertionError
    assert memory.get("videos", "a") is None
    assert registry.get("a").attempts == 0, "the worker is at fault, not the video"


@pytest.mark.parametrize(
    "fault",
    [
        ModelUnavailableError("the hub did not answer"),
        BackendAccessDeniedError("401"),
        MissingExtraError.of("worker", needed_for="decoding video"),
        IndexNotFoundError("gone"),
        MappingConflictError("another layout"),
        BackendError("a proxy answered"),
    ],
)
def test_setup_error_uses_up_no_attempt(
    registry: Registry, indexer: Indexer, encoder: Watched, red: Path, fault: VidsearchError
) -> None:
    def fall() -> None:
        raise fault

    type(encoder).before = staticmethod(fall)
    registry.register("a", uri=str(red))
    for _ in range(5):
        outcome = indexer.ingest("a", owner="w")
        assert (outcome.status, outcome.error) == ("retry", fault)
        record = registry.get("a")
        assert (record.state, record.attempts) == (State.REGISTERED, 0)
        assert record.due_at == record.updated_at, "other workers may take it at once"
    assert str(fault) in str(record.error)
    type(encoder).before = staticmethod(lambda: None)
    assert indexer.ingest("a", owner="w").status == "indexed"


def test_unexpected_error_is_recorded_and_counted(
    registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    def fall() -> None:
        raise RuntimeError("out of luck")

    type(encoder).before = staticmethod(fall)
    registry.register("a", uri=str(red))
    outcome = indexer.ingest("a", owner="w")
    record = registry.get("a")
    assert (outcome.status, record.state, record.attempts) == ("retry", State.REGISTERED, 1)
    assert str(record.error) == "RuntimeError (encode): out of luck"
    assert record.due_at is not None
    assert 2.5 <= record.due_at - record.updated_at <= 5, "the setting ingest.retry_seconds"
    assert indexer.ingest("a", owner="w").status == "dead"


@pytest.mark.parametrize("fault", [EncoderError("NaN"), DecoderKilledError("SIGKILL")])
def test_error_of_unknown_fault_is_counted(
    registry: Registry, indexer: Indexer, encoder: Watched, red: Path, fault: VidsearchError
) -> None:
    def fall() -> None:
        raise fault

    type(encoder).before = staticmethod(fall)
    registry.register("a", uri=str(red))
    assert [indexer.ingest("a", owner="w").status for _ in range(2)] == ["retry", "dead"]


def test_index_of_another_application_uses_up_no_attempt(registry: Registry, red: Path) -> None:
    other = MemoryEngine()
    other.create_index("videos", {"mappings": {"properties": {"title": {"type": "text"}}}})
    indexer = make_indexer(other, registry, FakeEncoder())
    registry.register("a", uri=str(red))
    outcome = indexer.ingest("a", owner="w")
    with pytest.raises(MappingConflictError, match="not made by vidsearch"):
        raise outcome.error or AssertionError
    record = registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)


def test_work_outlasts_an_outage_of_the_engine_and_is_done_once(
    memory: Flaky, registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    def leave() -> None:
        memory.away = True

    type(encoder).before = staticmethod(leave)
    back = threading.Timer(2, setattr, [memory, "away", False])
    back.start()
    registry.register("a", uri=str(red))
    assert indexer.ingest("a", owner="message-1").status == "indexed"
    assert not memory.away
    assert (registry.get("a").attempts, encoder.frames) == (1, 6)


def test_outage_before_the_work_leaves_the_lease_to_its_owner(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = registry.claim

    def claim_and_leave(id: str, *, owner: str) -> Lease:
        lease = claim(id, owner=owner)
        memory.away = True
        return lease

    registry.register("a", uri=str(red))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "claim", claim_and_leave)
        with pytest.raises(BackendUnavailableError):
            indexer.ingest("a", owner="message-1")
    with pytest.raises(BackendUnavailableError):
        indexer.ingest("a", owner="message-1")
    memory.away = False
    assert registry.get("a").state is State.PROCESSING, "it could not be given back"
    assert indexer.ingest("a", owner="message-2").status == "skipped", "the lease is live"
    assert indexer.ingest("a", owner="message-1").status == "indexed"
    assert registry.get("a").attempts == 1


def test_write_that_alone_is_not_answered_is_given_up_for_now(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = memory.put

    def refuse(index: str, id: str, source: Any, **options: Any) -> Any:
        if index == "videos-000001":
            raise BackendUnavailableError("429: too many requests")
        return put(index, id, source, **options)

    monkeypatch.setattr(memory, "put", refuse)
    monkeypatch.setattr(attempt, "engine_delay", lambda tries: 0.0)
    registry.register("a", uri=str(red))
    outcome = indexer.ingest("a", owner="w")
    assert (outcome.status, str(outcome.error)) == ("retry", "429: too many requests")
    record = registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.failing_since is not None


def test_work_stops_between_two_batches_and_its_lease_is_kept_for_handing_back(
    memory: Flaky, registry: Registry, encoder: Watched, tmp_path: Path
) -> None:
    moving = write_clip(tmp_path / "moving.mp4", [i / 10 for i in range(60)], rate=10)
    stop = Stop()
    indexer = make_indexer(memory, registry, encoder, stop=stop)
    type(encoder).before = staticmethod(stop.set)
    registry.register("a", uri=str(moving))
    with pytest.raises(WorkerStoppingError):
        indexer.ingest("a", owner="w")
    assert encoder.frames == 2, "one batch"
    assert registry.get("a").state is State.PROCESSING
    assert registry.hand_back("a", owner="w").attempts == 0


def test_work_stops_while_it_waits_for_the_engine(
    memory: Flaky, registry: Registry, encoder: Watched, red: Path
) -> None:
    stop = Stop()

    def leave() -> None:
        memory.away = True

    type(encoder).before = staticmethod(leave)
    threading.Timer(1, stop.set).start()
    registry.register("a", uri=str(red))
    started = time.monotonic()
    with pytest.raises(WorkerStoppingError):
        make_indexer(memory, registry, encoder, stop=stop).ingest("a", owner="w")
    assert time.monotonic() - started < 20


def test_source_that_never_answers_ends_dead_by_its_age(memory: Flaky, encoder: Watched) -> None:
    now = [time.time()]
    registry = Registry(
        memory, index=SETTINGS.registry, lease_seconds=30, max_attempts=2, clock=lambda: now[0]
    )
    indexer = make_indexer(memory, registry, encoder)
    registry.register("a", uri="http://127.0.0.1:1/a.mp4")
    for _ in range(5):
        assert isinstance(indexer.ingest("a", owner="w").error, SourceUnavailableError)
        record = registry.get("a")
        assert (record.state, record.attempts) == (State.REGISTERED, 0)
        assert "127.0.0.1:1" in str(record.error)
        now[0] += 14 * 3600
    now[0] += 3600
    outcome = indexer.ingest("a", owner="w")
    assert outcome.status == "retry", "after less than three days"
    now[0] += 1.1 * 3600
    assert indexer.ingest("a", owner="w").status == "dead"
    record = registry.get("a")
    assert record.state is State.DEAD
    assert "127.0.0.1:1" in str(record.error)


def test_deletion_during_the_work_leaves_no_document(
    memory: Flaky, registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    index = open_videos_index(memory, SETTINGS)
    type(encoder).before = staticmethod(lambda: delete_video(registry, index, "a"))
    registry.register("a", uri=str(red))
    assert indexer.ingest("a", owner="w").status == "skipped"
    assert memory.get("videos", "a") is None
    assert registry.get("a").state is State.DELETED


def test_deletion_between_write_and_completion_leaves_no_document(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tombstone is laid after the document is written, and its layer found no document yet.
    written: list[str] = []
    put = memory.put

    def put_then_delete(index: str, id: str, source: Any, **options: Any) -> Any:
        revision = put(index, id, source, **options)
        if index == "videos-000001":
            written.append(id)
            registry.delete(id)
        return revision

    monkeypatch.setattr(memory, "put", put_then_delete)
    registry.register("a", uri=str(red))
    assert indexer.ingest("a", owner="w").status == "skipped"
    assert written == ["a"]
    assert memory.get("videos", "a") is None
    assert registry.get("a").state is State.DELETED


def test_deletion_removes_a_document_that_the_user_just_wrote(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = touch_before_delete(memory, monkeypatch)
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    delete_video(registry, open_videos_index(memory, SETTINGS), "a")
    assert touched == ["a"]
    assert memory.get("videos", "a") is None


def test_indexer_removes_its_write_after_a_deletion_although_the_user_wrote_too(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = touch_before_delete(memory, monkeypatch)
    complete = registry.complete

    def delete_first(lease: Any, **values: Any) -> Any:
        registry.delete("a")
        return complete(lease, **values)

    monkeypatch.setattr(registry, "complete", delete_first)
    registry.register("a", uri=str(red))
    assert indexer.ingest("a", owner="w").status == "skipped"
    assert touched == ["a"]
    assert memory.get("videos", "a") is None


def touch_before_delete(memory: Flaky, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the user update a document once, after it was read and before it is removed."""
    touched: list[str] = []
    delete = memory.delete

    def late(index: str, id: str, **options: Any) -> bool:
        if not touched:
            touched.append(id)
            memory.bulk(index, [Write("update", id, {"views": 1})])
        return delete(index, id, **options)

    monkeypatch.setattr(memory, "delete", late)
    return touched


def test_worker_without_its_lease_does_not_overwrite_its_successor(
    memory: Flaky, registry: Registry, red: Path, tmp_path: Path
) -> None:
    blue = write_clip(
        tmp_path / "blue.mp4", [i / 10 for i in range(20)], picture=solid((0, 0, 255)), rate=10
    )

    class Overtaken(FakeEncoder):
        def encode_frames(self, frames: FrameBatch) -> Vectors:
            registry.register("a", uri=str(blue))
            make_indexer(memory, registry, FakeEncoder()).ingest("a", owner="new")
            return super().encode_frames(frames)

    registry.register("a", uri=str(red))
    outcome = make_indexer(memory, registry, Overtaken()).ingest("a", owner="old")
    assert outcome.status == "skipped"
    assert stored(memory, "a")["video"]["uri"] == str(blue)
    assert registry.get("a").state is State.INDEXED


def test_worker_delayed_before_its_write_does_not_overwrite_its_successor(
    memory: Flaky, registry: Registry, red: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blue = write_clip(
        tmp_path / "blue.mp4", [i / 10 for i in range(20)], picture=solid((0, 0, 255)), rate=10
    )
    put = memory.put

    def late(index: str, id: str, source: Any, **options: Any) -> Any:
        if index == "videos-000001":
            monkeypatch.setattr(memory, "put", put)
            registry.register("a", uri=str(blue))
            make_indexer(memory, registry, FakeEncoder()).ingest("a", owner="new")
        return put(index, id, source, **options)

    registry.register("a", uri=str(red))
    monkeypatch.setattr(memory, "put", late)
    outcome = make_indexer(memory, registry, FakeEncoder()).ingest("a", owner="old")
    assert outcome.status == "skipped"
    assert stored(memory, "a")["video"]["uri"] == str(blue)
    assert registry.get("a").state is State.INDEXED


def test_document_that_the_user_wrote_during_the_work_is_indexed(
    memory: Flaky, registry: Registry, indexer: Indexer, encoder: Watched, red: Path
) -> None:
    registry.register("a", uri=str(red), fields={"title": "Red"})
    type(encoder).before = staticmethod(lambda: memory.put("videos", "a", {"views": 1}))
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert stored(memory, "a")["title"] == "Red"


def test_work_longer_than_the_lease_keeps_it(memory: Flaky, encoder: Watched, red: Path) -> None:
    registry = Registry(memory, index=SETTINGS.registry, lease_seconds=0.3)
    type(encoder).before = staticmethod(lambda: time.sleep(0.4))
    registry.register("a", uri=str(red))
    assert make_indexer(memory, registry, encoder).ingest("a", owner="w").status == "indexed"
    assert registry.get("a").attempts == 1


@pytest.mark.parametrize(
    "refusal",
    [
        MappingConflictError("failed to parse field [year] of type [long]"),
        RequestTooLargeError("a document with [year] is too large"),
    ],
)
def test_document_that_the_index_does_not_take_fails_the_video(
    memory: Flaky,
    registry: Registry,
    indexer: Indexer,
    red: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: BackendError,
) -> None:
    put = memory.put

    def refuse(index: str, id: str, source: Any, **options: Any) -> Any:
        if index == "videos-000001":
            raise refusal
        return put(index, id, source, **options)

    monkeypatch.setattr(memory, "put", refuse)
    registry.register("a", uri=str(red), fields={"year": "unknown"})
    assert indexer.ingest("a", owner="w").status == "failed"
    error = registry.get("a").error
    assert error is not None
    assert error.type == "DocumentRejectedError"
    assert "[year]" in error.message


def test_document_that_changes_before_every_write_is_retried(
    memory: Flaky, registry: Registry, indexer: Indexer, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = memory.put

    def conflict(index: str, id: str, source: Any, **options: Any) -> Any:
        if index == "videos-000001":
            raise VersionConflictError("changed")
        return put(index, id, source, **options)

    monkeypatch.setattr(memory, "put", conflict)
    registry.register("a", uri=str(red))
    assert indexer.ingest("a", owner="w").status == "retry"
    assert "keeps changing" in str(registry.get("a").error)


class Sweep:
    """A sweep with a queue that is a list."""

    def __init__(self, memory: Flaky, registry: Registry) -> None:
        self.sent: list[str] = []
        self.broken = False
        self.waiting: set[str] = set()
        self._memory, self._registry = memory, registry

    def send(self, records: Sequence[VideoRecord]) -> Any:
        if self.broken:
            return (), BackendUnavailableError("no broker")
        ids = [record.id for record in records]
        self.sent += ids
        return ids, None

    def __call__(self) -> Any:
        index = open_videos_index(self._memory, SETTINGS)
        return sweep(
            self._registry,
            send=self.send,
            lost=lambda ids: [id for id in ids if id not in self.waiting],
            clean=lambda id: remove_document(self._registry, index, id),
            room={"interactive": 100, "bulk": 100},
        )


class Late(Registry):
    """A registry whose clock can be put forward."""

    ahead = 0.0

    def __init__(self, memory: Flaky) -> None:
        super().__init__(
            memory,
            index=SETTINGS.registry,
            lease_seconds=30,
            max_attempts=2,
            clock=lambda: time.time() + self.ahead,
        )


def test_sweep_requeues_lost_messages_and_workers(memory: Flaky, red: Path) -> None:
    registry = Late(memory)
    run = Sweep(memory, registry)
    for id in ("never-sent", "lost-message", "lost-worker", "done"):
        registry.register(id, uri=str(red))
    registry.mark_queued("lost-message")
    registry.claim("lost-worker", owner="w")
    make_indexer(memory, registry, FakeEncoder()).ingest("done", owner="w")
    assert run().requeued == (), "nothing is late yet"
    registry.ahead = 31
    report = run()
    assert sorted(report.requeued) == ["lost-message", "lost-worker", "never-sent"]
    assert sorted(run.sent) == sorted(report.requeued)
    assert registry.get("lost-worker").state is State.QUEUED
    assert registry.get("lost-worker").attempts == 1
    assert run().requeued == (), "they have their time again"


def test_sweep_requeues_nothing_that_waits_in_the_queue(memory: Flaky, registry: Registry) -> None:
    late = Late(memory)
    run = Sweep(memory, late)
    for id in ("a", "b"):
        late.register(id, uri="/x.mp4")
        late.mark_queued(id)
    late.ahead = 31
    run.waiting = {"a", "b"}
    assert run().requeued == ()
    run.waiting = set()
    assert sorted(run().requeued) == ["a", "b"]


def test_video_that_kills_its_workers_ends_dead(memory: Flaky, red: Path) -> None:
    registry = Late(memory)
    run = Sweep(memory, registry)
    registry.register("a", uri=str(red))
    for _ in range(2):
        registry.claim("a", owner="w")
        registry.ahead += 31
        report = run()
    assert report.dead == ("a",)
    record = registry.get("a")
    assert record.state is State.DEAD
    assert "fell silent in attempt 2" in str(record.error)


def test_sweep_without_a_broker_leaves_videos_to_the_next_sweep(memory: Flaky, red: Path) -> None:
    registry = Late(memory)
    run = Sweep(memory, registry)
    registry.register("a", uri=str(red))
    registry.claim("a", owner="w")
    registry.ahead = 31
    run.broken = True
    report = run()
    assert (report.waiting, report.problem) == (("a",), "no broker")
    assert registry.get("a").state is State.REGISTERED
    run.broken = False
    report = run()
    assert (report.sent, report.requeued) == (("a",), ()), "it was recovered before"
    assert registry.get("a").state is State.QUEUED


def test_sweep_removes_what_a_killed_worker_wrote_after_a_deletion(
    memory: Flaky, red: Path
) -> None:
    registry = Late(memory)
    registry.register("a", uri=str(red))
    registry.claim("a", owner="w")
    registry.delete("a")
    memory.put("videos", "a", {"title": "left behind"})
    registry.ahead = 31
    assert Sweep(memory, registry)().cleaned == ("a",)
    assert memory.get("videos", "a") is None


def test_purge_during_a_sweep_does_not_end_it(memory: Flaky, red: Path) -> None:
    registry = Late(memory)
    run = Sweep(memory, registry)
    for id in ("a", "b", "c"):
        registry.register(id, uri=str(red))
    registry.ahead = 31
    purged: list[str] = []
    recover_many, take_due = registry.recover_many, registry.take_due

    def purge(id: str) -> None:
        purged.append(id)
        memory.delete(SETTINGS.registry, id)

    def purge_before(ids: Iterable[str]) -> Any:
        first, *_ = ids = list(ids)
        purge(first)
        return recover_many(ids)

    def purge_after(ids: Iterable[str]) -> Any:
        ids = list(ids)
        if len(purged) == 1:
            purge(ids[0])
        return take_due(ids)

    registry.recover_many = purge_before  # type: ignore[method-assign]
    registry.take_due = purge_after  # type: ignore[method-assign]
    report = run()
    (left,) = {"a", "b", "c"} - set(purged)
    assert report.requeued == (left,)
    assert registry.get(left).state is State.QUEUED


def test_outage_that_cannot_be_recorded_raises_that_with_the_first_error_as_its_cause(
    memory: Flaky, registry: Registry, encoder: Watched, indexer: Indexer, red: Path
) -> None:
    def go_away() -> None:
        memory.away = True
        raise SourceUnavailableError("the disk is gone")

    type(encoder).before = staticmethod(go_away)
    registry.register("a", uri=str(red))
    with pytest.raises(BackendUnavailableError, match="connection refused") as caught:
        indexer.ingest("a", owner="w")
    cause = caught.value.__cause__
    assert isinstance(cause, SourceUnavailableError)
    assert str(cause) == "the disk is gone"
