"""The pages for people: the search, the admin tab, signing in, and the files that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from vidsearch.config import Settings
    from vidsearch.search import Moment
    from vidsearch.web.context import WebContext
    from vidsearch.web.problems import Problem

__all__ = ["error_page", "routes", "thumbnail_url"]


def routes(context: WebContext) -> list[BaseRoute]:
    """The routes of the pages."""
    from starlette.routing import Mount, Route

    from vidsearch.web.media import media_routes
    from vidsearch.web.pages.admin import AdminPage
    from vidsearch.web.pages.picture import Picture
    from vidsearch.web.pages.search_page import SearchPage
    from vidsearch.web.pages.sign_in import sign_in_routes
    from vidsearch.web.pages.static import static_files

    admin = AdminPage(context)
    return [
        Route("/", SearchPage(context).answer),
        Route("/picture", Picture(context).answer, methods=["POST"]),
        Route("/admin", admin.show),
        Route("/admin/retry", admin.retry, methods=["POST"]),
        *sign_in_routes(context),
        *media_routes(context),
        Mount("/static", static_files()),
    ]


def error_page(request: Request, problem: Problem) -> Response | None:
    """The page that tells a person what is wrong; ``None``: the answer is problem details."""
    from vidsearch.web.pages.rendering import failure_of, render
    from vidsearch.web.security import route_path

    path = route_path(request.scope)
    tab = "admin" if path.startswith("/admin") else ""
    values = {"failure": failure_of(problem, path=path)}
    return render(request, "message.html", values, tab=tab, status=problem.status)


def thumbnail_url(request: Request, settings: Settings, moment: Moment) -> str | None:
    """The URL on this server of a moment's picture; ``None`` where there is none."""
    from vidsearch.web.media import thumbnail_path
    from vidsearch.web.pages.rendering import root_of

    path = thumbnail_path(settings, moment.thumbnail)
    return path and f"{root_of(request)}{path}"
