"""The HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from vidsearch.web.context import WebContext

__all__ = ["routes"]


def routes(context: WebContext) -> list[BaseRoute]:
    """The routes under ``/api``."""
    return []
