"""A copy kept up to date, in passes, with an index that an application writes to.

How changes are found is for the classes that follow: by the numbers that the engine gives to
writes (:mod:`vidsearch.index.catch_up`), or by a field of the documents and their versions
(:mod:`vidsearch.index.comparison`).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from vidsearch.batches import in_batches
from vidsearch.engines import BulkResult, Document, Engine, Json, Write
from vidsearch.engines.vectors import to_json
from vidsearch.errors import IndexNotFoundError, MappingConflictError, ReindexTakenOverError
from vidsearch.index.point_in_time import window_of

__all__ = [
    "IDS",
    "LARGEST_PAGE",
    "LONGEST_PASS",
    "SHORTER",
    "SMALL_PASS",
    "Follower",
    "Pass",
    "WritesWaitLongError",
    "never",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_FIRST_PAGE, LARGEST_PAGE = 16, 100
"""Documents of a page, as long as it is not known how large they are, and where they are small."""
_PAGE_BYTES = 10_000_000
"""Of the documents of a page, about. Not less, as changes that fill no page are brought in fewer
requests while writes wait."""
IDS = 1000
"""Documents of one request that brings no sources."""
SMALL_PASS = 200
"""Changes that are few enough for the pass that writes wait for."""
LONGEST_PASS = 5.0
"""Seconds of a pass that writes wait for at most, where passes do not get smaller any more."""
SHORTER = 0.7
"""What a pass takes of the one before it, if passes get shorter."""
_PASSES = 30
_PRUNED_AFTER, _LOOKS = 0.3, 6
"""Seconds after which an engine forgets the version of a deleted document at the latest
(`gc_deletes: 0s`), and how often it is tried until then."""


def never() -> None:
    """Nobody interrupts."""


class WritesWaitLongError(Exception):
    """The engine is slower than it was a moment before, and nothing is lost by trying again."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found and brought to the copy."""

    written: int
    deleted: int
    seconds: float

    @property
    def changed(self) -> int:
        """Number of documents that it wrote or deleted."""
        return self.written + self.deleted

    @property
    def is_small(self) -> bool:
        """Whether writes may wait for one like it."""
        return self.changed <= SMALL_PASS


