"""The types of a list's columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from vidsearch.cli.lists import column_types
from vidsearch.config import IndexSettings
from vidsearch.errors import MappingConflictError
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index
from vidsearch.registration import VideoList
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.videos import date_field

TEMPLATES = [
    {"codes": {"match": "*_code", "match_mapping_type": "string", "mapping": {"type": "keyword"}}},
    {"counts": {"match": "*_n", "mapping": {"type": "integer"}}},
    {"numbers": {"match_mapping_type": "long", "mapping": {"type": "long"}}},
]


def made(**mapping: Any) -> VideosIndex:
    settings = IndexSettings(name="videos", mapping=mapping)
    engine = MemoryEngine()
    create_videos_index(engine, settings, FakeEncoder().identity)
    return open_videos_index(engine, settings)


@pytest.fixture
def index() -> VideosIndex:
    return made(properties={"isbn": {"type": "keyword"}})


def listed(
    *rows: Mapping[str, Any], as_json: bool = False, delimiter: str = ",", name: str | None = None
) -> VideoList:
    """Rows of a CSV or JSON file."""
    whole = [{"uri": f"https://h/{n}.mp4", **row} for n, row in enumerate(rows)]
    text = io.StringIO()
    if as_json:
        text.writelines(f"{json.dumps(row)}\n" for row in whole)
    else:
        writer = csv.DictWriter(text, whole[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(whole)
    file = io.BytesIO(text.getvalue().encode())
    return VideoList(file, format="jsonl" if as_json else "csv", name=name)


def fields_of(
    lists: list[VideoList], index: VideosIndex, *, as_text: bool = False
) -> list[list[dict[str, Any]]]:
    """The fields of all rows of each list."""
    types = column_types(lists, index, as_text=as_text)
    return [
        [dict(row.video.fields or {}) for row in each.rows(by) if row.video]
        for each, by in zip(lists, types, strict=True)
    ]


def read(
    index: VideosIndex, *rows: Mapping[str, Any], as_text: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """The fields of rows of a CSV or JSON file."""
    (found,) = fields_of([listed(*rows, **options)], index, as_text=as_text)
    return found


def column(index: VideosIndex, *values: Any, name: str = "x", **options: Any) -> list[Any]:
    return [fields[name] for fields in read(index, *({name: v} for v in values), **options)]


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["99", " 100", "-1"], [99, 100, -1]),
        (["4.5", "30"], [4.5, 30]),
        (["0.25", "1e-05", "2.5E+20"], [0.25, 1e-05, 2.5e20]),
        (["true", "FALSE"], [True, False]),
        (["2024-01-31", "2024-02-29T12:00:00Z"], ["2024-01-31", "2024-02-29T12:00:00Z"]),
        (["2024-01-31 12:00:00"], ["2024-01-31T12:00:00"]),
        (["2024-01-31 10:00:00.12345"], ["2024-01-31T10:00:00.123450"]),
        (["2024-01-31T10:00:00.1Z"], ["2024-01-31T10:00:00.100Z"]),
        (["2024-01-31 10:00:00.1234567+05"], ["2024-01-31T10:00:00.123456700+05:00"]),
        (["2024-01-31 10:00:00-0330", "2024-01-31"], ["2024-01-31T10:00:00-03:30", "2024-01-31"]),
    ],
)
def test_column_of_one_type_becomes_that_type(
    index: VideosIndex, values: list[str], read: list[Any]
) -> None:
    found = column(index, *values)
    assert found == read
    assert [type(value) for value in found] == [type(value) for value in read]
    assert column(index, *values, as_text=True) == values


def test_a_column_of_dates_is_mapped_so_unless_it_is_mapped_already(index: VideosIndex) -> None:
    rows = [{"day": "2024-01-31", "minute": "2026-01-01T10:00Z", "isbn": "2024-01-31"}]
    read(index, *rows)
    mapped = index.engine.mapping(index.name)["properties"]
    assert mapped["day"] == mapped["minute"] == date_field()
    assert mapped["isbn"] == {"type": "keyword"}


def test_templates_of_the_user_decide_how_a_column_of_dates_is_mapped() -> None:
    template = {"times": {"match": "*_at", "mapping": {"type": "date_nanos"}}}
    index = made(dynamic_templates=[template])
    read(index, {"made_at": "2026-01-01T10:00Z"})
    assert "made_at" not in index.engine.mapping("videos")["properties"]


@pytest.mark.parametrize(
    "values",
    [
        ["99", "n/a"],
        ["007", "12"],
        ["1,5"],
        ["1e5"],
        ["1e+999"],
        ["true", "1"],
        ["9007199254740993"],
        ["2024-13-01"],
        ["2024-01-31 10:00.5"],
        ["2024-01-31 10:00:00.1234567890"],
        ["2024", "later"],
        ["nan"],
        ["٣"],
    ],
    ids=repr,
)
def test_column_with_another_value_stays_text(index: VideosIndex, values: list[str]) -> None:
    assert column(index, *values) == values


@pytest.mark.parametrize(
    ("name", "read"), [("title", "2024"), ("isbn", "2024"), ("tags", ["2024"])]
)
def test_column_that_the_index_maps_as_text_stays_text(
    index: VideosIndex, name: str, read: Any
) -> None:
    assert column(index, "2024", name=name) == [read]


@pytest.mark.parametrize(
    ("values", "as_text"),
    [(["2024-01-31", "unknown"], False), (["2024-01-31"], True)],
    ids=["mixed", "as text"],
)
def test_dates_in_a_column_of_text_do_not_make_the_field_a_date(
    index: VideosIndex, values: list[str], as_text: bool
) -> None:
    assert column(index, *values, as_text=as_text) == values
    assert index.engine.mapping(index.name)["properties"]["x"]["type"] == "text"


def test_types_are_said_once(index: VideosIndex, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"n": "1", "m": "2", "ok": "true", "t": "x", "tags": "1"}] * 2
    assert read(index, *rows)[0] == {"n": 1, "m": 2, "ok": True, "t": "x", "tags": ["1"]}
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "read n, m as numbers; ok as true and false; all other columns as text (--as-text: every "
        "column)\n"
    )


def test_texts_of_json_follow_the_same_rule_and_other_values_stay(index: VideosIndex) -> None:
    rows = [
        {"year": "2024", "day": "2024-01-31", "n": 1, "ok": True, "big": 2**60, "in": {"a": ["1"]}},
        {"year": "2025", "day": "2024-02-01", "n": 2.5, "ok": False, "big": 1, "in": {"a": []}},
    ]
    assert read(index, *rows, as_json=True) == [
        {**rows[0], "year": 2024},
        {**rows[1], "year": 2025},
    ]
    assert read(index, *rows, as_json=True, as_text=True) == rows


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([12, "13"], [12, 13]),
        ([12, "n/a"], ["12", "n/a"]),
        ([True, "no"], ["true", "no"]),
        ([1, "true"], ["1", "true"]),
        ([1.5, "2024-01-31"], ["1.5", "2024-01-31"]),
        (["x", ["y"], None], ["x", ["y"]]),
    ],
    ids=repr,
)
def test_column_of_texts_and_other_values_becomes_one_type(
    index: VideosIndex, values: list[Any], read: list[Any]
) -> None:
    rows = [value for value in values if value is not None]
    assert column(index, *rows, as_json=True) == read


@pytest.mark.parametrize(
    ("type", "values", "read", "delimiter"),
    [
        ("boolean", ["True", "False", "n/a"], [True, False, "n/a"], ","),
        ("double", ["4.5", "n/a", "30", "007"], [4.5, "n/a", 30, "007"], ","),
        ("long", ["4", str(2**60), "?"], [4, str(2**60), "?"], ","),
        ("double", ["4,5", "n/a", "30"], [4.5, "n/a", 30], ";"),
        ("double", ["4,5", "n/a", "30"], ["4,5", "n/a", 30], ","),
        ("date", ["2024-01-31 12:00", "unknown"], ["2024-01-31T12:00", "unknown"], ","),
        ("date_nanos", ["2024-01-31 12:00", "?"], ["2024-01-31T12:00", "?"], ","),
    ],
)
def test_texts_of_a_field_that_takes_no_texts_are_read_one_by_one(
    type: str, values: list[str], read: list[Any], delimiter: str
) -> None:
    index = made(properties={"x": {"type": type}})
    assert column(index, *values, delimiter=delimiter) == read
    assert column(index, *values, delimiter=delimiter, as_text=True) == values


def test_odd_text_leaves_numbers_of_json_as_they_are_where_the_index_takes_numbers() -> None:
    index = made(properties={"x": {"type": "double"}})
    assert column(index, 4.5, "n/a", "5", as_json=True) == [4.5, "n/a", 5]


def test_texts_stay_as_they_are_where_a_date_has_a_format_of_its_own() -> None:
    day = {"type": "date", "format": "yyyy-MM-dd HH:mm:ss"}
    assert column(made(properties={"x": day}), "2024-01-31 12:00:00") == ["2024-01-31 12:00:00"]


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("x", {"type": "version"}),
        ("x", {"type": "search_as_you_type"}),
        ("x", {"type": "ip"}),
        ("x", {"type": "a_type_of_a_plugin"}),
        ("x.y", {"type": "flattened"}),
    ],
)
def test_texts_stay_such_in_a_field_of_any_other_type(
    name: str, definition: dict[str, Any]
) -> None:
    index = made(properties={"x": definition})
    assert column(index, "1.10", "3.00", name=name) == ["1.10", "3.00"]
    assert column(index, "2024-01-31", "?", name=name) == ["2024-01-31", "?"]
    assert index.engine.mapping(index.name)["properties"]["x"] == definition


def test_templates_that_name_a_new_field_say_what_it_takes() -> None:
    index = made(dynamic_templates=TEMPLATES)
    rows = [{"item_code": "1.10", "frames_n": "3", "price": "1.50"}]
    assert read(index, *rows, {"item_code": "4.50", "frames_n": "n/a", "price": "2"}) == [
        {"item_code": "1.10", "frames_n": 3, "price": 1.5},
        {"item_code": "4.50", "frames_n": "n/a", "price": 2},
    ]
    read(index, {"item_code": "2024-01-31"}, {"item_code": "x"})
    mapped = index.engine.mapping(index.name)["properties"]
    assert mapped["item_code"] == {"type": "keyword"}, "the first date would decide the type"


@pytest.mark.parametrize("turned", [False, True])
def test_new_column_has_the_type_of_the_values_of_all_lists(
    index: VideosIndex, turned: bool
) -> None:
    one = listed({"day": "2024-01-31", "n": "1", "size": "4,5", "v": "1.10"}, delimiter=";")
    rows = [{"day": "2024-01-31", "n": 2, "size": 3.5, "v": "x"}, {"day": "unknown", "n": 3}]
    lists = [one, listed(*rows, as_json=True)]
    found = fields_of(lists[::-1] if turned else lists, index)
    assert (found[::-1] if turned else found) == [
        [{"day": "2024-01-31", "n": 1, "size": 4.5, "v": "1.10"}],
        rows,
    ]
    assert index.engine.mapping(index.name)["properties"]["day"]["type"] == "text"


def test_numbers_of_a_list_become_texts_where_another_has_texts(index: VideosIndex) -> None:
    numbers, texts = listed({"x": 5}, as_json=True), listed({"x": "n/a"})
    assert fields_of([numbers, texts], index) == [[{"x": "5"}], [{"x": "n/a"}]]


def test_columns_that_the_index_does_not_take_are_named_with_their_list(
    index: VideosIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise MappingConflictError("cannot be changed from type [long] to [date]")

    monkeypatch.setattr(index.engine, "put_mapping", refuse)
    with pytest.raises(
        MappingConflictError, match=r"^'day' of a\.csv cannot be mapped: .* to \[date\]"
    ):
        fields_of([listed({"day": "2024-01-31"}, name="a.csv")], index)
