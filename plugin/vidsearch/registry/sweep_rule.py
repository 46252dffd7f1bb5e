"""Which videos the sweep takes: those that nobody takes care of although somebody should.

The rule is one table. A record is checked against it, and a query is made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidsearch.engines import Json
from vidsearch_mappings.registry import State, VideoRecord, to_stamp

__all__ = ["needs_sweep", "sweep_query"]


@dataclass(frozen=True, slots=True)
class _Rule:
    """When a video in a state counts as forgotten: when a time of its record has passed."""

    state: State
    time: str
    """Field with that time."""
    grace: bool
    """Whether it must have passed by ``timeout`` seconds."""
    absent: bool
    """What holds where the record has no such time."""
    unless: str | None = None
    """Field with a time that the rule does not apply with."""


_RULES = (
    _Rule(State.PROCESSING, "lease_until", grace=False, absent=True),
    _Rule(State.QUEUED, "due_at", grace=True, absent=True),
    # One that is due later is not forgotten; see `queueing`.
    _Rule(State.REGISTERED, "updated_at", grace=True, absent=True, unless="due_at"),
    # Its document has not got the fields that it was registered with since.
    _Rule(State.INDEXED, "due_at", grace=True, absent=False),
    # A worker that was at work when the video was deleted may have died after its write.
    _Rule(State.DELETED, "lease_until", grace=False, absent=False),
    # Removing its document may have failed.
    _Rule(State.DELETED, "due_at", grace=False, absent=False),
)


def needs_sweep(record: VideoRecord, *, now: float, timeout: float) -> bool:
    """Whether nobody takes care of a video although somebody should.

    Args:
        record: as stored now.
        now: seconds since the epoch.
        timeout: seconds that a step may take before it counts as forgotten.
    """
    return any(
        rule.absent if time is None else time < _limit(rule, now=now, timeout=timeout)
        for rule in _RULES
        if rule.state is record.state
        and (rule.unless is None or getattr(record, rule.unless) is None)
        for time in (getattr(record, rule.time),)
    )


def sweep_query(*, now: float, timeout: float, queued: bool = True) -> Json:
    """The same as a query: it finds the records for which :func:`needs_sweep` holds.

    ``queued``: also those that wait in the queue, of which there may be thousands.
    """
    queries = []
    for rule in _RULES:
        if rule.state is State.QUEUED and not queued:
            continue
        limit = to_stamp(_limit(rule, now=now, timeout=timeout))
        when: list[Json] = [{"range": {rule.time: {"lt": limit}}}]
        if rule.absent:
            when.append(_lacks(rule.time))
        conditions = [{"term": {"state": str(rule.state)}}, _any(when)]
        conditions += [_lacks(rule.unless)] if rule.unless else []
        queries.append({"bool": {"filter": conditions}})
    return _any(queries)


def _limit(rule: _Rule, *, now: float, timeout: float) -> float:
    return round(now - timeout if rule.grace else now, 3)  # stored times count milliseconds


def _lacks(field: str) -> Json:
    return {"bool": {"must_not": [{"exists": {"field": field}}]}}


def _any(queries: Sequence[Json]) -> Json:
    return {"bool": {"should": queries, "minimum_should_match": 1}}
