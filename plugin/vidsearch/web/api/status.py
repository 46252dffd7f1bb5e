"""How ingestion is doing, in numbers that say nothing of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidsearch.errors import VidsearchError
from vidsearch.json_values import to_json_value
from vidsearch.web.api.bodies import json_answer
from vidsearch.web.context import WebContext

if TYPE_CHECKING:
    from vidsearch_tasks import IngestionStatus

__all__ = ["PublicStatus", "routes"]

_AGE = 5.0
"""Seconds for which an answer is good enough: workers and engine are asked for each."""


@dataclass(frozen=True)
class PublicStatus:
    """The numbers of ``vidsearch status``."""

    ok: bool
    """Whether nothing needs a person."""
    problems: int
    """Number of things that need a person; `vidsearch status` names them."""
    states: Mapping[str, int]
    """Number of registered videos by state."""
    searchable: int
    """Number of videos that can be searched."""
    waiting: int
    queued_messages: int | None
    """``None`` where the broker does not answer."""
    workers: int | None
    """Number of workers; ``None`` where the broker does not answer."""
    per_minute: float
    """Videos that were finished."""
    eta_seconds: float | None
    errors: Mapping[str, int]
    """Number of videos by the class of the error of their last attempt."""

    @classmethod
    def of(cls, status: IngestionStatus) -> PublicStatus:
        """What clients may know of it."""
        videos, broker = status.videos, status.broker
        return cls(
            ok=status.ok,
            problems=len(status.problems) + (status.error is not None),
            states={str(state): number for state, number in videos.states.items()},
            searchable=status.searchable,
            waiting=videos.waiting,
            queued_messages=broker.queued if broker else None,
            workers=len(status.serving) if broker else None,
            per_minute=round(videos.per_minute, 3),
            eta_seconds=videos.eta_seconds,
            errors={group.type: group.videos for group in videos.errors},
        )


class _Latest:
    """The status, asked for at most every few seconds, by one request at a time.

    That something does not answer is kept, too: it may take long to find out, and others wait.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._kept: PublicStatus | VidsearchError | None = None
        self._until = 0.0

    async def get(self) -> PublicStatus:
        async with self._lock:
            if self._kept is None or time.monotonic() >= self._until:
                try:
                    self._kept = PublicStatus.of(await asyncio.to_thread(self._ask))
                except VidsearchError as error:
                    self._kept = error
                self._until = time.monotonic() + _AGE
            if isinstance(self._kept, VidsearchError):
                raise self._kept.with_traceback(None)
            return self._kept

    def _ask(self) -> IngestionStatus:
        from vidsearch_tasks import ingestion_status

        return ingestion_status(services=self._context.services)


def routes(context: WebContext) -> list[Route]:
    """``/api/status``."""
    latest = _Latest(context)

    async def status(request: Request) -> Response:
        return json_answer(to_json_value(await latest.get()))

    return [Route("/api/status", status, methods=["GET"])]
