"""The ASGI app of search page and HTTP API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vidsearch.config import Settings
from vidsearch.errors import MissingExtraError, VidsearchError

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
except ImportError as _error:
    raise MissingExtraError.of(
        "web", needed_for="serving the search page and the HTTP API"
    ) from _error

from vidsearch.search import AsyncVideoSearch
from vidsearch.web import api, health, pages
from vidsearch.web.context import WebContext
from vidsearch.web.metrics import Measured, RequestMetrics
from vidsearch.web.problems import Problem, problem_of
from vidsearch.web.security import FOR_PROGRAMS, Guard, route_path

if TYPE_CHECKING:
    from vidsearch_tasks import Services

__all__ = ["create_app"]


def create_app(
    settings: Settings,
    *,
    search: AsyncVideoSearch | None = None,
    services: Services | None = None,
) -> Starlette:
    """The app, for any ASGI server. It loads the model while it answers other requests already.

    Args:
        settings: of index, model, engine and ``web``.
        search: searches; ``None`` makes one by the settings. It is closed with the app.
        services: registry and broker; ``None`` makes them by the settings when first needed.
    """
    context = WebContext(
        settings,
        search or AsyncVideoSearch.from_settings(settings),
        given_services=services,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with context.running():
            yield

    async def failed(request: Request, error: Exception) -> Response:
        return _answer(request, problem_of(error))

    routes: list[BaseRoute] = [
        *health.routes(context),
        *api.routes(context),
        *pages.routes(context),
    ]
    middleware = [Middleware(Guard, settings.web, failed=_answer)]
    metrics = RequestMetrics.of(context)
    if metrics is not None:
        routes += metrics.routes()
        middleware.insert(0, Middleware(Measured, metrics.answered, routes=routes))
    app = Starlette(
        routes=routes,
        middleware=middleware,
        # What else is raised goes on to the guard.
        exception_handlers=dict.fromkeys((VidsearchError, Problem, HTTPException), failed),
        lifespan=lifespan,
    )
    app.state.context = context
    return app


def _answer(request: Request, problem: Problem) -> Response:
    """A page for people, where there is one, else problem details."""
    is_for_people = "text/html" in request.headers.get("accept", "")
    if is_for_people and not route_path(request.scope).startswith(FOR_PROGRAMS):
        page = pages.error_page(request, problem)
        if page is not None:
            page.headers.update(problem.all_headers)
            return page
    return problem.response()
