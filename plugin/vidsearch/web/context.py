"""What the handlers of requests share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from vidsearch.config import Settings
from vidsearch.web.limits import check_limits
from vidsearch.web.problems import RETRY_SECONDS, Problem
from vidsearch.web.public import uri_field
from vidsearch.web.readiness import Readiness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidsearch.search import AsyncVideoSearch, SearchRequest, SearchResult
    from vidsearch_tasks import Services

__all__ = ["WebContext"]

_T = TypeVar("_T")


@dataclass
class WebContext:
    """One for each app."""

    settings: Settings
    search: AsyncVideoSearch
    readiness: Readiness = field(default_factory=Readiness)
    given_services: Services | None = None

    def __post_init__(self) -> None:
        self._services = self.given_services
        self._at_once = asyncio.Semaphore(self.settings.web.max_searches)

    @property
    def services(self) -> Services:
        """Registry, operations and broker. Imports Celery when it is first asked for.

        What they do blocks: call it with :func:`asyncio.to_thread`.
        """
        if self._services is None:
            from vidsearch_tasks import Services

            self._services = Services(self.settings)
        return self._services

    async def find(self, request: SearchRequest) -> SearchResult:
        """Search within the limits that the settings give to requests from outside.

        Raises:
            QueryError: a limit is exceeded; the message names the argument.
            Problem: the model is not loaded, or it took longer than ``web.timeout``.
        """
        check_limits(request, self.settings)
        if request.needs_model:
            self.readiness.require_ready()
        if isinstance(request.source, tuple):  # or a copy of it in another field is not known
            wanted = (*request.source, uri_field(self.settings))
            request = request.model_copy(update={"source": wanted})
        return await self._limited(self.search.search(request))

    async def embed_image(self, image: bytes) -> NDArray[np.float32]:
        """The unit vector of an image within the same limits: ``(dims,)`` float32.

        Raises:
            QueryError: it cannot be read as an image.
            Problem: the model is not loaded, or it took longer than ``web.timeout``.
        """
        self.readiness.require_ready()
        return await self._limited(self.search.embed_image(image))

    async def _limited(self, work: Coroutine[Any, Any, _T]) -> _T:
        async def in_turn() -> _T:
            async with self._at_once:
                return await work

        try:
            return await asyncio.wait_for(in_turn(), self.settings.web.timeout)
        except asyncio.TimeoutError as error:
            raise Problem.of_status(
                503,
                f"the search took longer than {self.settings.web.timeout:g} seconds",
                retry_after=RETRY_SECONDS,
            ) from error
        finally:
            work.close()  # where its turn never came

    async def close(self) -> None:
        """Close what was opened here; services that were handed in stay open."""
        await self.search.close()
        if self._services is not None and self.given_services is None:
            await asyncio.to_thread(self._services.close)
