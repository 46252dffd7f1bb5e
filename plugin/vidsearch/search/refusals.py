"""What the refusal of an engine says of the searches that were sent. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vidsearch.engines.errors import RequestRejectedError
from vidsearch.errors import QueryError, TooManyBucketsError
from vidsearch.search.counting import FacetField
from vidsearch.search.plan import Plan

__all__ = ["REFUSALS", "refused"]

REFUSALS = (RequestRejectedError, TooManyBucketsError)
"""What an engine raises where it refuses a search. Other errors about a mapping are vidsearch's
own, such as of an alias that stands for two indices, and no argument is at fault."""
_Refusal = RequestRejectedError | TooManyBucketsError


def refused(error: _Refusal, plans: Sequence[Plan]) -> _Refusal | QueryError:
    """The error about the argument that the engine refused; the same one where it can be none.

    The engine does not say which of several searches it refused. What it does say names its URL and
    index, and stays out of the message, which may reach whoever sent the request.

    Args:
        error: of their request.
        plans: the searches.
    """
    if isinstance(error, TooManyBucketsError):
        return _too_many_buckets(error, plans)
    filtered = [plan for plan in plans if plan.request.filter]
    if not filtered:
        return error
    positions = _positions(filtered)
    return QueryError(
        f"{positions}filter: the engine refuses the search, perhaps for a value or a clause of it "
        f"({', '.join(dict.fromkeys(_filtered_by(filtered)))})",
        argument="texts" if positions else "filter",
    )


def _filtered_by(plans: Iterable[Plan]) -> Iterator[str]:
    """Fields, and kinds of clauses, in the filters."""
    for plan in plans:
        given = plan.request.filter or []
        for item in [given] if isinstance(given, Mapping) else given:
            yield from map(repr, item)


def _too_many_buckets(error: TooManyBucketsError, plans: Sequence[Plan]) -> QueryError:
    counting = [plan for plan in plans if plan.values.facets and plan.values.by_engine]
    facets = [facet for plan in counting for facet in plan.values.facets]
    # There is one bucket per value listed, but any number of an interval.
    by_interval = [facet for facet in facets if facet.interval is not None]
    names = dict.fromkeys(map(_named, by_interval or facets))
    advice = "take a wider interval" if by_interval else "ask for fewer values (size)"
    positions = _positions(counting)
    return QueryError(
        f"{positions}facets: the engine does not count so many buckets of {' and '.join(names)}: "
        f"{advice}, or narrow the search by a filter",
        argument="texts" if positions else "facets",
    )


def _named(facet: FacetField) -> str:
    name = f"field {facet.facet.field!r}"
    return name if facet.interval is None else f"{name} by interval {facet.interval!r}"


def _positions(plans: Sequence[Plan]) -> str:
    positions = dict.fromkeys(plan.checked.position for plan in plans if plan.checked.position)
    return f"{', '.join(positions)}: " if positions else ""
