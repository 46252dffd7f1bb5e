"""What changes in an index while it is copied, brought to the copy in passes.

For an index that an application writes directly, and that nobody else writes to the copy of. What
was written is found by the numbers that the engine gives to the writes of each shard; what was
deleted, by comparing two points in time. So a pass costs what has changed, not what is there, and
the last one, for which writes have to wait, is short.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine, Json, Write
from vidsearch.errors import BackendError, MappingConflictError
from vidsearch.index.point_in_time import PointInTime, vanished

__all__ = ["LONGEST_PASS", "SMALL_PASS", "CatchUp", "Pass"]

_log = logging.getLogger(__name__)

_BATCH = 100
"""Documents of one bulk."""
_IDS = 1000
SMALL_PASS = 200
"""Changes that are few enough for the pass that writes wait for."""
LONGEST_PASS = 5.0
"""Seconds of a pass that writes wait for at most, where passes do not get smaller any more."""
_SHORTER = 0.7
_PASSES = 30
_PRUNED_AFTER = 0.3
"""Seconds after which an engine forgets the version of a deleted document (`gc_deletes: 0s`)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found and brought to the copy."""

    written: int
    deleted: int
    seconds: float

    @property
    def is_small(self) -> bool:
        """Whether writes may wait for one like it."""
        return self.written + self.deleted <= SMALL_PASS


class CatchUp:
    """Changes of one index since this was made, for its copy. Make it before copying.

    Documents keep their version numbers. The copy's own should be ``gc_deletes: 0s``, as a number
    that starts again after a delete is taken late otherwise.

    Args:
        engine: the cluster.
        source: concrete index; an application writes to it.
        target: its copy, which takes its documents, and nobody else writes to.
        since: what :attr:`since` was when an earlier one was made, before the copy; ``None``: now.
        without: a field that the copy maps in its own way.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        target: str,
        *,
        since: Mapping[int, int] | None = None,
        without: str | None = None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._target = target
        self._without = without
        self.since: Mapping[int, int] = engine.checkpoints(source) if since is None else since
        """By shard, the number up to which the copy has everything, once it is filled."""
        self._until = self.since
        self._before: Mapping[int, PointInTime] = {}
        self._fields: Json = {}
        self._add_fields()

    def until_small(self) -> Pass:
        """Pass after pass until one is small, or they do not get shorter. The first one comes after
        the copy.

        Raises:
            MappingConflictError: the application writes faster than this follows.
        """
        before = math.inf
        for _ in range(_PASSES):
            last = self.run()
            settled = before * _SHORTER < last.seconds <= LONGEST_PASS
            if last.is_small or settled:
                return last
            before = last.seconds
        raise MappingConflictError(
            f"index {self._source!r} changes faster than its copy can follow: {last.written} "
            f"documents were written and {last.deleted} deleted during the last pass of "
            f"{last.seconds:.1f} s. Try again at a quieter time"
        )

    def run(self) -> Pass:
        """One pass: the copy then has what the index had when this began.

        Raises:
            BulkError: the copy rejected documents for what they are.
        """
        began = time.monotonic()
        self._add_fields()
        until = self._engine.checkpoints(self._source)
        self._engine.refresh(self._source)
        now: dict[int, PointInTime] = {}
        try:
            for shard in until:
                now[shard] = PointInTime.of(self._engine, self._source, shard)
            deleted = self._delete(self._deleted(now))
            written = self._write(until)
        except BaseException:
            _close(now)
            raise
        _close(self._before)
        self._before, self._until = now, until
        return Pass(written, deleted, time.monotonic() - began)

    def close(self) -> None:
        """Free what the cluster keeps for this."""
        _close(self._before)
        self._before = {}

    def _deleted(self, now: Mapping[int, PointInTime]) -> Iterator[Document]:
        if not self._before:
            return self._never_there(now.values())
        return (one for shard in now for one in vanished(self._before[shard], now[shard]))

    def _add_fields(self) -> None:
        """The application may have added fields, and written documents with them."""
        fields = dict(self._engine.mapping(self._source).get("properties") or {})
        if self._without is not None:
            fields.pop(self._without, None)
        if fields != self._fields:
            self._engine.put_mapping(self._target, {"properties": fields})
            self._fields = fields

    def _write(self, until: Mapping[int, int]) -> int:
        changes = self._engine.changes(
            self._source, after=self._until, until=until, page_size=_BATCH
        )
        written = 0
        for batch in in_batches(changes, _BATCH):
            written += len(batch)
            self._put(batch)
        return written

    def _put(self, documents: Sequence[Document]) -> None:
        conflicts = self._bulk(documents)
        if not conflicts:
            return
        # A smaller number than the copy has: it was deleted in between, and counted anew.
        again = [one for one in documents if one.id in conflicts]
        self._delete(again)
        time.sleep(_PRUNED_AFTER)
        self._engine.refresh(self._target)
        if left := self._bulk(again):
            _log.warning("documents %s of %r get new versions", sorted(left), self._target)
            self._bulk([replace(one, version=None) for one in again if one.id in left])

    def _bulk(self, documents: Iterable[Document]) -> set[str]:
        """Write documents with their versions; the ids of those of which a greater one is there."""
        writes = [
            Write("index", one.id, one.source, one.routing, version=one.version)
            for one in documents
        ]
        return set(self._engine.bulk(self._target, writes, pipeline=False).conflicts)

    def _delete(self, documents: Iterable[Document]) -> int:
        deleted = 0
        for batch in in_batches(documents, _IDS):
            writes = [Write("delete", one.id, routing=one.routing) for one in batch]
            self._engine.bulk(self._target, writes)
            deleted += len(batch)
        return deleted

    def _never_there(self, now: Collection[PointInTime]) -> Iterator[Document]:
        """Documents of the copy that the index does not have, of all that there are.

        Once, after the copy: it may have read a document that was written and deleted again before
        any point in time was kept.
        """
        self._engine.refresh(self._target)
        for batch in in_batches(self._engine.scan(self._target, source=False), _IDS):
            ids = [one.id for one in batch]
            there = {id for point in now for id in point.among(ids)}
            yield from (one for one in batch if one.id not in there)


def _close(points: Mapping[int, PointInTime]) -> None:
    for point in points.values():
        with suppress(BackendError):  # it expires by itself
            point.close()
