"""Filters against a mapping, and the fields of the keyword leg."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from vidsearch.errors import QueryError
from vidsearch.search.clauses import field_names
from vidsearch.search.filters import build_filters
from vidsearch.search.mapping_fields import expand_fields, nested_fields, with_runtime

ISO = "strict_date_optional_time"
KEYWORD = {"type": "keyword"}
TEXT = {"type": "text", "fields": {"keyword": KEYWORD}}
PROPERTIES: dict[str, Any] = {
    "title": TEXT,
    "body": {"type": "text", "fields": {"english": {"type": "text"}}},
    "tags": KEYWORD,
    "year": {"type": "integer"},
    "public": {"type": "boolean"},
    "day": {"type": "date"},
    "epoch": {"type": "date", "format": "yyyy||epoch_second"},
    "either": {"type": "date", "format": "dd/MM/yyyy||strict_date_optional_time"},
    "span": {"type": "date_range", "format": "epoch_second"},
    "range": {"type": "integer"},
    "owner": {"properties": {"name": TEXT, "id": KEYWORD}},
    "labels": {"type": "flattened"},
    "cast": {"type": "nested", "properties": {"name": KEYWORD}},
    "video": {
        "properties": {
            "uri": KEYWORD,
            "duration": {"type": "float"},
            "vector": {"type": "dense_vector", "dims": 3},
            "segments": {"type": "nested", "properties": {"text": {"type": "text"}}},
        }
    },
}


ALIASES: dict[str, Any] = {
    **PROPERTIES,
    "headline": {"type": "alias", "path": "title"},
    "topics": {"type": "alias", "path": "tags"},
    "released": {"type": "alias", "path": "year"},
    "address": {"type": "alias", "path": "video.uri"},
    "embedding": {"type": "alias", "path": "video.vector"},
}
STORED = {"index": False, "doc_values": False}
STORED_ONLY: dict[str, Any] = {
    "title": TEXT,
    "raw": {"type": "text", "index": False},
    "code": {**KEYWORD, **STORED},
    "page": {**KEYWORD, "index": False},
    "note": {"type": "text", "index": False, "fields": {"exact": KEYWORD}},
    "memo": {"type": "text", "fields": {"exact": {**KEYWORD, **STORED}}},
    "blob": {"type": "object", "enabled": False},
    "count": {"type": "integer", **STORED},
}
"""A mapping of a host that does not look for everything it keeps."""


def _on(name: str, day: str) -> dict[str, Any]:
    return {"range": {name: {"gte": day, "lte": day, "format": ISO}}}


@pytest.mark.parametrize(
    ("filter", "clauses"),
    [
        (None, []),
        ({}, []),
        ([], []),
        ({"tags": "sport"}, [{"term": {"tags": "sport"}}]),
        ({"tags": ["a", "b"]}, [{"terms": {"tags": ["a", "b"]}}]),
        ({"year": {"gte": 2020}}, [{"range": {"year": {"gte": 2020}}}]),
        ({"year": {"gt": "1", "lte": 9.5}}, [{"range": {"year": {"gt": 1, "lte": 9.5}}}]),
        ({"title": "Dog"}, [{"term": {"title.keyword": "Dog"}}]),
        ({"title.keyword": "Dog"}, [{"term": {"title.keyword": "Dog"}}]),
        ({"owner.name": "Ann"}, [{"term": {"owner.name.keyword": "Ann"}}]),
        ({"labels.team": "x"}, [{"term": {"labels.team": "x"}}]),
        ({"public": True}, [{"term": {"public": True}}]),
        ({"public": "false"}, [{"term": {"public": False}}]),
        ({"video.duration": "1e3"}, [{"term": {"video.duration": 1000.0}}]),
        # Python's dates, whatever format the mapping has; texts are taken to be in that.
        ({"day": date(2020, 1, 2)}, [{"term": {"day": "2020-01-02"}}]),
        ({"either": date(2020, 1, 2)}, [{"term": {"either": "2020-01-02"}}]),
        ({"epoch": date(2020, 1, 2)}, [_on("epoch", "2020-01-02")]),
        ({"span": date(2020, 1, 2)}, [_on("span", "2020-01-02")]),
        ({"day": [date(2020, 1, 2), 5]}, [{"terms": {"day": ["2020-01-02", 5]}}]),
        ({"day": "2020-01-02"}, [{"term": {"day": "2020-01-02"}}]),
        ({"tags": date(2020, 1, 2)}, [{"term": {"tags": "2020-01-02"}}]),
        (
            {"epoch": [date(2020, 1, 2), 5]},
            [{"bool": {"should": [_on("epoch", "2020-01-02"), {"term": {"epoch": 5}}]}}],
        ),
        (
            {"day": {"lt": datetime(2020, 1, 2, tzinfo=timezone.utc), "time_zone": "+01:00"}},
            [
                {
                    "range": {
                        "day": {
                            "lt": "2020-01-02T00:00:00+00:00",
                            "time_zone": "+01:00",
                            "format": ISO,
                        }
                    }
                }
            ],
        ),
        (
            {"day": {"gte": date(2020, 1, 2), "lt": "now/d"}},
            [{"range": {"day": {"gte": "2020-01-02", "lt": "now/d", "format": ISO}}}],
        ),
        (
            {"day": {"gte": date(2020, 1, 2), "lt": "2021"}},
            [{"range": {"day": {"gte": "2020-01-02", "lt": "2021"}}}],
        ),
        (
            {"day": {"gte": date(2020, 1, 2), "format": "yyyy-MM-dd"}},
            [{"range": {"day": {"gte": "2020-01-02", "format": "yyyy-MM-dd"}}}],
        ),
        ({"year": Decimal("2020")}, [{"term": {"year": 2020}}]),
        ({"year": np.int64(2020)}, [{"term": {"year": 2020}}]),
        ({"year": np.uint64(2**64 - 1)}, [{"term": {"year": 2**64 - 1}}]),
        ({"year": np.uint64(2**63 + 1)}, [{"term": {"year": 2**63 + 1}}]),
        ({"public": np.bool_(True)}, [{"term": {"public": True}}]),
        ({"public": [np.bool_(False), True]}, [{"terms": {"public": [False, True]}}]),
        ({"tags": {"exists": np.bool_(True)}}, [{"exists": {"field": "tags"}}]),
        ({"tags": Decimal("1.50")}, [{"term": {"tags": "1.50"}}]),
        ({"video.duration": Decimal("1E+30")}, [{"term": {"video.duration": 1e30}}]),
        ({"video.duration": {"lt": Decimal("9.5")}}, [{"range": {"video.duration": {"lt": 9.5}}}]),
        ({"video.duration": np.float32(0.5)}, [{"term": {"video.duration": 0.5}}]),
        # Without a keyword subfield a text is found by its words, wherever it stands.
        ({"body": "a b"}, [{"match": {"body": {"query": "a b", "operator": "and"}}}]),
        ({"body.english": "x"}, [{"match": {"body.english": {"query": "x", "operator": "and"}}}]),
        (
            {"body": ["a b", "c"]},
            [
                {
                    "bool": {
                        "should": [
                            {"match": {"body": {"query": words, "operator": "and"}}}
                            for words in ("a b", "c")
                        ]
                    }
                }
            ],
        ),
        ({"body": {"exists": True}}, [{"exists": {"field": "body"}}]),
        ({"owner": {"exists": True}}, [{"exists": {"field": "owner"}}]),
        (
            {"tags": {"exists": False}},
            [{"bool": {"must_not": [{"exists": {"field": "tags"}}]}}],
        ),
        ({"video.duration": {"lt": 9}}, [{"range": {"video.duration": {"lt": 9}}}]),
        (
            {"tags": "a", "year": 2020},
            [{"term": {"tags": "a"}}, {"term": {"year": 2020}}],
        ),
        (
            [{"tags": "a"}, {"tags": "b"}, {"match": {"title": "dog"}}],
            [{"term": {"tags": "a"}}, {"term": {"tags": "b"}}, {"match": {"title": "dog"}}],
        ),
        ({"bool": {"must_not": []}}, [{"bool": {"must_not": []}}]),
        ({"match_all": {}}, [{"match_all": {}}]),
        ({"term": {"nowhere": 1}}, [{"term": {"nowhere": 1}}]),
        # A mapped field goes before a clause of the same name.
        ({"range": {"gte": 3}}, [{"range": {"range": {"gte": 3}}}]),
        ({"range": 3}, [{"term": {"range": 3}}]),
        *(
            ({"tags": {"gte": bound}}, [{"range": {"tags": {"gte": bound}}}])
            for bound in ("2020-01-02", "2020-01", "2020-01-02T03:04:05.678+00:00", "été", "v2")
        ),
        ({"labels": {"gte": "m"}}, [{"range": {"labels": {"gte": "m"}}}]),
        (
            {"tags": {"gte": "nowhere", "lt": "o"}},
            [{"range": {"tags": {"gte": "nowhere", "lt": "o"}}}],
        ),
    ],
)
def test_filter_becomes_clauses(filter: Any, clauses: list[dict[str, Any]]) -> None:
    made = build_filters(filter, properties=PROPERTIES)
    assert made == clauses
    assert json.loads(json.dumps(made)) == clauses


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"year": 10**400}, "no number"),
        ({"year": {"gte": "9" * 400}}, "no number"),
        (
            {"colour": "red"},
            r"'colour': no such field in the index. Mapped fields: day, either, epoch, labels",
        ),
        ({"title.english": "x"}, "'title.english': no such field"),
        (
            {"colour": {}},
            "no such field in the index, nor a clause.* such as match.* Mapped fields",
        ),
        ({"colour": {"gte": 1}}, "'colour': no such field in the index. Mapped fields"),
        ({"term": "x"}, "'term': no such field.*; the clause of that name is an item of its own"),
        ({"tags": "a", "bool": {}}, "'bool': no such field"),
        ({"term": {}}, "filter clause 'term' is empty; a clause of the query language looks like"),
        ({"owner": "Ann"}, r"'owner': it is an object; name one of its fields"),
        ({"video.vector": "x"}, "holds vectors"),
        ({"video.segments": {"exists": True}}, "it is a nested object; name one"),
        ({"tags": []}, "an empty list of values matches nothing"),
        ({"tags": None}, r"None is no value.*\"exists\": false"),
        ({"tags": ["a", None]}, "None is no value"),
        ({"tags": [["a"]]}, "neither text, number, truth value nor date"),
        ({"tags": 1j}, "neither text, number, truth value nor date"),
        ({"year": Decimal("NaN")}, "neither text, number, truth value nor date"),
        ({"year": Decimal("1E+1000000")}, "neither text, number, truth value nor date"),
        ({"year": Decimal("sNaN")}, "neither text, number, truth value nor date"),
        ({"video.duration": {"gte": Fraction(10**400)}}, "neither text, number, truth value nor"),
        ({"year": 10**5000}, "it is of type integer, .* is no number"),
        ({"year": np.bool_(True)}, "it is of type integer, True is no number"),
        ({"year": 1j}, "neither text, number, truth value nor date"),
        ({"year": "soon"}, "it is of type integer, 'soon' is no number"),
        ({"year": True}, "it is of type integer, True is no number"),
        ({"year": {"gte": "x"}}, "'x' is no number"),
        ({"year": float("nan")}, "nan is no number"),
        ({"year": "inf"}, "'inf' is no number"),
        ({"public": "maybe"}, "it is true or false, not 'maybe'"),
        ({"title": {"gte": 100}}, "'title': it is of type text, a range of it compares letters"),
        ({"title": {"lt": "now-7d/d"}}, "Map it as a number or a date .*index.mapping"),
        ({"body": {"gte": "a"}}, "'body': it is of type text, a range"),
        ({"owner.name": {"gt": date(2020, 1, 2)}}, "'owner.name': it is of type text"),
        ({"video.segments.text": {"gt": "x"}}, "it is of type text, a range"),
        ({"tags": {"gte": 100}}, "'tags': it is of type keyword.* 100 is a number or date maths"),
        ({"tags": {"gte": "-4.5e3"}}, "'-4.5e3' is a number or date maths"),
        ({"tags": {"gte": "2020-01-01", "lt": "now/d"}}, "'now/d' is a number or date maths"),
        ({"tags": {"gte": "2020-01-01||/M"}}, "is a number or date maths"),
        ({"labels.page": {"gte": "10"}}, "'labels.page': it is of type keyword"),
        ({"labels": {"gte": 10}}, "'labels': it is of type flattened, a range of it compares"),
        *(
            ({"tags": {"lt": bound}}, "is a number or date maths: it neither begins with a letter")
            for bound in ("$100", "1,000", "10:00", "2024-1-5", "2024", "2024-01-05x", " a", "")
        ),
        ({"year": {}}, "{} says nothing; write a value, a list of values, a range of gt, gte"),
        ({"year": {"from": 1}}, "a range is made of gt, gte, lt, lte, not 'from'"),
        ({"year": {"format": "yyyy"}}, "a range is made of"),
        ({"year": {"exists": 1}}, 'write {"exists": true} or {"exists": false}'),
        ("tags:sport", "a filter is a dict or a list of dicts, not 'tags:sport'"),
        (["tags"], "an item of a filter list must be a dict, not 'tags'"),
    ],
)
def test_a_wrong_filter_is_refused(filter: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        build_filters(filter, properties=PROPERTIES)


@pytest.mark.parametrize(
    "filter",
    [
        {"code": {"exists": False}},  # which every video would match
        {"code": "x"},
        {"raw": {"exists": True}},
        {"count": {"gte": 1}},
        {"blob": {"exists": False}},
        {"memo.exact": "x"},
    ],
)
def test_filter_on_a_field_that_is_only_stored_is_refused(filter: Any) -> None:
    (name,) = filter
    with pytest.raises(QueryError, match=f"{name!r}: the index only stores it, by its mapping"):
        build_filters(filter, properties=STORED_ONLY)


@pytest.mark.parametrize(
    ("filter", "clause"),
    [
        ({"page": "x"}, {"term": {"page": "x"}}),
        ({"page": {"exists": True}}, {"exists": {"field": "page"}}),
        ({"note": "x"}, {"term": {"note.exact": "x"}}),
        ({"note": {"exists": True}}, {"exists": {"field": "note.exact"}}),
        ({"memo": {"exists": True}}, {"exists": {"field": "memo"}}),
    ],
)
def test_a_field_with_doc_values_or_a_subfield_is_filtered(filter: Any, clause: Any) -> None:
    assert build_filters(filter, properties=STORED_ONLY) == [clause]


def test_stored_only_fields_are_no_keyword_fields() -> None:
    named = ("raw^3", "note", "note.exact", "memo.exact", "*")
    found = expand_fields(STORED_ONLY, named, hidden="video")
    assert found == ("note.exact", "title", "page", "memo")


@pytest.mark.parametrize("kind", ["text", "search_as_you_type", "match_only_text"])
def test_analyzed_subfield_is_found_by_its_words(kind: str) -> None:
    properties = {
        "title": {**TEXT, "fields": {"keyword": KEYWORD, "suggest": {"type": kind}}},
        "name": {"type": "alias", "path": "title.suggest"},
    }
    for name in ("title.suggest", "name"):
        words = {"query": "Storm Warning", "operator": "and"}
        assert build_filters({name: "Storm Warning"}, properties=properties) == [
            {"match": {name: words}}
        ]
        with pytest.raises(QueryError, match=f"it is of type {kind}, a range of it compares"):
            build_filters({name: {"gte": "a"}}, properties=properties)


LIMITED: dict[str, Any] = {
    "title": {"type": "text", "fields": {"keyword": {**KEYWORD, "ignore_above": 5}}},
    "code": {**KEYWORD, "ignore_above": 5},
    "short": {"type": "alias", "path": "code"},
    "labels": {"type": "flattened", "ignore_above": 5},
    "tags": KEYWORD,
    "cast": {
        "type": "nested",
        "properties": {
            "bio": {"type": "text", "fields": {"raw": {**KEYWORD, "ignore_above": 5}}},
        },
    },
}


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (
            {"title": "a boat"},
            r"'a boat' has 6 characters.*more than 5 there.*of your own, {\"match_phrase\": ",
        ),
        ({"title.keyword": "a boat"}, "'title.keyword': 'a boat' has 6 .*: raise ignore_above"),
        (
            {"cast.bio": "a boat"},
            r'own, {"nested": {"path": "cast", "query": {"match_phrase": {"cast.bio"',
        ),
        ({"code": "a boat"}, "'code': .*: raise ignore_above in the mapping and write the"),
        ({"code": ["a", "a boat"]}, "'a boat' has 6 characters"),
        ({"short": "a boat"}, "'short': 'a boat' has 6"),
        ({"labels.team": "a boat"}, "'labels.team': 'a boat' has 6"),
        ({"code": "\U0001f600\U0001f600\U0001f600"}, "'code': .* has 6"),
    ],
)
def test_text_of_which_the_index_keeps_no_whole_value_is_refused(filter: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        build_filters(filter, properties=LIMITED)


def test_text_within_the_limit_is_filtered() -> None:
    filter = {"title": "boats", "code": ["a", "boats"], "labels.team": "boats", "tags": "a" * 300}
    assert [*map(list, build_filters(filter, properties=LIMITED))] == [
        ["term"],
        ["terms"],
        ["term"],
        ["term"],
    ]


def test_absence_in_a_nested_object_is_that_of_every_item() -> None:
    def absent(name: str) -> dict[str, Any]:
        return {"bool": {"must_not": [{"exists": {"field": name}}]}}

    def without(path: str, name: str) -> dict[str, Any]:
        nested = {"nested": {"path": path, "query": {"exists": {"field": name}}}}
        return {"bool": {"must_not": [nested]}}

    def built(filter: Any) -> list[dict[str, Any]]:
        return build_filters(filter, properties=PROPERTIES, segments="video.segments")

    properties = {"cast": {"type": "nested", "properties": {"name": KEYWORD, "role": KEYWORD}}}
    assert built({"cast.name": {"exists": False}}) == [without("cast", "cast.name")]
    both = {"cast.name": {"exists": False}, "cast.role": {"exists": False}}
    assert build_filters(both, properties=properties) == [
        without("cast", "cast.name"),
        without("cast", "cast.role"),
    ]
    # Another condition says which item; and each segment is searched by itself.
    one_item = {"cast.name": {"exists": False}, "cast.role": "cook"}
    conditions = [absent("cast.name"), {"term": {"cast.role": "cook"}}]
    assert build_filters(one_item, properties=properties) == [
        {"nested": {"path": "cast", "query": {"bool": {"filter": conditions}}}}
    ]
    text = "video.segments.text"
    assert built({text: {"exists": False}}) == [
        {"nested": {"path": "video.segments", "query": {"bool": {"filter": [absent(text)]}}}}
    ]


@pytest.mark.parametrize(
    ("clause", "fields"),
    [
        ({"more_like_this": {"fields": ["title^2", "body"], "like": "x"}}, ["title", "body"]),
        ({"combined_fields": {"fields": ["title"], "query": "x"}}, ["title"]),
        ({"geo_grid": {"place": {"geohash": "u0"}}}, ["place"]),
        ({"span_term": {"title": "x"}}, ["title"]),
        ({"span_first": {"match": {"span_term": {"title": "x"}}, "end": 3}}, ["title"]),
        ({"span_near": {"clauses": [{"span_term": {"title": "x"}}], "slop": 1}}, ["title"]),
        (
            {"span_not": {"include": {"span_term": {"a": 1}}, "exclude": {"span_term": {"b": 1}}}},
            ["a", "b"],
        ),
        ({"function_score": {"query": {"term": {"tags": "x"}}, "min_score": 1}}, ["tags"]),
    ],
)
def test_every_clause_of_the_query_language_is_sent(clause: Any, fields: list[str]) -> None:
    assert build_filters(clause, properties=PROPERTIES) == [clause]
    assert field_names(clause) == fields


def test_field_of_a_nested_object_is_no_keyword_field() -> None:
    named = ("cast.name^2", "title", "video.segments.text", "cast.*", "year", "nowhere")
    assert expand_fields(PROPERTIES, named, hidden="video") == ("title",)
    assert nested_fields(PROPERTIES, named) == ("cast.name", "video.segments.text")


def test_keyword_subfield_of_a_keyword_is_the_keyword() -> None:
    assert build_filters({"tags.keyword": "a"}, properties=PROPERTIES) == [{"term": {"tags": "a"}}]
    with pytest.raises(QueryError, match=r"'year\.keyword': no such field"):
        build_filters({"year.keyword": "a"}, properties=PROPERTIES)
    # The engine is asked by the name that it knows.
    found = expand_fields(PROPERTIES, ("tags.keyword^2", "title.keyword"), hidden="video")
    assert found == ("tags^2", "title.keyword")


def test_field_with_a_caret_in_its_name_spoils_no_search() -> None:
    # The engine would read the rest of the name as a boost, and refuse the whole query.
    properties = {"title": TEXT, "a^b": TEXT, "own": {"properties": {"c^2": TEXT}}}
    assert expand_fields(properties, ("title^2", "*"), hidden="video") == ("title^2",)


@pytest.mark.parametrize(
    ("patterns", "fields"),
    [
        (("title^2", "tags"), ("title^2", "tags")),
        (("title^2", "*"), ("title^2", "body", "tags", "owner.name", "owner.id")),
        (("*", "title^2"), ("title", "body", "tags", "owner.name", "owner.id")),
        (("owner.*^0.5",), ("owner.name^0.5", "owner.id^0.5")),
        (("nowhere", "year", "video.*"), ()),
        (("title.keyword", "video.uri"), ("title.keyword", "video.uri")),
    ],
)
def test_patterns_expand_to_the_fields_of_the_keyword_leg(
    patterns: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    assert expand_fields(PROPERTIES, patterns, hidden="video") == fields


@pytest.mark.parametrize(
    ("filter", "clause"),
    [
        ({"topics": "a"}, {"term": {"topics": "a"}}),
        ({"headline": "Dog"}, {"term": {"title.keyword": "Dog"}}),
        ({"headline": {"exists": True}}, {"exists": {"field": "headline"}}),
        ({"released": {"gte": "2020"}}, {"range": {"released": {"gte": 2020}}}),
    ],
)
def test_alias_is_filtered_as_its_target(filter: Any, clause: Any) -> None:
    assert build_filters(filter, properties=ALIASES) == [clause]


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"topics": {"gte": 100}}, "'topics': it is of type keyword, a range of it compares"),
        ({"headline": {"gte": "a"}}, "'headline': it is of type text, a range of it compares"),
        ({"released": "soon"}, "'released': it is of type integer, 'soon' is no number"),
        ({"embedding": "x"}, "'embedding': it holds vectors"),
    ],
)
def test_wrong_filter_on_an_alias_is_refused_as_on_its_target(filter: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        build_filters(filter, properties=ALIASES)


@pytest.mark.parametrize(
    ("patterns", "fields"),
    [
        (("headline^2", "released", "topics"), ("headline^2", "topics")),
        (("h*", "addr*"), ("headline",)),
        (
            ("title^2", "h*", "topics^3", "*"),
            ("title^2", "topics^3", "body", "tags", "owner.name", "owner.id"),
        ),
    ],
)
def test_alias_is_a_keyword_field_unless_its_target_is(
    patterns: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    assert expand_fields(ALIASES, patterns, hidden="video") == fields


# -- fields that a search computes

RUNTIME = {
    "day": {"type": "keyword"},
    "price.net": {"type": "double"},
    "shop": {"type": "composite", "fields": {"town": {"type": "keyword"}}},
    "other": {"type": "lookup"},
}


def test_runtime_field_is_filtered_by_its_type() -> None:
    stored = {"price": {"properties": {"gross": {"type": "double"}}}, "day": {"type": "text"}}
    properties = with_runtime(stored, RUNTIME)
    filter = {"day": "monday", "price.net": {"gte": "2.5"}, "price.gross": 1, "shop.town": ["x"]}
    assert build_filters(filter, properties=properties) == [
        {"term": {"day": "monday"}},
        {"range": {"price.net": {"gte": 2.5}}},
        {"term": {"price.gross": 1}},
        {"terms": {"shop.town": ["x"]}},
    ]
    assert stored == {"price": {"properties": {"gross": {"type": "double"}}}, "day": stored["day"]}


@pytest.mark.parametrize(
    ("filter", "why"),
    [
        ({"price.net": "much"}, "it is of type double, 'much' is no number"),
        ({"day": {"gte": 5}}, "a range of it compares letters"),
        ({"other": "x"}, "cannot look for it"),
        ({"night": "x"}, "no such field in the index.*day.*price.net.*shop.town"),
    ],
)
def test_filter_that_a_runtime_field_cannot_take_is_refused(filter: Any, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        build_filters(filter, properties=with_runtime({}, RUNTIME))


def test_a_decimal_near_the_greatest_whole_number_is_not_rounded() -> None:
    properties = {"n": {"type": "unsigned_long"}}
    for value in (2**64 - 1, 2**64 - 2, 2**63 + 1):
        exact = build_filters({"n": value}, properties=properties)
        assert build_filters({"n": Decimal(value)}, properties=properties) == exact
