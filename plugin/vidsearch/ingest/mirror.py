"""Bring a video's documents in several indices to what the registry says, while they are written.

During a reindex a writer writes to one index as ever, and then mirrors its change to the others.
Why no change is lost, and no deleted video comes back:

1. A writer changes the index that it opened, and the record, and asks for the other indices
   *after* that. Where it is told of none, the new index joins later, and is filled from what is
   stored then.
2. :func:`mirror_videos` reads the other document, then the record, then the document to go by, and
   writes by compare-and-set on what it read first. So of two mirrors that overlap, the one that
   writes second has either read what the first one wrote, or reads everything again.
3. After its write it reads record and document once more, and begins anew where they changed. A
   mirror that went by old values, as it was held up, thus mends its own write: also where the
   compare-and-set let it pass, since the document was absent before and is absent again. Any change
   after this last look has its own writer, whose mirror starts later and sees that write.
4. What counts is the record, which is changed by compare-and-set itself: deleted is deleted
   everywhere; of two documents the one with the record's fingerprint is right, of two such the one
   that was embedded later; the fields are those of the record (of a video that is not indexed,
   those in which record and document agree). So a writer that was held up over a
   swap, and goes by the old index, undoes nothing in the new one. A video that a worker is at is
   left to that worker, which mirrors at its end, failed or not. One that waits for a worker, or is
   dead, has what was indexed last, where that is known; see :mod:`vidsearch.ingest.mirror_rule`.
5. A process that is killed between its write and its mirror, and a worker of an older version, have
   changed the record in any case: :mod:`vidsearch.reindex.registry_changes` goes through all
   records that changed, again and again until nothing is left, and once more after the swap.

Records must thus not vanish meanwhile: purging is refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vidsearch import backoff
from vidsearch.batches import in_batches
from vidsearch.compare_and_set import keeps_changing
from vidsearch.engines import Document, Json, Write
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    BulkError,
    DocumentNotFoundError,
    IndexNotFoundError,
    VersionConflictError,
)
from vidsearch.index.targets import other_indices
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.mirror_rule import MirrorRule, Wish
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import VideoRecord

__all__ = ["Mirrored", "ToFill", "mirror_to_others", "mirror_videos"]

_log = logging.getLogger(__name__)
_DOCUMENTS = 50
"""Per request: whole documents with their vectors, of long videos megabytes each."""
_PASSES = 8
_TRIES = 15
"""More than of a single writer: a mirror that gives up may leave what it wrote of old values, which
nobody but the reindex would then find."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What was done in one index."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    to_fill: tuple[str, ...] = ()
    """Videos whose document there has to be made from their frames, as it has another model, or
    other segments."""
    refused: Mapping[str, BackendError] = field(default_factory=dict)
    """Why the index does not take a document, by id."""

    def __add__(self, other: Mirrored) -> Mirrored:
        return Mirrored(
            self.written + other.written,
            self.removed + other.removed,
            self.to_fill + other.to_fill,
            {**self.refused, **other.refused},
        )


@dataclass(frozen=True, slots=True)
class ToFill:
    """Videos whose documents in an index have to be made from their frames."""

    index: VideosIndex
    ids: tuple[str, ...]


def mirror_to_others(
    registry: Registry, index: VideosIndex, ids: Sequence[str]
) -> tuple[ToFill, ...]:
    """Bring the other indices of the write alias up to date, after a write to ``index``.

    To be called after the write and after the record was changed. One request where nothing is
    reindexed. What another index does not take is logged, and no error of this writer: the reindex
    finds it, and says so before the swap.

    Returns:
        What it left to workers; the caller that knows a place for it asks for it.

    Raises:
        BackendUnavailableError: the engine does not answer; to be called again.
    """
    left: dict[str, ToFill] = {}
    asked: list[str] = []
    for _ in range(_PASSES):
        others = other_indices(index)
        names = [other.name for other in others]
        if names == asked:  # the same as before the last pass: none joined meanwhile
            break
        asked = names
        for other in others:
            try:
                done = mirror_videos(registry, index, other, ids)
            except BackendUnavailableError:
                raise
            except IndexNotFoundError:
                continue  # dropped meanwhile; the next pass asks anew
            except BackendError as error:
                _log.warning("index %r is not up to date: %s", other.name, error)
            else:
                left[other.name] = ToFill(other, done.to_fill)
                for refusal in done.refused.values():
                    _log.warning("index %r is not up to date: %s", other.name, refusal)
    return tuple(one for one in left.values() if one.ids)


def mirror_videos(
    registry: Registry, source: VideosIndex, target: VideosIndex, ids: Sequence[str]
) -> Mirrored:
    """Bring documents of ``target`` up to date with the registry and with those of ``source``.

    Of an attached index the object ``video`` alone is mirrored, into documents that are there.

    Raises:
        VersionConflictError: a document keeps changing.
        IndexNotFoundError: there is no target any more.
    """
    done = Mirrored()
    for batch in in_batches(dict.fromkeys(ids), _DOCUMENTS):
        done += _Batch(registry, source, target).mirrored(batch)
    return done


