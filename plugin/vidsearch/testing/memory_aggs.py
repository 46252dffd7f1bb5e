"""How :class:`MemoryEngine` answers the aggregations of a search."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vidsearch.engines import Document, Json
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.testing.memory_dates import period_start
from vidsearch.testing.memory_query import score, values_at

__all__ = ["aggregated"]

Match = tuple[str, Document, float]
Hits = Callable[[Sequence[Match], Json], Json]
"""The ``hits`` of some documents, as a search body with ``sort``, ``size`` and ``_source`` asks."""


def aggregated(found: Sequence[Match], wanted: Json, hits: Hits) -> Json:
    """The answer to each aggregation, by its name.

    Raises:
        RequestRejectedError: a kind of aggregation that this stand-in does not know.
    """
    return {name: _one(found, each, hits) for name, each in wanted.items()}


def _one(found: Sequence[Match], each: Json, hits: Hits) -> Json:
    inside = each.get("aggs", {})
    ((kind, body),) = ((kind, body) for kind, body in each.items() if kind != "aggs")

    def bucket(part: Sequence[Match]) -> Json:
        return {"doc_count": len(part), **aggregated(part, inside, hits)}

    if kind == "nested":
        return {"doc_count": sum(_length(one[1].source, body["path"]) for one in found)}
    if kind == "missing":
        return bucket([one for one in found if not _values(one, body["field"])])
    if kind == "filter":
        return bucket(_matching(found, body))
    if kind == "filters":
        parts = {name: _matching(found, query) for name, query in body["filters"].items()}
        return {"buckets": {name: bucket(part) for name, part in parts.items()}}
    if kind == "max":
        values = [float(value) for one in found for value in _values(one, body["field"])]
        return {"value": max(values, default=None)}
    if kind == "terms":
        counts = Counter(value for one in found for value in {*_values(one, body["field"])})
        by_key = body.get("order") == {"_key": "asc"}
        keys = sorted(counts, key=lambda key: (by_key or -counts[key], key))
        size = body.get("size", 10)
        return {
            "buckets": [
                {"key": key, **bucket([one for one in found if key in _values(one, body["field"])])}
                for key in keys[:size]
            ],
            "sum_other_doc_count": sum(counts[key] for key in keys[size:]),
        }
    if kind in {"histogram", "date_histogram"}:
        grouped: dict[float, list[Match]] = {}
        for one in found:
            for key in {_bucket_key(body, value) for value in _values(one, body["field"])}:
                grouped.setdefault(key, []).append(one)
        return {"buckets": [{"key": key, **bucket(grouped[key])} for key in sorted(grouped)]}
    if kind == "date_range" and body["ranges"] == [{"from": "now"}]:
        return {"buckets": [{"from": round(time.time() * 1000), **bucket([])}]}
    if kind == "top_hits":
        return {"hits": hits(found, {"size": 3, **body})}
    raise RequestRejectedError(f"unknown aggregation: {kind}")


def _bucket_key(body: Json, value: Any) -> float:
    if "calendar_interval" in body:
        return period_start(value, body["calendar_interval"])
    width = body["interval"]
    return float(value // width * width)


def _matching(found: Sequence[Match], query: Mapping[str, Any]) -> list[Match]:
    return [one for one in found if score(query, one[1].id, one[1].source) is not None]


def _values(match: Match, field: str) -> list[Any]:
    return list(values_at(match[1].source, field))


def _length(source: Json, path: str) -> int:
    """Number of the objects at a path."""
    value: Any = source
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return len(value) if isinstance(value, list) else int(value is not None)
