"""Whether the server is alive, and whether it can search."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vidsearch.web.context import WebContext

__all__ = ["routes"]


def routes(context: WebContext) -> list[Route]:
    """``/healthz`` and ``/readyz``."""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        problem = context.readiness.problem
        return problem.response() if problem else JSONResponse({"status": "ready"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
