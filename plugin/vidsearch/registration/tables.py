"""The rows of a CSV, JSON or Parquet file as they stand there, each with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, BinaryIO, Literal

from vidsearch.errors import MissingExtraError, VideoListError
from vidsearch.json_values import to_json_value

__all__ = ["Format", "RawRow", "Table", "open_table"]

Format = Literal["csv", "jsonl", "parquet"]

_BATCH = 1000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row, or why it cannot be read."""

    line: int
    """In the file, from 1; of Parquet and of a JSON array the number of the row."""
    cells: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds; its rows can be read once."""

    rows: Iterator[RawRow]
    columns: Sequence[str] | None = None
    """Where the file names them before its rows."""
    counted: Literal["line", "row"] = "line"
    """What the number of a row counts."""


def open_table(file: BinaryIO, format: Format, *, name: str) -> Table:
    """Read a file from its beginning. Rows that cannot be read do not end it.

    Args:
        file: can be read again.
        format: of the file.
        name: what messages call it.

    Raises:
        VideoListError: it is nothing of that format; also while a Parquet file is read.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    file.seek(0)
    head = file.read(2)
    file.seek(0)
    if format != "parquet" and head in _UTF16:
        raise VideoListError(f"{name} is UTF-16: save it as UTF-8")
    return _OPENED[format](file, name)


def _csv(file: BinaryIO, name: str) -> Table:
    # A byte that is no UTF-8 becomes half a surrogate pair, so that it spoils its own row only.
    lines = (line.decode(errors="surrogateescape") for line in file)
    first = next(lines, "").removeprefix("\ufeff")
    reader = csv.reader(chain([first], lines), strict=True)
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise VideoListError(f"{name} is no CSV file: {error}") from error
    if repeated := [each for each in columns if each and columns.count(each) > 1]:
        raise VideoListError(f"{name} has two columns {repeated[0]!r}")
    return Table(_csv_rows(reader, columns), columns)


def _csv_rows(reader: Any, columns: Sequence[str]) -> Iterator[RawRow]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num
            told = f"no CSV: {error}" + (f" (up to line {last})" if last > line else "")
            yield RawRow(line, error=told)
        else:
            yield _csv_row(line, columns, cells)


def _csv_row(line: int, columns: Sequence[str], cells: Sequence[str]) -> RawRow:
    if len(cells) > len(columns):
        return RawRow(line, error="more cells than columns")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return RawRow(line, error="not UTF-8: save the file as UTF-8")
    return RawRow(line, dict(zip(columns, cells, strict=False)))


def _json(file: BinaryIO, name: str) -> Table:
    """JSON lines; an array of objects; MSR-VTT's one object, with its ``videos``."""
    first = file.readline()
    file.seek(0)
    begins = first.removeprefix(_BOM).strip()
    if begins == b"{" or begins.startswith(b"["):
        return _json_document(_loaded(file.read(), name), name)
    if begins.startswith(b"{"):
        try:
            found = json.loads(begins)
        except ValueError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("videos"), list):
            return _json_document(found, name)
    lines = enumerate(file, 1)
    return Table(_json_row(number, line) for number, line in lines if line.strip(_BOM + b" \t\r\n"))


def _loaded(text: bytes, name: str) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise VideoListError(f"{name} is no JSON: {error}") from error


def _json_row(number: int, line: bytes) -> RawRow:
    try:
        found = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return RawRow(number, error="not UTF-8: save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return RawRow(number, error=f"no JSON: {error}")
    return _object_row(number, found)


def _object_row(number: int, found: Any) -> RawRow:
    if not isinstance(found, dict):
        return RawRow(number, error="no JSON object")
    return RawRow(number, found)


def _json_document(found: Any, name: str) -> Table:
    if isinstance(found, dict):
        videos = found.get("videos")
        if not isinstance(videos, list):
            raise VideoListError(
                f"{name} is one JSON object: write one object a line, or an array of them"
            )
        captions: dict[Any, list[Any]] = {}
        for each in found.get("sentences") or ():
            captions.setdefault(each.get("video_id"), []).append(each.get("caption"))
        found = [
            {**each, "sentence": captions.get(each.get("video_id"))}
            if isinstance(each, dict)
            else each
            for each in videos
        ]
    return Table((_object_row(n, each) for n, each in enumerate(found, 1)), counted="row")


def _parquet(file: BinaryIO, name: str) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError.of("parquet", needed_for="reading Parquet files") from error
    try:
        opened = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise VideoListError(f"{name} is no Parquet file: {error}") from error

    def rows() -> Iterator[RawRow]:
        number = 0
        try:
            for batch in opened.iter_batches(batch_size=_BATCH):
                for cells in batch.to_pylist():
                    number += 1
                    yield _parquet_row(number, cells)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise VideoListError(f"{name} cannot be read after row {number}: {error}") from error

    return Table(rows(), opened.schema_arrow.names, counted="row")


def _parquet_row(number: int, cells: Mapping[str, Any]) -> RawRow:
    try:
        return RawRow(number, {name: _plain(value) for name, value in cells.items()})
    except UnicodeDecodeError:
        return RawRow(number, error="a cell holds bytes that are not UTF-8")


def _plain(value: Any) -> Any:
    """A value of Arrow as JSON has it. Decimals become text, which the column's type may change."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    return to_json_value(value)


_OPENED: Mapping[Format, Callable[[BinaryIO, str], Table]] = {
    "csv": _csv,
    "jsonl": _json,
    "parquet": _parquet,
}
