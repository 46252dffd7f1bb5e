"""The lists of videos that ``vidsearch ingest`` reads: CSV, JSON lines and Parquet, or stdin."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vidsearch.cli import output
from vidsearch.errors import MappingConflictError
from vidsearch.registration import Format, IdFrom, VideoList
from vidsearch_mappings.field_kinds import field_kind, mapped_field, template_field
from vidsearch_mappings.videos import date_field, text_field

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch.registration.column_types import ColumnTypes

__all__ = ["column_types", "opened_list"]


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


def column_types(
    lists: Sequence[VideoList], index: VideosIndex, *, as_text: bool
) -> list[ColumnTypes]:
    """What becomes of the columns of lists in this index; says it.

    Texts stay such where the index takes texts, and are read one by one where it takes something
    else. The type of a column that it does not know follows from the values of all lists. One with
    both dates and other texts is mapped as text here, as the index would take the first date for
    the type of all; and one of dates as such, as the index does not know all forms of them by
    itself. The user's own templates decide on dates, where there are some.

    Raises:
        MappingConflictError: the index does not take such a column.
    """
    found = [
        each.types(
            kind_of=index.kind_of,
            as_text=as_text,
            beside=[other for other in lists if other is not each],
        )
        for each in lists
    ]
    _map_dates(lists, found, index)
    for videos, types in zip(lists, found, strict=True):
        if told := types.told():
            rest = "all other columns as text (--as-text: every column)"
            if videos.format != "csv":
                rest = "all other values as they are (--as-text: these, too)"
            output.talk(f"read {told}; {rest}")
    return found


def _map_dates(
    lists: Sequence[VideoList], found: Sequence[ColumnTypes], index: VideosIndex
) -> None:
    """Map the new columns with dates."""
    wanted: dict[str, Any] = {}
    for types in found:
        wanted |= {name: _text_field(index, name) for name in types.with_dates}
        if not index.own_templates:
            wanted |= dict.fromkeys(types.dates, date_field())
    new = {name: wanted[name] for name in sorted(wanted) if not _is_mapped(index, name)}
    if not new:
        return
    try:
        index.engine.put_mapping(index.name, {"properties": new})
    except MappingConflictError as error:
        names = ", ".join(map(repr, new))
        files = " and ".join(each.name for each in lists)
        raise MappingConflictError(f"{names} of {files} cannot be mapped: {error}") from error


def _text_field(index: VideosIndex, name: str) -> Mapping[str, Any]:
    """How a column of texts is mapped: as the user's templates say, where they do."""
    own = template_field(index.templates, name)
    if own is None or field_kind(own) != "text" or "{name}" in str(own):  # filled in by engines
        return text_field()
    return own


def _is_mapped(index: VideosIndex, name: str) -> bool:
    return mapped_field(index.properties, name) is not None
