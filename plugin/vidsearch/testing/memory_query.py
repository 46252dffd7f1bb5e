"""The part of the query language that :class:`MemoryEngine` answers: filters, text, exact kNN."""

from __future__ import annotations

import html
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vidsearch.engines import Json
from vidsearch.engines.errors import RequestRejectedError

__all__ = ["among", "highlights", "nearest_segments", "score", "split_conditions", "values_at"]


def values_at(source: Any, path: str) -> Iterator[Any]:
    """Every value under a dotted path; lists are walked, ``.keyword`` subfields read the parent."""
    if isinstance(source, list):
        for item in source:
            yield from values_at(item, path)
    elif not path or path == "keyword":
        if source is not None:
            yield source
    elif isinstance(source, Mapping):
        head, _, rest = path.partition(".")
        yield from values_at(source.get(head), rest)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        raise RequestRejectedError(f"the query vector has {len(one)} dims, the index {len(other)}")
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))


def score(query: Mapping[str, Any], id: str, source: Json) -> float | None:
    """Score of one document for a query, ``None`` where it does not match.

    Raises:
        RequestRejectedError: a kind of query that this stand-in does not know.
    """
    if len(query) != 1:
        raise RequestRejectedError(f"a query holds one clause, not {sorted(query)}")
    ((kind, body),) = query.items()
    if kind == "bool":
        return _bool(body, id, source)
    if kind == "knn":
        return _knn(body, source)
    if kind == "nested":
        return _nested(body, id, source)
    if kind in {"match", "multi_match"}:
        return _text(kind, body, source)
    if kind not in {"match_all", "match_none", "ids", "exists", "range", "prefix", "term", "terms"}:
        raise RequestRejectedError(f"unknown query [{kind}]")
    return 1.0 if _filter(kind, body, id, source) else None


def nearest_segments(
    source: Json, *, path: str, leaf: str, vector: Sequence[float]
) -> list[tuple[int, Json, float]]:
    """Offset, source and score of the nested objects that hold a vector, nearest first."""
    found = [
        (offset, item, (1 + _cosine(vector, item[leaf])) / 2)
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
    query = wanted["highlight_query"]
    matches = [query] if "multi_match" in query else query["bool"]["should"]
    asked = {word for each in matches for word in _words_found(each["multi_match"], source)}
    before, after = wanted["pre_tags"][0], wanted["post_tags"][0]
    found: dict[str, list[str]] = {}
    for name in wanted["fields"]:
        for text in _strings(source, name):
            parts = [
                (part.lower() in asked, html.escape(part)) for part in re.split(r"(\w+)", text)
            ]
            if any(hit for hit, _ in parts):
                marked = "".join(f"{before}{part}{after}" if hit else part for hit, part in parts)
                found.setdefault(name, []).append(marked)
    return found


def _objects(source: Json, path: str) -> list[Json]:
    return [item for item in values_at(source, path) if isinstance(item, dict)]


def _comparable(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


_BOUNDS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def _filter(kind: str, body: Mapping[str, Any], id: str, source: Json) -> bool:
    if kind in {"match_all", "match_none"}:
        return kind == "match_all"
    if kind == "ids":
        return id in body["values"]
    if kind == "exists":
        return any(True for _ in values_at(source, body["field"]))
    ((field, wanted),) = ((key, value) for key, value in body.items() if key != "boost")
    given = [id] if field == "_id" else values_at(source, field)
    values = [_comparable(value) for value in given]
    if kind == "prefix":
        return any(str(value).startswith(wanted) for value in values)
    if kind == "range":
        bounds = [(_BOUNDS[name], bound) for name, bound in wanted.items() if name in _BOUNDS]
        return any(all(holds(value, bound) for holds, bound in bounds) for value in values)
    if kind == "term":
        wanted = [wanted["value"] if isinstance(wanted, Mapping) else wanted]
    return any(_comparable(value) in values for value in wanted)


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


def _words_found(multi_match: Mapping[str, Any], source: Json) -> list[str]:
    return _words(multi_match["query"]) if _text("multi_match", multi_match, source) else []


def _holds(words: Sequence[str], phrase: Sequence[str]) -> bool:
    size = len(phrase)
    return any(list(words[at : at + size]) == list(phrase) for at in range(len(words)))


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
    asked, phrase = set(_words(text)), body.get("type") == "phrase"
    best = 0.0
    for field in fields:
        name, _, boost = field.partition("^")
        words = _words(" ".join(_strings(source, name)))
        if words and (not phrase or _holds(words, _words(text))):
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
    best = max(_cosine(body["query_vector"], vector) for vector in vectors)
    if best < body.get("similarity", -1.0):
        return None
    return (1 + best) / 2 * float(body.get("boost", 1.0))


def _vectors(source: Json, field: str) -> list[Any]:
    # A vector is itself a list, so the walk of `values_at` stops one step above it.
    parent, _, leaf = field.rpartition(".")
    return [holder.get(leaf) for holder in _objects(source, parent)]


def _nested(body: Mapping[str, Any], id: str, source: Json) -> float | None:
    # One nested object must satisfy the whole inner query, so each is looked at alone.
    path, query = body["path"], body["query"]
    found = [score(query, id, _at(path, item)) for item in _objects(source, path)]
    return max((value for value in found if value is not None), default=None)
