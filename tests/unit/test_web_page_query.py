"""A search in the address bar: read, written, and turned into a request; a picture in it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from tests.search_index import unit_vectors

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.errors import QueryError
from vidsearch.web.pages.picture_vector import from_text, to_text
from vidsearch.web.pages.query import PER_PAGE, PageQuery

MODEL = ModelIdentity("table", "1", 512, image_size=1)


def read(url: str) -> PageQuery:
    return PageQuery.of_string(urlsplit(url).query)


@pytest.mark.parametrize(
    "query",
    [
        PageQuery(),
        PageQuery(q="a red boat & more", mode="vector", level="both", fusion="linear", page=3),
        PageQuery(like="a/b ü", at=12.5, twins="show", sort="-shot"),
        *(PageQuery(like="a", at=at) for at in (0.0, 30.0, 1000.004, 33.36666666666667, 1234567.5)),
        PageQuery(like=" a\n"),
        PageQuery(v="0123", pic="my boat.jpg", where="year>=2020; tags=a,b"),
        PageQuery(q="x", facets={"tags": ("sea", "a,b"), "day": ("true",), "crew": ("",)}),
    ],
)
def test_a_search_is_read_from_its_own_link(query: PageQuery) -> None:
    assert read(query.url("/mounted", page=query.page)) == query


def test_links_leave_out_defaults_and_go_to_the_first_page() -> None:
    assert PageQuery(q="boat", page=4).url("") == "/?q=boat"
    assert PageQuery(q="boat").url("/videos", q="", page=1) == "/videos/"


def test_blanks_and_unknown_parameters_are_passed_over() -> None:
    given = read("/?q=+&mode=&utm_source=mail&page=0&like=+")
    assert given == PageQuery()
    assert not given.asks


@pytest.mark.parametrize("string", ["q=a&page=two", "like=a&at=noon"])
def test_what_should_be_a_number_is_refused(string: str) -> None:
    with pytest.raises(QueryError, match="must be a number"):
        PageQuery.of_string(string)


def test_a_sort_may_be_written_as_for_an_engine() -> None:
    assert PageQuery.of([("sort", '[{"shot": "desc"}]')]).sort == "-shot"
    several = '[{"shot": "desc"}, {"day": "asc"}]'
    assert PageQuery.of([("sort", several)]).sort == several, "which the search refuses"


def test_facets_and_typed_conditions_become_the_filter() -> None:
    query = PageQuery(q="a", facets={"tags": ("sea", "a,b")}, where="year>=2020; light = dark ;")
    assert query.filter() == [
        {"tags": ["sea", "a,b"]},
        {"year": {"gte": "2020"}},
        {"light": "dark"},
    ]
    with pytest.raises(QueryError, match="“Only where”: 'year' is no condition"):
        PageQuery(q="a", where="year").filter()
    with pytest.raises(
        QueryError, match=r"“Only where”: 'tags!=sea': .*, without !=: write tags=sport, "
    ):
        PageQuery(q="a", where="year>=2020; tags!=sea").filter()


def test_a_condition_of_blanks_alone_takes_no_time() -> None:
    # With time that grows by the square of its length, this would take hours.
    with pytest.raises(QueryError, match="is no condition"):
        PageQuery(q="a", where=f"year{' ' * 1_000_000}x").filter()


def test_a_clause_of_the_query_language_is_no_condition_of_the_page() -> None:
    with pytest.raises(QueryError, match="is no condition"):
        PageQuery(q="a", where='{"script": {"script": "true"}}').filter()


def test_the_third_page_begins_after_two() -> None:
    request = PageQuery(q="a", page=3).request(window=200)
    assert (request.from_, request.k) == (2 * PER_PAGE, PER_PAGE)


def test_the_last_page_ends_with_the_window() -> None:
    request = PageQuery(q="a", page=9).request(window=100)
    assert (request.from_, request.k) == (96, 4)
    request = PageQuery(q="a", page=2).request(size=5, window=8)
    assert (request.from_, request.k) == (5, 3)


def test_words_alone_cannot_be_compared_with_a_picture() -> None:
    request = PageQuery(like="r", mode="keyword").request(window=200)
    assert request.resolved_mode == "vector"


def test_near_duplicates_are_folded_unless_all_are_asked_for() -> None:
    assert PageQuery(q="a").request(window=200).collapse == pytest.approx(0.98)
    assert PageQuery(q="a", twins="show").request(window=200).collapse is None
    assert PageQuery(q="a", mode="keyword").request(window=200).collapse is None


def test_a_vector_in_a_url_has_the_same_direction_and_is_short() -> None:
    (vector,) = unit_vectors("a picture", 1, dims=512)
    text = to_text(vector, MODEL)
    assert len(text) < 1400
    assert float(from_text(text, MODEL) @ vector) == pytest.approx(1, abs=1e-3)
    assert dict(parse_qsl(PageQuery(v=text).string)) == {"v": text}


def test_a_picture_of_another_model_is_refused() -> None:
    text = to_text(np.zeros(512, np.float32), MODEL)
    other = ModelIdentity("table", "2", 512, image_size=1)
    with pytest.raises(QueryError, match="another model"):
        from_text(text, other)


@pytest.mark.parametrize("cut", [9, 40, -1])
def test_a_picture_whose_address_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(QueryError, match="cut off"):
        from_text(to_text(np.ones(512, np.float32), MODEL)[:cut], MODEL)
