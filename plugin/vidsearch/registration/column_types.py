"""The types of a list's columns, each decided by all of its values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from vidsearch.json_values import is_deep
from vidsearch_mappings.field_kinds import FieldKind
from vidsearch_mappings.videos import EXACT_IN_DOUBLE

__all__ = ["ColumnTypes", "ColumnValues", "KindOf", "unmapped"]

KindOf = Callable[[str], FieldKind | None]
"""What a field of the index takes; ``None`` where its first value will decide."""

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


def unmapped(_: str) -> None:
    """The kind of a field of which no index is known."""


def _always_text(_: str) -> FieldKind:
    return "text"


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
_KINDS: Mapping[_Read, FieldKind] = {
    _number: "number",
    _number_with_comma: "number",
    _boolean: "boolean",
    _date: "date",
}


@dataclass(frozen=True, slots=True)
class ColumnTypes:
    """What is made of the values of each column."""

    found: Mapping[str, Sequence[_Read]] = field(default_factory=dict)
    """How texts are read, of columns whose texts all are of one type, or whose field is. One that
    is not read by any of these stays as it is, so that the index refuses its row alone."""
    to_text: frozenset[str] = frozenset()
    """Columns in which texts stand beside numbers or booleans: all become text."""
    with_dates: frozenset[str] = frozenset()
    """Columns of text with a date among it. An engine that meets the date first takes the whole
    field for dates, unless it is mapped as text."""
    kind_of: KindOf = unmapped

    @property
    def dates(self) -> frozenset[str]:
        """Columns of dates."""
        return frozenset(name for name, reads in self.found.items() if _date in reads)

    def converted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of one row with these types."""
        return {name: self._value(name, value) for name, value in fields.items()}

    def told(self) -> str:
        """Which columns became what; empty where all stay as they are."""
        first = {name: reads[0] for name, reads in self.found.items()}
        return "; ".join(
            f"{', '.join(name for name, by in first.items() if by is read)} as {kind}"
            for read, kind in _NAMES.items()
            if read in first.values()
        )

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return _read_by(self.found.get(name, ()), value)
        if name in self.to_text and isinstance(value, (bool, int, float)):
            return json.dumps(value)
        return value if is_deep(value) else self._without_decimals(name, value)

    def _without_decimals(self, path: str, value: Any) -> Any:
        """A value whose decimals, which Parquet has inside lists and objects, are numbers, or texts
        where the field takes these."""
        if isinstance(value, Decimal):
            return _read_by(() if self.kind_of(path) == "text" else (_number,), format(value, "f"))
        if isinstance(value, list):
            return [self._without_decimals(path, each) for each in value]
        if isinstance(value, Mapping):
            return {
                name: self._without_decimals(f"{path}.{name}", each) for name, each in value.items()
            }
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
        self,
        *,
        kind_of: KindOf = unmapped,
        as_text: bool = False,
        beside: Iterable[ColumnValues] = (),
    ) -> ColumnTypes:
        """The type of each column; see :meth:`VideoList.types`."""
        every = [self, *beside]
        found: dict[str, Sequence[_Read]] = {}
        to_text: set[str] = set()
        with_dates: set[str] = set()
        for name, column in self._columns.items():
            same = [one for values in every if (one := values._columns.get(name))]
            kind = "text" if as_text else kind_of(name) or _common_kind(same)
            if kind != "text":
                if column.texts:
                    found[name] = _of_kind(column.read, kind) or _of_kind(self._reads, kind)
            elif any(one.texts for one in same):
                if any(one.others for one in same):
                    to_text.add(name)
                if any(one.dates for one in same):
                    with_dates.add(name)
        return ColumnTypes(
            found,
            to_text=frozenset(to_text),
            with_dates=frozenset(with_dates),
            kind_of=_always_text if as_text else kind_of,
        )


def _common_kind(columns: Iterable[_Column]) -> FieldKind:
    """What the values of all columns can be read as."""
    kinds = [{_KINDS[read] for read in column.read} for column in columns]
    common = set.intersection(*kinds)
    return next((kind for kind in _KINDS.values() if kind in common), "text")


def _of_kind(reads: Iterable[_Read], kind: FieldKind) -> list[_Read]:
    return [read for read in reads if _KINDS[read] == kind]


def _reads(read: _Read, text: str) -> bool:
    with suppress(ValueError):
        return read(text) is not None
    return False


def _read_by(reads: Iterable[_Read], text: str) -> Any:
    """The value of the first that can read a text; the text where none can."""
    stripped = text.strip()
    for read in reads:
        with suppress(ValueError):
            if (value := read(stripped)) is not None:
                return value
    return text
