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
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index
from vidsearch.registration import VideoList
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.videos import date_field


@pytest.fixture
def index() -> VideosIndex:
    settings = IndexSettings(name="videos", mapping={"properties": {"isbn": {"type": "keyword"}}})
    engine = MemoryEngine()
    create_videos_index(engine, settings, FakeEncoder().identity)
    return open_videos_index(engine, settings)


def read(
    index: VideosIndex, *rows: Mapping[str, Any], as_text: bool = False, as_json: bool = False
) -> list[dict[str, Any]]:
    """The fields of rows of a CSV or JSON file."""
    whole = [{"uri": f"https://h/{n}.mp4", **row} for n, row in enumerate(rows)]
    text = io.StringIO()
    if as_json:
        text.writelines(f"{json.dumps(row)}\n" for row in whole)
    else:
        writer = csv.DictWriter(text, whole[0])
        writer.writeheader()
        writer.writerows(whole)
    file = io.BytesIO(text.getvalue().encode())
    videos = VideoList(file, format="jsonl" if as_json else "csv")
    types = column_types(videos, index, as_text=as_text)
    return [dict(row.video.fields or {}) for row in videos.rows(types) if row.video]


def column(index: VideosIndex, *values: Any, name: str = "x", **options: bool) -> list[Any]:
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
    settings = IndexSettings(name="videos", mapping={"dynamic_templates": [template]})
    engine = MemoryEngine()
    create_videos_index(engine, settings, FakeEncoder().identity)
    read(open_videos_index(engine, settings), {"made_at": "2026-01-01T10:00Z"})
    assert "made_at" not in engine.mapping("videos")["properties"]


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
