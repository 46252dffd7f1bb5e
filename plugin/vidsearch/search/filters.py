"""Filters such as ``{"tags": "sport", "year": {"gte": 2020}}`` as clauses of the query language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence, Set
from datetime import date
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from vidsearch.errors import QueryError
from vidsearch.json_values import GREATEST, LEAST, is_finite, quoted
from vidsearch.search.clauses import CLAUSES, checked_clause, field_names, is_clause
from vidsearch.search.mapping_fields import (
    ANALYZED_TYPES,
    OPEN_TYPES,
    WORD_TYPES,
    Field,
    find_field,
    longest_kept,
    takes_iso_dates,
    walk,
)
from vidsearch_mappings.field_kinds import NUMBER_TYPES

__all__ = [
    "CONDITION_KEYS",
    "Filter",
    "build_filters",
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
_CONDITIONS = 'a value, a list of values, a range of gt, gte, lt, lte, or {"exists": true}'
_DATES = frozenset({"date", "date_nanos", "date_range"})
_ISO = "strict_date_optional_time"
"""Format of dates that Python writes; the mapping may have another one."""
_VECTORS = frozenset({"dense_vector", "knn_vector", "sparse_vector", "rank_features"})


def build_filters(
    filter: Filter | None, *, properties: Mapping[str, Any], segments: str | None = None
) -> list[dict[str, Any]]:
    """The clauses for a filter, checked against a live mapping.

    - ``{"tags": "sport"}``: equal; the exact value, a ``text`` through its keyword subfield.
    - ``{"tags": ["a", "b"]}``: equal to one of them.
    - ``{"year": {"gte": 2}}``: in a range: ``gt``, ``gte``, ``lt``, ``lte``; refused on texts,
      whose letters it would compare.
    - ``{"year": {"exists": True}}``: has a value, or (``False``) has none; of a nested object no
      item has one, unless another condition says which item.
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
        segments: path of the nested segments of vidsearch, of which each is searched by itself.

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
        if is_clause(item, properties):
            clauses.append(checked_clause(item))
            continue
        for name, value in item.items():
            field = _require(name, value, properties)
            into = clauses if field.nested is None else nested.setdefault(field.nested, [])
            into.append(_condition(field, value, properties))
    for path, conditions in nested.items():
        clauses += _on_items(path, conditions, one_by_one=path == segments)
    return clauses


def without_field(filter: Filter, names: Set[str]) -> list[Mapping[str, Any]]:
    """A filter without the conditions, and the clauses, that are about one field alone.

    ``names`` are all by which the field is known.
    """
    kept: list[Mapping[str, Any]] = []
    for item in [filter] if isinstance(filter, Mapping) else filter:
        rest = {name: value for name, value in item.items() if name not in names}
        about = set(field_names(rest))
        if rest and not (about and about <= names):
            kept.append(rest)
    return kept


def _on_items(
    path: str, conditions: list[dict[str, Any]], *, one_by_one: bool
) -> list[dict[str, Any]]:
    """The clauses for conditions on the items of one nested object."""

    def of_one(query: Any) -> dict[str, Any]:
        return {"nested": {"path": path, "query": query}}

    absent = [clause["bool"]["must_not"] for clause in conditions if _is_absence(clause)]
    if not one_by_one and len(absent) == len(conditions):
        # Asked of one item, it would pass over videos that have no items at all.
        return [{"bool": {"must_not": [*map(of_one, found)]}} for found in absent]
    return [of_one({"bool": {"filter": conditions}})]


def _is_absence(clause: Mapping[str, Any]) -> bool:
    return "must_not" in clause.get("bool", {})


def _condition(field: Field, value: Any, properties: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        if "exists" in value:
            return _exists(field, value)
        bounds = _range(field, value)
        return {"range": {_exact(field): bounds}}
    if not isinstance(value, (list, tuple, set, frozenset)):
        return _equal(field, value, properties)
    if not value:
        raise QueryError(f"filter on {field.path!r}: an empty list of values matches nothing")
    clauses = [_equal(field, item, properties) for item in value]
    if all("term" in clause for clause in clauses):
        (name,) = clauses[0]["term"]
        return {"terms": {name: [clause["term"][name] for clause in clauses]}}
    return {"bool": {"should": clauses}}


def _equal(field: Field, value: Any, properties: Mapping[str, Any]) -> dict[str, Any]:
    plain = _value(field, value)
    if field.exact is None and field.type in ANALYZED_TYPES:
        # Without a keyword subfield for the whole value it is found by its words.
        return {"match": {field.path: {"query": plain, "operator": "and"}}}
    name = _exact(field)
    other = field.type in _DATES and not takes_iso_dates(properties, name)
    if other and isinstance(value, date):  # a term has no format of its own
        return {"range": {name: {"gte": plain, "lte": plain, "format": _ISO}}}
    if isinstance(plain, str):
        _require_kept(field, name, plain, properties)
    return {"term": {name: plain}}


def _require_kept(field: Field, name: str, value: str, properties: Mapping[str, Any]) -> None:
    """Refuse a text of which the index keeps no whole value, so that nothing would be found."""
    most = longest_kept(properties, name)
    length = len(value.encode("utf-16-le", "surrogatepass")) // 2  # as Java counts
    if most is None or length <= most:
        return
    advice = "raise ignore_above in the mapping and write the documents anew"
    if field.type in ANALYZED_TYPES and field.searchable:
        clause = f'{{"match_phrase": {{"{field.path}": "…"}}}}'
        if field.nested is not None:
            clause = f'{{"nested": {{"path": "{field.nested}", "query": {clause}}}}}'
        advice = f"look for its words with a clause of your own, {clause}"
    raise QueryError(
        f"filter on {field.path!r}: {quoted(value)} has {length} characters, and the index finds "
        f"no whole value of more than {most} there (ignore_above in the mapping): {advice}"
    )


def _require(name: str, value: Any, properties: Mapping[str, Any]) -> Field:
    field = find_field(properties, name)
    if field is None:
        known = ", ".join(_filterable(properties)) or "none"
        reason = "no such field in the index"
        if name in CLAUSES:
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
    if len(value) != 1 or not isinstance(wanted, (bool, np.bool_)):
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
    given = [value[key] for key in value.keys() & _BOUNDS]
    dates = [bound for bound in given if isinstance(bound, date)]
    # Texts may be in the format of the mapping; date maths that begin with now have none.
    by_date = dates and all(bound in dates or str(bound).startswith("now") for bound in given)
    if by_date and field.type in _DATES:
        bounds.setdefault("format", _ISO)
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
    if isinstance(value, Decimal) and field.type in WORD_TYPES | OPEN_TYPES:
        return str(value)  # 1.50 is another text than 1.5
    if not isinstance(value, (str, int, float)):
        value = _plain(field, value)
    if field.type in NUMBER_TYPES:
        return _number(field, value)
    if field.type == "boolean":
        if value not in (True, False, "true", "false"):
            raise QueryError(f"filter on {field.path!r}: it is true or false, not {value!r}")
        return value in (True, "true")
    return value


def _plain(field: Field, value: Any) -> int | float:
    """A ``Decimal``, or a number or truth value of numpy, as JSON has it."""
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)) and is_finite(value):
        if LEAST <= value <= GREATEST:  # type: ignore[operator]  # not as a float, which rounds
            whole = int(value)  # type: ignore[arg-type]
            return whole if whole == value else float(value)
        return float(value)
    raise QueryError(
        f"filter on {field.path!r}: {quoted(value)} is neither text, number, truth value nor date"
    )


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
        f"filter on {field.path!r}: it is of type {field.type}, {quoted(value)} is no number"
    )
