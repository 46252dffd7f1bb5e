"""``/api/openapi.json``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidsearch.web.api.bodies import json_answer
from vidsearch.web.api.openapi import description
from vidsearch.web.context import WebContext
from vidsearch.web.pages.rendering import root_of

__all__ = ["routes"]


def routes(context: WebContext) -> list[Route]:
    """The description of the API, made once."""
    document = description(context.settings)

    async def openapi(request: Request) -> Response:
        root = root_of(request)
        return json_answer({**document, "servers": [{"url": root}]} if root else document)

    return [Route("/api/openapi.json", openapi, methods=["GET"])]
