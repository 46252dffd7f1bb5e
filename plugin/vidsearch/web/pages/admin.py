"""The admin tab: how ingestion is doing, what failed and why, reindex runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from vidsearch.batches import in_batches
from vidsearch.errors import QueryError, VidsearchError
from vidsearch.web.forms import opened_form
from vidsearch.web.pages.admin_view import admin_view
from vidsearch.web.pages.rendering import failure_of, render, root_of
from vidsearch.web.problems import Problem, problem_of
from vidsearch_mappings.registry import GIVEN_UP

if TYPE_CHECKING:
    from vidsearch.reindex import ReindexRun
    from vidsearch.web.context import WebContext
    from vidsearch_tasks import IngestionStatus, Services

__all__ = ["AdminPage"]


class AdminPage:
    """Answers ``/admin``.

    Args:
        context: of the app.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        # Workers and engine are asked for long, and a second click must not find the same videos.
        self._one_at_a_time = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """The numbers of ``vidsearch status``, and the runs of ``vidsearch reindex list``."""
        try:
            async with self._one_at_a_time:
                status, runs = await asyncio.to_thread(lambda: _look(self._context.services))
        except VidsearchError as error:
            problem = problem_of(error)
            return render(
                request,
                "message.html",
                {"failure": failure_of(problem)},
                tab="admin",
                status=problem.status,
                headers=problem.all_headers,
            )
        retried = request.query_params.get("retried", "")
        values = {
            "view": admin_view(status, runs),
            "may_write": self._context.settings.web.allow_writes,
            "signed_in": self._context.settings.web.token is not None,
            "retried": retried if retried.isdecimal() else "",
        }
        return render(request, "admin.html", values, tab="admin")

    async def retry(self, request: Request) -> Response:
        """Enqueue the videos again that failed for one cause.

        Raises:
            Problem: the settings allow no writes.
            QueryError: no cause is named.
        """
        if not self._context.settings.web.allow_writes:
            raise Problem.of_status(
                403, "this server only reads: the setting web.allow_writes is false"
            )
        async with opened_form(request, max_files=0, max_fields=1) as form:
            cause = form.get("error")
        if not isinstance(cause, str) or not cause:
            raise QueryError("name the class of errors to retry", argument="error")
        async with self._one_at_a_time:
            number = await asyncio.to_thread(lambda: _retry(self._context.services, cause))
        return RedirectResponse(f"{root_of(request)}/admin?retried={number}", 303)


def _look(services: Services) -> tuple[IngestionStatus, list[ReindexRun]]:
    from vidsearch_tasks import ingestion_status, run_store

    return ingestion_status(services=services), run_store(services).all()


def _retry(services: Services, cause: str) -> int:
    from vidsearch_tasks import retry_videos

    ids = [record.id for record in services.registry.scan(*GIVEN_UP, error=cause)]
    # In batches, as millions of records need not be kept for their number.
    return sum(len(retry_videos(batch, services=services)) for batch in in_batches(ids))
