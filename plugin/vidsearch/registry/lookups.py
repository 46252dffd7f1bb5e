"""Look-ups and listings of one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from vidsearch.batches import in_batches
from vidsearch.engines import Engine, Json
from vidsearch.registry import queueing
from vidsearch.registry.holders import HANDED_OVER
from vidsearch.registry.registration import registered
from vidsearch.registry.store import RecordStore, Stored, in_states
from vidsearch_mappings.registry import (
    IN_PROGRESS,
    UNSETTLED,
    Priority,
    State,
    VideoRecord,
    to_stamp,
)

__all__ = ["Lookups"]


class Lookups:
    """Reads records. Listings refresh the index first, so they show every earlier write.

    Args:
        engine: the cluster.
        index: name of the registry index.
        clock: seconds since the epoch.
    """

    def __init__(self, engine: Engine, *, index: str, clock: Callable[[], float]) -> None:
        self.index = index
        self._time = clock
        self._store = RecordStore(engine, index=index, clock=self.now)

    def now(self) -> float:
        """Seconds since the epoch, as records have them."""
        return round(self._time(), 3)  # stored times count milliseconds

    def find(self, id: str) -> VideoRecord | None:
        """One video, read in real time; ``None`` where it was never registered."""
        # Of dots alone nothing is registered, and no engine is asked for it.
        stored = self._store.read(id) if id.strip(".") else None
        return None if stored is None else stored.record

    def get(self, id: str) -> VideoRecord:
        """One video, read in real time."""
        return registered(self.find(id), id)

    def find_many(self, ids: Sequence[str]) -> dict[str, VideoRecord]:
        """Some videos, read in real time; those that were never registered are left out."""
        return {id: stored.record for id, stored in self.stored_many(ids).items()}

    def stored_many(self, ids: Sequence[str]) -> dict[str, Stored]:
        """As :meth:`find_many`, with their revisions."""
        return self._store.read_many(ids)

    def list(
        self,
        *,
        state: State | Sequence[State] | None = None,
        error: str | None = None,
        limit: int = 100,
    ) -> list[VideoRecord]:
        """Up to 10,000 videos, the one that changed last first; tombstones only if asked for.

        ``error`` is the class of error that the last attempt ended with.
        """
        states = [state] if isinstance(state, State) else state or []
        return self._store.latest(in_states(*states, error=error), size=limit)

    def scan(self, *states: State, error: str | None = None) -> Iterator[VideoRecord]:
        """Every video in one of the states; all but tombstones where none is given."""
        return self._store.scan(in_states(*states, error=error))

    def changed_since(self, time: float) -> Iterator[VideoRecord]:
        """Every video, tombstones included, whose record was last changed then or later."""
        return self._store.scan({"range": {"updated_at": {"gte": to_stamp(time)}}})

    def below(self, prefix: str) -> Iterator[VideoRecord]:
        """Every video whose uri begins so, but for tombstones; in no order."""
        begins = {"prefix": {"uri": prefix}}
        return self._store.scan({"bool": {"filter": [begins], **in_states()["bool"]}})

    def handed_over(self, *, before: float) -> Iterator[VideoRecord]:
        """Videos whose slices have the lease since a time before the given one; in no order."""
        since = {"range": {"updated_at": {"lt": to_stamp(before)}}}
        return self._store.scan({"bool": {"filter": [HANDED_OVER, since]}})

    def due(self, *, limit: int, priority: Priority | None = None) -> Sequence[VideoRecord]:
        """Registered videos whose messages the sweep is to send, in order; see ``queueing``."""
        query = queueing.due_query(self.now(), priority=priority)
        return self._store.first(query, sort=queueing.IN_ORDER, size=limit)

    def among(self, ids: Iterable[str]) -> Iterator[VideoRecord]:
        """Those of some ids that are registered, tombstones included, in no order."""
        for batch in in_batches(ids):
            yield from self._store.scan({"ids": {"values": batch}})

    def indexed_before(self) -> Iterator[VideoRecord]:
        """Videos that were indexed once, and are on their way again, or dead; in no order."""
        return self._store.scan(_indexed_before(*UNSETTLED))

    def count_indexed_before(self, states: Iterable[State] = UNSETTLED) -> int:
        """Number of them, or of those that are in one of these states."""
        return self._store.count(_indexed_before(*states))

    def retried(self) -> tuple[int, VideoRecord | None]:
        """Number of those in progress whose last attempt ended with an error, and the one of them
        that changed last."""
        query = _retried()
        return self._store.count(query), next(iter(self._store.latest(query, size=1)), None)

    def counts(self) -> dict[State, int]:
        """Number of videos in each state."""
        return self._store.counts()


def _retried() -> Json:
    return {"bool": {"filter": [in_states(*IN_PROGRESS), {"exists": {"field": "error.type"}}]}}


def _indexed_before(*states: State) -> Json:
    once = {"exists": {"field": "indexed_at"}}
    return {"bool": {"filter": [in_states(*states), once]}}
