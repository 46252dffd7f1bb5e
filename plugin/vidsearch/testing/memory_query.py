"""The part of the query language that :class:`MemoryEngine` answers: filters, text, exact kNN."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vidsearch.engines import Json
from vidsearch.errors import MappingConflictError

__all__ = [
    "InnerHit",
    "among",
    "cosine",
    "highlights",
    "nearest_segments",
    "score",
    "split_conditions",
    "values_at",
]

InnerHit = tuple[int, Json, float]
"""Offset, source and score of one nested object."""


def values_at(source: Any, path: str) -> Iterator[Any]:
    """Every value under a dotted path; lists are walked, ``.keyword`` subfields read the parent."""
    if isinstance(source, list):
        for item in source:
            yield from values_at(item, path)
        return
    if not path or path == "keyword":
        if source is not None:
            yield source
        return
    if not isinstance(source, Mapping):
        return
    head, _, rest = path.partition(".")
    yield from values_at(source.get(head), rest)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of two vectors; ``MappingConflictError`` where their lengths differ."""
    if len(one) != len(other):
        raise MappingConflictError(f"the query vector has {len(one)} dims, the index {len(other)}")
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))


def score(query: Mapping[str, Any], id: str, source: Json) -> float | None:
    """Score of one document for a query, ``None`` where it does not match.

    Raises:
        MappingConflictError: a kind of query that this stand-in does not know.
    """
    if len(query) != 1:
        raise MappingConflictError(f"a query holds one clause, not {sorted(query)}")
    ((kind, body),) = query.items()
    if kind == "bool":
        return _bool(body, id, source)
    if kind == "knn":
        return _knn(body, source)
    if kind == "nested":
        return _nested(body, id, source)
    if kind in {"match", "multi_match"}:
        return _text(kind, body, source)
    if kind not in _FILTERS:
        raise MappingConflictError(f"unknown query [{kind}]")
    return 1.0 if _FILTERS[kind](body, id, source) else None


def nearest_segments(
    source: Json, *, path: str, leaf: str, vector: Sequence[float]
) -> list[InnerHit]:
    """The nested objects under ``path`` that hold a vector, nearest first."""
    found = [
        (offset, item, (1 + cosine(vector, item[leaf])) / 2)
        for offset, item in enumerate(_objects(source, path))
        if item.get(leaf) is not None
    ]
    return sorted(found, key=lambda hit: (-hit[2], hit[0]))


