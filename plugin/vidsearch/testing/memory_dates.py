"""Values by document, as :class:`MemoryEngine` gives them, and dates, which it keeps as texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from vidsearch.engines import Json
from vidsearch.testing.memory_query import values_at

__all__ = ["doc_values", "milliseconds", "period_start"]


def doc_values(source: Json, fields: Sequence[Mapping[str, Any]]) -> Json:
    """The values of some fields, each once and ascending; of dates as their format asks."""
    found: Json = {}
    for field in fields:
        values = sorted(set(values_at(source, field["field"])))
        if field.get("format") == "epoch_millis":
            values = [str(milliseconds(value)) for value in values]
        if values:
            found[field["field"]] = values
    return found


def milliseconds(date: Any) -> int:
    """Since 1970, of an ISO text or a number of them."""
    if not isinstance(date, str):
        return int(date)
    at = datetime.fromisoformat(date)
    return round((at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() * 1000)


def period_start(date: Any, interval: str) -> int:
    """The start of the year, month, day or hour that a date lies in, in milliseconds since 1970."""
    text = datetime.fromtimestamp(milliseconds(date) / 1000, timezone.utc).isoformat()
    kept = {"year": 4, "month": 7, "day": 10, "hour": 13}[interval]
    return milliseconds(text[:kept] + "0001-01-01T00:00:00+00:00"[kept:])
