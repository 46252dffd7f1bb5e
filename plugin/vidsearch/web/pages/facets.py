"""Facets beside the results: which fields, and their values as check boxes."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from vidsearch.errors import QueryError
from vidsearch.search import Facet, FacetCounts
from vidsearch.search.mapping_fields import walk
from vidsearch.search.value_fields import value_field
from vidsearch.web.pages.query import FACET, PageQuery

if TYPE_CHECKING:
    from vidsearch.index.description import IndexDescription

__all__ = ["FacetView", "asked_facets", "date_fields", "facet_views"]

_MOST = 5
"""Number of facets; each is counted in every search."""
_VALUES = 8
_FACET_TYPES = frozenset({"keyword", "constant_keyword", "boolean", "text"})
_DATE_TYPES = frozenset({"date", "date_nanos"})
_DATES = 3
_NOT_FACETS = frozenset({"id", "title", "name", "headline", "description", "summary", "url", "uri"})
"""Names of fields in which every video has a value of its own."""


@dataclass(frozen=True, slots=True)
class ValueView:
    """A check box."""

    text: str
    """As it stands in a URL."""
    shown: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class FacetView:
    """The check boxes of one field."""

    name: str
    parameter: str
    values: tuple[ValueView, ...]


def asked_facets(
    index: IndexDescription, query: PageQuery, *, is_shown: Callable[[str], bool] = lambda _: True
) -> list[Facet]:
    """The facets that a search counts: of fields with few values, as far as a mapping tells that.

    A field with a chosen value is always counted, as if it had none.

    Args:
        index: that is searched.
        query: the search.
        is_shown: tells whether clients may know of a field.
    """
    names = list(query.facets)
    for field in _countable(index, _FACET_TYPES):
        if len(names) >= _MOST:
            break
        is_single = field.rpartition(".")[2].lower() in _NOT_FACETS
        if field not in names and not is_single and is_shown(field):
            names.append(field)
    return [Facet(field=name, size=_VALUES, own_filter=name not in query.facets) for name in names]


def date_fields(index: IndexDescription) -> list[str]:
    """The fields by which the newest come first: own dates of the videos, then when each was
    embedded."""
    return [*islice(_countable(index, _DATE_TYPES), _DATES), f"{index.field}.embedded_at"]


def _countable(index: IndexDescription, types: Container[str]) -> Iterator[str]:
    """The index's own fields of some types that hits can be counted and sorted by."""
    for field in walk(index.properties):
        if field.type in types and not f"{field.path}.".startswith(f"{index.field}."):
            try:
                value_field(index, field.path, argument="facets")
            except QueryError:
                continue
            yield field.path


def facet_views(counts: Mapping[str, FacetCounts], *, query: PageQuery) -> list[FacetView]:
    """The facets that help to choose: one of a single value, or of many single ones, does not.

    One of places, such as a copy of the URI, is shown to nobody who has not asked for it.
    """
    views = []
    names = _names(list(counts))
    for name, found in counts.items():
        chosen = query.facets.get(name, ())
        values = list(_values(found, chosen))
        most = max((value.count for value in values), default=0)
        if chosen or (len(values) > 1 and most > 1 and not any(_is_place(v.text) for v in values)):
            views.append(FacetView(names[name], f"{FACET}{name}", tuple(values)))
    return views


def _values(found: FacetCounts, chosen: Sequence[str]) -> Iterator[ValueView]:
    listed = set()
    for value in found.values:
        text = _text(value.value)
        listed.add(text)
        yield ValueView(text, _shown(value.value), value.count, text in chosen)
    for text in chosen:
        if text not in listed:  # chosen in another search, or rare
            yield ValueView(text, _shown(text), 0, True)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "(empty)"


def _is_place(text: str) -> bool:
    return "://" in text or text.startswith(("/", "\\\\")) or text[1:3] == ":\\"


def _names(fields: Sequence[str]) -> dict[str, str]:
    """What each field is called: by its last part where that is enough to tell them apart."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda field: _spoken(field.rpartition(".")[2]),
        lambda field: _spoken(field.replace(".", " ")),
    )
    names = {field: field for field in fields}
    for field in fields:
        for way in ways:
            if [way(other) for other in fields].count(way(field)) == 1:
                names[field] = way(field) or field
                break
    return names


def _spoken(words: str) -> str:
    words = words.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
