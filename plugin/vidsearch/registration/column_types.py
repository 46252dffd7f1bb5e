"""The types of a list's columns, each decided by all of its values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vidsearch_mappings.videos import EXACT_IN_DOUBLE

__all__ = ["ColumnTypes", "ColumnValues"]

_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)(?P<exponent>[eE][+-][0-9]+)?")
"""As JSON writes one, or without the zero before the point, as some databases do: `.5`. A zero in
front makes a code: `007`, a postcode. So does an exponent without a sign, `12e4`; programs write
the sign, `1e-05`."""
_DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"([T ](?P<minute>\d\d:\d\d)((?P<second>:\d\d)(\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)

_Read = Callable[[str], Any]
"""From a text to a value of the type; ``None`` or ``ValueError`` where it is none."""


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match["exponent"]:
        return number if math.isfinite(number := float(text)) else None
    number = float(text) if "." in text else int(text)
    return number if abs(number) <= EXACT_IN_DOUBLE else None  # a long number is an id


def _number_with_comma(text: str) -> float | None:
    return None if "." in text else _number(text.replace(",", "."))


def _date(text: str) -> str | None:
    """In the one form that the engines know in every length: databases cut zeros at the end of a
    fraction, and minutes of a zone."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    fraction = match["fraction"] or ""
    digits = fraction.ljust(-len(fraction) // 3 * -3, "0")
    zone = match["zone"] or ""
    if zone not in {"", "Z"}:
        zone = f"{zone[:3]}:{zone[3:].lstrip(':') or '00'}"
    whole = match["day"]
    if match["minute"]:
        whole = f"{whole}T{match['minute']}{match['second'] or ''}"
    # Python has no nanoseconds. ValueError where there is no such day.
    known = f"{whole}{digits and '.'}{digits[:6]}{zone.replace('Z', '+00:00')}"
    datetime.fromisoformat(known)
    return f"{whole}{digits and '.'}{digits}{zone}"


_NAMES: Mapping[_Read, str] = {
    _number: "numbers",
    _number_with_comma: "numbers with a decimal comma",
    _boolean: "true and false",
    _date: "dates",
}


@dataclass(frozen=True, slots=True)
class ColumnTypes:
    """What is made of the values of each column."""

    found: Mapping[str, _Read] = field(default_factory=dict)
    """Of columns whose texts all are of one type."""
    to_text: frozenset[str] = frozenset()
    """Columns in which texts stand beside numbers or booleans: all become text."""
    with_dates: frozenset[str] = frozenset()
    """Columns of text with a date among it. An engine that meets the date first takes the whole
    field for dates, unless it is mapped as text."""

    @property
    def dates(self) -> frozenset[str]:
        """Columns of dates alone."""
        return frozenset(name for name, read in self.found.items() if read is _date)

    def converted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of one row with these types."""
        return {name: self._value(name, value) for name, value in fields.items()}

    def told(self) -> str:
        """Which columns became what; empty where all stay as they are."""
        return "; ".join(
            f"{', '.join(name for name, by in self.found.items() if by is read)} as {kind}"
            for read, kind in _NAMES.items()
            if read in self.found.values()
        )

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.found[name](value.strip()) if name in self.found else value
        if name in self.to_text and isinstance(value, (bool, int, float)):
            return json.dumps(value)
        return value


@dataclass(slots=True)
class _Column:
    read: list[_Read]
    """What all values so far can be read as."""
    texts: bool = False
    others: bool = False
    """Whether there are numbers or booleans that are such in the file already."""
    dates: bool = False


class ColumnValues:
    """Takes note of the values of all columns, one after the other, and keeps none.

    Args:
        decimal_comma: whether ``4,5`` may be a number.
    """

    def __init__(self, *, decimal_comma: bool = False) -> None:
        self._reads = [read for read in _NAMES if decimal_comma or read is not _number_with_comma]
        self._columns: dict[str, _Column] = {}

    def add(self, fields: Mapping[str, Any]) -> None:
        """The fields of one row. Lists and objects say nothing of a type."""
        for name, value in fields.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column(self._reads)
            if isinstance(value, str):
                text = value.strip()
                column.texts = True
                column.dates = column.dates or _DATE.fullmatch(text) is not None
                column.read = [read for read in column.read if _reads(read, text)]
            elif isinstance(value, (bool, int, float)):
                column.others = True
                same = _boolean if isinstance(value, bool) else _number
                column.read = [read for read in column.read if read is same]

    def types(
        self, *, is_text: Callable[[str], bool] = lambda _: False, as_text: bool = False
    ) -> ColumnTypes:
        """The type of each column.

        Args:
            is_text: whether a field is mapped as text already, so that it stays one.
            as_text: leave every text as it is.
        """
        columns = {name: one for name, one in self._columns.items() if one.texts}
        found = {
            name: one.read[0]
            for name, one in columns.items()
            if one.read and not as_text and not is_text(name)
        }
        rest = columns.keys() - found.keys()
        return ColumnTypes(
            found,
            to_text=frozenset(name for name in rest if columns[name].others),
            with_dates=frozenset(name for name in rest if columns[name].dates),
        )


def _reads(read: _Read, text: str) -> bool:
    with suppress(ValueError):
        return read(text) is not None
    return False
