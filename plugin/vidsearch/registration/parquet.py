"""The rows of a Parquet file, as values of JSON, with decimals inside lists and objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, BinaryIO

import numpy as np

from vidsearch.errors import MissingExtraError, VideoListError
from vidsearch.json_values import to_json_value

__all__ = ["open_parquet"]

_BATCH = 1000


_Read = Callable[[Any], Any]


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
    read = _reading(column.type)
    if not _has_nanoseconds(column.type):
        with suppress(*_unreadable()):
            return [_cell_value(read(value)) for value in column.to_pylist()]  # faster
    return [_cell(name, each, read) for each in column]


def _cell_value(value: Any) -> Any:
    """A decimal of a column becomes a text, which the column's type may change."""
    return format(value, "f") if isinstance(value, Decimal) else value


def _unreadable() -> tuple[type[Exception], ...]:
    from pyarrow import ArrowException

    return ArrowException, OverflowError, ValueError, LookupError


def _cell(name: str, scalar: Any, read: _Read) -> Any:
    try:
        return _cell_value(read(_value(scalar)))
    except UnicodeDecodeError:
        return _Bad(f"column {name!r} holds bytes that are not UTF-8: leave it out (--map {name}=)")
    except _unreadable() as error:
        return _Bad(f"column {name!r} cannot be read: {error}")


def _value(scalar: Any) -> Any:
    """A value of Arrow as Python has it; a time with nanoseconds, which Python lacks, as text."""
    if scalar.is_valid and _has_nanoseconds(scalar.type) and scalar.value % 1000:
        return _with_nanoseconds(scalar)
    return scalar.as_py()


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


def _reading(type: Any) -> _Read:
    """How Python's values of a type of Arrow become those of JSON, all that is inside included."""
    from pyarrow import types

    read: _Read = _plain
    if types.is_float32(type):
        read = _in_few_digits(np.float32)
    elif types.is_float16(type):
        read = _in_few_digits(np.float16)
    elif types.is_map(type):
        read = _reading_of_map(_reading(type.key_type), _reading(type.item_type))
    elif types.is_struct(type):
        read = _reading_of_struct({field.name: _reading(field.type) for field in type})
    elif types.is_dictionary(type):
        return _reading(type.value_type)
    elif hasattr(type, "value_type"):  # a list, of which Arrow has several kinds
        read = _reading_of_list(_reading(type.value_type))
    return lambda value: None if value is None else read(value)


def _reading_of_map(key: _Read, item: _Read) -> _Read:
    return lambda pairs: {str(key(name)): item(value) for name, value in pairs}


def _reading_of_struct(fields: Mapping[str, _Read]) -> _Read:
    return lambda struct: {name: read(struct[name]) for name, read in fields.items()}


def _reading_of_list(item: _Read) -> _Read:
    return lambda values: [item(value) for value in values]


def _in_few_digits(kind: Callable[[float], Any]) -> _Read:
    """A short number in as few digits as tell it from its neighbours: 4.2, as it was written, and
    not 4.199999809265137."""

    def read(value: Any) -> float | None:
        number: float | None = to_json_value(value)
        if number is None or number.is_integer():
            return number
        return float(str(kind(number)))

    return read


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, Decimal) else to_json_value(value)
