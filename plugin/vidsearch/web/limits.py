"""The limits of requests from outside, beside those of every search."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from vidsearch.config import Settings
from vidsearch.errors import QueryError
from vidsearch.json_values import MAX_LEVELS
from vidsearch.search import SearchRequest
from vidsearch.search.clauses import may_be_clause
from vidsearch.search.facets import MAX_FACETS
from vidsearch.search.filters import CONDITION_KEYS
from vidsearch.web.public import is_hidden

__all__ = [
    "check_hidden",
    "check_limits",
    "check_sizes",
    "check_text",
    "default_k",
    "max_k",
    "names_fields",
]

_ID_BYTES = 512
_DIMS = 20_000
"""More than a vector of either engine has."""
_PER_CONDITION = 10
"""Values, names and lists that a condition may be written with."""
_NAMES = ("source", "highlight", "collapse", "facets", "sort")
"""Arguments that name fields."""
_MOST_NAMES = 50
"""Fields that one of these may name; the page itself asks for eight, and for five facets."""


def max_k(settings: Settings) -> int:
    """The greatest ``k``."""
    return min(settings.web.max_k, settings.search.window)


def default_k(settings: Settings) -> int:
    """The ``k`` of a request that gives none."""
    usual: int = SearchRequest.model_fields["k"].default
    return min(max_k(settings), usual)


def check_sizes(arguments: Mapping[str, Any], settings: Settings) -> None:
    """Refuse what is larger than all that :func:`check_limits` lets pass.

    To be asked first: what makes a request of the arguments looks at each value, and composes the
    letters of the text, which takes time that grows by the square of its length.

    Args:
        arguments: of a search, as they came; an image is passed over.
        settings: the limits.

    Raises:
        QueryError: for the first such argument.
    """
    most = _PER_CONDITION * max(settings.web.max_conditions, MAX_FACETS)
    longest = max(settings.web.max_text, _ID_BYTES)
    for name, value in arguments.items():
        if name == "text" and isinstance(value, str):
            check_text(value, settings)
        elif name != "image":
            _require_small(name, value, _DIMS if name == "vector" else most, longest)


def _require_small(name: str, value: Any, most: int, longest: int) -> None:
    left, inside = most, [(value, 0)]
    while inside:
        each, level = inside.pop()
        problem = ""
        if isinstance(each, str) and len(each) > longest:
            problem = f"a text of more than {longest} characters"
        elif isinstance(each, (Mapping, list, tuple)):
            left -= len(each)
            if level == MAX_LEVELS:
                problem = f"more than {MAX_LEVELS} lists and objects inside each other"
            elif left < 0:
                problem = f"more than {most} values"
            else:
                values = [*each, *each.values()] if isinstance(each, Mapping) else each
                inside += [(value, level + 1) for value in values]
        if problem:
            raise QueryError(f"{name} has {problem}", argument=name)


def check_limits(request: SearchRequest, settings: Settings) -> None:
    """Refuse a request that asks for more than the settings give to clients.

    A clause of the query language could run scripts and read other indices; the field with the URIs
    could be read by comparing it: neither goes into a filter from outside.

    Raises:
        QueryError: what is refused; the message names the argument and the limit.
    """
    web = settings.web
    if request.k > max_k(settings):
        raise QueryError(f"k must be at most {max_k(settings)}", argument="k")
    if request.text is not None:
        check_text(request.text, settings)
    if request.clip is not None:
        raise QueryError("clip cannot be searched by from outside", argument="clip")
    if request.image is not None and not isinstance(request.image, bytes):
        raise QueryError(
            "image must be uploaded, or sent in base64; paths and URLs are not read",
            argument="image",
        )
    if request.like is not None and len(request.like.encode()) > _ID_BYTES:
        raise QueryError(f"like has more than {_ID_BYTES} bytes, and no id has", argument="like")
    values = [value for _, each in _conditions(request.filter) for value in each]
    _check_values(values, settings)
    for argument, names in _named(request).items():
        most = web.max_conditions if argument == "filter" else _MOST_NAMES
        if len(names) > most:
            raise QueryError(f"{argument} names more than {most} fields", argument=argument)
    check_hidden(request, lambda name: is_hidden(name, settings))


def check_hidden(request: SearchRequest, is_hidden: Callable[[str], bool]) -> None:
    """Refuse a request that names a field which clients may not know of.

    Args:
        request: of a client.
        is_hidden: says that of the name of a field.

    Raises:
        QueryError: it does; the message names argument and field.
    """
    for argument, names in _named(request).items():
        hidden = [name for name in names if is_hidden(name)]
        if hidden and argument != "source":  # which brings what there is
            raise QueryError(f"{argument}: {hidden[0]!r} is not shown", argument=argument)


def check_text(text: str, settings: Settings) -> None:
    """Refuse a text that is too long.

    Raises:
        QueryError: it is.
    """
    longest = settings.web.max_text
    if len(text) > longest:
        raise QueryError(f"text has {len(text)} characters, more than {longest}", argument="text")


def names_fields(request: SearchRequest, *, but: Collection[str] = ()) -> bool:
    """Whether a request names fields of the index, which the engine may refuse, or their values.

    Args:
        request: within the limits.
        but: arguments that do not count.
    """
    return any(names for argument, names in _named(request).items() if argument not in but)


def _named(request: SearchRequest) -> dict[str, list[str]]:
    """The fields that each argument names."""
    named = {name: list(_texts_in(getattr(request, name, None))) for name in _NAMES}
    named["sort"] = [request.sort_key[0]] if request.sort_key else []
    named["filter"] = [name for name, _ in _conditions(request.filter)]
    return named


def _check_values(values: list[Any], settings: Settings) -> None:
    """Refuse more or longer values in a filter than clients may give."""
    web = settings.web
    if len(values) > web.max_conditions:
        raise QueryError(
            f"filter has more than {web.max_conditions} values and bounds", argument="filter"
        )
    if any(isinstance(value, str) and len(value) > web.max_text for value in values):
        raise QueryError(
            f"filter has a value of more than {web.max_text} characters", argument="filter"
        )


def _conditions(filter: Any) -> Iterator[tuple[str, list[Any]]]:
    """Field and values of each condition."""
    items = [filter] if isinstance(filter, Mapping) else filter
    if filter is None or not isinstance(items, (list, tuple)):
        return  # what else it may be is refused by the search
    for item in items:
        for name, value in item.items() if isinstance(item, Mapping) else ():
            if isinstance(value, Mapping):
                # A body may have the keys of a range: {"terms": {"format": {"index": …}}}.
                if not value or not value.keys() <= CONDITION_KEYS or may_be_clause(name, value):
                    raise QueryError(
                        f"filter on {name!r}: a condition is a value, a list of values, a range of "
                        'gt, gte, lt, lte, or {"exists": true}; clauses of the query language are '
                        "not taken from outside",
                        argument="filter",
                    )
                yield name, list(value.values())
            else:
                yield name, value if isinstance(value, list) else [value]


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts_in(getattr(value, "field", None))  # of a facet
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts_in(key)
            yield from _texts_in(each)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _texts_in(each)
