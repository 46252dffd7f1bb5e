"""Counts of values, from those of single hits or from an engine's aggregations. Pure functions."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.index.description import IndexDescription
from vidsearch.search.facets import Facet, Period
from vidsearch.search.types import FacetCounts, FacetValue
from vidsearch.search.value_fields import Value, ValueField, value_field
from vidsearch_mappings.facets import facet_aggs

__all__ = ["FacetField"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_BUCKETS = 10_000
"""Of all matches, which the engine brings whatever the size of the facet."""
_HOUR, _DAY = 3_600_000, 86_400_000
"""In milliseconds."""
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999; engines keep others, which Python has not."""
_LENGTHS: dict[Period, int] = {"year": 4, "month": 7, "day": 10}
"""Characters of a date in ISO form that name the period."""


@dataclass(frozen=True, slots=True)
class FacetField:
    """A facet of a search, and the field whose values it counts."""

    facet: Facet
    field: ValueField
    interval: Period | float | None
    """By which values are counted; ``None``: each by itself."""

    @classmethod
    def of(cls, facet: Facet, index: IndexDescription) -> FacetField:
        """The facet of an index.

        Raises:
            QueryError: the field has no values to count, or the interval does not fit them.
        """
        field = value_field(index, facet.field, argument="facets")
        interval = facet.interval
        if field.kind == "date":
            interval = interval or "year"
            fits = None if isinstance(interval, str) else "dates take year, month, day or hour"
        elif field.kind == "number":
            fits = "numbers take a number" if isinstance(interval, str) else None
        else:
            fits = "its values are counted one by one, leave it out" if interval else None
        if fits:
            raise QueryError(
                f"facets: interval {interval!r} does not fit field {facet.field!r} of type "
                f"{field.type}: {fits}",
                argument="facets",
            )
        return cls(facet, field, interval)

    def counts(self, hits: Iterable[Mapping[str, Sequence[Any]]]) -> FacetCounts:
        """The counts over some hits, by the values of each; a hit counts once for a value."""
        counted: Counter[Value] = Counter()
        found = [hit.get(self.field.path, ()) for hit in hits]
        # Most hits have one value, which others have, too: each is looked at once.
        alone = Counter(values[0] for values in found if len(values) == 1)
        for raw, number in alone.items():
            counted[self._key(self.field.value(raw))] += number
        for values in found:
            if len(values) > 1:
                counted.update({self._key(self.field.value(raw)) for raw in values})
        return self._listed(counted, missing=sum(not values for values in found))

    def aggs(self, name: str) -> Json:
        """The aggregations by which the engine counts all that a query finds."""
        facet = self.facet
        return facet_aggs(
            name,
            path=self.field.path,
            size=facet.size,
            order=facet.order,
            interval=self.interval,
        )

    def read(self, name: str, aggregations: Mapping[str, Json]) -> FacetCounts:
        """The counts in the answer to :meth:`aggs`.

        Raises:
            QueryError: there are too many buckets.
        """
        found = aggregations[name]
        if self.interval is not None and len(found["buckets"]) > _MAX_BUCKETS:
            raise QueryError(
                f"facets: interval {self.interval!r} makes more than {_MAX_BUCKETS:,} buckets of "
                f"field {self.facet.field!r}: take a wider one, or narrow the search by a filter",
                argument="facets",
            )
        counted: Counter[Value] = Counter()
        for bucket in found["buckets"]:
            key = bucket["key"]
            if isinstance(self.interval, float):
                number: Value = round(_quotient(key, self.interval))  # it is a rounded product
            elif self.interval is not None and _FIRST <= key <= _LAST:
                number = int(key)  # the start of its period already
            else:
                number = self._key(self.field.value(key))
            counted[number] += bucket["doc_count"]
        return self._listed(
            counted,
            missing=aggregations[f"{name}-missing"]["doc_count"],
            other=found.get("sum_other_doc_count", 0),
        )

    def _listed(self, counted: Counter[Value], *, missing: int, other: int = 0) -> FacetCounts:
        by_count = self.facet.order == "count"
        rank = self.field.rank
        pairs = sorted(counted.items(), key=lambda pair: (by_count and -pair[1], rank(pair[0])))
        shown, rest = pairs[: self.facet.size], pairs[self.facet.size :]
        return FacetCounts(
            field=self.facet.field,
            values=tuple(self._shown(key, count) for key, count in shown),
            other=other + sum(count for _, count in rest),
            missing=missing,
        )

    def _key(self, value: Value) -> Value:
        """What a value is counted by: itself, the number of its bucket, or its period's start."""
        if isinstance(self.interval, str):
            return _start(int(value), self.interval)
        if self.interval is not None:
            return _bucket(float(value), self.interval)
        return value

    def _shown(self, key: Value, count: int) -> FacetValue:
        name, interval = self.facet.field, self.interval
        if isinstance(interval, str):
            start = _EPOCH + timedelta(milliseconds=int(key))
            low, high = _text(start, interval), _text(_next(start, interval), interval)
            # With its format, as the mapping may take another one.
            bounds = {"gte": low, "lt": high, "format": "strict_date_optional_time"}
            return FacetValue(low[: _LENGTHS.get(interval)], count, {name: bounds})
        if interval is not None:
            first, last = (_bound(number, interval) for number in (int(key), int(key) + 1))
            return FacetValue(first, count, {name: {"gte": first, "lt": last}})
        return FacetValue(key, count, {name: key})


def _quotient(value: float, width: float) -> float:
    return max(-sys.float_info.max, min(value / width, sys.float_info.max))


def _bucket(value: float, width: float) -> int:
    """The number of the bucket that has a value between its bounds as they are shown."""
    number = math.floor(_quotient(value, width))
    if value >= _bound(number + 1, width):  # as 0.3 / 0.1 falls short of 3
        return number + 1
    return number - 1 if value < _bound(number, width) else number


def _bound(number: int, width: float) -> int | float:
    """Where a bucket begins: without the last bits of a product, and whole where it is."""
    bound = round(number * width, 12)
    return int(bound) if bound.is_integer() else bound


def _start(milliseconds: int, period: Period) -> int:
    """The start of the period that a time lies in, both since 1970; without objects of times, as it
    is asked for every value of a search."""
    milliseconds = max(_FIRST, min(milliseconds, _LAST))
    if period == "hour":
        return milliseconds - milliseconds % _HOUR
    day = milliseconds // _DAY
    if period != "day":
        at = date.fromordinal(_EPOCH.toordinal() + day)
        first = date(at.year, at.month if period == "month" else 1, 1)
        day += first.toordinal() - at.toordinal()
    return day * _DAY


def _next(start: datetime, period: Period) -> datetime:
    """The start of the next period."""
    try:
        if period == "year":
            return start.replace(year=start.year + 1)
        if period == "month":
            return (start + timedelta(days=32)).replace(day=1)
        return start + (timedelta(hours=1) if period == "hour" else timedelta(days=1))
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=timezone.utc)


def _text(at: datetime, period: Period) -> str:
    return at.isoformat()[:13] + ":00Z" if period == "hour" else at.isoformat()[:10]
