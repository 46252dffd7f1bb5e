"""The types of a CSV file's columns, each decided by all of its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vidsearch.cli import output
from vidsearch.cli.sources import Source
from vidsearch_mappings.videos import EXACT_IN_DOUBLE, text_field

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex

__all__ = ["with_types"]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
"""As JSON writes one. A zero in front makes a code: `007`, a postcode."""
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_TEXTS = frozenset({"text", "keyword", "constant_keyword", "match_only_text", "wildcard"})


def with_types(rows: Sequence[Source], index: VideosIndex, *, as_text: bool) -> list[Source]:
    """The rows with numbers, booleans and dates where a whole column consists of such.

    A column stays text that the index maps as text. One with both dates and other texts is mapped
    as text here, as the index would take the first date for the type of all. Says what became
    what.
    """
    columns: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row.fields.items():
            if isinstance(value, str):  # not the list of tags
                columns.setdefault(name, []).append(value.strip())
    found: dict[str, Callable[[str], Any]] = {}
    for name, values in columns.items():
        if not as_text and _mapped(index, name) not in _TEXTS:
            for read in (_boolean, _number, _date):
                if _all(read, values):
                    found[name] = read
    mixed = [
        name
        for name, values in columns.items()
        if name not in found and _mapped(index, name) is None and any(map(_DATE.fullmatch, values))
    ]
    if mixed:
        index.engine.put_mapping(index.name, {"properties": dict.fromkeys(mixed, text_field())})
    _tell(found)
    return [replace(row, fields=_converted(row.fields, found)) for row in rows]


def _mapped(index: VideosIndex, name: str) -> str | None:
    """Type of a field in the live mapping; ``None`` where it is not mapped yet."""
    definition: Mapping[str, Any] | None = {"properties": index.properties}
    for part in name.split("."):
        definition = (definition or {}).get("properties", {}).get(part)
    return None if definition is None else definition.get("type", "object")


def _all(read: Callable[[str], Any], values: Sequence[str]) -> bool:
    with suppress(ValueError):
        return all(read(value) is not None for value in values)
    return False


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}.get(text.lower())  # type: ignore[return-value]


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text) if "." in text else int(text)
    return number if abs(number) <= EXACT_IN_DOUBLE else None  # a long number is an id


def _date(text: str) -> str | None:
    if not _DATE.fullmatch(text):
        return None
    datetime.fromisoformat(text.replace("Z", "+00:00"))  # ValueError where there is no such day
    return text.replace(" ", "T")


def _converted(
    fields: Mapping[str, Any], found: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    return {
        name: found[name](value.strip()) if name in found else value
        for name, value in fields.items()
    }


def _tell(found: Mapping[str, Callable[[str], Any]]) -> None:
    kinds = {_number: "numbers", _boolean: "true and false", _date: "dates"}
    told = [
        f"{', '.join(name for name, by in found.items() if by is read)} as {kind}"
        for read, kind in kinds.items()
        if read in found.values()
    ]
    if told:
        output.talk(f"read {'; '.join(told)}; all other columns as text (--as-text: every column)")
