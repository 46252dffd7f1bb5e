"""Documents copied from one index to another, in slices that threads read and write side by side.

Read from one point in time and written in bulks, so that the cluster needs nothing but the right to
read and write: a managed service may have no ``_reindex``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Event, Lock
from typing import TypeVar

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine, Revision, Write, routing_of
from vidsearch.engines.vectors import to_json

__all__ = ["SLICES", "Copied", "Pace", "StoppedError", "batches_by_id", "copy_documents"]

_T = TypeVar("_T")

SLICES = 4
"""Threads that read and write. With two cores for cluster and client, two were slower in most runs
(``python -m benchmarks --only index_copy``)."""
_PAGE_BYTES = 1_000_000
_SAMPLE = 16
_LARGEST_PAGE = 1000
_PAGE_SECONDS = 60.0
"""For which a page that is read may be written at most; engines forget a scan after five minutes
without a page."""
_RESUMED = 10
"""Where the target holds at least one in so many documents, those are not read again."""
_MOST_WORK = 0.5
"""Share of the time in which a copy without a limit writes, the rest it pauses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What became of documents."""

    written: int = 0
    kept: int = 0
    """The target had one of that id, which was left as it is."""
    dropped: int = 0
    """They are not to be in the target: deleted while they were copied."""

    @property
    def done(self) -> int:
        """Number of documents that were dealt with."""
        return self.written + self.kept + self.dropped

    def __add__(self, other: Copied) -> Copied:
        return Copied(
            written=self.written + other.written,
            kept=self.kept + other.kept,
            dropped=self.dropped + other.dropped,
        )


def copy_documents(
    engine: Engine,
    source: str,
    target: str,
    *,
    keep_versions: bool = False,
    unwanted: Callable[[Sequence[str]], Collection[str]] = lambda ids: (),
    slices: int = SLICES,
    throttle: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Copied:
    """Copy every document that the target lacks. Safe to repeat: a later run goes on.

    What others delete from the source meanwhile is deleted from the target as well, unless others
    wrote it there: a document is looked for in the source once more after it was written.

    Args:
        engine: the cluster.
        source: concrete index.
        target: concrete index, whose mapping takes the documents.
        keep_versions: whether documents keep their version numbers. One with a greater number is
            then left alone in the target, otherwise every one that is there.
        unwanted: those of some ids that must not be in the target though the source has them.
        slices: threads.
        throttle: most documents per second; ``None``: as many as leave the cluster time for others,
            one bulk at a time and after each a pause as long as it took; ``math.inf``: no limit.
        progress: told in this thread how many documents of how many are dealt with; what it raises
            ends the copy after the bulks that are under way.

    Raises:
        BulkError: the target rejected documents for what they are.
    """
    engine.refresh(source)
    engine.refresh(target)
    total = engine.count(source)
    page, ids = _page_size(engine, source), _LARGEST_PAGE
    if throttle is not None and throttle < _LARGEST_PAGE:
        page = min(page, max(1, int(throttle)))  # a bulk a second, rather than many at once
        ids = min(ids, max(1, int(throttle * _PAGE_SECONDS / slices)))
    there = engine.count(target)
    resumed = there * _RESUMED >= max(total, 1)
    pace = Pace(throttle)
    copy = _Copy(engine, source, target, keep_versions=keep_versions, unwanted=unwanted)

    def paced(documents: Sequence[Document]) -> Copied:
        return pace.run(len(documents), lambda: copy.write(documents))

    def completed(documents: Sequence[Document]) -> Copied:
        """Of documents that were read without a source: copy those that the target lacks."""
        lacking = copy.lacking(documents)
        end = Copied(kept=len(documents) - len(lacking))
        for some in in_batches(lacking, page):
            found = copy.read(some)
            end += paced(found) + Copied(dropped=len(some) - len(found))
        return end

    if there:
        # What the earlier run wrote last may have been deleted before it looked.
        for batch in batches_by_id(engine.scan(target, source=False), _LARGEST_PAGE):
            copy.drop({one.id: one.revision for one in batch}, batch)
    step, size = (completed, ids) if resumed else (paced, page)
    end = Copied()
    with engine.scan_slices(source, slices, source=not resumed, page_size=size) as parts:
        for one in _side_by_side(parts, step, size=size, stop=pace.stop):
            end += one
            progress(min(end.done, total), total)
    return end


@dataclass(frozen=True, slots=True)
class _Copy:
    """From one index to another, a batch at a time."""

    engine: Engine
    source: str
    target: str
    _: KW_ONLY
    keep_versions: bool
    unwanted: Callable[[Sequence[str]], Collection[str]]

    def read(self, documents: Sequence[Document]) -> list[Document]:
        """Those that the source still has, as they are now."""
        ids = [one.id for one in documents]
        return list(self.engine.mget(self.source, ids, routing=routing_of(documents)).values())

    def lacking(self, documents: Sequence[Document]) -> list[Document]:
        """Those that the target lacks."""
        ids = [one.id for one in documents]
        there = self.engine.mget(self.target, ids, routing=routing_of(documents), source=False)
        return [one for one in documents if one.id not in there]

    def write(self, documents: Sequence[Document]) -> Copied:
        """Write them to the target, where they are not there."""
        result = self.engine.bulk(self.target, [self._write(one) for one in documents])
        dropped = self.drop(result.revisions, documents)
        return Copied(written=result.written - dropped, kept=len(result.conflicts), dropped=dropped)

    def _write(self, one: Document) -> Write:
        write = partial(Write, "index", one.id, one.source, one.routing)
        if self.keep_versions:
            return write(version=one.version, pipeline=False)  # it has been through that
        return write(expect="absent", pipeline=False)

    def drop(self, revisions: Mapping[str, Revision], documents: Sequence[Document]) -> int:
        """Delete from the target what is not wanted there, if it still has these revisions.

        The source is looked at after the target was written: a document that is deleted from it
        later is deleted from the target by who deletes it.
        """
        ids, routing = list(revisions), routing_of(documents)
        there = self.engine.mget(self.source, ids, routing=routing, source=False)
        wrong = {id for id in ids if id not in there} | set(self.unwanted(ids))
        deletes = [
            Write("delete", id, routing=routing.get(id), expect=revisions[id]) for id in wrong
        ]
        return self.engine.bulk(self.target, deletes).written if deletes else 0


def batches_by_id(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Batches in which no id comes twice, as requests and answers name documents by that.

    Where the application sets routings, shards may hold a document of the same id each.
    """
    for batch in in_batches(documents, size):
        while batch:
            first: dict[str, Document] = {}
            repeated = [one for one in batch if first.setdefault(one.id, one) is not one]
            yield list(first.values())
            batch = repeated


