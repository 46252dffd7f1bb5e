"""What changes in an index while it is copied, brought to the copy in passes.

For an index that an application writes directly, and that nobody else writes to the copy of. What
was written is found by the numbers that the engine gives to the writes of each shard; what was
deleted, by comparing two points in time. So a pass costs what has changed, not what is there, and
the last one, for which writes have to wait, is short.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine
from vidsearch.errors import BackendError, BackendUnavailableError
from vidsearch.index.following import BATCH, IDS, Follower
from vidsearch.index.point_in_time import PointInTime, vanished

__all__ = ["CatchUp"]

_log = logging.getLogger(__name__)


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
    ) -> None:
        super().__init__(engine, source, target, without=without)
        numbers = engine.checkpoints(source) if since is None else since
        self._until: Mapping[int, int] = {int(shard): number for shard, number in numbers.items()}
        self._since = {str(shard): number for shard, number in numbers.items()}
        self._before: Mapping[int, PointInTime] = {}

    @property
    def since(self) -> Mapping[str, int]:
        """By shard, the number of the last write."""
        return self._since

    def _bring(self, *, last: bool) -> tuple[int, int]:
        until = self._engine.checkpoints(self._source)
        self._engine.refresh(self._source)
        now: dict[int, PointInTime] = {}
        try:
            for shard in until:
                now[shard] = PointInTime.of(self._engine, self._source, shard)
            deleted = self._delete_gone(now)
            written = self._write(until)
        except BaseException:
            _close(now)
            raise
        self._before, self._until = now, until
        return written, deleted

    def close(self) -> None:
        """Free what the cluster keeps for this."""
        _close(self._before)
        self._before = {}

    def _delete_gone(self, now: Mapping[int, PointInTime]) -> int:
        if self._before:
            before, self._before = self._before, {}
            try:
                return self._delete(
                    one
                    for shard in now
                    for one in vanished(before[shard], now[shard], upto=self._until[shard])
                )
            except BackendUnavailableError:
                raise
            except BackendError as error:  # a point in time expires minutes after its last search
                _log.info("all ids of %r are compared: %s", self._source, error)
            finally:
                _close(before)
        return self._delete(self._never_there(now.values()))

    def _write(self, until: Mapping[int, int]) -> int:
        changes = self._engine.changes(
            self._source, after=self._until, until=until, page_size=BATCH
        )
        written = 0
        for batch in in_batches(changes, BATCH):
            written += len(batch)
            self._put(batch)
        return written

    def _never_there(self, now: Collection[PointInTime]) -> Iterator[Document]:
        """Documents of the copy that the index does not have, of all that there are.

        Once, after the copy: it may have read a document that was written and deleted again before
        any point in time was kept.
        """
        self._engine.refresh(self._target)
        for batch in in_batches(self._engine.scan(self._target, source=False), IDS):
            ids = [one.id for one in batch]
            there = {id for point in now for id in point.among(ids)}
            yield from (one for one in batch if one.id not in there)


def _close(points: Mapping[int, PointInTime]) -> None:
    for point in points.values():
        with suppress(BackendError):  # it expires by itself
            point.close()
