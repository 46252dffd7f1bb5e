"""The HTTP API: searches, videos, status, and its description in OpenAPI 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.web.api import describing, searching, status, videos

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from vidsearch.web.context import WebContext

__all__ = ["routes"]


def routes(context: WebContext) -> list[BaseRoute]:
    """The routes under ``/api``."""
    return [
        *searching.routes(context),
        *videos.routes(context),
        *status.routes(context),
        *describing.routes(context),
    ]
