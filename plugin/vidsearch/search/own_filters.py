"""Facets that are counted as if the search had no condition on their own fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vidsearch.search.checked_filter import CheckedFilter
from vidsearch.search.filters import without_field
from vidsearch.search.mapping_fields import names_of, with_runtime
from vidsearch.search.plan import Plan

__all__ = ["without_own_filters"]


def without_own_filters(plan: Plan) -> Iterator[Plan]:
    """The searches that count such facets of a search, one for each whose field has a condition.

    A condition decides which videos are nearest, so the counts without it are those of another
    search; it goes into the same requests.
    """
    request = plan.request
    if request.filter is None:
        return
    properties = with_runtime(plan.index.properties, plan.index.runtime)
    for facet in plan.values.facets:
        if facet.facet.own_filter:
            continue
        kept = without_field(request.filter, names_of(properties, facet.field.path))
        if kept == without_field(request.filter, frozenset()):
            continue
        other = request.model_copy(update={"filter": kept, "sort": None, "diversity": None})
        checked = replace(plan.checked, request=other)
        yield replace(
            plan,
            checked=checked,
            filter=CheckedFilter.of(checked, plan.index),
            values=replace(plan.values, facets=(facet,), sort=None),
            counts_only=True,
        )
