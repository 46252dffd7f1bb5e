"""How the videos of a registry are doing, in numbers that the engine counts in one search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch.errors import IndexNotFoundError
from vidsearch.registry.holders import HANDED_OVER
from vidsearch.registry.index import no_registry
from vidsearch.registry.store import in_states
from vidsearch_mappings.registry import (
    GIVEN_UP,
    IN_PROGRESS,
    WAITING,
    ErrorRecord,
    State,
    from_stamp,
    to_stamp,
)

__all__ = ["ErrorGroup", "Leases", "Oldest", "RegistrySummary", "summarize"]

_WINDOWS = (60, 600, 3600)
"""Seconds before now in which finished videos are counted, for the rate."""
_ENOUGH_FOR_A_RATE = 20
_AGES = (0, 60, 600, 3600, 86_400)
"""Seconds at which the buckets of waiting videos begin."""
_MAX_ERRORS = 10
_MAX_SLICED = 10
_NOT_AGAIN: Json = {"bool": {"must_not": [{"exists": {"field": "requested_at"}}]}}
"""Asked for only when it was registered."""


@dataclass(frozen=True, slots=True)
class Oldest:
    """The video that waits longest."""

    id: str
    seconds: float
    """Since it was asked for."""


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases that workers have."""

    expired: int
    """The worker was silent for too long; the next sweep requeues the video."""
    overdue: int
    """Of those, the ones that sweeps should have seen to."""
    overdue_seconds: float
    """For how long the oldest one of them has been expired."""
    renewed: bool
    """Whether a worker has shown within the last third of a lease that it is at work."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """The videos whose last attempt ended with one class of error."""

    type: str
    """Name of the class."""
    states: Mapping[str, int]
    """Number of the videos by state."""
    id: str
    """The video that had it last."""
    at: float
    """When that was, in seconds since the epoch."""
    error: ErrorRecord
    """What it said."""

    @property
    def videos(self) -> int:
        """Number of the videos."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class RegistrySummary:
    """The numbers of one registry at one time."""

    at: float
    """Seconds since the epoch."""
    states: Mapping[str, int]
    """Number of videos by state."""
    ages: Mapping[int, int]
    """Number of waiting videos by age: asked for at least so many seconds ago, and fewer than the
    next key says."""
    oldest: Oldest | None
    """``None`` where no video waits."""
    later: int
    """Number of waiting videos whose next try is not due yet."""
    finished: Mapping[int, int]
    """Number of videos that became indexed, failed or dead, by seconds until now."""
    leases: Leases
    errors: Sequence[ErrorGroup]
    """Of all videos but deleted ones, the most frequent error first."""
    sliced: Sequence[str]
    """Some of the videos that are being embedded in slices, the last changed first."""

    @property
    def waiting(self) -> int:
        """Number of videos that no worker has begun with."""
        return sum(self.states[state] for state in WAITING)

    @property
    def unfinished(self) -> int:
        """Number of videos that wait or are being worked on."""
        return sum(self.states[state] for state in IN_PROGRESS)

    @property
    def per_minute(self) -> float:
        """Finished videos per minute, of the shortest time that holds enough of them."""
        enough = [each for each in self.finished.items() if each[1] >= _ENOUGH_FOR_A_RATE]
        seconds, number = min(enough, default=max(self.finished.items()))
        return number * 60 / seconds

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until all are finished, at that rate; ``None`` where it is 0."""
        if not self.unfinished:
            return 0.0
        return self.unfinished * 60 / self.per_minute if self.per_minute else None


def summarize(
    engine: Engine,
    index: str,
    *,
    lease_seconds: float,
    overdue_after: float,
    clock: Callable[[], float] = time.time,
) -> RegistrySummary:
    """Count the videos of a registry, every earlier write included.

    Args:
        engine: the cluster.
        index: of the registry.
        lease_seconds: as workers take them.
        overdue_after: seconds after which an expired lease should have been seen to.
        clock: seconds since the epoch, by which leases go.

    Raises:
        IndexNotFoundError: it was never created.
    """
    now = round(clock(), 3)
    body = _body(now, lease_seconds=lease_seconds, overdue_after=overdue_after)
    try:
        engine.refresh(index)
        found = engine.search(index, body)["aggregations"]
    except IndexNotFoundError as error:
        raise no_registry(index) from error
    states = _counts(found["states"])
    waiting = found["waiting"]
    return RegistrySummary(
        at=now,
        states={str(state): states.get(state, 0) for state in State},
        ages=_by_seconds(waiting["ages"]),
        oldest=_oldest(waiting, now),
        later=waiting["later"]["doc_count"],
        finished=_by_seconds(found["finished"]),
        leases=_leases(found["leases"], now),
        errors=[_error_group(bucket) for bucket in found["errors"]["types"]["buckets"]],
        sliced=[hit["_id"] for hit in _hits(found["sliced"]["last"])],
    )


def _body(now: float, *, lease_seconds: float, overdue_after: float) -> Json:
    at_work = {"bool": {"must_not": [HANDED_OVER]}}
    return {
        "size": 0,
        "track_total_hits": False,
        "aggs": {
            "states": _by("state", 2 * len(State)),
            "waiting": {
                "filter": in_states(*WAITING),
                "aggs": {
                    "ages": _buckets({str(age): _aged(age, now) for age in _AGES}),
                    "again": _top("requested_at", "asc", ["requested_at"]),
                    "first": {
                        "filter": _NOT_AGAIN,
                        "aggs": {"last": _top("registered_at", "asc", ["registered_at"])},
                    },
                    "later": {"filter": _time("due_at", gt=now)},
                },
            },
            "finished": _buckets({str(window): _finished(now - window) for window in _WINDOWS}),
            "leases": {
                "filter": in_states(State.PROCESSING),
                "aggs": {
                    "expired": {"filter": _time("lease_until", lt=now)},
                    "overdue": {
                        "filter": _time("lease_until", lt=now - overdue_after),
                        "aggs": {"oldest": _top("lease_until", "asc", ["lease_until"])},
                    },
                    "renewed": {
                        "filter": _all(
                            at_work, _time("lease_until", gt=now + lease_seconds * 2 / 3)
                        )
                    },
                },
            },
            "errors": {
                "filter": in_states(*IN_PROGRESS, *GIVEN_UP),
                "aggs": {
                    "types": _by(
                        "error.type",
                        _MAX_ERRORS,
                        states=_by("state", 2 * len(State)),
                        last=_top("updated_at", "desc", ["error", "updated_at"]),
                    )
                },
            },
            "sliced": {
                "filter": HANDED_OVER,
                "aggs": {"last": _top("updated_at", "desc", ["updated_at"], size=_MAX_SLICED)},
            },
        },
    }


def _aged(age: int, now: float) -> Json:
    older = [_asked(now - next) for one, next in pairwise(_AGES) if one == age]
    return {"bool": {"filter": [_asked(now - age)] if age else [], "must_not": older}}


def _asked(until: float) -> Json:
    first = _all(_NOT_AGAIN, _time("registered_at", lte=until))
    return _any(first, _time("requested_at", lte=until))


def _finished(since: float) -> Json:
    given_up = _all(in_states(*GIVEN_UP), _time("updated_at", gt=since))
    return _any(given_up, _time("indexed_at", gt=since))


def _time(field: str, **limits: float) -> Json:
    return {"range": {field: {name: to_stamp(limit) for name, limit in limits.items()}}}


def _all(*queries: Json) -> Json:
    return {"bool": {"filter": list(queries)}}


def _any(*queries: Json) -> Json:
    return {"bool": {"should": list(queries), "minimum_should_match": 1}}


def _by(field: str, size: int, **inside: Json) -> Json:
    return {"terms": {"field": field, "size": size}, **({"aggs": inside} if inside else {})}


def _buckets(queries: Mapping[str, Json]) -> Json:
    return {"filters": {"filters": dict(queries)}}


def _top(field: str, order: str, source: Sequence[str], *, size: int = 1) -> Json:
    # A registry of an older version may lack the field.
    sort = [{field: {"order": order, "unmapped_type": "date"}}]
    return {"top_hits": {"size": size, "sort": sort, "_source": list(source)}}


def _hits(answer: Mapping[str, Any]) -> list[Json]:
    hits: list[Json] = answer["hits"]["hits"]
    return hits


def _counts(answer: Mapping[str, Any]) -> dict[str, int]:
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["buckets"]}


def _by_seconds(answer: Mapping[str, Any]) -> dict[int, int]:
    """The engines answer in the order of the names, as texts."""
    counts = {int(seconds): each["doc_count"] for seconds, each in answer["buckets"].items()}
    return dict(sorted(counts.items()))


def _oldest(waiting: Mapping[str, Any], now: float) -> Oldest | None:
    hits = [*_hits(waiting["again"]), *_hits(waiting["first"]["last"])]
    asked = [(from_stamp(at), hit["_id"]) for hit in hits for at in hit["_source"].values()]
    return min(
        (Oldest(id, round(max(now - at, 0.0), 3)) for at, id in asked),
        key=lambda one: -one.seconds,
        default=None,
    )


def _leases(answer: Mapping[str, Any], now: float) -> Leases:
    overdue = answer["overdue"]
    since = [from_stamp(hit["_source"]["lease_until"]) for hit in _hits(overdue["oldest"])]
    return Leases(
        expired=answer["expired"]["doc_count"],
        overdue=overdue["doc_count"],
        overdue_seconds=round(now - min(since), 3) if since else 0.0,
        renewed=answer["renewed"]["doc_count"] > 0,
    )


def _error_group(bucket: Mapping[str, Any]) -> ErrorGroup:
    (hit,) = _hits(bucket["last"])
    return ErrorGroup(
        type=bucket["key"],
        states=_counts(bucket["states"]),
        id=hit["_id"],
        at=from_stamp(hit["_source"]["updated_at"]),
        error=ErrorRecord.from_source(hit["_source"]["error"]),
    )
