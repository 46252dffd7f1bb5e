"""Who has the lease of a record, and until when."""

from __future__ import annotations

from collections.abc import Collection

from vidsearch.engines import Json
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["HANDED_OVER", "SLICES", "is_handed_over", "is_of", "later"]

SLICES = "slices"
"""Owner of a lease that slices have; those of workers hold a ``#``."""
HANDED_OVER: Json = {
    "bool": {"filter": [{"term": {"state": str(State.PROCESSING)}}, {"term": {"owner": SLICES}}]}
}
"""The query for the records that :func:`is_handed_over` is true of."""


def is_handed_over(record: VideoRecord) -> bool:
    """Whether the slices of a video have its lease."""
    return record.state is State.PROCESSING and record.owner == SLICES


def is_of(record: VideoRecord, owners: Collection[str]) -> bool:
    """Whether one of some owners has the lease; ``owner`` of a record is ``owner#…``."""
    return (record.owner or "").partition("#")[0] in owners


def later(now: float, seconds: float) -> float:
    """The time when some seconds will have passed."""
    return round(now + seconds, 3)  # stored times count milliseconds
