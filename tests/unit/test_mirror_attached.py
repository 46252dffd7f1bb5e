"""Of an index of the application, the object ``video`` alone is mirrored."""

from __future__ import annotations

from typing import Any

import pytest
from tests.reindex_stage import video_of

from vidsearch.config import IndexSettings
from vidsearch.engines import Json
from vidsearch.index import VideosIndex, attach_index, open_videos_index
from vidsearch.index.targets import open_concrete
from vidsearch.ingest import delete_video, mirror_to_others
from vidsearch.registry import Registry, State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="products", segment_seconds=2)
OLD, NEW = "products-1", "products-2"
MAPPING = {"mappings": {"properties": {"url": {"type": "keyword"}, "title": {"type": "text"}}}}


class Shop:
    """Two indices of the application, attached, whose documents the application wrote itself."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.engine.create_index(OLD, {**MAPPING, "aliases": {"products": {}}})
        attach_index(self.engine, SETTINGS, FakeEncoder().identity, uri_field="url")
        self.engine.create_index(NEW, {"mappings": self.engine.mapping(OLD)})
        alias = SETTINGS.write_alias
        self.engine.update_aliases(
            [{"add": {"index": index, "alias": alias}} for index in (OLD, NEW)]
        )
        self.registry = Registry(self.engine, index=SETTINGS.registry)

    def write(self, index: str, title: str, **options: Any) -> None:
        """By the application, which counts versions itself."""
        self.engine.put(index, "a", {"url": "/a.mp4", "title": title}, **options)

    def ingest(self, mark: str) -> VideosIndex:
        index = open_videos_index(self.engine, SETTINGS)
        lease = self.registry.claim("a", owner="w")
        stored = index.read("a", routing="r")
        assert stored is not None
        index.merge(video_of(mark, "/a.mp4"), into=stored)
        self.registry.complete(lease, fingerprint=mark)
        return index

    def read(self, index: str) -> Json | None:
        found = open_concrete(self.engine, index, alias="products").read("a", routing="r")
        return None if found is None else {**found.source, "version": found.version}


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.write(OLD, "old", routing="r", version=7)
    shop.registry.register("a", uri="/a.mp4", routing="r")
    return shop


def test_vectors_come_into_a_document_that_is_there_and_nothing_else_changes(shop: Shop) -> None:
    shop.write(NEW, "new", routing="r", version=9)
    mirror_to_others(shop.registry, shop.ingest("f1"), ["a"])
    new = shop.read(NEW)
    assert new is not None
    assert (new["title"], new["version"], new["video"]["fingerprint"]) == ("new", 9, "f1")
    old = shop.read(OLD)
    assert old is not None
    assert new["video"] == old["video"]


def test_a_document_of_the_application_is_never_made_nor_deleted(shop: Shop) -> None:
    index = shop.ingest("f1")
    mirror_to_others(shop.registry, index, ["a"])
    assert shop.read(NEW) is None
    shop.write(NEW, "new", routing="r")
    mirror_to_others(shop.registry, index, ["a"])
    shop.engine.delete(OLD, "a", routing="r")
    mirror_to_others(shop.registry, index, ["a"])
    new = shop.read(NEW)
    assert new is not None
    assert new["video"]["fingerprint"] == "f1"


def test_a_deleted_video_loses_its_vectors_in_both(shop: Shop) -> None:
    shop.write(NEW, "new", routing="r", version=9)
    mirror_to_others(shop.registry, shop.ingest("f1"), ["a"])
    delete_video(shop.registry, open_videos_index(shop.engine, SETTINGS), "a")
    assert shop.registry.get("a").state is State.DELETED
    assert shop.read(OLD) == {"url": "/a.mp4", "title": "old", "version": 7}
    assert shop.read(NEW) == {"url": "/a.mp4", "title": "new", "version": 9}
