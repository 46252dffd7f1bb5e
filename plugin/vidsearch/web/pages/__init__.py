"""The pages for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from vidsearch.search import Moment
    from vidsearch.web.context import WebContext
    from vidsearch.web.problems import Problem

__all__ = ["error_page", "routes", "thumbnail_url"]


def routes(context: WebContext) -> list[BaseRoute]:
    """The routes of the pages."""
    return []


def error_page(request: Request, problem: Problem) -> Response | None:
    """The page that tells a person what is wrong; ``None``: the answer is problem details."""
    return None


def thumbnail_url(context: WebContext, id: str, moment: Moment) -> str | None:
    """The URL on this server of a moment's picture; ``None`` where there is none."""
    return None
