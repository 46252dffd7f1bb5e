"""Serving an ASGI app until interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vidsearch.cli import output
from vidsearch.config import WebSettings
from vidsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["serve", "url_of"]

_log = logging.getLogger(__name__)
_LOCAL = {"127.0.0.1", "::1", "localhost"}
_ALIVE = "/healthz"


def url_of(host: str, port: int) -> str:
    """The URL of what is served there, without a slash at its end."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, settings: WebSettings, *, host: str, port: int, extra: str) -> None:
    """Serve an app with uvicorn.

    Args:
        app: to serve.
        settings: of web.
        host: address to listen at.
        port: to listen at.
        extra: that brings uvicorn.

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError.of(extra, needed_for=f"`vidsearch {extra}`") from error
    if host not in _LOCAL:
        if settings.token is None:
            output.talk("Warning: web.token is unset: anybody who reaches the port may search")
        if set(settings.allowed_hosts) <= {*_LOCAL, "[::1]"}:
            output.talk(
                "Warning: web.allowed_hosts holds names of this machine only: requests by another "
                "name are refused"
            )
    from vidsearch.cli.slow_clients import OpenConnections, http_protocol

    connections, most = OpenConnections(), settings.max_connections
    # A client cannot hold the server up at its end for longer than a search may take.
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=http_protocol(
            connections,
            seconds=settings.timeout,
            most=most,
            limited=lambda app: _limited(app, lambda: connections.number > most),
        ),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(settings.timeout) + 1,
    )


def _limited(app: ASGIApp, are_too_many: Callable[[], bool]) -> ASGIApp:
    """The app for a connection beyond those allowed: it answers 503 while there are too many.

    But whether it is alive is told all the same: who starts servers again that are not would end
    one that is only busy.
    """
    from vidsearch.web.problems import RETRY_SECONDS, Problem

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _ALIVE or not are_too_many():
            await app(scope, receive, send)
            return
        _log.warning("a request was refused: more connections than web.max_connections")
        problem = Problem.of_status(
            503,
            "the server has too many connections",
            retry_after=RETRY_SECONDS,
            headers={"connection": "close"},
        )
        await problem.response()(scope, receive, send)

    return limited
