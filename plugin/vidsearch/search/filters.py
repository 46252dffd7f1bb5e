"""Filters such as ``{"tags": "sport", "year": {"gte": 2020}}`` as clauses of the query language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from datetime import date
from typing import Any

from vidsearch.errors import QueryError
from vidsearch.search.mapping_fields import (
    ANALYZED_TYPES,
    NUMBER_TYPES,
    OPEN_TYPES,
    WORD_TYPES,
    Field,
    find_field,
    walk,
)
from vidsearch_mappings.queries import has_nested

__all__ = [
    "CONDITION_KEYS",
    "Filter",
    "build_filters",
    "may_be_clause",
    "split_segment_filters",
    "without_field",
]

Filter = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Conditions by field, or clauses of the query language, or a list of both: all must hold."""

_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_RANGE_KEYS = _BOUNDS | {"format", "time_zone"}
CONDITION_KEYS = _RANGE_KEYS | {"exists"}
"""What an object that is a condition on a field may hold."""
_DATE_MATHS = re.compile(r"now\b|.*\|\|", re.IGNORECASE)
# A text by its first letter, or a date that sorts as text does: 2024-01, 2024-01-31T12:00Z.
_SORTS_AS_TEXT = re.compile(
    r"[^\W\d_]|\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d)?)?)?$"
)
_CLAUSES = frozenset(
    {
        *("bool", "boosting", "constant_score", "dis_max", "exists", "fuzzy", "geo_bounding_box"),
        *("geo_distance", "geo_polygon", "geo_shape", "has_child", "has_parent", "ids"),
        *("intervals", "match", "match_all", "match_bool_prefix", "match_none", "match_phrase"),
        *("match_phrase_prefix", "multi_match", "nested", "parent_id", "prefix", "query_string"),
        *("range", "regexp", "script", "simple_query_string", "term", "terms", "terms_set"),
        *("wildcard",),
    }
)
_COMPOUNDS = frozenset(
    {
        *("bool", "must", "filter", "should", "must_not", "constant_score", "dis_max", "queries"),
        *("boosting", "positive", "negative"),
    }
)
_MAY_BE_EMPTY = frozenset({"bool", "match_all", "match_none"})
_CONDITIONS = 'a value, a list of values, a range of gt, gte, lt, lte, or {"exists": true}'
_VECTORS = frozenset({"dense_vector", "knn_vector", "sparse_vector", "rank_features"})


