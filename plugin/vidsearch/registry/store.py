"""Reads and writes records in the registry's index; every write is a compare-and-set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vidsearch.compare_and_set import keeps_changing, until_unchanged
from vidsearch.engines import Document, Engine, Json, Revision, Write
from vidsearch.errors import (
    BackendError,
    BulkError,
    IndexNotFoundError,
    LeaseLostError,
    MappingConflictError,
    RegistryError,
    VersionConflictError,
    VidsearchError,
)
from vidsearch.registry.index import no_registry
from vidsearch_mappings.registry import State, VideoRecord, fitted, is_essential

__all__ = ["Change", "Lease", "RecordStore", "Stored", "in_states"]

_log = logging.getLogger(__name__)

Change = Callable[[VideoRecord | None, float], VideoRecord]
"""From the stored record and the time to the record after: the same one to leave it as it is."""


def in_states(*states: State, error: str | None = None) -> Json:
    """The query for records in one of the states; all but tombstones where none is given.

    ``error`` is the class of their last attempt's error; ``None`` for any or none.
    """
    if error is not None:
        return {"bool": {"filter": [in_states(*states), {"term": {"error.type": error}}]}}
    if not states:
        return {"bool": {"must_not": [in_states(State.DELETED)]}}
    return {"terms": {"state": [str(state) for state in states]}}


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is stored, for compare-and-set."""

    record: VideoRecord
    revision: Revision
    written: bool = field(default=False, compare=False)
    """Whether the call that returns it wrote it."""
    before: VideoRecord | None = field(default=None, compare=False, repr=False)
    """The record that :meth:`RecordStore.change` has changed to this one."""

    @property
    def id(self) -> str:
        """The video's id."""
        return self.record.id


Lease = Stored
"""A record that a worker claimed: the right to work on the video until ``lease_until``."""


