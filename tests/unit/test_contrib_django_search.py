"""A search that gives rows of a Django model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.django_site import Site

from vidsearch.errors import QueryError
from vidsearch.search import SearchRequest
from vidsearch.testing.clips import solid, write_clip
from vidsearch_tasks import register_video


@pytest.fixture
def films(site: Site) -> dict[str, Any]:
    made = site.Film.objects.bulk_create(
        site.film(colour, year=year) for colour, year in [("blue", 1999), ("red", 2024)]
    )
    return {film.file.name.removesuffix(".mp4"): film for film in made}


def test_rows_are_in_the_order_of_their_ranks_and_read_by_one_query(
    site: Site, films: dict[str, Any]
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = site.Film.objects.search("red", mode="vector")
        assert list(found) == [films["red"], films["blue"]]
    assert len(queries) == 1
    assert [film.vidsearch_hit for film in found] == list(found.result.hits)
    assert found[0].vidsearch_hit.moments[0].start == 0
    assert found[:1] == (films["red"],)
    assert (len(found), found.missing) == (2, ())
    assert list(site.Film.objects.search("blue", mode="vector", k=1)) == [films["blue"]]


def test_a_search_before_any_row_finds_nothing_and_asks_no_database(site: Site) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert list(site.Film.objects.search("red")) == []
    assert len(queries) == 0


def test_hits_without_rows_are_skipped_and_named(site: Site, films: dict[str, Any]) -> None:
    gone = site.Film.objects.filter(pk=films["red"].pk)
    gone._raw_delete(gone.db)  # as by SQL of somebody else
    found = site.Film.objects.search("red", mode="vector")
    assert list(found) == [films["blue"]]
    assert found.missing == (films["red"].vidsearch_id,)
    assert len(found.result) == 2


def test_a_queryset_gives_its_own_rows_only(site: Site, films: dict[str, Any]) -> None:
    found = site.Film.objects.filter(year__gte=2000).search("blue", mode="vector")
    assert list(found) == [films["red"]]
    assert found.missing == (films["blue"].vidsearch_id,)


@pytest.mark.parametrize(
    "filter", [{"title": "all blue"}, [{"title": "all blue"}, {"tags": {"exists": False}}]]
)
def test_a_filter_narrows_the_search(site: Site, films: dict[str, Any], filter: Any) -> None:
    found = site.Film.objects.search("red", filter=filter)
    assert (list(found), found.missing) == ([films["blue"]], ())
    found = site.Film.objects.search(SearchRequest(text="red", filter=filter))
    assert (list(found), found.missing) == ([films["blue"]], ())


def test_videos_of_something_else_in_the_index_are_not_found(
    site: Site, films: dict[str, Any]
) -> None:
    uri = films["red"].vidsearch_uri()
    register_video("clip-1", uri=uri)
    register_video("films.trailer:1", uri=uri, fields={"django_model": "films.trailer"})
    found = site.Film.objects.search("red", mode="vector")
    assert len(found.result) == 2
    assert found.missing == ()


def test_a_row_comes_once_for_each_of_its_moments(site: Site, tmp_path: Path) -> None:
    write_clip(
        tmp_path / "changing.mp4",
        [second / 2 for second in range(40)],
        picture=lambda number: solid([(255, 0, 0), (0, 0, 255)][number // 20])(number),
        rate=2,
    )
    film = site.film("red", file="changing.mp4")
    film.save()
    found = site.Film.objects.search("red", mode="vector", group_by="moment", merge_gap=None)
    assert len(found) == len(found.result) > 1
    assert set(found) == {film}
    assert [row.vidsearch_hit for row in found] == list(found.result.hits)


def test_like_takes_a_row(site: Site, films: dict[str, Any]) -> None:
    assert list(site.Film.objects.search(like=films["red"])) == [films["blue"]]


def test_a_search_from_an_event_loop_gives_the_same(site: Site, films: dict[str, Any]) -> None:
    found = asyncio.run(site.Film.objects.asearch("red", mode="vector"))
    assert list(found) == [films["red"], films["blue"]]


def test_a_wrong_argument_is_refused_as_by_every_search(site: Site) -> None:
    with pytest.raises(QueryError, match="no argument 'limit'"):
        site.Film.objects.search("red", limit=3)
    with pytest.raises(QueryError, match="text is empty"):
        site.Film.objects.search("")
    with pytest.raises(QueryError, match="a filter list must be a dict"):
        site.Film.objects.search("red", filter="red")