def split_conditions(clause: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The filters of a kNN clause that speak of the document, and those of its nested objects."""
    conditions = clause.get("filter", [])
    conditions = [conditions] if isinstance(conditions, Mapping) else list(conditions)
    path, _, _ = clause["field"].rpartition(".")
    inside = [one for one in conditions if path and f"'{path}." in str(one)]
    return [one for one in conditions if one not in inside], inside


def among(clause: Mapping[str, Any], source: Json) -> Json:
    """The source in which nested objects that a kNN clause filters away hold no vector."""
    _, inside = split_conditions(clause)
    if not inside:
        return source
    path, _, leaf = clause["field"].rpartition(".")
    kept = []
    for item in _objects(source, path):
        matches = score({"bool": {"filter": inside}}, "", _at(path, item)) is not None
        kept.append(item if matches else {**item, leaf: None})
    *parents, last = path.split(".")
    changed = copy = dict(source)
    for name in parents:
        copy[name] = dict(copy.get(name) or {})
        copy = copy[name]
    copy[last] = kept
    return changed


def _at(path: str, item: Any) -> Json:
    for name in reversed(path.split(".")):
        item = {name: item}
    alone: Json = item
    return alone


def highlights(wanted: Mapping[str, Any], source: Json) -> dict[str, list[str]]:
    """Whole values as fragments, escaped, with the words of the query between the tags."""
    asked = set(_words(wanted["highlight_query"]["multi_match"]["query"]))
    before, after = wanted["pre_tags"][0], wanted["post_tags"][0]
    found: dict[str, list[str]] = {}
    for name in wanted["fields"]:
        for text in _strings(source, name):
            parts = [
                f"{before}{html.escape(part)}{after}"
                if part.lower() in asked
                else html.escape(part)
                for part in re.split(r"(\w+)", text)
            ]
            if any(part.lower() in asked for part in re.split(r"(\w+)", text)):
                found.setdefault(name, []).append("".join(parts))
    return found


def _objects(source: Json, path: str) -> list[Json]:
    return [item for item in values_at(source, path) if isinstance(item, dict)]


def _comparable(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _term(body: Mapping[str, Any], _id: str, source: Json) -> bool:
    ((field, wanted),) = body.items()
    if isinstance(wanted, Mapping):
        wanted = wanted["value"]
    return _comparable(wanted) in [_comparable(value) for value in values_at(source, field)]


def _terms(body: Mapping[str, Any], _id: str, source: Json) -> bool:
    ((field, wanted),) = ((key, value) for key, value in body.items() if key != "boost")
    accepted = [_comparable(value) for value in wanted]
    return any(_comparable(value) in accepted for value in values_at(source, field))


_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def _range(body: Mapping[str, Any], _id: str, source: Json) -> bool:
    ((field, bounds),) = body.items()
    checks = [(_BOUNDS[name], bound) for name, bound in bounds.items() if name in _BOUNDS]
    return any(
        all(check(value, bound) for check, bound in checks) for value in values_at(source, field)
    )


def _ids(body: Mapping[str, Any], id: str, _source: Json) -> bool:
    return id in body["values"]


def _exists(body: Mapping[str, Any], _id: str, source: Json) -> bool:
    return any(True for _ in values_at(source, body["field"]))


_FILTERS: dict[str, Callable[[Mapping[str, Any], str, Json], bool]] = {
    "match_all": lambda _body, _id, _source: True,
    "match_none": lambda _body, _id, _source: False,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "ids": _ids,
    "exists": _exists,
}


def _clauses(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name, [])
    return [found] if isinstance(found, Mapping) else list(found)


def _bool(body: Mapping[str, Any], id: str, source: Json) -> float | None:
    if any(score(clause, id, source) is not None for clause in _clauses(body, "must_not")):
        return None
    if any(score(clause, id, source) is None for clause in _clauses(body, "filter")):
        return None
    must = [score(clause, id, source) for clause in _clauses(body, "must")]
    should = [score(clause, id, source) for clause in _clauses(body, "should")]
    required = bool(should) and not (_clauses(body, "must") or _clauses(body, "filter"))
    hits = [value for value in should if value is not None]
    if None in must or len(hits) < int(body.get("minimum_should_match", required)):
        return None
    return sum([value for value in must if value is not None] + hits)


def _words(text: Any) -> list[str]:
    return re.findall(r"\w+", str(text).lower())


def _text(kind: str, body: Mapping[str, Any], source: Json) -> float | None:
    # Not BM25: the share of a field's words that the query asks for, times the field's boost.
    if kind == "match":
        ((field, wanted),) = body.items()
        text = wanted["query"] if isinstance(wanted, Mapping) else wanted
        fields: Sequence[str] = [field]
    else:
        text, fields = body["query"], body.get("fields", ["*"])
    asked = set(_words(text))
    best = 0.0
    for field in fields:
        name, _, boost = field.partition("^")
        words = _words(" ".join(_strings(source, name)))
        if words:
            share = sum(word in asked for word in words) / len(words)
            best = max(best, share * float(boost or 1))
    return best or None


def _strings(source: Json, name: str) -> list[str]:
    if name == "*":
        return [text for key in source for text in _strings(source, key)]
    return [value for value in values_at(source, name) if isinstance(value, str)]


def _knn(body: Mapping[str, Any], source: Json) -> float | None:
    vectors = [v for v in _vectors(source, body["field"]) if v is not None]
    if not vectors:
        return None
    best = max(cosine(body["query_vector"], vector) for vector in vectors)
    if best < body.get("similarity", -1.0):
        return None
    return (1 + best) / 2 * float(body.get("boost", 1.0))


def _vectors(source: Json, field: str) -> list[Any]:
    # A vector is itself a list, so the walk of `values_at` stops one step above it.
    parent, _, leaf = field.rpartition(".")
    holders = _objects(source, parent) if parent else [source]
    return [holder.get(leaf) for holder in holders]


def _nested(body: Mapping[str, Any], id: str, source: Json) -> float | None:
    # One nested object must satisfy the whole inner query, so each is looked at alone.
    found = []
    for item in _objects(source, body["path"]):
        found.append(score(body["query"], id, _at(body["path"], item)))
    hits = [value for value in found if value is not None]
    return max(hits) if hits else None
