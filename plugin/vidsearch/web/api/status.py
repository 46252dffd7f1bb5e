"""How ingestion is doing, in numbers that say nothing of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidsearch.json_values import to_json_value
from vidsearch.web.api.bodies import json_answer
from vidsearch.web.context import WebContext

if TYPE_CHECKING:
    from vidsearch_tasks import IngestionStatus

__all__ = ["PublicStatus", "routes"]


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


def routes(context: WebContext) -> list[Route]:
    """``/api/status``."""

    async def status(request: Request) -> Response:
        known = PublicStatus.of(await context.ingestion.get())
        return json_answer(to_json_value(known))

    return [Route("/api/status", status, methods=["GET"])]
