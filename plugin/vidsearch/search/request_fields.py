"""The types of the fields of a search request, and what messages say of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field, GetPydanticSchema
from pydantic_core import core_schema, from_json

from vidsearch.errors import QueryError
from vidsearch.json_values import not_sendable
from vidsearch.search.facets import MAX_FACETS, Facet

__all__ = [
    "Expects",
    "Facets",
    "Names",
    "Number",
    "Text",
    "checked_later",
    "expected",
    "plain_sort",
    "require_text",
]


def require_text(text: object) -> str:
    """The text without blanks around it, in composed letters (NFC).

    A letter and its accent may be two characters, as in the names of files of a Mac; an engine's
    analyzer takes these for other words than people type.

    Raises:
        QueryError: not a text, or nothing in it.
    """
    if not isinstance(text, str):
        kind = type(text).__name__
        raise QueryError(f"the search text must be a str, not {kind}", argument="text")
    text = unicodedata.normalize("NFC", text.strip())
    if not text:
        message = "the search text is empty: say what the video should show"
        raise QueryError(message, argument="text")
    if reason := not_sendable(text):
        raise QueryError(f"the search text {reason}", argument="text")
    return text


def plain_sort(sort: object) -> object:
    """``-recorded`` for ``[{"recorded": "desc"}]`` or ``{"recorded": {"order": "desc"}}``, as the
    engines write one field to sort by, also as a text of JSON; all else as it is."""
    if isinstance(sort, str) and sort.lstrip().startswith(("[", "{")):  # of a URL, a command line
        try:
            return plain_sort(from_json(sort))
        except ValueError:
            return sort  # the name of a field
    if isinstance(sort, (list, tuple)) and len(sort) == 1 and sort[0] is not None:
        (sort,) = sort
    if isinstance(sort, Mapping) and len(sort) == 1:
        ((name, order),) = sort.items()
        if isinstance(order, Mapping) and order.keys() == {"order"}:
            order = order["order"]
        # A name with - before it would be another order than the one that is said.
        named = isinstance(name, str) and not name.startswith("-")
        if named and order in ("asc", "desc"):
            return f"-{name}" if order == "desc" else name
    return sort


@dataclass(frozen=True)
class Expects:
    """What a field takes, for messages; needed where its type and its bounds do not tell it."""

    text: str


def expected(metadata: Iterable[object], schema: Mapping[str, Any]) -> str:
    """What a field takes, in words; by its metadata and its part of the JSON schema."""
    for item in metadata:
        if isinstance(item, Expects):
            return item.text
    schema = schema.get("anyOf", [schema])[0]  # the other one is null
    if "enum" in schema:
        *names, last = schema["enum"]
        return f"{', '.join(names)} or {last}"
    low, high, kind = schema.get("minimum"), schema.get("maximum"), schema["type"]
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    between = "" if low is None else f" from {low} on"
    if high is not None:
        between = f" from {low} to {high}" if kind == "integer" else f" between {low} and {high}"
    return f"{kinds.get(kind, f'of type {kind}')}{between}"


def checked_later(schema: dict[str, Any]) -> Any:
    """Marks a field that is checked where it is used, as that takes the index or the settings."""
    return GetPydanticSchema(
        lambda source, handler: core_schema.any_schema(),
        lambda core, handler: {"anyOf": [schema, {"type": "null"}]},
    )


def _each_once(facets: Sequence[Facet | str]) -> tuple[Facet, ...]:
    made = tuple(Facet(field=each) if isinstance(each, str) else each for each in facets)
    names = [facet.field for facet in made]
    for name in names:
        if names.count(name) > 1:
            raise QueryError(f"facets names {name!r} twice: name it once", argument="facets")
    return made


Text = Annotated[
    str | None, BeforeValidator(lambda text: None if text is None else require_text(text))
]
Names = Annotated[
    bool | Sequence[Annotated[str, Field(min_length=1)]],
    AfterValidator(lambda names: names if isinstance(names, bool) else tuple(names)),
    Expects("true, false or a list of names of fields"),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Facets = Annotated[
    Sequence[Annotated[str, Field(min_length=1)] | Facet],
    Field(max_length=MAX_FACETS),
    AfterValidator(lambda facets: cast("Any", _each_once(facets))),
    Expects(
        f"a list of at most {MAX_FACETS} names of fields, or objects with field, size, order, "
        "interval, own_filter"
    ),
]