class _Batch:
    def __init__(self, registry: Registry, source: VideosIndex, target: VideosIndex) -> None:
        self._registry = registry
        self._source = source
        self._target = target
        self._rule = MirrorRule(source, target)
        self._source_is_gone = False
        self._routing: dict[str, str] = {}
        self._written: dict[str, bool] = {}
        """Whether there is a document now, by id."""
        self._to_fill: dict[str, None] = {}
        self._refused: dict[str, BackendError] = {}

    def mirrored(self, ids: Sequence[str]) -> Mirrored:
        rest = list(ids)
        if self._target.attached:
            known = self._registry.find_many(rest)
            self._routing = {id: r.routing for id, r in known.items() if r.routing is not None}

        for tries in range(_TRIES):
            if tries:
                time.sleep(backoff.delay(tries, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
            rest = self._once(rest)
            if not rest:
                break
        else:
            raise keeps_changing(self._target.called(rest[0]), tries=_TRIES)
        return Mirrored(
            written=tuple(id for id, there in self._written.items() if there),
            removed=tuple(id for id, there in self._written.items() if not there),
            to_fill=tuple(self._to_fill),
            refused=self._refused,
        )

    def _once(self, ids: Sequence[str]) -> list[str]:
        """One try; returns the ids that are to be looked at again."""
        there = self._documents(self._target, ids)
        records = self._registry.find_many(ids)
        given = self._given(ids, records, there)
        wishes: dict[str, Wish | Json] = {}
        for id in ids:
            wish = self._rule.wish(
                records.get(id),
                given.get(id),
                there.get(id),
                source_is_gone=self._source_is_gone,
            )
            self._to_fill.pop(id, None)
            if wish is Wish.FILL:
                self._to_fill[id] = None
            elif wish is not Wish.STAY and not self._rule.is_so(wish, there.get(id)):
                wishes[id] = wish
        if not wishes:
            return []
        conflicts = self._write(wishes, there)
        ended = [id for id in wishes if id not in conflicts and id not in self._refused]
        return [*conflicts, *self._changed(ended, records, given)]

    def _given(
        self,
        ids: Sequence[str],
        records: Mapping[str, VideoRecord],
        there: Mapping[str, Document],
    ) -> dict[str, Document]:
        """The documents to go by: of what cannot be copied no more than it takes."""
        if self._rule.alike:
            return self._documents(self._source, ids)
        marks = [f"{self._source.field}.fingerprint"]
        given = self._documents(self._source, ids, source=marks)
        whole = [
            id
            for id in ids
            if self._rule.goes_by_fields(records.get(id), given.get(id), there.get(id))
        ]
        if not whole:
            return given
        rest = {id: document for id, document in given.items() if id not in set(whole)}
        return rest | self._documents(self._source, whole)

    def _write(self, wishes: Mapping[str, Wish | Json], there: Mapping[str, Document]) -> list[str]:
        """Returns the ids of those that changed since they were read."""
        if self._target.attached:
            return [id for id, wish in wishes.items() if not self._merge(wish, there[id])]
        writes = [
            Write("delete", id, expect=there[id].revision)
            if isinstance(wish, Wish)
            else Write(
                "index",
                id,
                wish,
                expect=there[id].revision if id in there else "absent",
                pipeline=False,  # the document that it is made of has been through it
            )
            for id, wish in wishes.items()
        ]
        try:
            conflicts = self._target.engine.bulk(self._target.name, writes).conflicts
        except BulkError as error:
            self._refused |= error.failures
            conflicts = error.conflicts
        self._written |= {
            write.id: write.op != "delete"
            for write in writes
            if write.id not in conflicts and write.id not in self._refused
        }
        return list(conflicts)

    def _merge(self, wish: Wish | Json, there: Document) -> bool:
        """Change the object ``video`` of the application's document; whether it was as read."""
        try:
            if isinstance(wish, Wish):
                self._target.remove(there.id, expect=there.revision, routing=there.routing)
            else:
                self._target.merge(wish[self._target.field], into=there)
        except VersionConflictError:
            return False
        except DocumentNotFoundError:
            return True
        self._written[there.id] = not isinstance(wish, Wish)
        return True

    def _changed(
        self,
        ids: Sequence[str],
        records: Mapping[str, VideoRecord],
        given: Mapping[str, Document],
    ) -> list[str]:
        """Those whose record or document is another one than was gone by."""
        if not ids:
            return []
        records_now = self._registry.find_many(ids)
        given_now = self._documents(self._source, ids, source=False)
        return [
            id
            for id in ids
            if _decisive(records.get(id)) != _decisive(records_now.get(id))
            or _revision(given.get(id)) != _revision(given_now.get(id))
        ]

    def _documents(
        self, index: VideosIndex, ids: Sequence[str], *, source: Sequence[str] | bool = True
    ) -> dict[str, Document]:
        routing = {id: self._routing[id] for id in ids if id in self._routing}
        try:
            return index.engine.mget(index.name, ids, routing=routing, source=source)
        except IndexNotFoundError:
            if index is self._target:
                raise
            self._source_is_gone = True  # the record says what is right
            return {}


def _decisive(record: VideoRecord | None) -> VideoRecord | None:
    """A record without what changes while a worker is at it."""
    if record is None:
        return None
    return replace(record, lease_until=None, updated_at=0.0, owner=None, due_at=None)


def _revision(document: Document | None) -> object:
    return None if document is None else document.revision
