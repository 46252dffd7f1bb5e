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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, count, islice
from types import MappingProxyType
from typing import TypeVar

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine
from vidsearch.errors import BackendError, BackendUnavailableError
from vidsearch.index.following import (
    LONGEST_PASS,
    SHORTER,
    Follower,
    Pass,
    WritesWaitLongError,
    never,
)
from vidsearch.index.point_in_time import (
    Counted,
    Place,
    PointInTime,
    Seen,
    Shard,
    place_of,
    vanished,
)
from vidsearch.index.tail import Ahead, Tail, read_tail

__all__ = ["CatchUp"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_S = TypeVar("_S")
_FEW = 10
"""Changes that no further pass could make fewer by much."""
_CALM_SECONDS = 10.0
"""For which a calm moment is waited for at most, and then taken as it comes."""
_AIM = 0.1
"""Seconds that writes should wait for at most: a pass that takes no longer is short."""
_ABOUT, _ENOUGH = 1.25, 5
"""What is about as short as the shortest one, of so many."""
_PAUSE = 0.05
"""Seconds between two passes: each leaves segments, which are merged."""
_MOST = 2**62
"""A number that no write has."""
_AT_ONCE = 8
"""Shards that are asked side by side."""


class CatchUp(Follower):
    """Follows by the numbers of writes: see :class:`~vidsearch.index.following.Follower`.

    Args:
        since: what :attr:`since` was when an earlier one was made, before the copy; ``None``: now.
    """

    is_cheap = True

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
        self._patience = _CALM_SECONDS
        self._shown: Mapping[int, int] = {}  # up to where a refresh after the last pass shows all
        self._refreshed_in = 0.0  # seconds, of the shortest one of these
        self._ahead: Mapping[int, Ahead] = {}  # of the last pass
        self._tail: Tail | None = None  # that was read after it, and perhaps brought

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
        self._until_calm()

    def _until_calm(self) -> None:
        """Pass after pass until nothing slows them down, as it would what writes wait for: merges
        of segments, or code of the engine that has run but a few times. Then refresh both indices:
        so that little is left to refresh of the one, and searches of the other lack as little right
        after the swap."""
        least, began = math.inf, time.monotonic()
        for number in count(1):
            self._interrupted()
            last = self.run()
            if last.seconds > LONGEST_PASS:  # a burst of writes has begun
                last = self.until_small()
            is_last = time.monotonic() - began > self._patience
            is_short = last.seconds <= _AIM
            is_usual = number > _ENOUGH and last.seconds < least * _ABOUT
            least = min(least, last.seconds)
            if is_last or ((is_short or is_usual) and not self._is_merging()):
                _on_each(self._before.values(), Counted.count)
                self._count_documents()
                is_usual = self._is_refreshed_soon()
                if is_last or (is_usual and not self._is_merging()):
                    break
            time.sleep(_PAUSE)
        self._patience -= time.monotonic() - began

    def _is_refreshed_soon(self) -> bool:
        """Refresh the index; whether that was short, or about as short as it ever was."""
        self._shown = self._engine.checkpoints(self._source)
        self._shards |= self._shown.keys()
        began = time.monotonic()
        self._engine.refresh(self._source)
        seconds, usual = time.monotonic() - began, self._refreshed_in * _ABOUT
        self._refreshed_in = min(seconds, self._refreshed_in or seconds)
        return seconds <= max(usual, _AIM / 2)

    def _is_merging(self) -> bool:
        return self._engine.merging([self._source, self._target]) > 0

    def finish(
        self,
        stop_writes: Callable[[], _T],
        *,
        interrupted: Callable[[], object] = never,
        hurried: bool = False,
    ) -> _T:
        """See :meth:`Follower.finish`: what can be asked for at once is, and what is left goes in
        one request, if it is as little as it should be.

        What searches see stays as it is by then, so no point in time is needed.
        """
        page = self._page
        with ThreadPoolExecutor(_AT_ONCE, "catch-up") as pool:
            self._interrupted = interrupted
            bringing = pool.submit(self._bring_ahead, page)
            stopped = stop_writes()
            bringing.result()
            asked = [pool.submit(self._add_fields), pool.submit(self._require_target)]
            self._refresh_last(hurried=hurried)
            until = {shard: self._until.get(shard, -1) for shard in sorted(self._shards)}
            tail = read_tail(
                self._engine,
                self._source,
                until=until,
                ahead=self._ahead,
                before=self._before,
                page=page,
            )
            self._tail = tail
            for one in asked:
                one.result()
            gone = pool.submit(self._gone_in, tail)
            if tail.goes_on:
                self._delete(gone.result())
                _on_each(until, lambda shard: self._write(shard, _MOST))
            else:
                if tail.changed:
                    self._put(tail.changed)
                if deleted := gone.result():
                    self._put(tail.written_anew(deleted), gone=deleted)
            self._require_as_many(tail.count)
        return stopped

    def _gone_in(self, tail: Tail) -> list[Document]:
        """What the copy may have, and the index has not any more."""
        now = {shard: Shard(self._engine, self._source, shard) for shard in tail.changes}

        def there(shard: int, ids: Sequence[str]) -> Collection[Place]:
            # One that is there and was not changed has the number that it had.
            return now[shard].among(ids) if tail.goes_on else tail.places(shard)

        vanished = chain(*self._gone(now, list, there=there, later=tail.counts))
        found = {place_of(one): one for one in chain(vanished, tail.dropped())}
        return list(found.values())

    def _refresh_last(self, *, hurried: bool) -> None:
        # Less than before is to refresh, but writes that are refused take their part as well.
        usual = max(_AIM / 2, 2 * self._refreshed_in)
        pool = ThreadPoolExecutor(1, "catch-up-refresh")
        try:
            refreshing = pool.submit(self._engine.refresh, self._source)
            if not wait([refreshing], usual if hurried else None).done:
                raise WritesWaitLongError
            refreshing.result()
        finally:
            pool.shutdown(wait=False)

    def _bring_ahead(self, page: int) -> None:
        """Bring what the refresh after the last pass shows, of shards with less than a page."""
        ahead: dict[int, Ahead] = {}
        for shard, last in self._shown.items():
            documents = self._read(shard, self._until.get(shard, -1), last, page=page)
            if len(documents) < page:
                ahead[shard] = Ahead(last, documents)
        self._ahead = ahead
        if some := [one for of_shard in ahead.values() for one in of_shard.documents]:
            self._add_fields()
            self._put(some)

    def run(self, *, last: bool = False) -> Pass:
        """See :meth:`Follower.run`."""
        self._close_stale()
        self._shown, self._is_there = {}, False
        return super().run(last=last)

    def _bring(self, *, last: bool) -> tuple[int, int]:
        if self._tail is not None and self._tail.goes_on:  # it is not known what was brought
            self._stale += [one.point for one in self._before.values()]
            self._before = {}
        with self._looked() as seen:
            # Before anything is written: an id may be deleted, and written with another routing.
            points = {shard: one.point for shard, one in seen.items()}
            deleted = sum(self._gone(points, self._delete)) + self._delete(self._gone_ahead(points))

            def write(shard: int) -> int:
                return self._write(shard, seen[shard].last - 1 if last else seen[shard].upto)

            written = sum(_on_each(seen, write))
        self._ahead, self._tail = {}, None
        return written, deleted

    def _gone_ahead(self, now: Mapping[int, Seen]) -> Iterator[Document]:
        """What was brought ahead or at the end, before writes were allowed again, and is gone
        since: no point in time tells of it."""
        at_the_end = {} if self._tail is None else self._tail.changes
        for shard, point in now.items():
            ahead = self._ahead[shard].documents if shard in self._ahead else ()
            for brought in in_batches([*ahead, *at_the_end.get(shard, ())], self._ids):
                there = point.among([one.id for one in brought])
                yield from (one for one in brought if place_of(one) not in there)

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
        there: Callable[[int, Sequence[str]], Collection[Place]] | None = None,
        later: Mapping[int, Mapping[int, int]] = MappingProxyType({}),
    ) -> list[_T]:
        """What ``work`` makes of what the copy may have, and the index has not any more. ``there``:
        of :func:`~vidsearch.index.point_in_time.vanished`, by shard."""
        before = self._before
        if seen.keys() <= before.keys():  # else none, or one without a shard that was away then
            try:
                return _on_each(
                    seen,
                    lambda shard: work(
                        vanished(
                            before[shard],
                            seen[shard],
                            window=self._window,
                            there=there and partial(there, shard),
                            later=later.get(shard),
                        )
                    ),
                )
            except BackendUnavailableError:
                raise
            except BackendError as error:  # a point in time expires minutes after its last search
                _log.info("all ids of %r are compared: %s", self._source, error)
        return [work(self._never_there(seen.values()))]

    def _read(self, shard: int, above: int, until: int, *, page: int) -> list[Document]:
        """A page of what was written to a shard, above one number and up to another."""
        changes = self._engine.changes(
            self._source, after={shard: above}, until={shard: until}, page_size=page
        )
        documents = [*islice(changes, page)]
        self._fit_page(documents)
        return documents

    def _write(self, shard: int, until: int) -> int:
        """Bring what was written to a shard since the pass before, up to a number."""
        written, above, goes_on = 0, self._until.get(shard, -1), True
        while goes_on:
            self._interrupted()
            page = self._page
            if documents := self._read(shard, above, until, page=page):
                self._put(documents)
                written, above = written + len(documents), documents[-1].revision.seq_no
            goes_on = len(documents) == page
        return written

    def _never_there(self, now: Collection[Seen]) -> Iterator[Document]:
        """Documents of the copy that the index does not have, of all that there are.

        Once, after the copy: it may have read a document that was written and deleted again before
        any point in time was kept.
        """
        self._engine.refresh(self._target)
        for batch in in_batches(self._engine.scan(self._target, source=False), self._ids):
            ids = [one.id for one in batch]
            there = {place for point in now for place in point.among(ids)}
            yield from (one for one in batch if place_of(one) not in there)


def _on_each(shards: Iterable[_S], work: Callable[[_S], _T]) -> list[_T]:
    """Do something for each shard, side by side; all have ended when the first error is raised."""
    all_of_them = list(shards)
    if len(all_of_them) < 2:
        return [work(one) for one in all_of_them]
    with ThreadPoolExecutor(min(len(all_of_them), _AT_ONCE), "catch-up") as pool:
        return list(pool.map(work, all_of_them))
