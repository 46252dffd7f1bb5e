"""Facets on the command line: how they are written, and their counts as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args

import click

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.search import SearchResult

__all__ = ["parse_facets", "print_facets"]


def parse_facets(values: Iterable[str]) -> list[dict[str, Any]]:
    """Facets from ``tags``, ``year:10`` or ``recorded:month``."""
    return [_parse(value) for value in values]


def print_facets(result: SearchResult) -> None:
    """How many hits there are, and the counts of the facets."""
    what = "moments" if result.group_by == "moment" else "videos"
    output.talk(f"{result.total} {what} within the relevance cut.")
    rows = [
        (name, str(each.value).lower() if isinstance(each.value, bool) else each.value, each.count)
        for name, facet in result.facets.items()
        for each in facet.values
    ]
    if rows:
        click.echo()
        output.print_table(["facet", "value", "videos"], rows, right=["videos"], whole=["videos"])
    for name, facet in result.facets.items():
        rest = [f"{facet.other} with values that are not listed"] if facet.other else []
        rest += [f"{facet.missing} without a value"] if facet.missing else []
        if rest:
            output.talk(f"{name}: {', '.join(rest)}")


def _parse(value: str) -> dict[str, Any]:
    from vidsearch.search.facets import Period

    field, _, interval = value.rpartition(":")
    if field and interval in get_args(Period):
        return {"field": field, "interval": interval}
    try:
        return {"field": field, "interval": float(interval)} if field else {"field": value}
    except ValueError:  # a name that has a colon in it
        return {"field": value}
