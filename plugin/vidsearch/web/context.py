"""What the handlers of requests share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vidsearch.config import Settings
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.engines.steps import working_by
from vidsearch.once import build_once, built
from vidsearch.web.latest import Latest
from vidsearch.web.limits import check_hidden, check_limits, check_text, names_fields
from vidsearch.web.places import Places, Threads
from vidsearch.web.problems import Problem
from vidsearch.web.public import is_hidden, public_result, tells_of_hidden, uri_field
from vidsearch.web.readiness import Readiness
from vidsearch.web.uploads import opened_upload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vidsearch.encoders.identity import ModelIdentity
    from vidsearch.index.description import IndexDescription
    from vidsearch.search import AsyncVideoSearch, Moment, SearchRequest, SearchResult
    from vidsearch_mappings.registry import VideoRecord
    from vidsearch_tasks import IngestionStatus, Services

__all__ = ["WebContext"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_MEDIA_THREADS = 8
_RECORD_THREADS = 8
_PICTURES = 2
"""Searches by an uploaded picture at once, as decoding one takes much memory."""


@dataclass
class WebContext:
    """One for each app, or MCP server."""

    settings: Settings
    search: AsyncVideoSearch
    """Ask it through :meth:`find`, which has the limits."""
    readiness: Readiness = field(default_factory=Readiness)
    given_services: Services | None = None

    def __post_init__(self) -> None:
        web = self.settings.web
        self._searches = Places(web.max_searches, seconds=web.timeout, what="the search")
        self._pictures = Places(_PICTURES, seconds=web.timeout, what="the search")
        self._records = Places(_RECORD_THREADS, seconds=web.timeout, what="the registry")
        self._orders = Places(1, seconds=web.timeout, what="queueing the videos again")
        self._files = Places(_MEDIA_THREADS, seconds=web.timeout, what="reading the file")
        self.ingestion: Latest[IngestionStatus] = Latest(
            lambda: self._registry.call(self._ask_ingestion),
            seconds=web.timeout,
            what="the state of ingestion",
        )
        """How ingestion is doing, some seconds old: workers and engine are asked for it."""
        self._embedding = Threads(None, name="embedding")
        self._media = Threads(_MEDIA_THREADS, name="media")
        self._registry = Threads(_RECORD_THREADS, name="registry")

    @build_once
    def services(self) -> Services:
        """Registry, operations and broker. Imports Celery when it is first asked for.

        That, and what they do, blocks: take and call them inside :meth:`ask_registry`.
        """
        if self.given_services is not None:
            return self.given_services
        from vidsearch_tasks import Services

        return Services(self.settings)

    def record(self, id: str) -> VideoRecord:
        """The record of a video. Blocks, as all that :attr:`services` do.

        Raises:
            QueryError: no video can have that id.
            VideoNotRegisteredError: it was never registered.
        """
        from vidsearch.registry.validation import check_id

        check_id(id)
        return self.services.registry.get(id)

    async def ask_registry(self, work: Callable[[], _T]) -> _T:
        """What registry or broker give, of which a few are asked at once.

        Args:
            work: asks; it goes on where it takes too long.

        Raises:
            Problem: it took longer than ``web.timeout``.
        """
        return await self._records.call(lambda: self._registry.call(work))

    async def one_order(self, work: Callable[[], _T]) -> _T:
        """What an order about many videos gives, of which one at a time is carried out.

        Args:
            work: asks registry and broker; where it takes too long, it goes on if it has begun.

        Raises:
            TookTooLongError: it took longer than ``web.timeout``, or another one did.
        """
        return await self._orders.call(lambda: self._registry.call(work))

    async def beside_searches(self, work: Callable[[], _T]) -> _T:
        """What reading a place of videos or pictures gives, which may hang.

        In threads of its own, as the others embed the texts of searches.

        Raises:
            Problem: it took longer than ``web.timeout``.
        """
        return await self._files.call(lambda: self._media.call(work))

    async def find(
        self,
        request: SearchRequest,
        *,
        within: str | None = None,
        own: Collection[str] = (),
    ) -> SearchResult:
        """Search within the limits that the settings give to requests from outside.

        Args:
            request: of a client.
            within: id of the one video to search in; ``None`` searches all.
            own: arguments whose fields the server has chosen, and not the client.

        Raises:
            QueryError: a limit is exceeded; the message names the argument.
            Problem: the model is not loaded, the engine refused a field or value of the client, or
                it took longer than ``web.timeout``.
        """
        check_limits(request, self.settings)
        if request.needs_model:
            self.readiness.require_ready()
        completed = self._completed(request, within)
        is_picture, of_client = completed.image is not None, names_fields(request, but=own)

        async def searched() -> SearchResult:
            if of_client:
                index = await self.search.describe_index()
                check_hidden(request, tells_of_hidden(index, self.settings))
            opened = {"image": await self._opened(completed.image)} if is_picture else {}
            return await self.search.search(completed.model_copy(update=opened))

        try:
            return await self._limited(searched, self._pictures if is_picture else self._searches)
        except RequestRejectedError as error:
            if not of_client:
                raise
            _log.info("the engine refused a search: %s", error)
            raise Problem.of_status(
                422, "the search engine refused a field or a value of the request"
            ) from error

    async def shown(
        self, result: SearchResult, *, thumbnail_url: Callable[[str, Moment], str | None]
    ) -> dict[str, Any]:
        """The result as clients may see it: see :func:`public_result`.

        Raises:
            Problem: it took longer than ``web.timeout``.
        """
        settings = self.settings
        tells: Callable[[str], bool] = partial(is_hidden, settings=settings)
        if any(hit.highlights or hit.explanation for hit in result):  # which name fields
            tells = tells_of_hidden(await self.describe_index(), settings)
        return public_result(result, settings, tells=tells, thumbnail_url=thumbnail_url)

    async def embed(self, text: str) -> list[float]:
        """The unit vector of a text, of the model of the index, within the same limits.

        Raises:
            QueryError: there is no text, or it is too long.
            Problem: the model is not loaded, or it took longer than ``web.timeout``.
        """
        check_text(text, self.settings)
        self.readiness.require_ready()
        vector = await self._limited(lambda: self.search.embed(text), self._searches)
        numbers: list[float] = vector.tolist()
        return numbers

    async def embed_image(self, image: bytes) -> tuple[NDArray[np.float32], ModelIdentity]:
        """The unit vector of an image, ``(dims,)`` float32, and its model; within the same limits.

        Raises:
            QueryError: it cannot be read as an image.
            Problem: the model is not loaded, or it took longer than ``web.timeout``.
        """
        self.readiness.require_ready()

        async def embedded() -> tuple[NDArray[np.float32], ModelIdentity]:
            opened, index = await self._opened(image), await self.search.describe_index()
            return await self.search.embed_image(opened, index=index), index.identity

        return await self._limited(embedded, self._pictures)

    async def describe_index(self) -> IndexDescription:
        """The index that is searched: its model, its fields; within the same limits.

        Raises:
            Problem: it took longer than ``web.timeout``.
        """
        return await self._limited(self.search.describe_index, self._searches)

    async def _limited(self, work: Callable[[], Awaitable[_T]], places: Places) -> _T:
        """What the work gives, in one of the places, and in the threads of searches."""
        with working_by(self._embedding.call):
            return await places.call(work)

    async def _opened(self, image: Any) -> Image.Image:
        """The picture in the bytes of a client."""
        return await self._embedding.call(lambda: opened_upload(image, self.settings))

    def _ask_ingestion(self) -> IngestionStatus:
        from vidsearch_tasks import ingestion_status

        return ingestion_status(services=self.services)

    def _completed(self, request: SearchRequest, within: str | None) -> SearchRequest:
        """The request with what the server adds to it."""
        more: dict[str, Any] = {}
        if not isinstance(request.source, bool):  # or copies of it in other fields are not known
            more["source"] = (*request.source, uri_field(self.settings))
        if within is not None:
            given = request.filter or []
            conditions = [given] if isinstance(given, Mapping) else given
            more["filter"] = [*conditions, {"ids": {"values": [within]}}]
        return request.model_copy(update=more) if more else request

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model meanwhile, and close everything at the end."""
        loading = asyncio.create_task(self.readiness.load(self.search))
        try:
            yield
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
            await self.close()

    async def close(self) -> None:
        """Close what was opened here; services that were handed in stay open."""
        self.ingestion.close()
        for places in (
            *(self._searches, self._pictures, self._records),
            *(self._orders, self._files),
        ):
            places.close()
        for threads in (self._embedding, self._media, self._registry):
            threads.close()
        await self.search.close()
        services = built(self).get("services")
        if services is not None and services is not self.given_services:
            await asyncio.to_thread(services.close)
