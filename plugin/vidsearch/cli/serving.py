"""Serving an ASGI app until interrupted."""

from __future__ import annotations

from typing import Any

from vidsearch.cli import output
from vidsearch.config import WebSettings
from vidsearch.errors import MissingExtraError

__all__ = ["serve", "url_of"]

_LOCAL = {"127.0.0.1", "::1", "localhost"}


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
    from vidsearch.cli.slow_clients import http_protocol

    # A client cannot hold the server up at its end for longer than a search may take.
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=http_protocol(seconds=settings.timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.max_connections + 1,  # it counts the one that asks
        timeout_graceful_shutdown=round(settings.timeout) + 1,
    )
