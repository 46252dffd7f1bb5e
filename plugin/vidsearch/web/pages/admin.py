"""The admin tab: how ingestion is doing, what failed and why, reindex runs."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from vidsearch.batches import in_batches
from vidsearch.errors import QueryError
from vidsearch.web.forms import opened_form
from vidsearch.web.latest import Latest
from vidsearch.web.pages.admin_view import admin_view
from vidsearch.web.pages.rendering import render, root_of
from vidsearch.web.places import TookTooLongError
from vidsearch.web.problems import Problem
from vidsearch_mappings.registry import GIVEN_UP

if TYPE_CHECKING:
    from vidsearch.reindex import ReindexRun
    from vidsearch.web.context import WebContext
    from vidsearch_tasks import Services

__all__ = ["AdminPage"]

_log = logging.getLogger(__name__)
_DOUBLE_CLICK = 1.0
"""Seconds after the end of a retry within which one of the same cause is its second click. One that
comes while it still runs is always: it is answered with the number of the first."""
_SOME = "some"
"""In the address in place of their number, where videos are still being queued."""


class AdminPage:
    """Answers ``/admin``.

    Args:
        context: of the app.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._runs: Latest[list[ReindexRun]] = Latest(
            lambda: context.ask_registry(lambda: _runs(context.services)),
            seconds=context.settings.web.timeout,
            what="the list of reindex runs",
        )
        self._being_retried: str | None = None
        """The cause whose videos are being queued again."""
        self._retried: tuple[str, int, float] | None = None
        """The last cause, the number of its videos, and when the last of them was queued."""

    async def show(self, request: Request) -> Response:
        """The numbers of ``vidsearch status``, and the runs of ``vidsearch reindex list``.

        They are some seconds old.

        Raises:
            VidsearchError: engine, registry or broker failed.
            Problem: they took longer than ``web.timeout``.
        """
        status = await self._context.ingestion.get()
        runs = await self._runs.get()
        retried = request.query_params.get("retried", "")
        values = {
            "view": admin_view(status, runs),
            "may_write": self._context.settings.web.allow_writes,
            "signed_in": self._context.settings.web.token is not None,
            "retried": retried if retried.isdecimal() else "",
            "goes_on": retried == _SOME,
        }
        return render(request, "admin.html", values, tab="admin")

    async def retry(self, request: Request) -> Response:
        """Enqueue the videos again that failed for one cause.

        It goes on where it takes longer than ``web.timeout``. A second click waits for it, so that
        both do not find the same videos, and is told the number of the first: after a double
        click a browser shows the second answer.

        Raises:
            Problem: the settings allow no writes, or those of another cause took all the time.
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
        is_waited_for, asked_at = True, time.monotonic()

        def carry_out() -> int:
            if self._retried is not None:
                last, number, ended_at = self._retried
                if last == cause and asked_at <= ended_at + _DOUBLE_CLICK:
                    return number
            self._being_retried = cause
            try:
                number = _retry(self._context.services, cause)
                self._retried = (cause, number, time.monotonic())
                return number
            except Exception as error:
                if not is_waited_for:
                    _log.error("not all videos with %r are queued again: %s", cause, error)
                raise
            finally:
                self._being_retried = None

        number: int | str
        try:
            number = await self._context.one_order(carry_out)
        except TookTooLongError:
            if self._being_retried != cause:  # its turn did not come, and will not any more
                raise
            is_waited_for, number = False, _SOME
        finally:  # some may be queued where it fails
            self._context.ingestion.forget()
        return RedirectResponse(f"{root_of(request)}/admin?retried={number}", 303)


def _runs(services: Services) -> list[ReindexRun]:
    from vidsearch_tasks import run_store

    return run_store(services).all()


def _retry(services: Services, cause: str) -> int:
    from vidsearch_tasks import retry_videos

    ids = [record.id for record in services.registry.scan(*GIVEN_UP, error=cause)]
    # In batches, as millions of records need not be kept for their number.
    return sum(
        len(retry_videos(batch, listed=True, services=services)) for batch in in_batches(ids)
    )
