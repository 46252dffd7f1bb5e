"""Carries the calls of an engine out in an event loop: the half of them that a search needs.

What is asked and what the answers mean is written once, in :mod:`vidsearch.engines._calls`; how a
client's exceptions read, in the module of its engine.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from vidsearch.engines._calls import Answer, Call, Calls, Request
from vidsearch.engines.base import Document, EngineInfo, EngineKind, Features, Json
from vidsearch.errors import BackendError

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch
    from opensearchpy import AsyncOpenSearch

__all__ = ["AsyncElasticsearchEngine", "AsyncOpenSearchEngine", "AsyncRestEngine"]

_T = TypeVar("_T")


class AsyncRestEngine(ABC):
    """An :class:`~vidsearch.engines.base.AsyncEngine`, but for what sends a request."""

    kind: ClassVar[EngineKind]

    def __init__(self, calls: Calls, *, owned: bool) -> None:
        """
        Args:
            calls: what to ask of this kind of engine.
            owned: whether :meth:`close` closes the client.
        """
        self._calls = calls
        self._owned = owned

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls.url!r})"

    @abstractmethod
    async def _send(self, request: Request) -> Answer:
        """Send one request. Raises only where none answers."""

    @abstractmethod
    async def _close_client(self) -> None: ...

    async def _run(self, call: Call[_T]) -> _T:
        try:
            request = next(call)
            while True:
                if request.pause:
                    await asyncio.sleep(request.pause)
                try:
                    answer = await self._send(request)
                except BackendError as error:
                    request = call.throw(error)  # some calls ask again
                else:
                    request = call.send(answer)
        except StopIteration as done:
            result: _T = done.value
            return result
        finally:
            call.close()

    async def info(self) -> EngineInfo:
        return await self._run(self._calls.info())

    async def features(self) -> Features:
        return await self._run(self._calls.features())

    async def indices_of(self, name: str) -> tuple[str, ...]:
        return await self._run(self._calls.indices_of(name))

    async def mapping(self, index: str) -> Json:
        return await self._run(self._calls.mapping(index))

    async def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        return await self._run(self._calls.get(index, id, routing=routing))

    async def search(self, index: str, body: Mapping[str, object]) -> Json:
        return await self._run(self._calls.search(index, body))

    async def msearch(self, index: str, bodies: Sequence[Mapping[str, object]]) -> list[Json]:
        return await self._run(self._calls.msearch(index, bodies))

    async def close(self) -> None:
        if self._owned:
            await self._close_client()


class AsyncElasticsearchEngine(AsyncRestEngine):
    """One Elasticsearch cluster, over the host's async client or one of our own."""

    kind: ClassVar[EngineKind] = "elasticsearch"

    def __init__(self, client: AsyncElasticsearch, *, url: str, owned: bool = True) -> None:
        from vidsearch.engines.elasticsearch import ElasticsearchCalls

        super().__init__(ElasticsearchCalls(url), owned=owned)
        self._client = client

    async def _send(self, request: Request) -> Answer:
        from vidsearch.engines.elasticsearch import FAILED, answer_of, arguments

        try:
            response = await self._client.perform_request(
                request.method, request.path, **arguments(request)
            )
        except FAILED as error:
            return answer_of(error, url=self._calls.url)
        return Answer(response.meta.status, response.body)

    async def _close_client(self) -> None:
        await self._client.close()


class AsyncOpenSearchEngine(AsyncRestEngine):
    """One OpenSearch cluster, over the host's async client or one of our own."""

    kind: ClassVar[EngineKind] = "opensearch"

    def __init__(self, client: AsyncOpenSearch, *, url: str, owned: bool = True) -> None:
        from vidsearch.engines.opensearch import OpenSearchCalls

        super().__init__(OpenSearchCalls(url), owned=owned)
        self._client = client

    async def _send(self, request: Request) -> Answer:
        from opensearchpy import OpenSearchException

        from vidsearch.engines.opensearch import answer_of, arguments

        transport = self._client.transport
        try:
            body = await transport.perform_request(
                request.method, request.path, **arguments(request, transport.serializer)
            )
        except OpenSearchException as error:
            return answer_of(error, url=self._calls.url)
        return Answer(200, body)

    async def _close_client(self) -> None:
        await self._client.close()