def _page_size(engine: Engine, index: str) -> int:
    """Documents of about ``_PAGE_BYTES`` bytes of JSON, by the first ones."""
    with engine.scan_slices(index, 1, page_size=_SAMPLE) as (documents,):
        sizes = [len(to_json(document.source)) for document in islice(documents, _SAMPLE)]
    mean = sum(sizes) / len(sizes) if sizes else 1.0
    return max(1, min(_LARGEST_PAGE, int(_PAGE_BYTES / max(mean, 1.0))))


class StoppedError(Exception):
    """Work was not begun, as other work beside it has failed. It never leaves this module."""


class Pace:
    """How fast some threads may go, together; ends their waits where they are to stop.

    Args:
        rate: most documents per second; ``None``: one of the threads at a time works, and the next
            one after a pause as long as that took.
        clock: seconds, from any start.
        stop: set, it ends every wait.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        stop: Event | None = None,
    ) -> None:
        self.stop = stop or Event()
        self._rate = rate
        self._clock = clock
        self._lock = Lock()
        self._turn = Lock()
        self._free = clock()

    def run(self, documents: int, work: Callable[[], _T]) -> _T:
        """Do something with so many documents when it is their turn.

        Raises:
            StoppedError: they are to stop, or the work of another one whose turn it was has failed.
        """
        if self._rate is not None:
            with self._lock:
                now = self._clock()
                at = max(self._free, now)
                self._free = at + documents / self._rate
            self.stop.wait(at - now)
            self._require_going()
            return work()
        with self._turn:
            self._require_going()
            began = self._clock()
            try:
                end = work()
            except BaseException:
                self.stop.set()  # before the next one begins, to fail as well
                raise
            self.stop.wait((self._clock() - began) * (1 - _MOST_WORK) / _MOST_WORK)
        return end

    def _require_going(self) -> None:
        if self.stop.is_set():
            raise StoppedError


def _side_by_side(
    parts: Sequence[Iterable[Document]],
    step: Callable[[Sequence[Document]], Copied],
    *,
    size: int,
    stop: Event,
) -> Iterator[Copied]:
    """What became of each batch, a thread for each part. The first error ends all of them."""
    told: SimpleQueue[Copied | BaseException | None] = SimpleQueue()

    def work(part: Iterable[Document]) -> None:
        try:
            for batch in batches_by_id(part, size):
                if stop.is_set():
                    break
                told.put(step(batch))
            told.put(None)
        except StoppedError:
            told.put(None)
        except BaseException as error:
            told.put(error)

    with ThreadPoolExecutor(len(parts), thread_name_prefix="copy") as pool:
        for part in parts:
            pool.submit(work, part)
        try:
            left = len(parts)
            while left:
                one = told.get()
                if isinstance(one, BaseException):
                    raise one
                if one is None:
                    left -= 1
                else:
                    yield one
        finally:
            stop.set()
