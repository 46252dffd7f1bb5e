"""What a search body asks for to count hits by their values, and to sort them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vidsearch_mappings.types import Json

__all__ = [
    "DATE_FORMAT",
    "counted",
    "facet_aggs",
    "sorted_by",
    "with_doc_values",
    "without_hits",
    "without_ids",
]

DATE_FORMAT = "epoch_millis"
"""How dates are read back, whatever format the mapping has."""

_PER_SHARD = 1000
"""Values that each shard names at least, so that those of several shards add up."""


def with_doc_values(body: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> Json:
    """A body whose hits bring the values of some fields, without reading a document."""
    return {**body, "docvalue_fields": [dict(field) for field in fields]}


def without_ids(body: Mapping[str, Any]) -> Json:
    """A body whose hits bring scores and values alone; for what is only counted.

    Engines keep the id with the document, and read all of that where it is long, as with vectors.
    """
    return {**body, "stored_fields": "_none_"}


def facet_aggs(
    name: str,
    *,
    path: str,
    size: int,
    order: Literal["count", "value"],
    interval: str | float | None = None,
) -> Json:
    """The aggregations of one facet: ``name`` counts its values, ``name-missing`` what has none.

    Args:
        name: of the aggregations.
        path: of the field.
        size: number of values; buckets of an interval all come.
        order: of the values; buckets of an interval come in their order.
        interval: the width of buckets of numbers; the calendar interval of dates.
    """
    values: Json
    if interval is None:
        by_key = {"_key": "asc"}
        values = {
            "terms": {
                "field": path,
                "size": size,
                "shard_size": max(_PER_SHARD, 2 * size),
                "order": by_key if order == "value" else [{"_count": "desc"}, by_key],
            }
        }
    else:
        buckets: Json = {"field": path, "min_doc_count": 1}
        values = (
            {"date_histogram": {**buckets, "calendar_interval": interval, "format": DATE_FORMAT}}
            if isinstance(interval, str)
            else {"histogram": {**buckets, "interval": interval}}
        )
    return {name: values, f"{name}-missing": {"missing": {"field": path}}}


def counted(body: Mapping[str, Any], aggs: Mapping[str, Any]) -> Json:
    """A body that counts all that it finds as well."""
    return {**body, "track_total_hits": True, "aggs": dict(aggs)}


def without_hits(body: Mapping[str, Any]) -> Json:
    """A body that brings one hit, which names the index that answered; for what counts only.

    In no order of scores, so that none need be computed.
    """
    return {**body, "size": 1, "_source": False, "sort": ["_doc"]}


def sorted_by(body: Mapping[str, Any], *, path: str, descending: bool) -> Json:
    """A body whose hits are sorted by a field, what lacks it last; equal ones by their scores."""
    order = "desc" if descending else "asc"
    keys = [{path: {"order": order, "missing": "_last"}}, {"_score": {"order": "desc"}}]
    return {**body, "sort": keys, "track_scores": True}
