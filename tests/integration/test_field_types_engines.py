"""The user's fields on each of the engines: what types they get, and what does not fit."""

from __future__ import annotations

import io
from typing import Any

import pytest
from tests.search_index import TableEncoder, Video, create_index, unit_vectors

from vidsearch.cli.lists import column_types
from vidsearch.config import IndexSettings, SearchSettings
from vidsearch.engines import Engine
from vidsearch.errors import MappingConflictError, VersionConflictError
from vidsearch.index import (
    attach_index,
    create_videos_index,
    open_videos_index,
)
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch.registration import VideoList
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration

IDENTITY = FakeEncoder().identity
OWN = {
    "properties": {
        "rating": {"type": "half_float", "coerce": True},
        "released": {"type": "date", "format": "strict_date_optional_time||epoch_millis"},
        "code": {"type": "keyword", "doc_values": True, "norms": False},
    },
    "dynamic_templates": [{"codes": {"match": "*_code", "mapping": {"type": "keyword"}}}],
}


@pytest.fixture
def settings(index_name: str) -> IndexSettings:
    return IndexSettings(name=index_name)


def found(engine: Engine, index: str, query: dict[str, Any]) -> set[str]:
    engine.refresh(index)
    hits = engine.search(index, {"query": query, "_source": False})["hits"]["hits"]
    return {hit["_id"] for hit in hits}


def test_first_value_does_not_change_later_ones(engine: Engine, settings: IndexSettings) -> None:
    name = create_videos_index(engine, settings, IDENTITY)
    dates = {
        "day": "2024-01-31",
        "minute": "2024-01-31T12:00",
        "second": "2024-01-31T12:00:00",
        "python": "2024-01-31T12:00:00.123456+00:00",
        "script": "2024-01-31T12:00:00.123Z",
        "zone": "2024-01-31T12:00:00+02:00",
        "spaced": "2024-01-31 12:00:00",
        "printed": "2024-01-31 12:00:00.123456+00:00",
    }
    texts = {
        "year": "2024",
        "month": "2024-05",
        "range": "2024-01-31 to 2024-02-01",
        "german": "31.01.2024",
        "digits": "20240131",
        "big_id": "12345678901234567890",
    }
    engine.put(
        name,
        "a",
        {"rating": 4, "price": 4.5, "hd": True, "camera": {"fov": 90}, **dates, **texts},
    )
    engine.put(name, "b", {"rating": 4.5, "price": 16777217, "camera": {"fov": 90.5}})
    engine.put(name, "c", {**dict.fromkeys(dates, "2025-01-01 00:00:00"), "day": "2025-01-01"})
    fields = engine.mapping(name)["properties"]
    types = {path: fields[path]["type"] for path in ("rating", "price", "hd", *dates, *texts)}
    assert types == {
        "rating": "double",
        "price": "double",
        "hd": "boolean",
        **dict.fromkeys(dates, "date"),
        **dict.fromkeys(texts, "text"),
    }
    assert fields["title"]["type"] == "text"
    assert found(engine, name, {"range": {"rating": {"gt": 4}}}) == {"b"}
    assert found(engine, name, {"range": {"camera.fov": {"gt": 90}}}) == {"b"}
    assert found(engine, name, {"term": {"price": 16777217}}) == {"b"}
    for path in dates:
        assert found(engine, name, {"range": {path: {"gte": "2024-06-01"}}}) == {"c"}, path
    for path, value in [("rating", "n/a"), ("rating", {"a": 1}), ("day", "soon"), ("day", 5)]:
        with pytest.raises(MappingConflictError, match=rf"(?s)\[{path}\].*value: '"):
            engine.put(name, "d", {path: value})
    assert diff_videos_index(engine, settings, IDENTITY) == ()


def test_every_form_of_date_that_a_list_may_have_is_a_date(
    engine: Engine, settings: IndexSettings
) -> None:
    times = ["10:00", "10:00:00", "10:00:00.123", "10:00:00.123456"]
    zones = ["", "Z", "+02:00"]
    forms = ["2026-01-01", *(f"2026-01-01T{time}{zone}" for time in times for zone in zones)]
    columns = {f"c{number}": form for number, form in enumerate(forms)}
    create_videos_index(engine, settings, IDENTITY)
    index = open_videos_index(engine, settings)
    text = f"uri,{','.join(columns)}\nhttps://h/a.mp4,{','.join(columns.values())}\n"
    videos = VideoList(io.BytesIO(text.replace("T", " ").encode()), format="csv")
    (row,) = videos.rows(column_types(videos, index, as_text=False))
    assert row.video is not None
    assert row.video.fields == columns
    engine.put(index.name, "a", columns)
    assert {engine.mapping(index.name)["properties"][name]["type"] for name in columns} == {"date"}
    for name in columns:
        assert found(engine, index.name, {"range": {name: {"gte": "2025-12-31"}}}) == {"a"}, name
        assert found(engine, index.name, {"range": {name: {"gte": "2026-01-02"}}}) == set(), name
    assert diff_videos_index(engine, settings, IDENTITY) == ()


