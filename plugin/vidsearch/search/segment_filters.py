"""Conditions on segments apart from those on videos, as a search among segments needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.errors import QueryError
from vidsearch.search.clauses import field_names
from vidsearch_mappings.queries import has_nested

__all__ = ["split_segment_filters"]


def split_segment_filters(
    clauses: Sequence[Mapping[str, Any]], *, path: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The clauses on videos, and those on segments as a search *among* segments needs them.

    Seen on Elasticsearch 9.5: inside a nested kNN clause, a clause on fields of the segments picks
    segments if it stands by itself, finds nothing beside a clause on the video in one ``bool``,
    and the wrong segments inside ``nested``.

    Args:
        clauses: from :func:`~vidsearch.search.filters.build_filters`.
        path: of the nested segments.

    Raises:
        QueryError: a clause that the engine would misread.
    """
    on_videos: list[dict[str, Any]] = []
    on_segments: list[dict[str, Any]] = []
    for clause in clauses:
        nested = clause.get("nested")
        if isinstance(nested, Mapping) and nested.get("path") == path and "query" in nested:
            on_segments += _parts(nested["query"])
        elif _mentions(clause, path):
            on_segments.append(dict(clause))
        else:
            on_videos.append(dict(clause))
    for clause in on_segments:
        if has_nested(clause):
            raise QueryError(
                f"a clause on {path} must not have `nested` inside: {clause}. Make it an item of "
                "the filter of its own, or search at level=video"
            )
        if foreign := [name for name in field_names(clause) if not name.startswith(f"{path}.")]:
            raise QueryError(
                f"one clause has conditions on {path} and on {foreign[0]!r}, which no engine can "
                "apply to segments: make them two items of the filter, or search at level=video"
            )
    for clause in on_videos:
        if any(f"{name}.".startswith(f"{path}.") for name in field_names(clause)):
            raise QueryError(
                f"one clause has `nested` in it and conditions on {path}, which no engine can "
                "apply to segments: make them two items of the filter, or search at level=video"
            )
    return on_videos, on_segments


def _parts(query: Mapping[str, Any]) -> list[dict[str, Any]]:
    inner = query.get("bool")
    if len(query) == 1 and isinstance(inner, Mapping) and inner.keys() == {"filter"}:
        clauses = inner["filter"]
        return [dict(part) for part in (clauses if isinstance(clauses, list) else [clauses])]
    return [dict(query)]


def _mentions(clause: Mapping[str, Any], path: str) -> bool:
    return not has_nested(clause) and any(n.startswith(f"{path}.") for n in field_names(clause))
