"""What JSON holds: results as plain values, values in messages, and those that no engine takes."""

from __future__ import annotations

import math
import reprlib
import sys
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any

__all__ = [
    "GREATEST",
    "LEAST",
    "MAX_LEVELS",
    "is_deep",
    "is_finite",
    "not_sendable",
    "quoted",
    "readable",
    "to_json_value",
]

LEAST, GREATEST = -(2**63), 2**64 - 1
"""Whole numbers that the engines keep: of ``long`` and ``unsigned_long``."""
_QUOTED = 200
"""Characters of a value in a message."""


class _Quoting(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # of more digits than Python writes
            return f"<int of {x.bit_length()} bits>"


_QUOTING = _Quoting()
_QUOTING.maxstring = _QUOTING.maxother = _QUOTED
_QUOTING.maxlist = _QUOTING.maxtuple = _QUOTING.maxset = _QUOTING.maxdict = 20
MAX_LEVELS = 32
"""Of lists and objects inside each other; more than a mapping of the engines can have."""


def is_deep(value: Any) -> bool:
    """Whether a value has more than ``MAX_LEVELS`` lists and objects inside each other.

    What looks into values calls itself for each level, for which Python has a limit.
    """
    inside = [value]
    for _ in range(MAX_LEVELS):
        # Each once: what holds itself in several places would double with every level.
        found = {
            id(inner): inner
            for each in inside
            if isinstance(each, (Mapping, list, tuple))
            for inner in (each.values() if isinstance(each, Mapping) else each)
            if isinstance(inner, (Mapping, list, tuple))
        }
        inside = [*found.values()]
    return bool(inside)


def quoted(value: Any) -> str:
    """A value as messages quote it: as Python writes it, and cut where it is long."""
    text = _QUOTING.repr(value)
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"


def not_sendable(value: Any) -> str | None:
    """Why no engine takes a value, or one inside it; ``None`` where nothing is known against it."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:  # as from the name of a file that is not UTF-8
            return f"{quoted(value)} is no text in Unicode: {error.reason}"
    elif isinstance(value, int) and not LEAST <= value <= GREATEST:
        return f"{quoted(value)} is no whole number of 64 bits"
    elif isinstance(value, (Real, Decimal)) and not is_finite(value):
        return f"{quoted(value)} is no number that JSON has"
    elif isinstance(value, (Mapping, list, tuple, Set)):
        inside = [*value, *value.values()] if isinstance(value, Mapping) else value
        return next(filter(None, map(not_sendable, inside)), None)
    return None


def is_finite(number: Real | Decimal) -> bool:
    """Whether a float can hold about this number."""
    try:
        return math.isfinite(number)
    except (ValueError, OverflowError):  # Decimal("sNaN"); a fraction beyond all floats
        return False


def readable(value: Any) -> Any:
    """A value as every reader of JSON takes it.

    Engines keep what an application writes: half of a surrogate pair, which no UTF-8 has, and whole
    numbers of any length.
    """
    if isinstance(value, Mapping):
        return {readable(key): readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [readable(each) for each in value]
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, int) and not LEAST <= value <= GREATEST:
        return float(value) if abs(value) <= sys.float_info.max else None
    return value


def to_json_value(value: Any) -> Any:
    """The value as ``json.dumps`` takes it.

    Dates and times become ISO text, numpy's numbers and arrays Python's, dataclasses objects. A
    number that JSON lacks, such as NaN, becomes ``None``, and what is none of these its text.
    """
    if isinstance(value, Enum):  # first: it may be a text or a number as well
        return to_json_value(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # of numpy's float64, too
    if isinstance(value, (date, time)):  # and datetime, which is a date
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(to_json_value(key)): to_json_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, Set)):
        return [to_json_value(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json_value(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):  # numpy's and torch's, without importing them
        return to_json_value(value.tolist())
    return str(value)
