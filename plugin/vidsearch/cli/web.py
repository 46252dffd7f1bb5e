"""``vidsearch web``: the search page and the HTTP API."""

from __future__ import annotations

import click

from vidsearch.cli import output
from vidsearch.config import load_settings
from vidsearch.errors import MissingExtraError

__all__ = ["web"]


@click.command()
@click.option("--host", help="Address to listen at.  [default: the setting web.host]")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port.  [default: the setting web.port]"
)
def web(host: str | None, port: int | None) -> None:
    """Serve the search page and the HTTP API, until interrupted.

    The page is at /, the API under /api, its description at /api/openapi.json. Needs the extra
    `web`.
    """
    settings = load_settings()
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError.of("web", needed_for="`vidsearch web`") from error
    from vidsearch.web import create_app

    host, port = host or settings.web.host, port or settings.web.port
    app = create_app(settings)
    shown = f"[{host}]" if ":" in host else host
    output.talk(f"search page at http://{shown}:{port}/, API at http://{shown}:{port}/api")
    if settings.web.token is None and host not in {"127.0.0.1", "::1", "localhost"}:
        output.talk("Warning: web.token is unset: anybody who reaches the port may search")
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, server_header=False)
