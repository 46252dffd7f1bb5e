"""Searches over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vidsearch.errors import QueryError
from vidsearch.search import SearchRequest
from vidsearch.web import pages
from vidsearch.web.api.bodies import json_answer, json_body, media_type, posted_form
from vidsearch.web.context import WebContext
from vidsearch.web.parameters import request_from_json, request_from_pairs
from vidsearch.web.problems import Problem

__all__ = ["NOT_IN_SIMILAR", "routes"]

FORM = "multipart/form-data"
NOT_IN_SIMILAR = frozenset({"text", "image", "clip", "vector", "mode", "fusion", "highlight"})
"""Arguments of a search that say nothing about a video that is like another one."""


def routes(context: WebContext) -> list[Route]:
    """``/api/search``, ``/api/similar`` and ``/api/embed``."""
    settings = context.settings

    async def answer(request: Request, wanted: SearchRequest) -> Response:
        result = await context.find(wanted)
        shown = await context.shown(
            result,
            thumbnail_url=lambda _, moment: pages.thumbnail_url(request, settings, moment),
        )
        return json_answer(shown)

    async def search(request: Request) -> Response:
        if request.method == "POST":
            return await search_posted(request)
        return await answer(
            request, request_from_pairs(request.query_params.multi_items(), settings)
        )

    async def search_posted(request: Request) -> Response:
        if media_type(request) == FORM:
            pairs, image = await posted_form(request)
            return await answer(request, request_from_pairs(pairs, settings, image=image))
        if media_type(request) == "application/json":
            return await answer(request, request_from_json(await json_body(request), settings))
        raise Problem.of_status(415, f"the body must be application/json or {FORM}")

    async def similar(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        for name, _ in pairs:
            if name in NOT_IN_SIMILAR:
                raise QueryError(f"{name} belongs into /api/search", argument=name)
        if not request.query_params.get("like", "").strip():
            raise QueryError("like is needed: the id of a video", argument="like")
        return await answer(request, request_from_pairs(pairs, settings))

    async def embed(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        for name, _ in pairs:
            if name != "text":
                raise QueryError(f"{name} is no argument of /api/embed", argument=name)
        if len(pairs) > 1:
            raise QueryError(f"text is given {len(pairs)} times", argument="text")
        return json_answer({"vector": await context.embed(dict(pairs).get("text", ""))})

    return [
        Route("/api/embed", embed, methods=["GET"]),
        Route("/api/search", search, methods=["GET", "POST"]),
        Route("/api/similar", similar, methods=["GET"]),
    ]
