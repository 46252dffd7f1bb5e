"""The lists of videos that ``vidsearch ingest`` reads: CSV, JSON lines and Parquet, or stdin."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vidsearch.cli import output
from vidsearch.registration import Format, IdFrom, VideoList
from vidsearch_mappings.videos import date_field, text_field

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch.registration.column_types import ColumnTypes

__all__ = ["column_types", "opened_list"]

_TEXTS = frozenset({"text", "keyword", "constant_keyword", "match_only_text", "wildcard"})


@contextmanager
def opened_list(
    path: Path, format: Format, *, columns: Mapping[str, str], base: str | None, id_from: IdFrom
) -> Iterator[VideoList]:
    """The list in a file, or in stdin, which is read to its end first. Says what is recognised."""
    with _file(path) as file:
        found = VideoList(
            file,
            format=format,
            columns=columns,
            base=base,
            id_from=id_from,
            name="stdin" if str(path) == "-" else None,
        )
        if found.dataset:
            output.talk(
                f"{found.name} is a list of {found.dataset.name}: {found.dataset.told}; --map "
                "COLUMN=FIELD changes that"
            )
        yield found


@contextmanager
def _file(path: Path) -> Iterator[Path | BinaryIO]:
    if str(path) != "-":
        yield path
        return
    with tempfile.TemporaryFile() as copy:  # a column's type is known after its last value only
        shutil.copyfileobj(sys.stdin.buffer, copy)
        yield copy


def column_types(videos: VideoList, index: VideosIndex, *, as_text: bool) -> ColumnTypes:
    """What becomes of the list's columns in this index; says it.

    A column stays text that the index maps as text. One with both dates and other texts is mapped
    as text here, as the index would take the first date for the type of all; and one of dates as
    such, as the index does not know all forms of them by itself. The user's own templates decide on
    dates, where there are some.
    """
    types = videos.types(is_text=lambda name: _mapped(index, name) in _TEXTS, as_text=as_text)
    dates = frozenset[str]() if index.own_templates else types.dates
    wanted = dict.fromkeys(types.with_dates, text_field()) | dict.fromkeys(dates, date_field())
    new = {name: wanted[name] for name in sorted(wanted) if _mapped(index, name) is None}
    if new:
        index.engine.put_mapping(index.name, {"properties": new})
    if told := types.told():
        rest = "all other columns as text (--as-text: every column)"
        if videos.format != "csv":
            rest = "all other values as they are (--as-text: these, too)"
        output.talk(f"read {told}; {rest}")
    return types


def _mapped(index: VideosIndex, name: str) -> str | None:
    """Type of a field in the live mapping; ``None`` where it is not mapped yet."""
    definition: Mapping[str, Any] | None = {"properties": index.properties}
    for part in name.split("."):
        definition = (definition or {}).get("properties", {}).get(part)
    return None if definition is None else definition.get("type", "object")
