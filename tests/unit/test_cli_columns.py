"""The types of a CSV file's columns."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.cli.columns import with_types
from vidsearch.cli.sources import Source
from vidsearch.config import IndexSettings
from vidsearch.index import VideosIndex, create_videos_index, open_videos_index
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def index() -> VideosIndex:
    settings = IndexSettings(name="videos", mapping={"properties": {"isbn": {"type": "keyword"}}})
    engine = MemoryEngine()
    create_videos_index(engine, settings, FakeEncoder().identity)
    return open_videos_index(engine, settings)


def column(index: VideosIndex, *values: str, name: str = "x", as_text: bool = False) -> list[Any]:
    rows = [Source(str(n), f"/{n}.mp4", {name: value}) for n, value in enumerate(values)]
    return [row.fields[name] for row in with_types(rows, index, as_text=as_text)]


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["99", " 100", "-1"], [99, 100, -1]),
        (["4.5", "30"], [4.5, 30]),
        (["true", "FALSE"], [True, False]),
        (["2024-01-31", "2024-02-29T12:00:00Z"], ["2024-01-31", "2024-02-29T12:00:00Z"]),
        (["2024-01-31 12:00:00"], ["2024-01-31T12:00:00"]),
    ],
)
def test_column_of_one_type_becomes_that_type(
    index: VideosIndex, values: list[str], read: list[Any]
) -> None:
    found = column(index, *values)
    assert found == read
    assert [type(value) for value in found] == [type(value) for value in read]
    assert column(index, *values, as_text=True) == values


@pytest.mark.parametrize(
    "values",
    [
        ["99", "n/a"],
        ["007", "12"],
        ["1,5"],
        ["1e5"],
        ["true", "1"],
        ["9007199254740993"],
        ["2024-13-01"],
        ["2024", "later"],
        ["nan"],
        ["٣"],
    ],
    ids=repr,
)
def test_column_with_another_value_stays_text(index: VideosIndex, values: list[str]) -> None:
    assert column(index, *values) == values


@pytest.mark.parametrize("name", ["title", "tags", "isbn"])
def test_column_that_the_index_maps_as_text_stays_text(index: VideosIndex, name: str) -> None:
    assert column(index, "2024", name=name) == ["2024"]


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
    rows = [Source("a", "/a", {"n": "1", "m": "2", "ok": "true", "t": "x", "tags": ["1"]})]
    with_types(rows, index, as_text=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "read n, m as numbers; ok as true and false; all other columns as text (--as-text: every "
        "column)\n"
    )
