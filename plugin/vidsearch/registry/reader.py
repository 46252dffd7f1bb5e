"""The reading side of the registry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vidsearch.engines.base import Document, Engine, Json
from vidsearch.errors import IndexNotFoundError, VideoNotRegisteredError
from vidsearch.registry.record import State, VideoRecord, to_stamp

__all__ = ["RegistryReader", "needs_sweep"]

_IDS_PER_QUERY = 1000


def needs_sweep(record: VideoRecord, *, now: float, patience: float) -> bool:
    """Whether nobody takes care of a video although somebody should.

    Args:
        record: as stored now.
        now: seconds since the epoch.
        patience: seconds that a step may take before it counts as forgotten.
    """
    if record.state is State.PROCESSING:
        return (record.lease_until or 0.0) < now
    if record.state is State.QUEUED:
        return (record.due_at or 0.0) < now - patience
    if record.state is State.REGISTERED:
        return record.updated_at < now - patience
    # A worker that was at work when the video was deleted may have died after its write.
    return record.state is State.DELETED and (record.lease_until or now) < now


class RegistryReader:
    """Look-ups and listings. Listings refresh the index first, so they show every earlier write.

    Every method raises ``IndexNotFoundError`` where the registry was never created.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        index: str,
        lease_seconds: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.index = index
        self.lease_seconds = lease_seconds
        self._engine = engine
        self._time = clock

    def _clock(self) -> float:
        # Stored stamps count milliseconds, so what is handed out must, too.
        return round(self._time(), 3)

    def find(self, id: str) -> VideoRecord | None:
        """One video, read in real time; ``None`` where it was never registered."""
        found = self._read(id)
        return None if found is None else VideoRecord.from_source(id, found.source)

    def get(self, id: str) -> VideoRecord:
        """One video, read in real time.

        Raises:
            VideoNotRegisteredError: it was never registered.
        """
        record = self.find(id)
        if record is None:
            raise VideoNotRegisteredError(f"no video {id!r} is registered")
        return record

    def list(self, *, state: State | None = None, limit: int = 100) -> list[VideoRecord]:
        """Videos, the one that changed last first.

        Args:
            state: only those; tombstones are left out unless asked for.
            limit: at most so many, up to 10,000.
        """
        self._refresh()
        body = {
            "query": _in_state(state) if state else _alive(),
            "sort": [{"updated_at": "desc"}],
            "size": limit,
        }
        hits = self._engine.search(self.index, body)["hits"]["hits"]
        return [VideoRecord.from_source(hit["_id"], hit["_source"]) for hit in hits]

    def scan(self, *states: State) -> Iterator[VideoRecord]:
        """Every video in one of the states; all but tombstones where none is given."""
        self._refresh()
        query = {"terms": {"state": [str(state) for state in states]}} if states else _alive()
        for document in self._engine.scan(self.index, query=query):
            yield VideoRecord.from_source(document.id, document.source)

    def among(self, ids: Sequence[str]) -> Iterator[VideoRecord]:
        """Those of some ids that are registered, tombstones included, in no order."""
        self._refresh()
        for start in range(0, len(ids), _IDS_PER_QUERY):
            query = {"ids": {"values": list(ids[start : start + _IDS_PER_QUERY])}}
            for document in self._engine.scan(self.index, query=query):
                yield VideoRecord.from_source(document.id, document.source)

    def counts(self) -> dict[State, int]:
        """Number of videos in each state."""
        self._refresh()
        bodies = [
            {"query": _in_state(state), "size": 0, "track_total_hits": True} for state in State
        ]
        answers = self._engine.msearch(self.index, bodies)
        return {
            state: int(answer["hits"]["total"]["value"])
            for state, answer in zip(State, answers, strict=True)
        }

    def sweepable(self) -> Iterator[VideoRecord]:
        """Videos that nobody takes care of; see :func:`needs_sweep`."""
        self._refresh()
        now, patience = self._clock(), self.lease_seconds
        over = {"range": {"lease_until": {"lt": to_stamp(now)}}}
        forgotten = to_stamp(now - patience)
        query = _any_of(
            [_in_state(State.PROCESSING), over],
            [_in_state(State.DELETED), over],
            [_in_state(State.QUEUED), {"range": {"due_at": {"lt": forgotten}}}],
            [_in_state(State.REGISTERED), {"range": {"updated_at": {"lt": forgotten}}}],
        )
        for document in self._engine.scan(self.index, query=query):
            record = VideoRecord.from_source(document.id, document.source)
            if needs_sweep(record, now=now, patience=patience):
                yield record

    def _read(self, id: str) -> Document | None:
        try:
            return self._engine.get(self.index, id)
        except IndexNotFoundError as error:
            raise self._no_registry() from error

    def _refresh(self) -> None:
        try:
            self._engine.refresh(self.index)
        except IndexNotFoundError as error:
            raise self._no_registry() from error

    def _no_registry(self) -> IndexNotFoundError:
        return IndexNotFoundError(
            f"there is no registry {self.index!r}; create it with `vidsearch index create`"
        )


def _in_state(state: State) -> Json:
    return {"term": {"state": str(state)}}


def _alive() -> Json:
    return {"bool": {"must_not": [_in_state(State.DELETED)]}}


def _any_of(*cases: Sequence[Mapping[str, Any]]) -> Json:
    return {
        "bool": {
            "should": [{"bool": {"filter": list(case)}} for case in cases],
            "minimum_should_match": 1,
        }
    }
