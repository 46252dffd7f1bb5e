"""How :class:`MemoryEngine` answers a ``_search`` body."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.engines import Document, Json
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.testing.memory_aggs import aggregated
from vidsearch.testing.memory_dates import doc_values
from vidsearch.testing.memory_query import (
    among,
    highlights,
    nearest_segments,
    score,
    split_conditions,
    values_at,
)

__all__ = ["filtered", "search"]

Stored = Sequence[tuple[str, Document]]
"""Documents with the name of the concrete index that holds each."""
_Match = tuple[str, Document, float]

_KNOWN = {
    *("query", "knn", "size", "from", "sort", "_source", "search_after", "seq_no_primary_term"),
    *("track_total_hits", "track_scores", "min_score", "timeout", "fields"),
    *("highlight", "aggs", "docvalue_fields", "stored_fields"),
    "search_type",  # there is one shard, so every type finds the same
}


def search(documents: Stored, body: Json) -> Json:
    """The response to one search body.

    Raises:
        RequestRejectedError: the body asks for something this stand-in does not know.
    """
    unknown = body.keys() - _KNOWN
    if unknown:
        raise RequestRejectedError(f"unknown key of a search body: {', '.join(sorted(unknown))}")
    counts_only = {"stored_fields": "_none_", "_source": False}
    if "stored_fields" in body and not body.items() >= counts_only.items():
        raise RequestRejectedError("stored_fields is known as _none_ alone, and without _source")
    knn = body.get("knn")
    clauses: list[Json] = [] if knn is None else knn if isinstance(knn, list) else [knn]
    found = _matches(documents, body.get("query"), clauses)
    if "min_score" in body:
        found = [hit for hit in found if hit[2] >= body["min_score"]]
    total = len(found)
    keys = _sort_keys(body)
    found = _sorted(found, keys)
    if "search_after" in body:
        found = [hit for hit in found if _comes_after(hit, body["search_after"], keys)]
    answer = {
        "took": 0,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {**_hits(found, body, clauses), "total": {"value": total, "relation": "eq"}},
    }
    if "aggs" in body:
        answer["aggregations"] = aggregated(found, body["aggs"], _hits)
    return answer


def _hits(found: Sequence[_Match], body: Json, clauses: Sequence[Json] = ()) -> Json:
    keys = _sort_keys(body)
    start = body.get("from", 0)
    shown = _sorted(list(found), keys)[start : start + int(body.get("size", 10))]
    return {
        "total": {"value": len(found), "relation": "eq"},
        "max_score": max((hit[2] for hit in found), default=None),
        "hits": [_hit(hit, body, clauses, keys) for hit in shown],
    }


def _matches(documents: Stored, query: Json | None, clauses: list[Json]) -> list[_Match]:
    points: dict[int, float] = {}
    if query is not None or not clauses:
        for position, (_, document) in enumerate(documents):
            value = score(query or {"match_all": {}}, document.id, document.source)
            if value is not None:
                points[position] = value
    for clause in clauses:
        for position, value in _knn_matches(documents, clause):
            points[position] = points.get(position, 0.0) + value
    return [(*documents[position], value) for position, value in points.items()]


def _knn_matches(documents: Stored, clause: Json) -> list[tuple[int, float]]:
    conditions, _ = split_conditions(clause)
    filters = {"bool": {"filter": conditions}}
    found = []
    for position, (_, document) in enumerate(documents):
        if conditions and score(filters, document.id, document.source) is None:
            continue
        value = score({"knn": clause}, document.id, among(clause, document.source))
        if value is not None:
            found.append((position, value))
    found.sort(key=lambda hit: (-hit[1], documents[hit[0]][1].id))
    return found[: int(clause.get("k", 10))]


_SortKey = tuple[str, str, bool]
"""A field, ``asc`` or ``desc``, and whether documents without a value come first."""


def _sort_keys(body: Mapping[str, Any]) -> list[_SortKey]:
    keys: list[_SortKey] = []
    wanted = body.get("sort", [])
    for item in [wanted] if isinstance(wanted, (str, Mapping)) else wanted:
        if isinstance(item, str):
            keys.append((item, "desc" if item == "_score" else "asc", False))
            continue
        ((name, options),) = item.items()
        if isinstance(options, str):
            options = {"order": options}
        keys.append((name, options.get("order", "asc"), options.get("missing") == "_first"))
    return keys


def _sort_value(hit: _Match, name: str, order: str) -> Any:
    _, document, points = hit
    if name == "_score":
        return points
    if name in {"_id", "_doc", "_shard_doc"}:
        return document.id
    choose = max if order == "desc" else min
    return choose(values_at(document.source, name), default=None)


def _sorted(found: list[_Match], keys: list[_SortKey]) -> list[_Match]:
    """In order of the keys, the first one counts most."""
    for name, order, first in reversed(keys or [("_score", "desc", False), ("_id", "asc", False)]):
        valued = [(_sort_value(hit, name, order), hit) for hit in found]
        present = [one for one in valued if one[0] is not None]
        present.sort(key=lambda one: one[0], reverse=order == "desc")
        absent = [hit for value, hit in valued if value is None]
        shown = [hit for _, hit in present]
        found = absent + shown if first else shown + absent
    return found


def _comes_after(hit: _Match, last: Sequence[Any], keys: Sequence[_SortKey]) -> bool:
    for before, (name, order, _) in zip(last, keys, strict=True):
        value = _sort_value(hit, name, order)
        if value != before:
            return bool(value < before) if order == "desc" else bool(value > before)
    return False


def _hit(hit: _Match, body: Json, clauses: Sequence[Json], keys: Sequence[_SortKey]) -> Json:
    index, document, points = hit
    shown: Json = {"_index": index, "_id": document.id, "_score": points}
    wanted = body.get("_source", True)
    if wanted is not False:
        shown["_source"] = filtered(document.source, wanted)
    if body.get("fields") or body.get("docvalue_fields"):
        shown["fields"] = {
            **_fields(document.source, body.get("fields", [])),
            **doc_values(document.source, body.get("docvalue_fields", [])),
        }
    if document.routing is not None:
        shown["_routing"] = document.routing
    if body.get("seq_no_primary_term"):
        shown["_seq_no"] = document.revision.seq_no
        shown["_primary_term"] = document.revision.primary_term
    if "highlight" in body and (fragments := highlights(body["highlight"], document.source)):
        shown["highlight"] = fragments
    if body.get("stored_fields") == "_none_":
        del shown["_id"]
    if keys:
        shown["sort"] = [_sort_value(hit, name, order) for name, order, _ in keys]
    for clause in [*clauses, *_nested_knn(body.get("query"))]:
        if "inner_hits" in clause:
            name, found = _inner_hits(clause, document, index)
            shown.setdefault("inner_hits", {})[name] = {"hits": found}
    return shown


def _fields(source: Json, names: Sequence[str]) -> Json:
    """The values at dotted paths outside nested objects, each as a list."""
    found: Json = {}
    for name in names:
        value: Any = source
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found[name] = value if isinstance(value, list) else [value]
    return found


def _nested_knn(query: Any) -> list[Json]:
    """kNN clauses inside ``nested`` queries, each with the inner hits that the query asks for."""
    if isinstance(query, list):
        return [clause for item in query for clause in _nested_knn(item)]
    if not isinstance(query, Mapping):
        return []
    nested = query.get("nested")
    if isinstance(nested, Mapping) and "knn" in nested.get("query", {}):
        clause = dict(nested["query"]["knn"])
        if "inner_hits" in nested:
            clause["inner_hits"] = {"name": nested["path"], **nested["inner_hits"]}
        return [clause]
    return [clause for value in query.values() for clause in _nested_knn(value)]


def _inner_hits(clause: Json, document: Document, index: str) -> tuple[str, Json]:
    path, _, leaf = clause["field"].rpartition(".")
    wanted = clause["inner_hits"]
    source = among(clause, document.source)
    found = nearest_segments(source, path=path, leaf=leaf, vector=clause["query_vector"])
    shown: list[Json] = []
    for offset, item, points in found[: wanted.get("size", 3)]:
        one: Json = {
            "_index": index,
            "_id": document.id,
            "_nested": {"field": path, "offset": offset},
            "_score": points,
        }
        brought = wanted.get("_source", True)
        if brought is not False:
            one["_source"] = filtered(item, _relative(brought, path))
        if "fields" in wanted:
            names = _relative(wanted["fields"], path)
            one["fields"] = {path: [{n: [item[n]] for n in names if item.get(n) is not None}]}
        shown.append(one)
    top = shown[0]["_score"] if shown else None
    total = {"value": len(found), "relation": "eq"}
    return wanted.get("name", path), {"total": total, "max_score": top, "hits": shown}


def _relative(wanted: Any, path: str) -> Any:
    if isinstance(wanted, list):
        return [name.removeprefix(f"{path}.") for name in wanted]
    if isinstance(wanted, Mapping):
        return {key: _relative(value, path) for key, value in wanted.items()}
    return wanted


def filtered(source: Json, wanted: Any) -> Json:
    """What ``_source`` brings of a document: ``True``, a field, several, or an object."""
    if isinstance(wanted, bool):
        return source if wanted else {}
    if not isinstance(wanted, Mapping):
        wanted = {"includes": [wanted] if isinstance(wanted, str) else wanted}
    return _select(source, wanted.get("includes"), wanted.get("excludes", []), "")


def _select(source: Json, includes: Any, excludes: Any, path: str) -> Json:
    kept: Json = {}
    for name, value in source.items():
        where = f"{path}{name}"
        if any(_covers(pattern, where) for pattern in excludes):
            continue
        whole = includes is None or any(_covers(pattern, where) for pattern in includes)
        below = None if whole else includes
        if isinstance(value, dict):
            part = _select(value, below, excludes, f"{where}.")
            if part or (whole and not value):
                kept[name] = part
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            parts = [_select(item, below, excludes, f"{where}.") for item in value]
            if any(parts):
                kept[name] = parts
        elif whole:
            kept[name] = value
    return kept


def _covers(pattern: str, path: str) -> bool:
    return fnmatch.fnmatchcase(path, pattern) or path.startswith(f"{pattern}.")
