"""The buckets of facets, and which fields have values to count."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from vidsearch.errors import QueryError
from vidsearch.search import Facet, FacetCounts
from vidsearch.search.counting import FacetField
from vidsearch.search.filters import without_field
from vidsearch.search.fusion import Scored
from vidsearch.search.mapping_fields import names_of, with_runtime
from vidsearch.search.value_fields import value_field
from vidsearch.search.values import Values

KEYWORD = {"type": "keyword"}
INDEX: Any = SimpleNamespace(
    name="videos",
    properties={
        "tags": KEYWORD,
        "title": {"type": "text", "fields": {"keyword": KEYWORD, "raw": KEYWORD}},
        "words": {
            "type": "text",
            "fields": {"english": {"type": "text"}, "suggest": {"type": "search_as_you_type"}},
        },
        "price": {"type": "double"},
        "short": {"type": "float"},
        "half": {"type": "half_float"},
        "live": {"type": "boolean"},
        "host": {"type": "ip"},
        "day": {"type": "date"},
        "moment": {"type": "date_nanos"},
        "label": {"type": "alias", "path": "title"},
        "made": {"type": "alias", "path": "day"},
        "hidden": {"type": "keyword", "doc_values": False},
        "also_hidden": {"type": "alias", "path": "hidden"},
        "more": {"type": "flattened"},
        "place": {"type": "geo_point"},
        "cast": {"type": "nested", "properties": {"name": KEYWORD}},
        "meta": {"properties": {"size": {"type": "long"}}},
        "metrics": {
            "subobjects": False,
            "properties": {
                "load": {"type": "long"},
                "load.host": {"type": "text", "fields": {"keyword": KEYWORD}},
            },
        },
    },
    runtime={"year": {"type": "long"}},
    memo={},
)


def counted(values: list[list[Any]], field: str, **options: Any) -> FacetCounts:
    facet = FacetField.of(Facet(field=field, **options), INDEX)
    return facet.counts([{facet.field.path: each} if each else {} for each in values])


def pairs(counts: FacetCounts) -> list[tuple[Any, int]]:
    return [(each.value, each.count) for each in counts.values]


def test_a_video_counts_once_for_each_of_its_values() -> None:
    found = counted([["a", "b"], ["a", "a"], [], ["c"]], "tags", size=2)
    assert pairs(found) == [("a", 2), ("b", 1)]
    assert (found.other, found.missing) == (1, 1)


def test_numbers_are_shown_as_they_were_written() -> None:
    assert pairs(counted([[2020.0], [0.5], [-1.0]], "price", order="value")) == [
        (-1, 1),
        (0.5, 1),
        (2020, 1),
    ]
    # As a float of 32 bits comes back.
    assert pairs(counted([[4.300000190734863]], "short")) == [(4.3, 1)]
    assert pairs(counted([[12345678.0], [12345679.0]], "short", order="value")) == [
        (12345678, 1),
        (12345679, 1),
    ]
    assert pairs(counted([[0.0999755859375]], "half")) == [(0.1, 1)]
    assert pairs(counted([[10008.0]], "half")) == [(10008, 1)]


def test_addresses_are_in_the_order_of_their_numbers() -> None:
    hosts = ["9.0.0.1", "10.0.0.1", "::1", "2001:db8::1"]
    order = ["::1", "9.0.0.1", "10.0.0.1", "2001:db8::1"]
    found = counted([[host] for host in hosts], "host", order="value")
    assert [each.value for each in found.values] == order
    field = value_field(INDEX, "host", argument="sort")
    hits = [Scored(host, 1.0) for host in hosts]
    values = {host: {"host": [host]} for host in hosts}
    for descending in (False, True):
        ordered = Values(sort=field, descending=descending).ordered(hits, values, hosts)
        assert [hit.id for hit in ordered] == (order[::-1] if descending else order)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (10.0, [(-10, 1, {"gte": -10, "lt": 0}), (0, 2, {"gte": 0, "lt": 10})]),
        (0.1, [(-0.1, 1, {"gte": -0.1, "lt": 0}), (0.3, 1, {"gte": 0.3, "lt": 0.4})]),
    ],
)
def test_buckets_of_numbers(interval: float, expected: list[Any]) -> None:
    found = counted([[-0.05], [0.35], [9.99]], "price", interval=interval, order="value", size=2)
    assert [(each.value, each.count, each.filter["price"]) for each in found.values] == expected


@pytest.mark.parametrize(
    ("value", "interval", "first"), [(0.3, 0.1, 0.3), (4.6, 0.2, 4.6), (-0.3, 0.1, -0.3)]
)
def test_the_filter_of_a_bucket_holds_the_bound_that_it_begins_with(
    value: float, interval: float, first: float
) -> None:
    (found,) = counted([[value]], "price", interval=interval).values
    assert found.value == found.filter["price"]["gte"] == first


@pytest.mark.parametrize("value", [1.7e308, -1.7e308])
def test_numbers_of_any_size_have_a_bucket(value: float) -> None:
    (found,) = counted([[value]], "price", interval=1e-6).values
    assert found.count == 1


@pytest.mark.parametrize("value", [5, -1e308, 1.7e308])
@pytest.mark.parametrize("interval", [1.0, 1e19, 1.7e308])
def test_the_bounds_of_a_bucket_are_numbers_of_json(value: float, interval: float) -> None:
    (found,) = counted([[value]], "price", interval=interval).values
    bounds = found.filter["price"]
    assert orjson.loads(orjson.dumps(bounds)) == bounds
    assert bounds["gte"] <= value
    assert all(map(math.isfinite, bounds.values()))


@pytest.mark.parametrize("interval", [0, -1.0, 1e-308, float("nan"), float("inf")])
def test_an_interval_has_a_least_width(interval: float) -> None:
    with pytest.raises(QueryError, match=r"interval of a facet must be a number from 0\.000001"):
        Facet(field="price", interval=interval)


@pytest.mark.parametrize(
    ("interval", "value", "gte", "lt"),
    [
        (None, "2024", "2024-01-01", "2025-01-01"),
        ("year", "2024", "2024-01-01", "2025-01-01"),
        ("month", "2024-12", "2024-12-01", "2025-01-01"),
        ("day", "2024-12-31", "2024-12-31", "2025-01-01"),
        ("hour", "2024-12-31T23:00Z", "2024-12-31T23:00Z", "2025-01-01T00:00Z"),
    ],
)
def test_periods_of_dates(interval: Any, value: str, gte: str, lt: str) -> None:
    last_second = 1735689599999  # of 2024
    (found,) = counted([[str(last_second)]], "day", interval=interval).values
    assert (found.value, found.count) == (value, 1)
    bounds = {"gte": gte, "lt": lt, "format": "strict_date_optional_time"}
    assert found.filter == {"day": bounds}


@pytest.mark.parametrize("interval", ["year", "month", "day", "hour"])
@pytest.mark.parametrize("milliseconds", [-(2**63), -1, 253402300799999, 2**63 - 1])
def test_a_date_of_any_year_has_a_period(milliseconds: int, interval: Any) -> None:
    (found,) = counted([[str(milliseconds)]], "day", interval=interval).values
    bounds = found.filter["day"]
    assert str(found.value) <= bounds["gte"] <= bounds["lt"]


@pytest.mark.parametrize("interval", ["year", "month", "day", "hour"])
@pytest.mark.parametrize("start", [-(10**16), 0, 253402300800000, 10**19])
def test_a_bucket_of_any_year_has_a_period(start: int, interval: Any) -> None:
    facet = FacetField.of(Facet(field="day", interval=interval), INDEX)
    answer = {"0": {"buckets": [{"key": start, "doc_count": 3}]}, "0-missing": {"doc_count": 1}}
    assert facet.read("0", answer) == facet.counts([{"day": [str(start)]}] * 3 + [{}])


def test_what_an_engine_counted_is_read_as_what_is_counted_here() -> None:
    facet = FacetField.of(Facet(field="live"), INDEX)
    buckets = [
        {"key": 1, "key_as_string": "true", "doc_count": 2},
        {"key": 0, "key_as_string": "false", "doc_count": 1},
    ]
    answer = {"0": {"buckets": buckets, "sum_other_doc_count": 0}, "0-missing": {"doc_count": 1}}
    assert facet.read("0", answer) == facet.counts(
        [{"live": [True]}, {"live": [True]}, {"live": [False]}, {}]
    )
    facet = FacetField.of(Facet(field="price", interval=0.1), INDEX)
    buckets = [{"key": 0.30000000000000004, "doc_count": 1}]
    answer = {"0": {"buckets": buckets}, "0-missing": {"doc_count": 0}}
    assert facet.read("0", answer) == facet.counts([{"price": [0.35]}])


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [
        ("tags", "tags", "word"),
        ("title", "title.keyword", "word"),
        ("title.raw", "title.raw", "word"),
        ("label", "title.keyword", "word"),
        ("made", "made", "date"),
        ("meta.size", "meta.size", "number"),
        ("year", "year", "number"),
        ("live", "live", "truth"),
    ],
)
def test_a_field_with_values_is_found(name: str, path: str, kind: str) -> None:
    field = value_field(INDEX, name, argument="sort")
    assert (field.path, field.kind) == (path, kind)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("words", r"is of type text, which has words and no values: add a keyword subfield"),
        ("words.english", "is of type text, which has words and no values"),
        ("words.suggest", "is of type search_as_you_type, which has words and no values"),
        ("hidden", r'has no doc values in the mapping.*"doc_values": true'),
        ("also_hidden", "has no doc values in the mapping"),
        ("more.key", "has no doc values"),
        ("place", "is of type geo_point, which has no values to count or to sort by: take a"),
        ("cast.name", "lies in the nested object 'cast'"),
        ("cast", "lies in the nested object 'cast'"),
        ("meta", "is of type object"),
        (
            "nope",
            r"is not in index 'videos'. Fields with values: day, half, host, label, live",
        ),
    ],
)
def test_a_field_without_values_is_refused_with_the_way_out(name: str, message: str) -> None:
    with pytest.raises(QueryError, match=rf"^sort: field '{name}' .*{message}") as caught:
        value_field(INDEX, name, argument="sort")
    assert caught.value.argument == "sort"


def test_dates_are_ordered_by_the_nanoseconds_that_they_have() -> None:
    raws = ["1706702400123.456790", "1706702400123.456789", "1706702400123", "5"]
    ranks = value_field(INDEX, "moment", argument="sort").raw_ranks(raws)
    assert ranks == [1706702400123456790, 1706702400123456789, 1706702400123000000, 5_000_000]
    assert value_field(INDEX, "day", argument="sort").raw_ranks(raws[1:]) == [
        1706702400123,
        1706702400123,
        5,
    ]


def test_a_field_is_found_anew_in_another_description_of_the_index() -> None:
    before: Any = SimpleNamespace(name="videos", properties={"n": KEYWORD}, runtime={}, memo={})
    # A copy shares what was remembered.
    after: Any = SimpleNamespace(**{**vars(before), "properties": {"n": {"type": "long"}}})
    kinds = [value_field(of, "n", argument="sort").kind for of in (before, before, after)]
    assert kinds == ["word", "word", "number"]


def test_a_name_may_have_dots_in_it() -> None:
    assert pairs(counted([[3], [3]], "metrics.load")) == [(3, 2)]
    field = value_field(INDEX, "metrics.load.host", argument="facets")
    assert (field.path, field.kind) == ("metrics.load.host.keyword", "word")


def test_a_filter_is_left_without_what_is_about_one_field() -> None:
    term = {"term": {"tags": "a"}}
    either = {"bool": {"should": [term, {"prefix": {"tags": "b"}}]}}
    both = {"bool": {"should": [term, {"term": {"year": 3}}]}}
    assert without_field({"tags": "a", "year": 3}, {"tags"}) == [{"year": 3}]
    assert without_field([{"tags": "a"}, term, either, both], {"tags"}) == [both]
    assert without_field({"title.keyword": "a"}, {"title", "title.keyword"}) == []


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("tags", {"tags", "tags.keyword"}),
        ("title.keyword", {"title", "title.keyword", "title.raw", "label"}),
        ("label", {"title", "title.keyword", "title.raw", "label"}),
        ("day", {"day", "made"}),
        ("year", {"year"}),
        ("more.key", {"more.key"}),
        ("metrics.load.host.keyword", {"metrics.load.host", "metrics.load.host.keyword"}),
    ],
)
def test_a_field_is_known_by_its_subfields_and_aliases(path: str, names: set[str]) -> None:
    assert names_of(with_runtime(INDEX.properties, INDEX.runtime), path) == names
