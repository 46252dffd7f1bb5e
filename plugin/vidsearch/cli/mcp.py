"""``vidsearch mcp``: search as tools of language models."""

from __future__ import annotations

import asyncio

import click
from click.core import ParameterSource

from vidsearch.cli import output
from vidsearch.cli.serving import serve, url_of
from vidsearch.config import load_settings

__all__ = ["mcp"]

_GIVEN = ParameterSource.COMMANDLINE


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp in place of stdio.")
@click.option("--host", help="With --http: address to listen at.  [default: the setting web.host]")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8801,
    show_default=True,
    help="With --http: port.",
)
@click.pass_context
def mcp(ctx: click.Context, http: bool, host: str | None, port: int) -> None:
    """Serve the tools search_videos, get_moments and find_similar to language models (MCP).

    By default over stdin and stdout, for a client that starts this command. Needs the extra `mcp`.
    """
    if not http and any(ctx.get_parameter_source(n) is _GIVEN for n in ("host", "port")):
        raise click.UsageError("--host and --port are of --http; without it, stdin is read")
    settings = load_settings()
    from vidsearch.web import mcp_server

    if not http:
        asyncio.run(mcp_server.serve_stdio(settings))
        return
    host = host or settings.web.host
    app = mcp_server.http_app(settings)
    output.talk(f"MCP server at {url_of(host, port, settings.web)}/mcp")
    serve(app, settings.web, host=host, port=port, extra="mcp")