def test_own_mapping_is_created_and_equal_to_the_settings(
    engine: Engine, settings: IndexSettings
) -> None:
    own = IndexSettings(name=settings.name, mapping=OWN)
    name = create_videos_index(engine, own, IDENTITY)
    assert diff_videos_index(engine, own, IDENTITY) == ()
    engine.put(name, "a", {"rating": 4, "released": 1_700_000_000_000, "lens_code": "x"})
    fields = engine.mapping(name)["properties"]
    assert fields["lens_code"] == {"type": "keyword"}
    assert fields["rating"]["type"] == "half_float"


def test_own_mapping_is_added_to_a_live_index(engine: Engine, settings: IndexSettings) -> None:
    create_videos_index(engine, settings, IDENTITY)
    own = IndexSettings(name=settings.name, mapping=OWN)
    changes = diff_videos_index(engine, own, IDENTITY)
    assert {change.how for change in changes} == {"in place"}
    assert apply_changes(engine, own, IDENTITY) == ()


def test_own_mapping_that_the_engine_refuses_creates_nothing(
    engine: Engine, settings: IndexSettings
) -> None:
    own = {"properties": {"rating": {"type": "number"}}}
    with pytest.raises(MappingConflictError, match="number"):
        create_videos_index(engine, IndexSettings(name=settings.name, mapping=own), IDENTITY)
    assert engine.indices_of(settings.name) == ()
    assert engine.indices_of(settings.registry) == ()


def test_alias_is_searched_and_filtered_as_its_target(engine: Engine, index_name: str) -> None:
    documents = {"a": ("A red boat", 2023), "b": ("A red kite", 2024)}
    videos = [
        Video(id, {"licence": text, "year": year}, unit_vectors(text, 1))
        for id, (text, year) in documents.items()
    ]
    create_index(engine, index_name, videos)
    aliases = {
        "terms": {"type": "alias", "path": "licence"},
        "released": {"type": "alias", "path": "year"},
    }
    engine.put_mapping(index_name, {"properties": aliases})
    settings = SearchSettings(keyword_fields=("terms^2",))
    search = VideoSearch(engine, TableEncoder(), index=index_name, settings=settings)

    def ids(text: str, **options: Any) -> set[str]:
        return {hit.id for hit in search.search(text, mode="keyword", **options)}

    assert ids("boat") == {"a"}
    assert ids("red") == {"a", "b"}
    assert ids("red", filter={"released": {"gte": "2024"}}) == {"b"}
    assert ids("red", filter={"terms": "A red boat"}) == {"a"}
    assert ids("red", filter={"terms": {"exists": False}}) == set()
    (hit,) = search.search("boat", mode="keyword", highlight=True)
    assert hit.highlights["terms"] == ("A red <em>boat</em>",)


def test_version_of_the_application_is_kept(engine: Engine, settings: IndexSettings) -> None:
    knn = {"knn": True} if engine.kind == "opensearch" else {}
    mapping = {"properties": {"url": {"type": "keyword"}}}
    engine.create_index(settings.name, {"settings": {"index": knn}, "mappings": mapping})
    engine.put(settings.name, "a", {"url": "/a.mp4", "n": 1}, version=7)
    attach_index(engine, settings, IDENTITY, uri_field="url")
    index = open_videos_index(engine, settings)

    stored = index.read("a")
    assert stored is not None
    index.merge({"uri": "/a.mp4"}, into=stored)
    merged = index.read("a")
    assert merged is not None
    assert (merged.source["video"], merged.version) == ({"uri": "/a.mp4"}, 7)

    engine.put(settings.name, "a", {"url": "/a.mp4", "n": 2}, version=8)
    with pytest.raises(VersionConflictError):
        index.merge({"uri": "/a.mp4"}, into=merged)
    after = index.read("a")
    assert after is not None
    assert (after.source, after.version) == ({"url": "/a.mp4", "n": 2}, 8)
    index.merge({"uri": "/a.mp4"}, into=after)
    assert index.remove("a")
    removed = index.read("a")
    assert removed is not None
    assert (removed.source, removed.version) == ({"url": "/a.mp4", "n": 2}, 8)
