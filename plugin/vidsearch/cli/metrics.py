"""``vidsearch metrics``: numbers for Prometheus."""

from __future__ import annotations

import click

from vidsearch.cli import output
from vidsearch.errors import ConfigError

__all__ = ["metrics"]


@click.command()
@click.option(
    "--port", default=9850, show_default=True, type=click.IntRange(1, 65_535), help="Port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; 0.0.0.0 for all of this machine.",
)
@click.option(
    "--no-registry",
    is_flag=True,
    help="Only what the workers of this machine count, beside another exporter that reads the "
    "registry.",
)
def metrics(port: int, host: str, no_registry: bool) -> None:
    """Serve metrics to Prometheus, until interrupted: those of the registry, of queue and workers.

    What workers count is among them where PROMETHEUS_MULTIPROC_DIR names the same folder here and
    for them. Needs the extra `metrics`.
    """
    from vidsearch_tasks import Services
    from vidsearch_tasks.exporter import metrics_registry, serve

    with Services() as services:
        registry = metrics_registry(None if no_registry else services)
        try:
            server, thread = serve(registry, host=host, port=port)
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be served at {host}:{port}: {error.strerror or error}. Give "
                "another --port or --host"
            ) from error
        output.talk(f"metrics at http://{host}:{port}/metrics")
        try:
            thread.join()
        finally:
            server.shutdown()
            server.server_close()
