"""Clauses of the query language in a filter: which there are, and the fields that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.errors import QueryError

__all__ = ["CLAUSES", "checked_clause", "field_names", "is_clause", "may_be_clause"]

CLAUSES = frozenset(
    {
        *("bool", "boosting", "combined_fields", "constant_score", "dis_max", "exists"),
        *("field_masking_span", "function_score", "fuzzy", "geo_bounding_box", "geo_distance"),
        *("geo_grid", "geo_polygon", "geo_shape", "has_child", "has_parent", "ids", "intervals"),
        *("match", "match_all", "match_bool_prefix", "match_none", "match_phrase"),
        *("match_phrase_prefix", "more_like_this", "multi_match", "nested", "parent_id"),
        *("percolate", "prefix", "query_string", "range", "regexp", "script", "script_score"),
        *("shape", "simple_query_string", "span_containing", "span_first", "span_multi"),
        *("span_near", "span_not", "span_or", "span_term", "span_within", "term", "terms"),
        *("terms_set", "wildcard", "wrapper", "xy_shape"),
    }
)
_COMPOUNDS = frozenset(
    {
        *("bool", "must", "filter", "should", "must_not", "constant_score", "dis_max", "queries"),
        *("boosting", "positive", "negative", "span_near", "span_or", "clauses", "span_not"),
        *("include", "exclude", "span_containing", "span_within", "big", "little"),
    }
)
_BY_FIELDS = frozenset(
    {"combined_fields", "more_like_this", "multi_match", "query_string", "simple_query_string"}
)
"""Clauses that name their fields in a list."""
_OF_ONE_QUERY = {
    **dict.fromkeys(("field_masking_span", "function_score", "script_score"), "query"),
    **dict.fromkeys(("span_first", "span_multi"), "match"),
}
"""Clauses around another one, by the key of that."""
_MAY_BE_EMPTY = frozenset({"bool", "match_all", "match_none"})


def field_names(clause: Any) -> list[str]:
    """Names of the fields in a clause, as far as its form tells them."""
    if isinstance(clause, (list, tuple)):
        return [name for item in clause for name in field_names(item)]
    if not isinstance(clause, Mapping):
        return []
    names: list[str] = []
    for kind, body in clause.items():
        if kind in _COMPOUNDS:
            names += field_names(body)
        elif kind == "nested" and isinstance(body, Mapping):
            names += [str(body.get("path")), *field_names(body.get("query"))]
        elif kind == "exists" and isinstance(body, Mapping):
            names.append(str(body.get("field")))
        elif kind in _OF_ONE_QUERY and isinstance(body, Mapping):
            names += field_names(body.get(_OF_ONE_QUERY[kind]))
        elif kind in _BY_FIELDS:
            fields = body.get("fields", []) if isinstance(body, Mapping) else []
            names += [str(name).partition("^")[0] for name in fields]
        elif kind in CLAUSES and isinstance(body, Mapping):
            names += [str(name) for name in body if name != "boost"]
    return names


def may_be_clause(name: str, value: Any) -> bool:
    """Whether a filter reads that as a clause of the query language, unless a field has the name.

    Args:
        name: of a field, or of a kind of clause.
        value: condition on the field, or body of the clause.
    """
    return name in CLAUSES and isinstance(value, Mapping)


def is_clause(filter: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether an item of a filter is a clause of the query language.

    Args:
        filter: the item.
        properties: ``properties`` of the mapping.
    """
    if len(filter) != 1:
        return False
    ((name, value),) = filter.items()
    # The index may have a field called `range` or `match`: a mapped field goes first.
    return may_be_clause(name, value) and name not in properties


def checked_clause(clause: Mapping[str, Any]) -> dict[str, Any]:
    """A clause of the query language as it is sent.

    Raises:
        QueryError: there is nothing in it.
    """
    ((kind, body),) = clause.items()
    if not body and kind not in _MAY_BE_EMPTY:
        raise QueryError(
            f"filter clause {kind!r} is empty; a clause of the query language looks like "
            '{"term": {"field": "value"}}'
        )
    return dict(clause)
