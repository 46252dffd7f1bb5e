"""The user's fields on each of the engines: what types they get, and what does not fit."""

from __future__ import annotations

import io
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from tests.search_index import TableEncoder, Video, create_index, unit_vectors

from vidsearch.cli.lists import column_types
from vidsearch.config import IndexSettings, SearchSettings
from vidsearch.engines import Engine, Write
from vidsearch.errors import MappingConflictError, QueryError, VersionConflictError
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
    times = ["10:00", "10:00:00", "10:00:00.123", "10:00:00.123456", "10:00:00.123456789"]
    zones = ["", "Z", "+02:00"]
    forms = ["2026-01-01", *(f"2026-01-01T{time}{zone}" for time in times for zone in zones)]
    columns = {f"c{number}": form for number, form in enumerate(forms)}
    create_videos_index(engine, settings, IDENTITY)
    index = open_videos_index(engine, settings)
    text = f"uri,{','.join(columns)}\nhttps://h/a.mp4,{','.join(columns.values())}\n"
    videos = VideoList(io.BytesIO(text.replace("T", " ").encode()), format="csv")
    (row,) = videos.rows(*column_types([videos], index, as_text=False))
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


def test_dates_of_python_fit_every_format_of_the_mapping(engine: Engine, index_name: str) -> None:
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1)]
    noon = [datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc) for day in days]
    videos = [
        Video(
            str(at),
            {
                "title": "boat",
                "year": 2000 + at,
                "rating": at,
                "seconds": int(moment.timestamp()),
                "german": f"{moment:%d/%m/%Y}",
                "basic": f"{moment:%Y%m%d}",
                "usual": moment.isoformat(),
            },
            unit_vectors(f"video {at}", 1),
        )
        for at, moment in enumerate(noon)
    ]
    create_index(engine, index_name, [])
    formats = {"seconds": "epoch_second", "german": "dd/MM/yyyy", "basic": "basic_date"}
    mapping = {name: {"type": "date", "format": format} for name, format in formats.items()}
    engine.put_mapping(index_name, {"properties": {**mapping, "usual": {"type": "date"}}})
    writes = [Write("index", video.id, video.document("video")) for video in videos]
    engine.bulk(index_name, writes, refresh=True)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    query = unit_vectors("query", 1)[0]

    def ids(**filter: Any) -> set[str]:
        found = {
            mode: {hit.id for hit in search.search("boat", vector=query, mode=mode, filter=filter)}
            for mode in ("vector", "hybrid")
        }
        assert found["vector"] == found["hybrid"]
        return found["vector"]

    for name in (*formats, "usual"):
        assert ids(**{name: days[1]}) == {"1"}, name
        assert ids(**{name: [days[0], days[2]]}) == {"0", "2"}, name
        assert ids(**{name: {"gte": days[1]}}) == {"1", "2"}, name
        assert ids(**{name: {"gt": noon[0], "lt": noon[2], "time_zone": "+00:00"}}) >= {"1"}, name
        assert ids(**{name: {"gte": days[2], "lt": "now"}}) == {"2"}, name
    assert ids(seconds=noon[1]) == ids(usual=noon[1]) == {"1"}
    assert ids(seconds={"gte": str(int(noon[2].timestamp()))}) == {"2"}
    assert ids(year=Decimal(2002), rating={"lt": Decimal("2.5")}) == {"2"}


def test_texts_that_are_kept_in_part_and_fields_in_nested_objects_are_told(
    engine: Engine, index_name: str
) -> None:
    long = "a very long story " * 20
    fields = {"title": "boat", "note": long, "cast": [{"name": "boat"}]}
    create_index(engine, index_name, [])
    keyword = {"type": "keyword", "ignore_above": 20}
    own = {
        "note": {"type": "text", "fields": {"raw": keyword}},
        "cast": {"type": "nested", "properties": {"name": {"type": "text"}}},
    }
    engine.put_mapping(index_name, {"properties": own})
    video = Video("a", fields, unit_vectors("a", 1))
    engine.bulk(index_name, [Write("index", "a", video.document("video"))], refresh=True)
    settings = SearchSettings(keyword_fields=("title", "cast.name^3"))
    search = VideoSearch(engine, TableEncoder(), index=index_name, settings=settings)
    with pytest.raises(QueryError, match="characters, and the index finds no whole value") as told:
        search.search("boat", mode="keyword", filter={"note": long})
    assert '{"match_phrase": {"note": "…"}}' in str(told.value)
    result = search.search("boat", mode="keyword", filter=[{"match_phrase": {"note": long}}])
    assert [hit.id for hit in result] == ["a"]
    assert "names cast.name, which lies in a nested object" in result.warnings[0]


def test_dates_of_one_millisecond_are_sorted_in_every_mode(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, [])
    engine.put_mapping(index_name, {"properties": {"moment": {"type": "date_nanos"}}})
    names = ["c", "a", "d", "b"]
    for at, id in enumerate(names):
        moment = f"2024-01-31T12:00:00.12345678{at}Z"
        video = Video(id, {"title": "boat", "moment": moment}, unit_vectors(id, 1))
        engine.put(index_name, id, video.document("video"))
    engine.refresh(index_name)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    for mode in ("keyword", "vector", "hybrid"):
        found = search.search("boat", mode=mode, sort="-moment", collapse="video.fingerprint")
        assert [hit.id for hit in found] == names[::-1], mode


def test_hits_are_collapsed_by_a_field_that_the_engine_computes(
    engine: Engine, index_name: str
) -> None:
    if engine.kind == "opensearch":
        pytest.skip("it has no runtime fields")
    create_index(engine, index_name, [])
    engine.put_mapping(index_name, {"runtime": {"stock.shelf": {"type": "keyword"}}})
    for at, id in enumerate("abcd"):
        own = {"title": "boat", "stock": {"shelf": "xy"[at % 2]}}
        engine.put(index_name, id, Video(id, own, unit_vectors(id, 1)).document("video"))
    engine.refresh(index_name)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    found = search.search("boat", collapse="stock.shelf")
    assert sorted(sorted([hit.id, *hit.duplicates]) for hit in found) == [["a", "c"], ["b", "d"]]
