"""``vidsearch web``: the search page and the HTTP API."""

from __future__ import annotations

import click

from vidsearch.cli import output
from vidsearch.cli.serving import serve, url_of
from vidsearch.config import load_settings

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
    from vidsearch.web import create_app

    host, port = host or settings.web.host, port or settings.web.port
    app = create_app(settings)
    url = url_of(host, port, settings.web)
    output.talk(f"search page at {url}/, API at {url}/api")
    serve(app, settings.web, host=host, port=port, extra="web")
