"""Two writers of vidsearch at one document of an attached index, at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from vidsearch.config import IndexSettings, IngestSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.engines import Engine
from vidsearch.index import VideosIndex, attach_index, open_videos_index
from vidsearch.ingest import Indexer, delete_video
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry, State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration


class Held:
    """An engine that holds a write to one index, just before or just after it.

    ``skip`` is the number of writes before it that pass.
    """

    def __init__(self, engine: Any, index: str, *, after: bool = False, skip: int = 0) -> None:
        self._engine, self._index, self._after, self._skip = engine, index, after, skip
        self.reached, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def put(self, index: str, id: str, source: Any, **options: Any) -> Any:
        ours = index == self._index
        if not ours or self.reached.is_set() or self._skip:
            self._skip -= ours and self._skip > 0
            return self._engine.put(index, id, source, **options)
        if self._after:
            written = self._engine.put(index, id, source, **options)
        self.reached.set()
        assert self.go.wait(60)
        return written if self._after else self._engine.put(index, id, source, **options)


class Shop:
    """An index of an application with one document, attached."""

    def __init__(self, engine: Engine, name: str, folder: Path) -> None:
        self.engine = engine
        self.settings = IndexSettings(name=name, segment_seconds=2, replicas=0)
        self.red, self.blue = (
            str(write_clip(folder / f"{colour}.mp4", [0.0, 0.5, 1.0], picture=solid(rgb)))
            for colour, rgb in (("red", (255, 0, 0)), ("blue", (0, 0, 255)))
        )
        body = {
            "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 0}},
            "mappings": {"properties": {"url": {"type": "keyword"}, "title": {"type": "text"}}},
        }
        if engine.kind == "opensearch":
            body["settings"]["index"]["knn"] = True
        engine.create_index(name, body)
        engine.put(name, "a", {"title": "a shirt", "url": self.red}, version=7)
        attach_index(engine, self.settings, FakeEncoder().identity, uri_field="url")
        self.registry = Registry(engine, index=self.settings.registry)
        self.pool = ThreadPoolExecutor(2)

    def index_of(self, engine: Any) -> VideosIndex:
        return open_videos_index(engine, self.settings)

    def ingest(self, engine: Any = None) -> str:
        indexer = Indexer(
            engine or self.engine,
            self.registry,
            embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), FakeEncoder()),
            index=self.settings,
            settings=IngestSettings(),
        )
        return indexer.ingest("a", owner=f"w{id(indexer)}").status

    def held(self, **options: Any) -> Held:
        return Held(self.engine, self.settings.name, **options)

    def begun(self, held: Held, work: Callable[[], Any]) -> Future[Any]:
        """Work in another thread, which has come to the write that is held."""
        future = self.pool.submit(work)
        assert held.reached.wait(60)
        return future

    def vectors_are_those_of(self, uri: str) -> bool:
        found = self.engine.get(self.settings.name, "a")
        record = self.registry.get("a")
        assert found is not None
        assert (found.source["title"], found.version) == ("a shirt", 7)
        video = found.source.get("video", {})
        same = video.get("fingerprint") == record.fingerprint is not None
        return same and "vector" in video and video["uri"] == uri == record.uri


@pytest.fixture
def shop(engine: Engine, index_name: str, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(engine, index_name, tmp_path)
    with shop.pool:
        yield shop


def test_delete_that_comes_late_does_not_cost_the_new_vectors(shop: Shop) -> None:
    shop.registry.register("a", uri=shop.red)
    assert shop.ingest() == "indexed"
    held = shop.held()
    deleted = shop.begun(held, lambda: delete_video(shop.registry, shop.index_of(held), "a"))
    shop.registry.register("a", uri=shop.blue)
    assert shop.ingest() == "indexed"
    assert shop.vectors_are_those_of(shop.blue)
    held.go.set()
    deleted.result(60)
    record = shop.registry.get("a")
    assert (record.state, record.fingerprint) == (State.REGISTERED, None), "for the sweep"
    assert shop.ingest() == "indexed"
    assert shop.vectors_are_those_of(shop.blue)


def test_delete_between_write_and_completion_does_not_cost_the_new_vectors(shop: Shop) -> None:
    shop.registry.register("a", uri=shop.red)
    assert shop.ingest() == "indexed"
    held = shop.held()
    deleted = shop.begun(held, lambda: delete_video(shop.registry, shop.index_of(held), "a"))
    shop.registry.register("a", uri=shop.blue)
    written = shop.held(after=True)
    ingested = shop.begun(written, lambda: shop.ingest(written))
    held.go.set()
    deleted.result(60)
    written.go.set()
    assert ingested.result(60) == "indexed"
    assert shop.registry.get("a").state is State.INDEXED
    assert shop.vectors_are_those_of(shop.blue)


def test_vectors_written_again_are_taken_back_where_the_video_was_deleted(shop: Shop) -> None:
    shop.registry.register("a", uri=shop.red)
    first = shop.held(after=True)
    again = Held(first, shop.settings.name, skip=1)
    ingested = shop.begun(first, lambda: shop.ingest(again))
    index = shop.index_of(shop.engine)
    assert index.remove("a")  # as a delete that comes late does
    first.go.set()
    assert again.reached.wait(60), "the loss is seen, and written again"
    delete_video(shop.registry, index, "a")
    again.go.set()
    ingested.result(60)
    assert shop.registry.get("a").state is State.DELETED
    found = shop.engine.get(shop.settings.name, "a")
    assert found is not None
    assert found.source == {"title": "a shirt", "url": shop.red}


def test_late_predecessor_does_not_leave_outdated_vectors(shop: Shop) -> None:
    shop.registry.register("a", uri=shop.red)
    held = shop.held()
    late = shop.begun(held, lambda: shop.ingest(held))
    shop.registry.register("a", uri=shop.blue)  # the lease is taken away
    assert shop.ingest() == "indexed"
    held.go.set()
    assert late.result(60) == "skipped"
    assert shop.registry.get("a").state is State.REGISTERED
    assert shop.ingest() == "indexed"
    assert shop.vectors_are_those_of(shop.blue)
