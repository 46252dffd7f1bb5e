"""Many writes at once, repeated until all are taken or patience ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidsearch.engines._bulk import Backoff, Item, Tally, chunks, encoded, same, take
from vidsearch.engines._calls.asking import Call, part
from vidsearch.engines._calls.documents import DocumentCalls, visible
from vidsearch.engines._vectors import ByteOrder
from vidsearch.engines.base import BulkResult, Write
from vidsearch.errors import BackendUnavailableError

__all__ = ["BulkCalls"]


class BulkCalls(DocumentCalls):
    """Bulk writes; see :meth:`vidsearch.engines.base.Engine.bulk`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.backoff = Backoff()

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool) -> Call[BulkResult]:
        tally = Tally(len(writes))
        if writes:
            params = {**(yield from self._existing(index)), **visible(refresh)}
            order = yield from self._order(*(write.source for write in writes))
            with self._asking_anew_if_missing(index):
                for chunk in chunks(encoded(writes, tally, order=order)):
                    yield from self._written(chunk, tally, index=index, params=params, order=order)
            if error := tally.error(url=self.url, index=index):
                raise error
        return BulkResult(tally.written, tally.retried, tally.requests)

    def _written(
        self,
        chunk: list[Item],
        tally: Tally,
        *,
        index: str,
        params: Mapping[str, str],
        order: ByteOrder | None,
    ) -> Call[None]:
        """Send a chunk, and what of it was not taken again, until it is or patience ends."""
        path = f"/{part(index)}/_bulk"
        doubtful = False
        for attempt in range(self.backoff.attempts):
            if attempt:
                tally.retried += len(chunk)
            tally.requests += 1
            cause: BackendUnavailableError | None = None
            try:
                answer = yield from self.request(
                    "POST",
                    path,
                    index=index,
                    params=params,
                    lines=b"".join(item.lines for item in chunk),
                    pause=self.backoff.pause(attempt) if attempt else 0.0,
                )
            except BackendUnavailableError as error:
                # It may have been written all the same: by what no answer came from, or by the
                # node behind a proxy that gave up.
                cause, why, doubtful = error, str(error), True
                continue_with = chunk
            else:
                continue_with, existing, why = take(
                    chunk, answer.body, tally, doubtful=doubtful, url=self.url, index=index
                )
                for item in existing:
                    yield from self._created(item, tally, index=index, order=order)
            chunk = continue_with
            if not chunk:
                return
        raise tally.unavailable(why, url=self.url, index=index) from cause

    def _created(
        self, item: Item, tally: Tally, *, index: str, order: ByteOrder | None
    ) -> Call[None]:
        """Whether what stands in the way of a repeated ``create`` is its own first attempt."""
        write = item.write
        found = yield from self.get(index, write.id, routing=write.routing)
        if found is not None and same(write.source or {}, found.source, order=order):
            tally.written += 1
        else:
            tally.fail(write.id, "it exists already, with another content")
