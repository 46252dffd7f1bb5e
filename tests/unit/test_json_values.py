"""Results, hits and moments as plain JSON values."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
import pytest

from vidsearch import Hit, Moment, SearchResult
from vidsearch.json_values import (
    MAX_LEVELS,
    is_deep,
    not_sendable,
    quoted,
    readable,
    to_json_value,
)
from vidsearch.search import Explanation, LegShare


class Colour(str, Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (np.float64(0.25), 0.25),
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        ({"a": (1, {"b": date(2026, 1, 2)})}, {"a": [1, {"b": "2026-01-02"}]}),
        ({3: None}, {"3": None}),
        (float("nan"), None),
        (Colour.RED, "red"),
        (Decimal("1.50"), "1.50"),
        (True, True),
    ],
)
def test_a_value_becomes_what_json_holds(value: Any, plain: Any) -> None:
    made = to_json_value(value)
    assert made == plain
    assert type(made) is type(plain)
    assert json.loads(json.dumps(made)) == plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a \ud83d b", "a \ufffd b"),
        ("\udc00", "\ufffd"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, 2.0**64),
        (-(10**400), None),
        (1.5, 1.5),
        (None, None),
    ],
)
def test_what_not_every_reader_of_json_takes_is_replaced(value: Any, expected: Any) -> None:
    shown = readable(value)
    assert shown == expected
    assert type(shown) is type(expected)
    assert orjson.loads(orjson.dumps(shown)) == expected


def test_what_lies_inside_of_a_value_is_replaced_as_well() -> None:
    value = {"a \ud83d": ["b \ud83d", {"c": 10**30, "d": ["e"]}]}
    assert readable(value) == {"a \ufffd": ["b \ufffd", {"c": 1e30, "d": ["e"]}]}


@pytest.mark.parametrize("value", ["it's", 5, None, ["a", {"b": (1.5,)}], {"a": {}}, np.int64(7)])
def test_short_value_is_quoted_as_python_writes_it(value: Any) -> None:
    assert quoted(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, ["y" * 90] * 90, [1] * 10**6, {"z" * 999: 1}, "\0" * 190],
    ids=["text", "texts", "numbers", "name", "escapes"],
)
def test_long_value_is_quoted_in_part(value: Any) -> None:
    assert len(quoted(value)) <= 200
    assert quoted(value)[:3] == repr(value)[:3]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("inf"), "inf is no number that JSON has"),
        ([{"a": Decimal("NaN")}], r"Decimal\('NaN'\) is no number that JSON has"),
        (Decimal("sNaN"), r"Decimal\('sNaN'\) is no number that JSON has"),
        (Fraction(10**400), "is no number that JSON has"),
        (2**64, "18446744073709551616 is no whole number of 64 bits"),
        (10**5000, "is no whole number of 64 bits"),
        ("a \ud83d", "is no text in Unicode"),
    ],
    ids=["infinite", "nan", "signalling nan", "fraction", "65 bits", "5000 digits", "text"],
)
def test_what_no_engine_takes_is_named(value: Any, reason: str) -> None:
    assert re.search(reason, not_sendable(value) or "")


@pytest.mark.parametrize(
    "value", [2**64 - 1, -(2**63), np.uint64(2**64 - 1), np.True_, Decimal("1.5"), Fraction(1, 3)]
)
def test_what_engines_take_is_not_named(value: Any) -> None:
    assert not_sendable(value) is None


def test_a_result_with_dates_and_numpy_numbers_is_json() -> None:
    hit = Hit(
        "a",
        np.float32(0.5),  # type: ignore[arg-type]
        np.float64(0.25),
        None,
        {"vector": 1, "keyword": None},
        {"when": datetime(2026, 1, 2), "sizes": np.array([1, 2])},
        moments=(Moment(0.0, 2.0, np.float32(0.25)),),  # type: ignore[arg-type]
        highlights={"title": ("<em>a</em>",)},
        explanation=Explanation({"vector": LegShare(1, 0.25, 0.5)}, ("title",)),
        duplicates=("b",),
    )
    result = SearchResult((hit,), "hybrid", "segment", "videos-000001", 1.5, ("cut off",))
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["hits"] == [hit.to_dict()]
    assert data["hits"][0] == {
        "id": "a",
        "score": 0.5,
        "cosine": 0.25,
        "bm25": None,
        "rank_per_leg": {"vector": 1, "keyword": None},
        "fields": {"when": "2026-01-02T00:00:00", "sizes": [1, 2]},
        "moments": [hit.moments[0].to_dict()],
        "highlights": {"title": ["<em>a</em>"]},
        "explanation": {
            "legs": {"vector": {"rank": 1, "score": 0.25, "contribution": 0.5}},
            "matched_fields": ["title"],
        },
        "duplicates": ["b"],
    }
    assert (data["mode"], data["took"], data["warnings"]) == ("hybrid", 1.5, ["cut off"])


def test_values_are_deep_beyond_the_limit_or_where_they_hold_themselves() -> None:
    value: list[Any] = []
    for _ in range(MAX_LEVELS - 1):
        value = [value, value]  # 2 ** 31 of the innermost, if each were looked at
    assert not is_deep(value)
    assert is_deep([value])
    parent: dict[str, Any] = {}
    parent["children"] = [{"parent": parent} for _ in range(50)]
    assert is_deep(parent)
