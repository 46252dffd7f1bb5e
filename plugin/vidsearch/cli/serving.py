"""Serving an ASGI app until interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vidsearch.cli import output
from vidsearch.config import WebSettings
from vidsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["serve", "url_of"]

_LOCAL = {"127.0.0.1", "::1", "localhost"}


def url_of(host: str, port: int, settings: WebSettings) -> str:
    """The URL of what is served there, without a slash at its end."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{settings.root_path}"


def serve(app: Any, settings: WebSettings, *, host: str, port: int, extra: str) -> None:
    """Serve an app with uvicorn.

    Args:
        app: to serve; the guard of :mod:`vidsearch.web.security` stands before it.
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
        _below(app, settings.root_path) if settings.root_path else app,
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
    """The app for a connection beyond those allowed: its guard refuses while there are too many."""
    from vidsearch.web.security import CROWDED

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CROWDED: are_too_many()}, receive, send)

    return limited


def _below(app: ASGIApp, root_path: str) -> ASGIApp:
    """The app below the path that a proxy serves it at, whether the proxy takes that off or not."""

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            inside = (
                path.removeprefix(root_path) if f"{path}/".startswith(f"{root_path}/") else path
            )
            scope = {**scope, "root_path": root_path, "path": f"{root_path}{inside or '/'}"}
        await app(scope, receive, send)

    return below
