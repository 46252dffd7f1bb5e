""":class:`~vidsearch.search.VideoSearch` for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines import Json
from vidsearch.search.core import SearchCore
from vidsearch.search.models import pool_of
from vidsearch.search.request import Leg, SearchRequest, require_text
from vidsearch.search.signature import same_arguments_as, same_options_as
from vidsearch.search.types import SearchResult
from vidsearch.search.video_search import VideoSearch

if TYPE_CHECKING:
    from vidsearch.encoders.pool import EncoderPool
    from vidsearch.engines import AsyncEngine
    from vidsearch.index.description import IndexDescription

__all__ = ["AsyncVideoSearch"]


class AsyncVideoSearch:
    """Searches the videos of one index from an event loop; never writes.

    The same arguments, the same results, the same errors as
    :class:`~vidsearch.search.VideoSearch`. The model is loaded and a query embedded in a thread,
    so that the loop goes on meanwhile. One object serves any number of tasks of one loop.

    Args:
        engine: the cluster.
        encoder: of the model whose vectors the index holds; an
            :class:`~vidsearch.encoders.EncoderPool` where that may change.
        index: alias or name of the videos index.
        settings: candidates, window, fields of the keyword leg.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        encoder: Encoder | EncoderPool,
        *,
        index: str = "videos",
        settings: SearchSettings | None = None,
    ) -> None:
        core = SearchCore(index, encoders=pool_of(encoder), settings=settings or SearchSettings())
        self._set_up(core, engine=engine)

    @classmethod
    def from_settings(cls, settings: Settings, *, client: Any = None) -> AsyncVideoSearch:
        """Connects, and loads the model, when first needed; a keyword search loads no model.

        Args:
            settings: the sections ``engine``, ``model``, ``index``, ``search``; ``ingest.fps``.
            client: an ``AsyncElasticsearch`` or ``AsyncOpenSearch`` to use instead of a new one.
        """

        async def connect() -> AsyncEngine:
            from vidsearch import engines

            return await engines.connect_async(settings.engine, client=client)

        made = cls.__new__(cls)
        made._set_up(SearchCore.from_settings(settings), connect=connect)
        return made

    def _set_up(
        self,
        core: SearchCore,
        *,
        engine: AsyncEngine | None = None,
        connect: Callable[[], Awaitable[AsyncEngine]] | None = None,
    ) -> None:
        self._core = core
        self._engine = engine
        self._connect = connect
        self._connecting = asyncio.Lock()

    @same_arguments_as(VideoSearch.search)
    async def search(self, text: str | SearchRequest | None = None, **options: Any) -> SearchResult:
        request = self._core.request(text, options)
        engine = await self._connected()
        return await engine.run(self._core.search(request, engine.calls))

    @same_options_as(VideoSearch.search)
    async def search_many(
        self, texts: Sequence[str | SearchRequest], **options: Any
    ) -> list[SearchResult]:
        """See :meth:`vidsearch.search.VideoSearch.search_many`."""
        requests = self._core.requests(texts, options)
        if not requests:
            return []
        engine = await self._connected()
        return await engine.run(self._core.search_many(requests, engine.calls))

    async def embed(self, text: str) -> NDArray[np.float32]:
        """See :meth:`vidsearch.search.VideoSearch.embed`."""
        asked = require_text(text)
        engine = await self._connected()
        return await engine.run(self._core.embed(asked, engine.calls))

    async def embed_image(
        self, image: Any, *, index: IndexDescription | None = None
    ) -> NDArray[np.float32]:
        """See :meth:`vidsearch.search.VideoSearch.embed_image`."""
        engine = await self._connected()
        return await engine.run(self._core.embed_image(image, engine.calls, index))

    async def describe_index(self) -> IndexDescription:
        """See :meth:`vidsearch.search.VideoSearch.describe_index`."""
        engine = await self._connected()
        return await engine.run(self._core.index.describe(engine.calls))

    @same_arguments_as(VideoSearch.body)
    async def body(
        self, text: str | SearchRequest | None = None, **options: Any
    ) -> dict[Leg, Json]:
        request = self._core.request(text, options)
        engine = await self._connected()
        return await engine.run(self._core.bodies(request, engine.calls))

    async def close(self) -> None:
        """Close what :meth:`from_settings` opened; an engine that was handed in stays open."""
        if self._connect is not None and self._engine is not None:
            await self._engine.close()

    async def __aenter__(self) -> AsyncVideoSearch:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncVideoSearch(index={self._core.alias!r})"

    async def _connected(self) -> AsyncEngine:
        async with self._connecting:
            if self._engine is None:
                assert self._connect is not None
                self._engine = await self._connect()
        return self._engine
