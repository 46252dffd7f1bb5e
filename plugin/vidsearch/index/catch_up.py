"""What changes in an index while it is copied, brought to the copy in passes.

For an index that an application writes directly, and that nobody else writes to the copy of. What
was written is found by the numbers that the engine gives to the writes of each shard; what was
deleted, by comparing two points in time. So a pass costs what has changed, not what is there, and
the last one, for which writes have to wait, is short.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine
from vidsearch.errors import BackendError, BackendUnavailableError
from vidsearch.index.following import BATCH, IDS, LONGEST_PASS, SHORTER, Follower, Pass, never
from vidsearch.index.point_in_time import Counted, PointInTime, Seen, Shard, vanished

__all__ = ["CatchUp"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_S = TypeVar("_S")
_FEW = 10
"""Changes that no further pass could make fewer by much."""
_MOST = 2**62
"""A number that no write has."""
_AT_ONCE = 8
"""Shards that are asked side by side."""


class CatchUp(Follower):
    """Follows by the numbers of writes: see :class:`~vidsearch.index.following.Follower`.

    Args:
        since: what :attr:`since` was when an earlier one was made, before the copy; ``None``: now.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        target: str,
        *,
        since: Mapping[str, int] | None = None,
        without: str | None = None,
        alias: str | None = None,
    ) -> None:
        super().__init__(engine, source, target, without=without, alias=alias)
        numbers = engine.checkpoints(source) if since is None else since
        self._until: Mapping[int, int] = {int(shard): number for shard, number in numbers.items()}
        self._since = {str(shard): number for shard, number in numbers.items()}
        self._shards = {*self._until}  # that were ever seen, as one may be away in a pass
        self._before: Mapping[int, Counted] = {}
        self._stale: list[PointInTime] = []

    @property
    def since(self) -> Mapping[str, int]:
        """By shard, the number of the last write."""
        return self._since

    def until_short(self) -> None:
        """See :meth:`Follower.until_short`: a pass costs what has changed, so the next one costs
        what is written during this one."""
        last, is_shorter = self.until_small(), True
        while last.changed > _FEW and is_shorter:
            following = self.run()
            if following.seconds > LONGEST_PASS:  # a burst of writes has begun
                following = self.until_small()
            is_shorter = following.changed < last.changed * SHORTER
            last = following
        self._count_documents()
        if self.run().seconds > LONGEST_PASS:  # what was written meanwhile: a burst of writes
            self.until_small()
        _on_each(self._before.values(), Counted.count)

    def finish(
        self, stop_writes: Callable[[], _T], *, interrupted: Callable[[], object] = never
    ) -> _T:
        """See :meth:`Follower.finish`: what can be asked for at once is, and what is left goes in
        one request, if it is as little as it should be.

        What searches see stays as it is by then, so no point in time is needed.
        """
        with ThreadPoolExecutor(1, "stop-writes") as pool:
            stopping = pool.submit(stop_writes)
            self._engine.refresh(self._source)  # so that little is left to refresh then
            stopped = stopping.result()
        self._engine.refresh(self._source)
        self._interrupted = interrupted
        now = {shard: Shard(self._engine, self._source, shard) for shard in sorted(self._shards)}
        with ThreadPoolExecutor(2 * _AT_ONCE, "catch-up") as pool:
            first = {shard: pool.submit(self._first_of, shard) for shard in now}

            def later(work: Callable[[], object]) -> None:  # others have to wait for the first ones
                wait(first.values())
                work()

            asked = [
                pool.submit(later, work) for work in (self._add_fields, self._require_not_in_place)
            ]

            def there(shard: int, ids: Sequence[str]) -> Collection[str]:
                written = first[shard].result()
                # One that is there and was not changed has the number that it had.
                return now[shard].among(ids) if _goes_on(written) else {one.id for one in written}

            gone = [*chain(*self._gone(now, list, there=there))]
            changed = [*chain(*(one.result() for one in first.values()))]
            for one in asked:
                one.result()
            had = pool.submit(self._engine.count, self._source)
            if len(gone) < IDS and not any(_goes_on(one.result()) for one in first.values()):
                if gone or changed:
                    self._put(changed, gone=gone)
            else:
                self._delete(gone)
                _on_each(now, lambda shard: self._write(self._changed(shard, _MOST)))
            self._require_as_many(had.result())
        return stopped

    def _first_of(self, shard: int) -> list[Document]:
        return [*islice(self._changed(shard, _MOST), BATCH)]

    def run(self, *, last: bool = False) -> Pass:
        """See :meth:`Follower.run`."""
        self._close_stale()
        return super().run(last=last)

    def _bring(self, *, last: bool) -> tuple[int, int]:
        with self._looked() as seen:
            # Before anything is written: an id may be deleted, and written with another routing.
            points = {shard: one.point for shard, one in seen.items()}
            deleted = sum(self._gone(points, self._delete))

            def write(shard: int) -> int:
                until = seen[shard].last - 1 if last else seen[shard].upto
                return self._write(self._changed(shard, until))

            return sum(_on_each(seen, write)), deleted

    @contextmanager
    def _looked(self) -> Iterator[Mapping[int, Counted]]:
        """What searches of the index see now, by shard; it is brought to the copy in this block.

        What is not on disk yet (`translog.durability: async`) is left to the next pass, as one with
        a smaller number may be under way.
        """
        until = self._engine.checkpoints(self._source)
        self._shards |= until.keys()
        self._engine.refresh(self._source)
        seen: dict[int, Counted] = {}

        def look(shard: int) -> None:
            point = PointInTime.of(self._engine, self._source, shard)
            seen[shard] = Counted(point, until[shard])

        try:
            _on_each(until, look)
            yield seen
        except BaseException:
            self._stale += [one.point for one in seen.values()]
            raise
        self._stale += [one.point for one in self._before.values()]
        self._before = seen
        self._until = until

    def close(self) -> None:
        """Free what the cluster keeps for this."""
        self._stale += [one.point for one in self._before.values()]
        self._before = {}
        self._close_stale()

    def _close_stale(self) -> None:
        while self._stale:
            with suppress(BackendError):  # it expires by itself
                self._stale.pop().close()

    def _gone(
        self,
        seen: Mapping[int, Seen],
        work: Callable[[Iterable[Document]], _T],
        *,
        there: Callable[[int, Sequence[str]], Collection[str]] | None = None,
    ) -> list[_T]:
        """What ``work`` makes of what the copy may have, and the index has not any more. ``there``:
        of :func:`~vidsearch.index.point_in_time.vanished`, by shard."""
        before = self._before
        if seen.keys() <= before.keys():  # else none, or one without a shard that was away then
            try:
                return _on_each(
                    seen,
                    lambda shard: work(
                        vanished(before[shard], seen[shard], there=there and partial(there, shard))
                    ),
                )
            except BackendUnavailableError:
                raise
            except BackendError as error:  # a point in time expires minutes after its last search
                _log.info("all ids of %r are compared: %s", self._source, error)
        return [work(self._never_there(seen.values()))]

    def _changed(self, shard: int, until: int) -> Iterator[Document]:
        """What was written to a shard since the pass before, up to a number."""
        return self._engine.changes(
            self._source,
            after={shard: self._until.get(shard, -1)},
            until={shard: until},
            page_size=BATCH,
        )

    def _write(self, documents: Iterable[Document]) -> int:
        written = 0
        for batch in in_batches(documents, BATCH):
            self._interrupted()
            written += len(batch)
            self._put(batch)
        return written

    def _never_there(self, now: Collection[Seen]) -> Iterator[Document]:
        """Documents of the copy that the index does not have, of all that there are.

        Once, after the copy: it may have read a document that was written and deleted again before
        any point in time was kept.
        """
        self._engine.refresh(self._target)
        for batch in in_batches(self._engine.scan(self._target, source=False), IDS):
            ids = [one.id for one in batch]
            there = {id for point in now for id in point.among(ids)}
            yield from (one for one in batch if one.id not in there)


def _goes_on(documents: Sequence[Document]) -> bool:
    """Whether there may be more of them than these."""
    return len(documents) >= BATCH


def _on_each(shards: Iterable[_S], work: Callable[[_S], _T]) -> list[_T]:
    """Do something for each shard, side by side; all have ended when the first error is raised."""
    all_of_them = list(shards)
    if len(all_of_them) < 2:
        return [work(one) for one in all_of_them]
    with ThreadPoolExecutor(min(len(all_of_them), _AT_ONCE), "catch-up") as pool:
        return list(pool.map(work, all_of_them))
