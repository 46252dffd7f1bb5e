"""Counts of values, from those of single hits or from an engine's aggregations. Pure functions."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.index.description import IndexDescription
from vidsearch.json_values import GREATEST, LEAST
from vidsearch.search.facets import Facet, Period
from vidsearch.search.types import FacetCounts, FacetValue
from vidsearch.search.value_fields import Value, ValueField, value_field
from vidsearch_mappings.facets import facet_aggs
from vidsearch_mappings.videos import EXACT_IN_DOUBLE

__all__ = ["FacetField"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_BUCKETS = 10_000
"""Of all matches, which the engine brings whatever the size of the facet."""
_UNITS = {"year": "M8[Y]", "month": "M8[M]", "day": "M8[D]", "hour": "M8[h]"}
"""Of NumPy's times, by period."""
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
        path = self.field.path
        found = [hit.get(path, ()) for hit in hits]
        # Many hits have the same values: each is looked at once.
        single = [values[0] for values in found if len(values) == 1]
        several = Counter([tuple(values) for values in found if len(values) > 1])
        raws = list(dict.fromkeys(chain(single, chain.from_iterable(several))))
        keys = dict(zip(raws, self._keys(self.field.values(raws)), strict=True))
        counted = Counter(map(keys.__getitem__, single))
        for values, count in several.items():
            for key in {keys[raw] for raw in values}:
                counted[key] += count
        return self._listed(counted, missing=len(found) - len(single) - several.total())

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
        raws = [bucket["key"] for bucket in found["buckets"]]
        keys: Sequence[Value]
        if isinstance(self.interval, float):  # each is a rounded product
            keys = [round(_quotient(raw, self.interval)) for raw in raws]
        else:
            keys = self.field.values(raws)
            if self.interval is not None and not _have_periods(keys):
                keys = self._keys(keys)
        counted: dict[Value, int] = {}
        for key, bucket in zip(keys, found["buckets"], strict=True):
            counted[key] = counted.get(key, 0) + bucket["doc_count"]
        return self._listed(
            counted,
            missing=aggregations[f"{name}-missing"]["doc_count"],
            other=found.get("sum_other_doc_count", 0),
        )

    def _listed(self, counted: Mapping[Value, int], *, missing: int, other: int = 0) -> FacetCounts:
        facet = self.facet
        ranks = self.field.ranks([*counted])
        ranked = sorted(zip(ranks, counted, counted.values(), strict=True), key=itemgetter(0))
        if facet.order == "count":
            ranked.sort(key=itemgetter(2), reverse=True)  # equal ones stay in the order of values
        shown = tuple([self._shown(key, count) for _, key, count in ranked[: facet.size]])
        other += sum([count for *_, count in ranked[facet.size :]])
        return FacetCounts(facet.field, shown, other, missing)

    def _keys(self, values: Sequence[Value]) -> Sequence[Value]:
        """What values are counted by: themselves, the numbers of their buckets, or the starts of
        their periods."""
        interval = self.interval
        if isinstance(interval, str):
            return _starts([int(value) for value in values], interval)
        if interval is not None:
            return [_bucket(float(value), interval) for value in values]
        return values

    def _shown(self, key: Value, count: int) -> FacetValue:
        name, interval = self.facet.field, self.interval
        if isinstance(interval, str):
            shown, low, high = _bounds(int(key), interval)
            # With its format, as the mapping may take another one.
            bounds = {"gte": low, "lt": high, "format": "strict_date_optional_time"}
            return FacetValue(shown, count, {name: bounds})
        if interval is not None:
            first, next_one = _bound(int(key), interval), _bound(int(key) + 1, interval)
            return FacetValue(first, count, {name: {"gte": first, "lt": next_one}})
        return FacetValue(key, count, {name: key})


def _quotient(value: float, width: float) -> float:
    return max(-sys.float_info.max, min(value / width, sys.float_info.max))


@lru_cache(maxsize=10_000)
def _bucket(value: float, width: float) -> int:
    """The number of the bucket that has a value between its bounds as they are shown."""
    if value.is_integer() and width.is_integer() and abs(value) <= EXACT_IN_DOUBLE:
        return int(value // width)
    number = math.floor(_quotient(value, width))
    if value >= _bound(number + 1, width):  # as 0.3 / 0.1 falls short of 3
        return number + 1
    return number - 1 if value < _bound(number, width) else number


@lru_cache(maxsize=10_000)
def _bound(number: int, width: float) -> int | float:
    """Where a bucket begins: without the last bits of a product, and whole where it is.

    Beyond 64 bits not as a whole number, which JSON is not written and read with everywhere.
    """
    greatest = sys.float_info.max
    bound = max(-greatest, min(round(number * width, 12), greatest))
    return int(bound) if bound.is_integer() and LEAST <= bound < GREATEST else bound


def _have_periods(milliseconds: Sequence[Value]) -> bool:
    """Whether the starts of periods, as an engine gives them, lie in years that Python has."""
    return all(_FIRST <= int(start) <= _LAST for start in milliseconds)


def _starts(milliseconds: Sequence[int], period: Period) -> list[int]:
    """The starts of the periods that times lie in, both since 1970."""
    # As floats, which are exact within these years, and have room for those beyond 64 bits.
    within = np.clip(np.array(milliseconds, np.float64), _FIRST, _LAST)
    times = within.astype(np.int64).astype("M8[ms]")
    starts: list[int] = times.astype(_UNITS[period]).astype(times.dtype).astype(np.int64).tolist()
    return starts


@lru_cache(maxsize=1000)
def _bounds(start: int, period: Period) -> tuple[str, str, str]:
    """What names a period, its start and that of the next one, as texts."""
    at = _EPOCH + timedelta(milliseconds=start)
    low = _text(at, period)
    return low[: _LENGTHS.get(period)], low, _text(_next(at, period), period)


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
