"""The rows of a CSV, JSON or Parquet file as they stand there, each with its line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, BinaryIO, Literal

from vidsearch.errors import VideoListError

__all__ = ["Format", "RawRow", "Table", "open_table"]

Format = Literal["csv", "jsonl", "parquet"]

_CELL = 1 << 20
"""Characters of a cell in CSV; where a quote is never closed, so much is read before that shows."""
_REFUSED = {
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it first",
    b"\xfd7zXZ": "compressed with xz: unpack it first",
}
"""What a file that begins so is instead of a list."""
_DELIMITERS = ",;\t"
_NAMED = f"{_DELIMITERS}|"
_SEPARATOR = re.compile(r'"?sep=(\\t|.?)"?', re.IGNORECASE)
"""A line before the header by which spreadsheets are told it."""
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
    decimal_comma: bool = False
    """Whether numbers may have one: spreadsheets that write it separate cells by ``;``."""


def open_table(
    file: BinaryIO, format: Format, *, name: str, left_out: Collection[str] = ()
) -> Table:
    """Read a file from its beginning. Rows that cannot be read do not end it.

    Args:
        file: can be read again.
        format: of the file.
        name: what messages call it.
        left_out: columns that need not be read.

    Raises:
        VideoListError: it is nothing of that format; also while a Parquet file is read.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    for begins, what in _REFUSED.items():
        if head.startswith(begins):
            raise VideoListError(f"{name} is {what}")
    if format == "parquet":
        return _parquet(file, name, left_out)
    return (_csv if format == "csv" else _json)(file, name)


def _csv(file: BinaryIO, name: str) -> Table:
    # A byte that is no UTF-8 becomes half a surrogate pair, so that it spoils its own row only.
    lines = (line.decode(errors="surrogateescape") for line in file)
    blank = 0
    said: str | None = None
    for first in lines:
        header = first.removeprefix("\ufeff")
        hint = None if said else _SEPARATOR.fullmatch(header.strip("\r\n "))
        if hint:
            said = hint[1]
            if not said or said not in _NAMED:
                raise VideoListError(
                    f"{name} names the separator {said!r} (sep=) in its first line: separate cells "
                    "by a comma, a semicolon, a | or a tab"
                )
        elif header.strip():
            break
        blank += 1
    else:
        header = ""
    if "\0" in header:
        raise VideoListError(f"{name} is no CSV file: it holds NUL bytes")
    # Of the whole process, and 128 KiB by default, which the transcript of a long talk exceeds.
    csv.field_size_limit(max(csv.field_size_limit(), _CELL))
    # Spreadsheets write what the language of their user has.
    delimiter = said or max(_DELIMITERS, key=header.count)
    reader = csv.reader(chain([header], lines), strict=True, delimiter=delimiter)
    try:
        columns = [each.strip() for each in next(reader, [])]
    except csv.Error as error:
        raise VideoListError(f"{name} is no CSV file: {_reason(error)}") from error
    _refuse_repeated(columns, name)
    rows = _csv_rows(reader, columns, before=blank)
    return Table(rows, columns, decimal_comma=delimiter == ";")


def _refuse_repeated(columns: Sequence[str], name: str) -> None:
    if repeated := [each for each in columns if each and columns.count(each) > 1]:
        raise VideoListError(f"{name} has two columns {repeated[0]!r}")


def _reason(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return "a carriage return stands where a line should end: save it with other line ends"
    return str(error)


def _csv_rows(reader: Any, columns: Sequence[str], *, before: int) -> Iterator[RawRow]:
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = before + reader.line_num
            told = f"no CSV: {_reason(error)}" + (f" (up to line {last})" if last > line else "")
            yield RawRow(line, error=told)
        else:
            yield _csv_row(line, columns, cells)


def _csv_row(line: int, columns: Sequence[str], cells: Sequence[str]) -> RawRow:
    if len(cells) > len(columns):
        return RawRow(line, error="more cells than columns")
    whole = "".join(cells)
    if "\0" in whole:
        return RawRow(line, error="a cell holds a NUL byte")
    try:
        whole.encode()
    except UnicodeEncodeError:
        return RawRow(line, error="not UTF-8: save the file as UTF-8")
    # Spreadsheets leave out the separators of empty cells at the end of some rows.
    return RawRow(line, dict(zip_longest(columns, cells, fillvalue="")))


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
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and isinstance(found.get("videos"), list):
            return _json_document(found, name)
    lines = enumerate(file, 1)
    return Table(_json_row(number, line) for number, line in lines if line.strip(_BOM + b" \t\r\n"))


def _loaded(text: bytes, name: str) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
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
        captions = _captions(found.get("sentences"))
        found = [_with_captions(each, captions) for each in videos]
    return Table((_object_row(n, each) for n, each in enumerate(found, 1)), counted="row")


def _captions(sentences: Any) -> dict[str, list[Any]]:
    """By video, the captions that MSR-VTT lists beside the videos."""
    found: dict[str, list[Any]] = {}
    for each in sentences if isinstance(sentences, list) else ():
        if isinstance(each, dict) and isinstance(video := each.get("video_id"), str):
            found.setdefault(video, []).append(each.get("caption"))
    return found


def _with_captions(video: Any, captions: Mapping[str, list[Any]]) -> Any:
    """A row with the captions of its video; one that has none there stays as it is."""
    id = video.get("video_id") if isinstance(video, dict) else None
    if isinstance(id, str) and id in captions:
        return {"sentence": captions[id], **video}
    return video


def _parquet(file: BinaryIO, name: str, left_out: Collection[str]) -> Table:
    from vidsearch.registration.parquet import open_parquet

    columns, rows = open_parquet(file, name=name, left_out=left_out)
    _refuse_repeated(columns, name)
    numbered = enumerate(rows, 1)
    return Table(
        (
            RawRow(n, error=cells) if isinstance(cells, str) else RawRow(n, cells)
            for n, cells in numbered
        ),
        columns,
        counted="row",
    )