def build_filters(filter: Filter | None, *, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The clauses for a filter, checked against a live mapping.

    - ``{"tags": "sport"}``: equal; the exact value, a ``text`` through its keyword subfield.
    - ``{"tags": ["a", "b"]}``: equal to one of them.
    - ``{"year": {"gte": 2}}``: in a range: ``gt``, ``gte``, ``lt``, ``lte``; refused on texts,
      whose letters it would compare.
    - ``{"year": {"exists": True}}``: has a value, or (``False``) has none.
    - ``{"recorded": {"gte": "now-7d/d"}}``: dates: ISO text, ``date`` and ``datetime``, the
      engine's date maths.
    - ``{"video.segments.start": {"gte": 60}}``: a field of a nested object; several of one object
      must hold for the same item of it.
    - ``{"video.segments.text": "storm warning"}``: a ``text`` without a keyword subfield: holds all
      the words.
    - ``{"term": {…}}``: a clause of the query language: sent as it is, not checked.

    Several fields, and several items of a list, must all hold.

    Args:
        filter: see above; ``None`` or empty: no condition.
        properties: ``properties`` of the live mapping.

    Raises:
        QueryError: a field is not mapped or cannot be filtered, or a value does not fit it.
    """
    if filter is None:
        return []
    if isinstance(filter, Mapping):
        filter = [filter]
    if not isinstance(filter, (list, tuple)):
        raise QueryError(f"a filter is a dict or a list of dicts, not {filter!r}")
    clauses: list[dict[str, Any]] = []
    nested: dict[str, list[dict[str, Any]]] = {}
    for item in filter:
        if not isinstance(item, Mapping):
            raise QueryError(f"an item of a filter list must be a dict, not {item!r}")
        if _is_clause(item, properties):
            clauses.append(_clause(item))
            continue
        for name, value in item.items():
            field = _require(name, value, properties)
            into = clauses if field.nested is None else nested.setdefault(field.nested, [])
            into.append(_condition(field, value))
    return clauses + [
        {"nested": {"path": path, "query": {"bool": {"filter": conditions}}}}
        for path, conditions in nested.items()
    ]


def without_field(filter: Filter, names: Set[str]) -> list[Mapping[str, Any]]:
    """A filter without the conditions, and the clauses, that are about one field alone.

    ``names`` are all by which the field is known.
    """
    kept: list[Mapping[str, Any]] = []
    for item in [filter] if isinstance(filter, Mapping) else filter:
        rest = {name: value for name, value in item.items() if name not in names}
        about = set(_names(rest))
        if rest and not (about and about <= names):
            kept.append(rest)
    return kept


def split_segment_filters(
    clauses: Sequence[Mapping[str, Any]], *, path: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The clauses on videos, and those on segments as a search *among* segments needs them.

    Seen on Elasticsearch 9.5: inside a nested kNN clause, a clause on fields of the segments picks
    segments if it stands by itself, finds nothing beside a clause on the video in one ``bool``,
    and the wrong segments inside ``nested``.

    Args:
        clauses: from :func:`build_filters`.
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
        if foreign := [name for name in _names(clause) if not name.startswith(f"{path}.")]:
            raise QueryError(
                f"one clause has conditions on {path} and on {foreign[0]!r}, which no engine can "
                "apply to segments: make them two items of the filter, or search at level=video"
            )
    for clause in on_videos:
        if any(f"{name}.".startswith(f"{path}.") for name in _names(clause)):
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
    return not has_nested(clause) and any(n.startswith(f"{path}.") for n in _names(clause))


def _names(clause: Any) -> list[str]:
    """Names of the fields in a clause, as far as its form tells them."""
    if isinstance(clause, (list, tuple)):
        return [name for item in clause for name in _names(item)]
    if not isinstance(clause, Mapping):
        return []
    names: list[str] = []
    for kind, body in clause.items():
        if kind in _COMPOUNDS:
            names += _names(body)
        elif kind == "nested" and isinstance(body, Mapping):
            names += [str(body.get("path")), *_names(body.get("query"))]
        elif kind == "exists" and isinstance(body, Mapping):
            names.append(str(body.get("field")))
        elif kind in {"multi_match", "query_string", "simple_query_string"}:
            fields = body.get("fields", []) if isinstance(body, Mapping) else []
            names += [str(name).partition("^")[0] for name in fields]
        elif kind in _CLAUSES and isinstance(body, Mapping):
            names += [str(name) for name in body if name != "boost"]
    return names


def may_be_clause(name: str, value: Any) -> bool:
    """Whether a filter reads that as a clause of the query language, unless a field has the name.

    Args:
        name: of a field, or of a kind of clause.
        value: condition on the field, or body of the clause.
    """
    return name in _CLAUSES and isinstance(value, Mapping)


def _is_clause(filter: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    if len(filter) != 1:
        return False
    ((name, value),) = filter.items()
    # The index may have a field called `range` or `match`: a mapped field goes first.
    return may_be_clause(name, value) and name not in properties


def _clause(clause: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, body),) = clause.items()
    if not body and kind not in _MAY_BE_EMPTY:
        raise QueryError(
            f"filter clause {kind!r} is empty; a clause of the query language looks like "
            '{"term": {"field": "value"}}'
        )
    return dict(clause)


def _condition(field: Field, value: Any) -> dict[str, Any]:
    name = field.path
    if isinstance(value, Mapping):
        if "exists" in value:
            return _exists(field, value)
        bounds = _range(field, value)
        return {"range": {_exact(field): bounds}}
    if isinstance(value, (list, tuple, set, frozenset)):
        if not value:
            raise QueryError(f"filter on {name!r}: an empty list of values matches nothing")
        values = [_value(field, item) for item in value]
        if _holds_words(field):
            return {"bool": {"should": [_all_words(name, one) for one in values]}}
        return {"terms": {_exact(field): values}}
    value = _value(field, value)
    return _all_words(name, value) if _holds_words(field) else {"term": {_exact(field): value}}


def _holds_words(field: Field) -> bool:
    """Whether it is found by its words, as it has no keyword subfield for the whole value."""
    return field.exact is None and field.type in ANALYZED_TYPES


def _all_words(name: str, value: Any) -> dict[str, Any]:
    return {"match": {name: {"query": value, "operator": "and"}}}


def _require(name: str, value: Any, properties: Mapping[str, Any]) -> Field:
    field = find_field(properties, name)
    if field is None:
        known = ", ".join(_filterable(properties)) or "none"
        reason = "no such field in the index"
        if name in _CLAUSES:
            reason += f'; the clause of that name is an item of its own, {{"{name}": {{…}}}}'
        elif isinstance(value, Mapping) and not value.keys() & CONDITION_KEYS:
            reason += ", nor a clause of the query language such as match, prefix, term or bool"
        raise QueryError(f"filter on {name!r}: {reason}", known=f". Mapped fields: {known}")
    if field.type in _VECTORS:
        raise QueryError(f"filter on {name!r}: it holds vectors, which cannot be filtered")
    if field.type == "derived":
        raise QueryError(
            f"filter on {name!r}: it is a derived field, which OpenSearch computes in a search, "
            "and vidsearch filters by stored ones. Map it as a field of the index and write its "
            f'values, or send a clause of your own: {{"term": {{"{name}": …}}}}'
        )
    if not field.searchable and field.exact is None:
        raise QueryError(
            f"filter on {name!r}: the index only stores it, by its mapping, and cannot look for it"
        )
    if field.type == "nested":
        raise QueryError(
            f"filter on {name!r}: it is a nested object; name one of its fields, as in "
            f'"{name}.name"'
        )
    return field


def _filterable(properties: Mapping[str, Any]) -> list[str]:
    return sorted(
        field.path
        for field in walk(properties)
        if field.exact is not None and field.nested is None and field.type not in _VECTORS
    )


def _exact(field: Field) -> str:
    if field.exact is not None:
        return field.exact
    raise QueryError(
        f"filter on {field.path!r}: it is an object; name one of its fields, as in "
        f'"{field.path}.name"'
    )


def _exists(field: Field, value: Mapping[str, Any]) -> dict[str, Any]:
    wanted = value["exists"]
    if len(value) != 1 or not isinstance(wanted, bool):
        raise QueryError(
            f'filter on {field.path!r}: write {{"exists": true}} or {{"exists": false}}, '
            f"not {dict(value)!r}"
        )
    clause = {"exists": {"field": field.path if field.searchable else field.exact}}
    return clause if wanted else {"bool": {"must_not": [clause]}}


def _range(field: Field, value: Mapping[str, Any]) -> dict[str, Any]:
    if not value:
        raise QueryError(f"filter on {field.path!r}: {{}} says nothing; write {_CONDITIONS}")
    unknown = value.keys() - _RANGE_KEYS
    if unknown or not value.keys() & _BOUNDS:
        raise QueryError(
            f"filter on {field.path!r}: a range is made of gt, gte, lt, lte, "
            f"not {', '.join(map(repr, sorted(map(str, value))))}"
        )
    bounds = {
        key: bound if key in {"format", "time_zone"} else _value(field, bound)
        for key, bound in value.items()
    }
    _require_comparable(field, bounds)
    return bounds


def _require_comparable(field: Field, bounds: Mapping[str, Any]) -> None:
    """Refuse a range that would compare letters where the bounds mean something else."""
    if field.type not in WORD_TYPES | OPEN_TYPES:
        return
    problem = "a range of it compares letters, by which '99' comes after '100'"
    if field.type not in ANALYZED_TYPES:
        odd = [bound for key, bound in bounds.items() if key in _BOUNDS and _is_no_text(bound)]
        if not odd:
            return
        problem = (
            f"a range of it compares letters, and {odd[0]!r} is a number or date maths: it neither "
            "begins with a letter nor is an ISO date such as 2024-01-31"
        )
    raise QueryError(
        f"filter on {field.path!r}: it is of type {field.type}, {problem}. Map it as a number or a "
        "date (for a managed index with the setting index.mapping) and write the documents anew, "
        'or compare letters with a clause of your own, {"range": {…}}'
    )


def _is_no_text(bound: Any) -> bool:
    if not isinstance(bound, str) or _DATE_MATHS.match(bound):
        return True
    return _SORTS_AS_TEXT.match(bound) is None


def _value(field: Field, value: Any) -> Any:
    if isinstance(value, date):  # and datetime, which is one
        return value.isoformat()
    if value is None:
        raise QueryError(
            f"filter on {field.path!r}: None is no value; for videos without a value write "
            '{"exists": false}'
        )
    if not isinstance(value, (str, int, float)):
        raise QueryError(
            f"filter on {field.path!r}: {value!r} is neither text, number, truth value nor date"
        )
    if field.type in NUMBER_TYPES:
        return _number(field, value)
    if field.type == "boolean":
        if value not in (True, False, "true", "false"):
            raise QueryError(f"filter on {field.path!r}: it is true or false, not {value!r}")
        return value in (True, "true")
    return value


def _number(field: Field, value: str | int | float) -> int | float:
    """A number, also from text: a command line and a URL have nothing else."""
    for kind in (int, float):
        try:
            number = kind(value) if isinstance(value, str) else value
            if not isinstance(number, bool) and math.isfinite(number):
                return number
        except (ValueError, OverflowError):  # an int beyond the range of a float
            continue
    raise QueryError(
        f"filter on {field.path!r}: it is of type {field.type}, {value!r} is no number"
    )