class RecordStore:
    """The records of one registry index, and compare-and-set on them.

    A registry of an older layout lacks fields of this version. A record that uses one of them is
    then written without it, and a warning names the command that adds it: a new worker goes on in a
    fleet whose registry is not upgraded yet. An essential field is never left out.

    Raises:
        IndexNotFoundError: by every method where the registry was never created.
    """

    def __init__(self, engine: Engine, *, index: str, clock: Callable[[], float]) -> None:
        self.index = index
        self._engine = engine
        self._clock = clock
        self._told: set[str] = set()

    def read(self, id: str) -> Stored | None:
        """One record, in real time."""
        with self._registry():
            found = self._engine.get(self.index, id)
        return None if found is None else _stored(found)

    def read_many(self, ids: Sequence[str]) -> dict[str, Stored]:
        """The records of some ids, in real time; those that are absent are left out."""
        return {id: _stored(found) for id, found in self._documents(ids).items()}

    def change(self, id: str, change: Change) -> Stored:
        """Read, change and write if nobody else wrote meanwhile; else look again.

        ``change`` may run often; what it raises ends the attempt.
        """

        def attempt() -> Stored:
            before = self.read(id)
            after = change(before.record if before else None, self._clock())
            if before is not None and after is before.record:
                return before
            if before is None:
                return Stored(after, self._write(after, expect=None))
            revision = self._write(after, expect=before.revision)
            return Stored(after, revision, before=before.record)

        return until_unchanged(attempt, of=_called(id))

    def change_many(
        self, changes: Mapping[str, Change], *, stored: Mapping[str, Stored] | None = None
    ) -> dict[str, Stored | VidsearchError]:
        """As :meth:`change`, for many records, with one read and one bulk write.

        What is in ``stored`` is not read again, unless it has changed. Returns by id what is stored
        now, or why it was not changed.
        """
        ends: dict[str, Stored | VidsearchError] = {}
        known = dict(stored or {})
        rest = list(changes)

        def attempt() -> None:
            nonlocal known, rest
            found = self._documents([id for id in rest if id not in known])
            changed: list[VideoRecord] = []
            now = self._clock()
            for id in rest:
                try:
                    if id in found:
                        known[id] = _stored(found[id])
                    before = known.get(id)
                    after = changes[id](before.record if before else None, now)
                except RegistryError as error:
                    ends[id] = error
                    continue
                if before is not None and after is before.record:
                    ends[id] = before
                else:
                    changed.append(after)
            revisions = {id: one.revision for id, one in known.items()}
            ends.update(self._write_many(changed, expect=revisions))
            rest = [id for id in rest if isinstance(ends[id], VersionConflictError)]
            known = {}
            if rest:
                raise VersionConflictError("told by id below")

        with suppress(VersionConflictError):
            until_unchanged(attempt, of=self.index)
        return ends | {id: keeps_changing(_called(id)) for id in rest}

    def change_held(self, lease: Lease, after: VideoRecord) -> Lease:
        """Write what the holder of a lease has decided.

        Raises:
            LeaseLostError: the stored record is not the holder's any more.
        """
        revision = lease.revision

        def attempt() -> Lease:
            nonlocal revision, after
            try:
                return Lease(after, self._write(after, expect=revision))
            except VersionConflictError as error:
                if (stored := self.read(lease.id)) is None:
                    raise _lost(lease, "it is gone") from error
                now = stored.record
                if (now.state, now.owner) != (State.PROCESSING, lease.record.owner):
                    who = f", owned by {now.owner}" if now.owner else ""
                    raise _lost(lease, f"it is {now.state}{who}") from error
                # A renewal of the holder, whose answer was lost: a token is never used twice.
                # Fields that a newer version added meanwhile are kept.
                revision, after = stored.revision, after.changed(unknown=now.unknown)
                raise

        return until_unchanged(attempt, of=_called(lease.id))

    def delete_many(self, stored: Sequence[Stored]) -> set[str]:
        """Drop those records that are still the same; returns their ids."""
        writes = [Write("delete", one.id, expect=one.revision) for one in stored]
        with self._registry():
            kept = self._engine.bulk(self.index, writes).conflicts if writes else ()
        return {one.id for one in stored} - {*kept}

    def latest(self, query: Json, *, size: int) -> list[VideoRecord]:
        """The records that match, the one that changed last first."""
        return self.first(query, sort=[{"updated_at": "desc"}], size=size)

    def first(self, query: Json, *, sort: Sequence[Json], size: int) -> list[VideoRecord]:
        """The first records that match, in an order."""
        self._refresh()
        body = {"query": query, "sort": list(sort), "size": size}
        hits = self._engine.search(self.index, body)["hits"]["hits"]
        return [found for hit in hits if (found := _readable(hit["_id"], hit["_source"]))]

    def scan(self, query: Json) -> Iterator[VideoRecord]:
        """All records that match, in no order."""
        self._refresh()
        for document in self._engine.scan(self.index, query=query):
            if record := _readable(document.id, document.source):
                yield record

    def count(self, query: Json) -> int:
        """Number of records that match."""
        self._refresh()
        with self._registry():
            return self._engine.count(self.index, query)

    def counts(self) -> dict[State, int]:
        """Number of records in each state."""
        self._refresh()
        by_state = {"terms": {"field": "state", "size": 2 * len(State)}}  # and of a newer version
        body = {"size": 0, "track_total_hits": False, "aggs": {"states": by_state}}
        buckets = self._engine.search(self.index, body)["aggregations"]["states"]["buckets"]
        found = {bucket["key"]: int(bucket["doc_count"]) for bucket in buckets}
        return {state: found.get(str(state), 0) for state in State}

    def _documents(self, ids: Sequence[str]) -> dict[str, Document]:
        with self._registry():
            return self._engine.mget(self.index, ids) if ids else {}

    def _write(self, record: VideoRecord, *, expect: Revision | None) -> Revision:
        """Write one record over the revision that must still be stored; ``None``: over nothing.

        Raises:
            VersionConflictError: another revision is stored.
            MappingConflictError: the registry's index lacks an essential field.
        """
        source = record.to_source()
        put = partial(self._engine.put, self.index, record.id, expect=expect or "absent")
        with self._registry():
            try:
                return put(source)
            except MappingConflictError:
                fits = self._fitted(source, self._engine.mapping(self.index))
                if fits is None:
                    raise
                return put(fits)

    def _write_many(
        self, records: Sequence[VideoRecord], *, expect: Mapping[str, Revision]
    ) -> dict[str, Stored | BackendError]:
        """As :meth:`_write`, in one bulk; what has no revision in ``expect`` must not be stored.

        Returns by id what is stored now, or why the record was not written.
        """
        by_id = {record.id: record for record in records}
        sources = {id: record.to_source() for id, record in by_id.items()}
        ends = self._bulk(by_id, sources, expect)
        rejected = [id for id, end in ends.items() if isinstance(end, MappingConflictError)]
        mapping = self._engine.mapping(self.index) if rejected else {}
        smaller: dict[str, Json] = {}
        for id in rejected:
            try:
                fits = self._fitted(sources[id], mapping)
            except MappingConflictError as error:
                ends[id] = error
            else:
                smaller |= {} if fits is None else {id: fits}
        kept = {id: _record(id, source) for id, source in smaller.items()}
        return ends | self._bulk(kept, smaller, expect)

    def _bulk(
        self,
        records: Mapping[str, VideoRecord],
        sources: Mapping[str, Json],
        expect: Mapping[str, Revision],
    ) -> dict[str, Stored | BackendError]:
        if not sources:
            return {}
        writes = [
            Write("index", id, source, expect=expect.get(id, "absent"))
            for id, source in sources.items()
        ]
        failures: dict[str, BackendError] = {}
        try:
            with self._registry():
                result = self._engine.bulk(self.index, writes)
            revisions, conflicts = result.revisions, result.conflicts
        except BulkError as error:
            revisions, conflicts, failures = error.revisions, error.conflicts, error.failures
        for id in conflicts:
            failures[id] = VersionConflictError(f"video {id!r} was changed meanwhile")
        written = {id: Stored(records[id], one, written=True) for id, one in revisions.items()}
        return {**written, **failures}

    def _fitted(self, source: Json, mapping: Json) -> Json | None:
        """The document without the fields that the live mapping lacks; ``None`` if it has all."""
        fits, left_out = fitted(source, mapping)
        if not left_out:
            return None
        names = ", ".join(left_out)
        lack = f"registry {self.index!r} is of an older version and lacks {names}"
        if any(is_essential(name) for name in left_out):
            raise MappingConflictError(f"{lack}: run `vidsearch index upgrade`, which adds it")
        if not self._told.issuperset(left_out):
            self._told.update(left_out)
            _log.warning("%s, which is not stored: run `vidsearch index upgrade`", lack)
        return fits

    def _refresh(self) -> None:
        with self._registry():
            self._engine.refresh(self.index)

    @contextmanager
    def _registry(self) -> Iterator[None]:
        try:
            yield
        except IndexNotFoundError as error:
            raise no_registry(self.index) from error


def _stored(document: Document) -> Stored:
    return Stored(_record(document.id, document.source), document.revision)


def _record(id: str, source: Mapping[str, Any]) -> VideoRecord:
    """The record in a document.

    Raises:
        RegistryError: a newer version wrote what this one does not know, such as another state.
    """
    try:
        return VideoRecord.from_source(id, source)
    except (TypeError, ValueError, KeyError) as error:
        raise RegistryError(
            f"the record of video {id!r} cannot be read by this version: {error}. "
            "Update vidsearch in this process to the version of the other workers"
        ) from error


def _readable(id: str, source: Mapping[str, Any]) -> VideoRecord | None:
    """For listings, which one record of a newer version must not end."""
    try:
        return _record(id, source)
    except RegistryError as error:
        _log.warning("%s", error)
        return None


def _lost(lease: Lease, why: str) -> LeaseLostError:
    return LeaseLostError(f"the lease of video {lease.id!r} is lost: {why}")


def _called(id: str) -> str:
    return f"the record of video {id!r}"
