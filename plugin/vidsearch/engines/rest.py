"""Engines over a client of Elasticsearch or OpenSearch, sync and async.

What is asked and what the answers mean stands in :mod:`vidsearch.engines.calls`; how a client is
called and how its exceptions read, in the module of its engine.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import Dialect, document_of
from vidsearch.engines.errors import ContextLostError, WindowTooLargeError
from vidsearch.engines.steps import Answer, Request, Steps, run, run_async
from vidsearch.engines.types import Document, EngineKind, Json
from vidsearch.errors import BackendError, BackendUnavailableError

__all__ = ["AsyncRestEngine", "RestEngine"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Engine:
    def __init__(self, client: Any, dialect: Dialect, *, owned: bool = True) -> None:
        """``owned``: whether ``close`` closes the client."""
        self.calls = Calls(dialect)
        self._dialect = dialect
        self._client = client
        self._perform = dialect.perform(client)
        self._owned = owned

    @property
    def kind(self) -> EngineKind:
        return self.calls.kind

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind}, {self._dialect.url!r})"


def _blocking(
    call: Callable[Concatenate[Calls, _P], Steps[_T]],
) -> Callable[Concatenate[RestEngine, _P], _T]:
    """The method of an engine that carries a call out."""

    @functools.wraps(call)
    def method(self: RestEngine, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return self.run(call(self.calls, *args, **options))

    return method


class RestEngine(_Engine):
    """An :class:`~vidsearch.engines.base.Engine` over a sync client."""

    def run(self, steps: Steps[_T]) -> _T:
        return run(steps, self._send)

    def _send(self, request: Request) -> Answer:
        dialect = self._dialect
        try:
            response = self._perform(request.method, request.path, **dialect.arguments(request))
        except dialect.failures as error:
            return dialect.answer_of(error)
        return dialect.answer(response)

    info = _blocking(Calls.info)
    features = _blocking(Calls.features)
    create_index = _blocking(Calls.create_index)
    delete_index = _blocking(Calls.delete_index)
    indices_of = _blocking(Calls.indices_of)
    indices_behind = _blocking(Calls.indices_behind)
    mapping = _blocking(Calls.mapping)
    mappings_behind = _blocking(Calls.mappings_behind)
    put_mapping = _blocking(Calls.put_mapping)
    settings = _blocking(Calls.settings)
    put_settings = _blocking(Calls.put_settings)
    aliases = _blocking(Calls.aliases)
    update_aliases = _blocking(Calls.update_aliases)
    block_writes = _blocking(Calls.block_writes)
    refresh = _blocking(Calls.refresh)
    get = _blocking(Calls.get)
    mget = _blocking(Calls.mget)
    put = _blocking(Calls.put)
    update = _blocking(Calls.update)
    delete = _blocking(Calls.delete)
    bulk = _blocking(Calls.bulk)
    search = _blocking(Calls.search)
    msearch = _blocking(Calls.msearch)
    count = _blocking(Calls.count)
    checkpoints = _blocking(Calls.checkpoints)
    merging = _blocking(Calls.merging)
    search_shard = _blocking(Calls.search_shard)
    read_shards = _blocking(Calls.read_shards)
    open_point_in_time = _blocking(Calls.open_point_in_time)
    search_point_in_time = _blocking(Calls.search_point_in_time)
    close_point_in_time = _blocking(Calls.close_point_in_time)

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        cursor = self.run(self._dialect.open_scan(index))
        body = {"query": query or {"match_all": {}}, "size": page_size}
        yield from self._pages(index, cursor, source=source, body=body, owned=True)

    @contextlib.contextmanager
    def scan_slices(
        self,
        index: str,
        slices: int,
        *,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Sequence[Iterator[Document]]]:
        dialect = self._dialect
        shared = self.run(dialect.open_scan(index))
        bodies: list[Json] = [
            {"query": {"match_all": {}}, "size": page_size}
            | ({} if slices == 1 else {"slice": {"id": number, "max": slices}})
            for number in range(slices)
        ]
        parts = [
            self._pages(index, shared, source=source, body=body, owned=shared is None)
            for body in bodies
        ]
        try:
            yield parts
        finally:
            for part in parts:
                part.close()
            self._close_scan(shared)

    def changes(
        self,
        index: str,
        *,
        after: Mapping[int, int],
        until: Mapping[int, int],
        page_size: int = 500,
    ) -> Iterator[Document]:
        for shard, last in sorted(until.items()):
            above = after.get(shard, -1)
            while above < last:
                page = self.run(self.calls.changes_page(index, shard, above, last, size=page_size))
                yield from page
                if len(page) < page_size:
                    break
                above = page[-1].revision.seq_no

    def _pages(
        self,
        index: str,
        cursor: str | None,
        *,
        source: Sequence[str] | bool,
        body: Json,
        owned: bool,
    ) -> Generator[Document, None, None]:
        """Documents page by page; ``owned``: whether the cursor is closed at the end."""
        dialect = self._dialect
        body = {**body, "seq_no_primary_term": True, "version": True}
        try:
            while True:
                page = dialect.page(index, cursor, source=source, body=body)
                try:
                    response, cursor = self.run(page)
                except ContextLostError as error:  # another scan is answered
                    raise BackendUnavailableError(
                        f"the scan of index {index!r} broke off: {error}. Begin it again"
                    ) from error
                except WindowTooLargeError as error:
                    if not 0 < error.most < body["size"]:
                        raise
                    body["size"] = error.most
                    continue
                hits = response["hits"]["hits"]
                yield from map(document_of, hits)
                if len(hits) < body["size"]:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            if owned:
                self._close_scan(cursor)

    def _close_scan(self, cursor: str | None) -> None:
        if cursor is not None:
            with contextlib.suppress(BackendError):
                self.run(self._dialect.close_scan(cursor))

    def close(self) -> None:
        if self._owned:
            self._client.close()


class AsyncRestEngine(_Engine):
    """An :class:`~vidsearch.engines.base.AsyncEngine` over an async client."""

    async def run(self, steps: Steps[_T]) -> _T:
        return await run_async(steps, self._send)

    async def _send(self, request: Request) -> Answer:
        dialect = self._dialect
        try:
            response = await self._perform(
                request.method, request.path, **dialect.arguments(request)
            )
        except dialect.failures as error:
            return dialect.answer_of(error)
        return dialect.answer(response)

    async def close(self) -> None:
        if self._owned:
            await self._client.close()
