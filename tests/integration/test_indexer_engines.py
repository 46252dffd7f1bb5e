"""The managed index and the indexer on each of the engines, without a worker between."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.services import call

from vidsearch.config import IndexSettings, IngestSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.embeddings.index_files import IndexFiles
from vidsearch.engines import Engine
from vidsearch.engines.steps import Answer, Request
from vidsearch.errors import IndexNotFoundError, MappingConflictError, ModelMismatchError
from vidsearch.index import (
    create_videos_index,
    drop_videos_index,
    open_videos_index,
    require_vectors,
    show_videos_index,
)
from vidsearch.ingest import Indexer, missing_videos, write_fields
from vidsearch.local import SearchNode
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry, State
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(index_name: str) -> IndexSettings:
    return IndexSettings(name=index_name, segment_seconds=2)


@pytest.fixture
def registry(engine: Engine, settings: IndexSettings) -> Registry:
    create_videos_index(engine, settings, FakeEncoder().identity)
    return Registry(engine, index=settings.registry, max_attempts=2)


@pytest.fixture
def indexer(engine: Engine, settings: IndexSettings, registry: Registry) -> Indexer:
    return make_indexer(engine, settings, registry, FakeEncoder())


def make_indexer(
    engine: Engine,
    settings: IndexSettings,
    registry: Registry,
    encoder: FakeEncoder,
    **options: Any,
) -> Indexer:
    return Indexer(
        engine,
        registry,
        embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), encoder),
        index=settings,
        settings=IngestSettings(),
        **options,
    )


@pytest.fixture
def clip(tmp_path: Path) -> str:
    def picture(_: int) -> Any:
        return np.full((48, 64, 3), (0, 0, 255), dtype=np.uint8)

    return str(write_clip(tmp_path / "a.mp4", [i / 5 for i in range(25)], picture=picture, rate=5))


@pytest.fixture
def asked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Method, index and endpoint of every request."""
    requests: list[str] = []
    send = engine._send  # type: ignore[attr-defined]

    def noted(request: Request) -> Answer:
        requests.append(" ".join([request.method, *request.path.split("/")[1:3]]))
        return send(request)

    monkeypatch.setattr(engine, "_send", noted)
    return requests


def test_index_is_created_shown_and_dropped(engine: Engine, settings: IndexSettings) -> None:
    with pytest.raises(IndexNotFoundError, match="create it with `vidsearch index create`"):
        open_videos_index(engine, settings)
    identity = FakeEncoder().identity
    name = create_videos_index(engine, settings, identity)
    assert name == f"{settings.name}-000001"
    assert engine.indices_of(settings.name) == (name,)
    with pytest.raises(MappingConflictError, match="exists already"):
        create_videos_index(engine, settings, identity)

    shown = show_videos_index(engine, settings)
    assert (shown["index"], shown["videos"], shown["registered"]) == (name, 0, 0)
    assert shown["model"] == identity.to_meta()
    index = open_videos_index(engine, settings)
    assert index.segment_seconds == 2
    index.require_model(identity)
    with pytest.raises(ModelMismatchError, match=r"fake@1 .* fake@2"):
        index.require_model(FakeEncoder(revision="2").identity)

    other = settings.model_copy(update={"field": "clip"})
    with pytest.raises(MappingConflictError, match=r"'video'.*index\.field is 'clip'"):
        open_videos_index(engine, other)

    assert drop_videos_index(engine, settings) == (name, f"{settings.registry}-000001")
    assert engine.indices_of(settings.name) == ()
    with pytest.raises(IndexNotFoundError):
        drop_videos_index(engine, settings)


def test_index_of_another_origin_is_left_alone(engine: Engine, settings: IndexSettings) -> None:
    engine.create_index(settings.name, {"mappings": {"properties": {"a": {"type": "keyword"}}}})
    with pytest.raises(MappingConflictError, match="was not made by vidsearch"):
        open_videos_index(engine, settings)
    with pytest.raises(MappingConflictError):
        drop_videos_index(engine, settings)
    with pytest.raises(
        MappingConflictError, match=r"was not made by vidsearch.*Choose another name"
    ):
        create_videos_index(engine, settings, FakeEncoder().identity)
    assert engine.indices_of(settings.name) == (settings.name,)
    assert engine.indices_of(settings.registry) == ()


def test_requests_of_a_video_are_few(
    engine: Engine, settings: IndexSettings, registry: Registry, clip: str, asked: list[str]
) -> None:
    store = EmbeddingStore(IndexFiles(engine, settings))
    indexer = make_indexer(engine, settings, registry, FakeEncoder(), embeddings=store)
    for id in ("a", "b"):  # the first one asks for what is asked for once
        registry.register(id, uri=clip)
    assert indexer.ingest("a", owner="w").status == "indexed"
    held, name, files = settings.registry, settings.name, settings.embeddings
    claim, write = [f"GET {held} _doc", f"PUT {held} _doc"], f"PUT {held} _doc"
    document = f"{name}-000001"
    mirror = f"GET {name},{name}-write _alias"

    asked.clear()
    assert indexer.ingest("b", owner="w").status == "indexed"
    assert asked == [
        *claim,
        f"GET {name} _mapping",
        f"POST {files} _mget",
        write,  # the lease is renewed before the document is written
        f"GET {document} _alias",  # a write would create an index that is gone
        f"PUT {document} _create",
        write,
        mirror,
    ]

    registry.reopen("b")
    asked.clear()
    assert indexer.ingest("b", owner="w").status == "unchanged"
    assert asked == [*claim, f"GET {name} _mapping", f"GET {document} _doc", write, mirror]


