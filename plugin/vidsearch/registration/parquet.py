"""The rows of a Parquet file, as values of JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, BinaryIO

from vidsearch.errors import MissingExtraError, VideoListError
from vidsearch.json_values import to_json_value

__all__ = ["open_parquet"]

_BATCH = 1000


class _Bad(str):
    """Why a cell has no value."""


def open_parquet(
    file: BinaryIO, *, name: str, left_out: Collection[str]
) -> tuple[Sequence[str], Iterator[dict[str, Any] | str]]:
    """The names of all columns, and the rows: each its cells, or why they cannot be read.

    Args:
        file: can be read again.
        name: what messages call it.
        left_out: columns that are not read.

    Raises:
        VideoListError: it is no Parquet file; also while its rows are read.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError.of("parquet", needed_for="reading Parquet files") from error
    try:
        opened = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise VideoListError(f"{name} is no Parquet file: {error}") from error
    names = opened.schema_arrow.names
    wanted = [each for each in names if each not in left_out]

    def rows() -> Iterator[dict[str, Any] | str]:
        number = 0
        try:
            for batch in opened.iter_batches(batch_size=_BATCH, columns=wanted):
                columns = {
                    each: _cells(each, batch.column(at))
                    for at, each in enumerate(batch.schema.names)
                    if each in wanted
                }
                for at in range(batch.num_rows):
                    number += 1
                    cells = {each: values[at] for each, values in columns.items()}
                    bad = next((c for c in cells.values() if isinstance(c, _Bad)), None)
                    yield cells if bad is None else str(bad)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise VideoListError(f"{name} cannot be read after row {number}: {error}") from error

    return names, rows()


def _cells(name: str, column: Any) -> list[Any]:
    """The values of a column; one that cannot be had spoils its own row only."""
    if not (_is_map(column.type) or _has_nanoseconds(column.type)):
        with suppress(*_unreadable()):
            return [_plain(value) for value in column.to_pylist()]  # faster
    return [_cell(name, each) for each in column]


def _unreadable() -> tuple[type[Exception], ...]:
    from pyarrow import ArrowException

    return ArrowException, OverflowError, ValueError, LookupError


def _cell(name: str, scalar: Any) -> Any:
    try:
        return _plain(_value(scalar))
    except UnicodeDecodeError:
        return _Bad(f"column {name!r} holds bytes that are not UTF-8: leave it out (--map {name}=)")
    except _unreadable() as error:
        return _Bad(f"column {name!r} cannot be read: {error}")


def _value(scalar: Any) -> Any:
    """A value of Arrow as Python has it; a time with nanoseconds, which Python lacks, as text."""
    if not scalar.is_valid:
        return None
    if _is_map(scalar.type):
        return dict(scalar.as_py())
    if _has_nanoseconds(scalar.type) and scalar.value % 1000:
        return _with_nanoseconds(scalar)
    return scalar.as_py()


def _is_map(type: Any) -> bool:
    from pyarrow import types

    return bool(types.is_map(type))


def _has_nanoseconds(type: Any) -> bool:
    from pyarrow import types

    return bool(types.is_timestamp(type)) and type.unit == "ns"


def _with_nanoseconds(scalar: Any) -> str:
    from pyarrow import scalar as of_value
    from pyarrow import timestamp

    micros, nanos = divmod(scalar.value, 1000)
    at = of_value(micros, timestamp("us", tz=scalar.type.tz)).as_py()
    text = at.isoformat(timespec="microseconds")
    end = text.index(".") + 7
    return f"{text[:end]}{nanos:03d}{text[end:]}"


def _plain(value: Any) -> Any:
    """A value as JSON has it. Decimals become text, which the column's type may change."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return to_json_value(value)
