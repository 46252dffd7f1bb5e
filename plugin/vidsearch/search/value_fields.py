"""The fields that hits are counted and sorted by: which can be, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, Literal

import numpy as np

from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.index.description import IndexDescription, found_once
from vidsearch.search.mapping_fields import (
    ANALYZED_TYPES,
    Field,
    find_field,
    has_doc_values,
    walk,
    with_runtime,
)
from vidsearch_mappings.facets import DATE_FORMAT
from vidsearch_mappings.field_kinds import NUMBER_TYPES
from vidsearch_mappings.videos import EXACT_IN_DOUBLE

__all__ = ["Value", "ValueField", "value_field"]

Value = str | int | float | bool
Kind = Literal["word", "truth", "number", "date"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("keyword", "constant_keyword", "ip"), "word"),
    "boolean": "truth",
    **dict.fromkeys(NUMBER_TYPES, "number"),
    **dict.fromkeys(("date", "date_nanos"), "date"),
}
_SHORT: dict[str, Callable[[float], Any]] = {"float": np.float32, "half_float": np.float16}
"""Numbers that are kept with less than 64 bits."""
_NAMED = 30
"""Fields that an error lists."""


@dataclass(frozen=True, slots=True)
class ValueField:
    """A field of videos with values that the engine keeps by document."""

    name: str
    """As the user gives it."""
    path: str
    """By which the engine finds its values: itself, or the keyword subfield of a text."""
    type: str
    kind: Kind

    @property
    def doc_value(self) -> Json:
        """An item of ``docvalue_fields`` that reads it."""
        date = {"format": DATE_FORMAT} if self.kind == "date" else {}
        return {"field": self.path, **date}

    def values(self, raws: Iterable[Any]) -> list[Value]:
        """The values that an engine gives, of hits or of an aggregation; dates in milliseconds
        since 1970."""
        if self.kind == "date":  # of which hits have many different ones
            return [int(float(raw)) if isinstance(raw, str) else int(raw) for raw in raws]
        return [*map(self._value, raws)]

    def _value(self, raw: Any) -> Value:
        if self.kind == "truth":
            return raw in (True, 1, "true")
        if self.kind == "word":
            return str(raw)
        number = float(raw) if isinstance(raw, str | float) else raw
        if isinstance(number, float):
            if number.is_integer() and abs(number) <= EXACT_IN_DOUBLE:
                return int(number)
            if self.type in _SHORT:  # in as few digits as tell it from its neighbours
                number = float(str(_SHORT[self.type](number)))
        value: Value = number
        return value

    def raw_ranks(self, raws: Sequence[Any]) -> Sequence[Value]:
        """What values are ordered by as an engine gives them of hits."""
        if self.type == "date_nanos":  # given in milliseconds, with a fraction
            return [int(Decimal(str(raw)) * 1_000_000) for raw in raws]
        return self.ranks(self.values(raws))

    def ranks(self, values: Sequence[Value]) -> Sequence[Value]:
        """What values are ordered by: themselves, but IP addresses as the numbers they are."""
        if self.type != "ip":
            return values
        texts = map(str, values)
        return [int(ip_address(text if ":" in text else f"::ffff:{text}")) for text in texts]


def value_field(index: IndexDescription, name: str, *, argument: str) -> ValueField:
    """The field of that name, where hits can be counted and sorted by it.

    Raises:
        QueryError: they cannot be; the message begins with the argument and says what to do.
    """
    key = ("value field", name)
    return found_once(index, key, lambda: _value_field(index, name, argument))


def _value_field(index: IndexDescription, name: str, argument: str) -> ValueField:
    properties = with_runtime(index.properties, index.runtime)
    field = find_field(properties, name)
    if field is None:
        found = sorted(each.path for each in walk(properties) if not _problem(each, properties))
        names = ", ".join(found[:_NAMED]) or "none"
        rest = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise QueryError(
            f"{argument}: field {name!r} is not in index {index.name!r}",
            argument=argument,
            known=f". Fields with values: {names}{rest}",
        )
    problem = _problem(field, properties)
    if field.exact is None or problem:
        raise QueryError(f"{argument}: field {name!r} {problem}", argument=argument)
    kind = field.type if field.exact in {field.path, field.target} else "keyword"
    return ValueField(name, field.exact, kind, _KINDS[kind])


def _problem(field: Field, properties: Mapping[str, Any]) -> str | None:
    """Why hits cannot be counted and sorted by a field; ``None`` where they can."""
    if field.nested is not None or field.type == "nested":
        return (
            f"lies in the nested object {field.nested or field.path!r}, of which a video has "
            "several: take a field of the video itself"
        )
    if field.type in ANALYZED_TYPES and field.exact is None:
        return (
            f"is of type {field.type}, which has words and no values: add a keyword subfield to "
            'its mapping, "fields": {"keyword": {"type": "keyword"}} (of a managed index in the '
            "setting index.mapping), and write the documents anew"
        )
    if field.type not in ANALYZED_TYPES and field.type not in _KINDS:
        return (
            f"is of type {field.type}, which has no values to count or to sort by: take a "
            "keyword, a text with a keyword subfield, a boolean, a number, a date or an ip"
        )
    if field.exact is None or not has_doc_values(properties, field.exact):
        return (
            "has no doc values in the mapping, by which an engine counts and sorts: map it with "
            '"doc_values": true, and write the documents anew'
        )
    return None