def test_a_file_that_the_store_does_not_know_takes_three_requests_more(
    engine: Engine,
    settings: IndexSettings,
    registry: Registry,
    clip: str,
    tmp_path: Path,
    asked: list[str],
) -> None:
    other = write_clip(tmp_path / "other.mp4", [i / 5 for i in range(10)], rate=5)
    store = EmbeddingStore(IndexFiles(engine, settings))
    indexer = make_indexer(engine, settings, registry, FakeEncoder(), embeddings=store)
    registry.register("a", uri=clip)
    assert indexer.ingest("a", owner="w").status == "indexed"
    registry.register("b", uri=str(other))
    asked.clear()
    assert indexer.ingest("b", owner="w").status == "indexed"
    of_store = [one.split()[-1] for one in asked if settings.embeddings in one]
    assert of_store == ["_mget", "_doc", "_doc"], "frames and facts are read, and each is written"


def test_changed_fields_keep_the_vectors(
    engine: Engine, settings: IndexSettings, registry: Registry, indexer: Indexer, clip: str
) -> None:
    registry.register("a", uri=clip, fields={"title": "Blue", "year": 2020})
    assert indexer.ingest("a", owner="w").status == "indexed"
    index = open_videos_index(engine, settings)
    first = index.read("a")
    assert first is not None
    assert len(first.source["video"]["vector"]) == FakeEncoder().identity.dims
    registry.register("a", uri=clip, fields={"title": "Azure"})
    (written,) = write_fields(registry, index, ["a"])
    assert (written.require().state, written.require().due_at) == (State.INDEXED, None)
    second = index.read("a")
    assert second is not None
    assert second.source == {"title": "Azure", "video": first.source["video"]}


def test_field_that_does_not_fit_the_mapping_fails_the_video(
    engine: Engine, registry: Registry, indexer: Indexer, clip: str
) -> None:
    registry.register("a", uri=clip, fields={"year": 2020})
    assert indexer.ingest("a", owner="w").status == "indexed"
    registry.register("b", uri=clip, fields={"year": "long ago"})
    assert indexer.ingest("b", owner="w").status == "failed"
    error = registry.get("b").error
    assert error is not None
    assert (error.type, error.stage) == ("DocumentRejectedError", "write")
    assert "year" in error.message


def test_index_of_another_model_is_refused_without_using_up_an_attempt(
    engine: Engine, settings: IndexSettings, registry: Registry, clip: str
) -> None:
    registry.register("a", uri=clip)
    other = make_indexer(engine, settings, registry, FakeEncoder(revision="2"))
    outcome = other.ingest("a", owner="w")
    assert outcome.status == "retry"
    assert isinstance(outcome.error, ModelMismatchError)
    assert re.search(r"fake@1 .* fake@2", str(outcome.error))
    record = registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert "fake@2" in str(record.error)
    assert engine.get(f"{settings.name}-000001", "a") is None


def test_missing_vectors_are_found(
    engine: Engine,
    settings: IndexSettings,
    registry: Registry,
    indexer: Indexer,
    clip: str,
    search_node: SearchNode,
) -> None:
    for id in ("a", "b", "c"):
        registry.register(id, uri=clip)
        indexer.ingest(id, owner="w")
    index = open_videos_index(engine, settings)
    engine.refresh(index.name)
    assert list(missing_videos(registry, index)) == []
    index.remove("a")
    index.engine.put(index.name, "b", {"title": "overwritten"})
    engine.refresh(index.name)
    assert {record.id for record in missing_videos(registry, index)} == {"a", "b"}
    registry.reopen("a", forget=True)
    assert indexer.ingest("a", owner="w").status == "indexed"
    assert registry.get("a").state is State.INDEXED
    # As an application changes a field: newer engines leave vectors out of what it reads.
    place = f"/{index.name}/_doc/c"
    excluded = "?_source_excludes=video.vector,video.segments.vector"
    read = call(search_node.url, "GET", f"{place}{excluded}")["_source"]
    if search_node.version == "9.5.3":
        assert read == call(search_node.url, "GET", place)["_source"]
    call(search_node.url, "PUT", place, {**read, "title": "New"})
    engine.refresh(index.name)
    assert {record.id for record in missing_videos(registry, index)} == {"b", "c"}
    with pytest.raises(MappingConflictError, match="`vidsearch reindex --missing` writes them"):
        engine.run(require_vectors(engine.calls, index.name, index.field, all_of_them=True))
    registry.reopen("c")
    assert indexer.ingest("c", owner="w").status == "indexed"
    engine.refresh(index.name)
    assert {record.id for record in missing_videos(registry, index)} == {"b"}
    engine.run(require_vectors(engine.calls, index.name, index.field, all_of_them=True))
