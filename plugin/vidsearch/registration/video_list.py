"""A file that lists videos."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, get_args

from vidsearch.errors import RegistryError, VideoListError
from vidsearch.registration.column_types import ColumnTypes, ColumnValues, KindOf, unmapped
from vidsearch.registration.datasets import Dataset, recognized
from vidsearch.registration.ids import IdFrom, absolute_uri, stable_id
from vidsearch.registration.repeats import Repeats
from vidsearch.registration.tables import Format, RawRow, Table, open_table
from vidsearch.registry import NewVideo

__all__ = ["Row", "VideoList"]

_SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of a list says: a video, the same one as an earlier row, or nothing usable."""

    place: str
    """File and line, for messages."""
    video: NewVideo | None = None
    error: str | None = None
    """Why it is no video."""
    absent: NewVideo | None = None
    """Where the error is that there is no such file: the video that may be registered with it."""


class VideoList:
    """A CSV, JSON lines or Parquet file with a video in each row.

    The columns ``uri`` and ``id`` are the video's; ``uri`` alone is enough, and leaves the fields
    of a registered video as they are. All others become fields of its document; empty cells do
    not. ``;`` separates ``tags`` in a text. The lists of WebVid and MSR-VTT are recognised. The
    file is read twice, as the type of a column follows from all of its values, and never kept in
    memory; but for one JSON document, and MSR-VTT's captions.

    ::

        register_videos(VideoList("webvid.csv").videos())

    Args:
        file: its path, or an open binary file that can be read again from its beginning.
        format: by default it follows from the path's suffix.
        columns: field by column, to read it as another than its name says; ``""`` leaves it out.
        id_from: how an id is made where the row has none; see :func:`stable_id`.
        base: folder or URL that relative URIs are below; by default the file's folder.
        name: what messages call the file.

    Raises:
        VideoListError: the file is not of the format, or has no column ``uri``.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        format: Format | None = None,
        columns: Mapping[str, str] | None = None,
        id_from: IdFrom = "uri",
        base: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> None:
        path = Path(file) if isinstance(file, (str, os.PathLike)) else None
        self.name = name or (str(path) if path else "the list")
        self._file = file
        chosen = format or (_SUFFIXES.get(path.suffix.lower()) if path else None)
        if chosen is None:
            raise VideoListError(f"{self.name}: name its format: {', '.join(get_args(Format))}")
        self.format: Format = chosen
        self._id_from = id_from
        self._base = os.fspath(base) if base else (path.resolve().parent if path else None)
        self._asked = self._columns = dict(columns or {})
        with self._table() as table:
            first = next((raw for raw in table.rows if raw.error is None), RawRow(0))
            named = table.columns
        columns_seen = first.cells.keys() if named is None else named
        self.dataset: Dataset | None = recognized(columns_seen, first.cells)
        """Which known dataset the file lists."""
        self._columns = {**self._preset(), **self._asked}
        if named is not None:
            self._require(named)

    def __len__(self) -> int:
        """Number of rows, bad ones included."""
        return self._survey[0]

    def types(
        self,
        *,
        kind_of: KindOf = unmapped,
        as_text: bool = False,
        beside: Iterable[VideoList] = (),
    ) -> ColumnTypes:
        """The types of its columns.

        Args:
            kind_of: says what the index takes in a field: ``number``, ``boolean``, ``date`` or
                ``text``, and ``None`` where the first value will decide. Each text is read as that
                by itself.
            as_text: leave every text as it is.
            beside: other lists for the same index. A new column has the type of the values of all.
        """
        values = [each._survey[1] for each in beside]
        return self._survey[1].types(kind_of=kind_of, as_text=as_text, beside=values)

    def rows(self, types: ColumnTypes | None = None) -> Iterator[Row]:
        """Every row but the empty ones. A row that is no video does not end the list.

        A row with neither video nor error repeats an earlier one. ``types`` are those of
        :meth:`types` by default.
        """
        types = types or self.types()
        with Repeats.none_yet() as repeats, self._table() as table:
            for raw in self._gathered(table.rows):
                place = f"{self.name}, {table.counted} {raw.line}"
                try:
                    if (video := self._video(raw, types)) is None:
                        continue
                except RegistryError as error:
                    yield Row(place, error=str(error), absent=self._absent(raw, types))
                    continue
                first = repeats.first(video, raw.line)
                if first is None:
                    yield Row(place, video)
                elif first[1]:
                    yield Row(place)
                else:
                    line = f"{table.counted} {first[0]}"
                    told = f"the id {video.id!r} stands in {line} with other values"
                    yield Row(place, error=told)

    def videos(self) -> Iterator[NewVideo]:
        """Every video once, and again where a later row has its URL signed anew.

        Raises:
            VideoListError: a row is no video; use :meth:`rows` to go on behind it.
        """
        for row in self.rows():
            if row.error:
                raise VideoListError(f"{row.place}: {row.error}")
            if row.video:
                yield row.video

    @cached_property
    def _survey(self) -> tuple[int, ColumnValues]:
        """The number of rows and the values of all columns."""
        number, columns, problem = 0, dict[str, None](), "it is empty"
        with self._table() as table:
            values = ColumnValues(decimal_comma=table.decimal_comma)
            columns.update(dict.fromkeys(table.columns or ()))
            for raw in self._gathered(table.rows):
                number += 1
                if raw.error and number == 1:
                    problem = f"{table.counted} {raw.line}: {raw.error}"
                columns.update(dict.fromkeys(raw.cells))
                fields = self._fields(raw).items()
                values.add({name: value for name, value in fields if name not in {"uri", "id"}})
        self._require(columns, why_none=problem)
        return number, values

    def _preset(self) -> dict[str, str]:
        """What the dataset makes of its columns, but for fields that were asked of others."""
        preset = self.dataset.columns if self.dataset else {}
        asked = {*self._asked.values()} - {""}
        return {column: field for column, field in preset.items() if field not in asked}

    def _require(self, columns: Collection[str], *, why_none: str = "it is empty") -> None:
        """Refuse a list whose columns do not give what was asked for."""
        found = f"(found: {', '.join(columns)})" if columns else f"({why_none})"
        if unknown := self._asked.keys() - {*columns}:
            raise VideoListError(f"{self.name} has no column {min(unknown)!r} {found}")
        by_field: dict[str, str] = {}
        for column in columns:
            field = self._columns.get(column, column)
            if field and (other := by_field.setdefault(field, column)) != column:
                raise VideoListError(
                    f"{self.name}: the columns {other!r} and {column!r} both become {field!r}"
                )
        if "uri" not in by_field and not (self.dataset and self.dataset.suffix):
            where = " in its first line" if self.format == "csv" else ""
            raise VideoListError(
                f"{self.name} has no column 'uri'{where} {found}"
                + (": --map COLUMN=uri names another" if columns else "")
            )

    def _gathered(self, rows: Iterator[RawRow]) -> Iterator[RawRow]:
        """Of a dataset with captions one row per video, with all of them; else the rows."""
        if self.dataset is None or (captions := self.dataset.captions) is None:
            yield from rows
            return
        id = next(column for column, field in self.dataset.columns.items() if field == "id")
        texts: dict[Any, dict[str, None]] = {}
        first: dict[Any, RawRow] = {}
        for raw in rows:
            if raw.error:
                yield raw
                continue
            key = str(raw.cells.get(id))
            first.setdefault(key, raw)
            texts.setdefault(key, {}).update(dict.fromkeys(_texts(raw.cells.get(captions))))
        for key, raw in first.items():
            every = [*texts[key]]
            if not every:  # a cell of captions would take away the fields of a registered video
                yield raw
                continue
            cell = every if len(every) > 1 else every[0]
            yield replace(raw, cells={**raw.cells, captions: cell})

    def _fields(self, raw: RawRow) -> dict[str, Any]:
        """The cells that are not empty, ``uri`` and ``id`` included."""
        fields = {
            field: value
            for column, value in raw.cells.items()
            if (field := self._columns.get(column, column)) and not _is_empty(value)
        }
        if isinstance(tags := fields.get("tags"), str):
            fields["tags"] = [tag.strip() for tag in tags.split(";") if tag.strip()]
        return fields

    def _absent(self, raw: RawRow, types: ColumnTypes) -> NewVideo | None:
        """What a row is that is no video; ``None`` where that is not for its file alone."""
        with suppress(RegistryError, ValueError, OSError):  # no file can have such a name
            return self._video(raw, types, absent=True)
        return None

    def _video(self, raw: RawRow, types: ColumnTypes, *, absent: bool = False) -> NewVideo | None:
        """``None`` for an empty row. ``absent``: also where its file is not there.

        Raises:
            RegistryError: it says no video.
        """
        if raw.error:
            raise RegistryError(raw.error)
        fields = self._fields(raw)
        if not fields:
            return None
        uri, id = fields.pop("uri", None), _id(fields.pop("id", None))
        if uri is None and id and self.dataset and self.dataset.suffix:
            uri = f"{id}{self.dataset.suffix}"
        if uri is None:
            raise RegistryError("the uri is empty")
        if not isinstance(uri, str):
            raise RegistryError(f"the uri must be a text, not {uri!r}")
        # Blanks are the list's, as of an id.
        uri = absolute_uri(uri.strip(), base=self._base, absent=absent)
        named = {self._columns.get(column, column) for column in raw.cells}
        given = types.converted(fields) if named - {"uri", "id", ""} else None
        return NewVideo(id or stable_id(uri, id_from=self._id_from), uri, given)

    @contextmanager
    def _table(self) -> Iterator[Table]:
        try:
            with (
                open(self._file, "rb")  # noqa: PTH123  (it may be a text)
                if isinstance(self._file, (str, os.PathLike))
                else nullcontext(self._file) as opened
            ):
                left_out = {column for column, field in self._columns.items() if not field}
                yield open_table(opened, self.format, name=self.name, left_out=left_out)
        except OSError as error:
            raise VideoListError(f"{self.name} cannot be read: {error.strerror}") from error


def _texts(cell: Any) -> list[str]:
    """The captions in a cell."""
    every = cell if isinstance(cell, list) else [cell]
    return [each for each in every if isinstance(each, str) and each]


def _is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, or blanks; NaN is what pandas writes for that."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _id(value: Any) -> str | None:
    """An id as text; lists of other tools have numbers, with a fraction where some are missing.

    Blanks around it belong to the list's commas, and not to the id.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RegistryError(f"the id must be a text or a whole number, not {value!r}")