class Follower(ABC):
    """Changes of one index since this was made, for its copy. Make it before copying.

    Documents keep their version numbers. The copy's own should be ``gc_deletes: 0s``, as a number
    that starts again after a delete is taken late otherwise.

    Args:
        engine: the cluster.
        source: concrete index; an application writes to it.
        target: its copy, which takes its documents, and nobody else writes to.
        without: a field that the copy maps in its own way: the object of vidsearch.
        alias: that is to stand for the copy. Where it does so already, another process has put it
            there and others write to it: nothing is deleted from it then.
    """

    is_cheap: ClassVar[bool] = False
    """Whether :meth:`finish` costs what has changed, and not what is there. Where the engine is
    busy or away then, this one soon does it again, after :meth:`until_short`; another one would
    begin at the start."""

    def __init__(
        self,
        engine: Engine,
        source: str,
        target: str,
        *,
        without: str | None = None,
        alias: str | None = None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._target = target
        self._without = without
        self._alias = alias
        self._window = window_of(engine, source)
        self._ids = min(IDS, self._window)
        self._page = min(_FIRST_PAGE, self._window)
        self._interrupted: Callable[[], object] = never
        self._is_there = False
        self._fields: Json = {}
        self._count: int | None = None
        self._counting = threading.Lock()
        self._add_fields()

    @property
    @abstractmethod
    def since(self) -> Mapping[str, int]:
        """Up to where the copy has everything, once it is filled: for another one of these."""

    @abstractmethod
    def _bring(self, *, last: bool) -> tuple[int, int]:
        """One pass: the number of documents that were written, and deleted."""

    def until_small(self) -> Pass:
        """Pass after pass until one is small, or they do not get shorter. The first one comes after
        the copy.

        Raises:
            MappingConflictError: the application writes faster than this follows.
        """
        before = math.inf
        for _ in range(_PASSES):
            last = self.run()
            settled = before * SHORTER < last.seconds <= LONGEST_PASS
            if last.is_small or settled:
                return last
            before = last.seconds
        raise MappingConflictError(
            f"index {self._source!r} changes faster than its copy can follow: {last.written} "
            f"documents were written and {last.deleted} deleted during the last pass of "
            f"{last.seconds:.1f} s. Try again at a quieter time"
        )

    def until_short(self) -> None:
        """After :meth:`until_small`, and right before :meth:`finish`: make that as short as can be.

        Where a pass costs what is there, another one is no shorter than the one before: none.
        """
        self._count_documents()

    def finish(
        self,
        stop_writes: Callable[[], _T],
        *,
        interrupted: Callable[[], object] = never,
        hurried: bool = False,
    ) -> _T:
        """Bring the rest, and see that the copy has as many documents then.

        ``stop_writes`` has the index refuse writes, and waits for those that are under way. What it
        raises ends this; what it returns is given back. Searches of the copy see the rest after a
        refresh. ``interrupted`` is called now and again where this takes long, and what it raises
        ends this as well. ``hurried``: nothing is brought where what comes before takes much longer
        than expected; let the index take writes again then, and try again later.

        Raises:
            WritesWaitLongError: as ``hurried`` has it.
            BulkError: see :meth:`run`.
            MappingConflictError: it has more documents, or less.
        """
        self._interrupted = interrupted
        stopped = stop_writes()
        self.run(last=True)
        self._require_as_many(self._engine.count(self._source))
        return stopped

    def run(self, *, last: bool = False) -> Pass:
        """One pass: the copy then has what the index had when this began.

        ``last``: nothing may be missed, at whatever cost; nobody writes to the index any more, or
        what is missed is a moment old.

        Raises:
            BulkError: the copy rejected documents for what they are.
            ReindexTakenOverError: the alias stands for the copy already.
        """
        began = time.monotonic()
        self._add_fields()
        written, deleted = self._bring(last=last)
        return Pass(written, deleted, time.monotonic() - began)

    def close(self) -> None:
        """Free what the cluster keeps for this."""
        return

    def _add_fields(self) -> None:
        """The application may have added fields, and written documents with them."""
        fields = dict(self._engine.mapping(self._source).get("properties") or {})
        if self._without is not None:
            fields.pop(self._without, None)
        if fields != self._fields:
            self._engine.put_mapping(self._target, {"properties": fields})
            self._fields = fields

    def _fit_page(self, documents: Sequence[Document]) -> None:
        """Have the next page be about as many bytes as it should, by the documents of this one.

        With their vectors, documents may have megabytes, and several shards are read at once.
        """
        if documents:
            size = sum(len(to_json(one.source)) for one in documents)
            fitting = _PAGE_BYTES * len(documents) // max(size, 1)
            self._page = max(1, min(fitting, LARGEST_PAGE, self._window))

    def _put(self, documents: Sequence[Document], *, gone: Sequence[Document] = ()) -> None:
        """Write documents; before, delete others, of which it is known that they may be deleted."""
        conflicts = self._bulk(documents, gone)
        if not conflicts:
            return
        # A smaller number than the copy has: it was deleted in between, and counted anew.
        again = [one for one in documents if one.id in conflicts]
        self._delete(again)
        for _ in range(_LOOKS):
            time.sleep(_PRUNED_AFTER / _LOOKS)
            self._engine.refresh(self._target)
            conflicts = self._bulk(again)
            again = [one for one in again if one.id in conflicts]
            if not again:
                return
        ids = sorted(one.id for one in again)
        _log.warning("documents %s of %r get new versions", ids, self._target)
        self._bulk([replace(one, version=None) for one in again])

    def _bulk(self, documents: Iterable[Document], gone: Iterable[Document] = ()) -> set[str]:
        """Write documents with their versions; the ids of those of which a greater one is there."""
        writes = [
            *(Write("delete", one.id, routing=one.routing) for one in gone),
            *(
                Write("index", one.id, one.source, one.routing, version=one.version)
                for one in documents
            ),
        ]
        return set(self._written(writes, pipeline=False, is_there=self._is_there).conflicts)

    def _written(self, writes: Sequence[Write], **options: bool) -> BulkResult:
        """What became of writes to the copy; keeps count of its documents, if it is counted."""
        uncertain = True
        try:
            done = self._engine.bulk(self._target, writes, **options)
            uncertain = bool(done.retried)
        finally:
            with self._counting:
                if uncertain:
                    self._count = None
                elif self._count is not None:
                    self._count += done.created - done.deleted
        return done

    def _count_documents(self) -> int:
        """Of the copy, which takes a refresh; from then on it is known without one."""
        self._engine.refresh(self._target)
        with self._counting:
            self._count = self._engine.count(self._target)
            return self._count

    def _require_as_many(self, had: int) -> None:
        has = self._count
        if has != had:  # the engine's client may have sent a write again, of which nobody is told
            has = self._count_documents()
        if has != had:
            raise MappingConflictError(
                f"{self._target!r} has {has} documents, and {self._source!r}, which it is a copy "
                f"of, {had}: does another program write to {self._target!r}? Stop it, then begin "
                "again"
            )

    def _delete(self, documents: Iterable[Document]) -> int:
        deleted = 0
        for batch in in_batches(documents, IDS):
            self._interrupted()
            self._require_not_in_place()
            writes = [Write("delete", one.id, routing=one.routing) for one in batch]
            self._written(writes)
            deleted += len(batch)
        return deleted

    def _require_target(self) -> None:
        """As :meth:`_require_not_in_place`, and that it is there, for the writes that follow at
        once: they would create it, or ask."""
        behind = self._engine.indices_behind([self._target, self._alias or self._target])
        if self._target not in behind[self._target]:
            raise IndexNotFoundError(f"there is no index {self._target!r} any more")
        if self._alias is not None and self._target in behind[self._alias]:
            raise self._in_place()
        self._is_there = True

    def _require_not_in_place(self) -> None:
        if self._alias is not None and self._target in self._engine.indices_of(self._alias):
            raise self._in_place()

    def _in_place(self) -> ReindexTakenOverError:
        return ReindexTakenOverError(
            f"alias {self._alias!r} stands for {self._target!r} by now, as another process has "
            f"put it in the place of {self._source!r}: nothing was deleted from it. Leave it "
            "to that process"
        )
