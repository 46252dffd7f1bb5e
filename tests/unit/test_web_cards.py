"""Hits as cards, and counts as facets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index

from vidsearch.config import Settings
from vidsearch.index.description import IndexDescription
from vidsearch.search import FacetCounts, FacetValue, Hit, Moment, VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch.web.pages.cards import Card, card_of
from vidsearch.web.pages.facets import asked_facets, date_fields, facet_views
from vidsearch.web.pages.query import PageQuery

MOMENTS = (Moment(30, 40, 0.4, "ab/cd.webp"), Moment(0, 10, 0.3), Moment(3500, 3502, 0.2))
PROPERTIES = {
    "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
    "tags": {"type": "keyword"},
    "light": {"type": "boolean"},
    "notes": {"type": "text"},
    "year": {"type": "integer"},
    "shot": {"type": "date"},
    "crew": {"type": "nested", "properties": {"name": {"type": "keyword"}}},
    "kept": {"type": "keyword", "doc_values": False},
}


@pytest.fixture(scope="module")
def index() -> IndexDescription:
    engine = MemoryEngine()
    create_index(engine, "videos", [])
    properties = engine.mapping("videos")["properties"]
    described = VideoSearch(engine, TableEncoder()).describe_index()
    return replace(described, properties={**PROPERTIES, "video": properties["video"]})


def card(
    hit: Hit, *, query: PageQuery | None = None, settings: Settings | None = None, root: str = ""
) -> Card:
    return card_of(
        hit,
        fields=hit.fields,
        query=query or PageQuery(q="boat"),
        root=root,
        settings=settings or Settings(thumbnails={"url": "/pictures"}),
    )


def hit(**values: Any) -> Hit:
    known = {"id": "a/b", "score": 1.0, "cosine": 0.4, "bm25": None, "rank_per_leg": {}}
    return Hit(**{**known, "fields": {"video": {"duration": 4000.0}}, **values})


def test_a_card_plays_the_best_moment_and_lists_all_by_time() -> None:
    made = card(hit(moments=MOMENTS), root="/videos")
    assert made.play == "/videos/video/a%2Fb#t=30"
    assert made.thumbnail == "/videos/thumbnail/ab/cd.webp"
    assert made.best is not None
    assert made.best.span == "0:30–0:40"
    assert [moment.time for moment in made.moments] == ["0:00", "0:30", "58:20"]
    assert (made.cosine, made.length) == ("0.400", "1:06:40")


def test_the_strip_has_every_moment_in_its_place_the_best_one_last() -> None:
    parts = card(hit(moments=MOMENTS)).track
    assert [(float(part.x), part.step) for part in parts] == [(875, 1), (0, 3), (7.5, 5)]
    assert float(parts[0].width) == 12, "two seconds of an hour can still be seen"


def test_a_strip_never_leaves_its_frame() -> None:
    wrong = hit(moments=(Moment(90, 130, 0.4),), fields={"video": {"duration": 100.0}})
    (part,) = card(wrong).track
    assert 0 <= float(part.x) <= 1000 - float(part.width)


def test_a_hit_of_words_alone_has_no_moment_and_says_so() -> None:
    made = card(hit(cosine=None, bm25=3.0, fields={"title": " Harbour "}))
    assert (made.title, made.best, made.track, made.play) == ("Harbour", None, (), "/video/a%2Fb")
    assert made.by_words == "found by its words"


def test_without_a_store_of_thumbnails_there_is_no_picture() -> None:
    assert card(hit(moments=MOMENTS), settings=Settings()).thumbnail is None


def test_more_like_this_keeps_filters_and_leaves_out_the_text() -> None:
    query = PageQuery(q="boat", mode="keyword", facets={"tags": ("sea",)}, page=2)
    made = card(hit(moments=MOMENTS), query=query)
    assert made.like == "/?like=a%2Fb&f.tags=sea"
    assert made.like_moment == "/?like=a%2Fb&at=30&f.tags=sea"


def test_a_late_moment_is_played_and_compared_with_from_its_own_start() -> None:
    made = card(hit(moments=(Moment(1000.004, 1008.012, 0.4),)))
    assert made.play == "/video/a%2Fb#t=1000.004"
    assert made.like_moment == "/?like=a%2Fb&at=1000.004"
    assert made.best is not None
    assert made.start == made.best.start == "1000.004"


def test_more_like_this_names_the_video_by_its_title() -> None:
    made = card(hit(moments=MOMENTS, fields={"title": "Two boats"}))
    assert made.like == "/?like=a%2Fb&pic=Two+boats"
    assert made.like_moment == "/?like=a%2Fb&at=30&pic=Two+boats"


def test_near_duplicates_are_named() -> None:
    made = card(hit(duplicates=("x", "y")))
    assert [twin.id for twin in made.twins] == ["x", "y"]


def test_a_long_text_is_cut() -> None:
    assert len(card(hit(fields={"description": "word " * 200})).text) <= 240


def test_facets_are_the_fields_of_few_values(index: IndexDescription) -> None:
    asked = asked_facets(index, PageQuery())
    assert [each.field for each in asked] == ["tags", "light"]
    assert all(each.own_filter for each in asked)


def test_a_facet_with_a_choice_counts_as_if_there_was_none(index: IndexDescription) -> None:
    query = PageQuery(facets={"title": ("Harbour",)})
    asked = asked_facets(index, query)
    assert [(each.field, each.own_filter) for each in asked] == [
        ("title", False),
        ("tags", True),
        ("light", True),
    ]


def test_the_newest_are_told_by_own_dates_then_by_when_they_were_embedded(
    index: IndexDescription,
) -> None:
    assert date_fields(index) == ["shot", "video.embedded_at"]


def _counts(field: str, *values: tuple[Any, int]) -> FacetCounts:
    return FacetCounts(field, tuple(FacetValue(v, n, {field: v}) for v, n in values))


def test_facets_that_choose_nothing_are_left_out() -> None:
    counts = {
        "tags": _counts("tags", ("sea", 3), ("land", 1)),
        "one": _counts("one", ("same", 4)),
        "ids": _counts("ids", ("a", 1), ("b", 1)),
    }
    views = facet_views(counts, query=PageQuery())
    assert [view.name for view in views] == ["Tags"]


def test_facets_are_called_so_that_they_can_be_told_apart() -> None:
    fields = ("tags", "crew.name", "ship.name", "crew.full_name", "day_time", "day.time", "at.time")
    counts = {field: _counts(field, ("sea", 3), ("land", 1)) for field in fields}
    assert [view.name for view in facet_views(counts, query=PageQuery())] == [
        "Tags",
        "Crew name",
        "Ship name",
        "Full name",
        "Day time",
        "day.time",
        "At time",
    ]


@pytest.mark.parametrize("place", ["s3://b/a.mp4", "/srv/a.mp4", "C:\\a.mp4", "\\\\nas\\a.mp4"])
def test_places_are_no_facet_unless_one_was_chosen(place: str) -> None:
    counts = {"path": _counts("path", (place, 3), ("b", 1))}
    assert facet_views(counts, query=PageQuery()) == []
    assert len(facet_views(counts, query=PageQuery(facets={"path": ("b",)}))) == 1


def test_a_chosen_value_stays_a_check_box_where_it_is_not_listed() -> None:
    query = PageQuery(facets={"light_on": ("false", "maybe")})
    (view,) = facet_views({"light_on": _counts("light_on", (False, 2))}, query=query)
    assert (view.name, view.parameter) == ("Light on", "f.light_on")
    assert [(value.text, value.shown, value.chosen) for value in view.values] == [
        ("false", "no", True),
        ("maybe", "maybe", True),
    ]


@pytest.mark.parametrize("value", [True, 3, 2.5, "a b"])
def test_a_value_goes_into_the_url_as_its_filter_reads_it(value: Any) -> None:
    (view,) = facet_views({"x": _counts("x", (value, 2), ("other", 1))}, query=PageQuery())
    assert view.values[0].text == (str(value).lower() if isinstance(value, bool) else str(value))
