"""``vidsearch local``: a search node, Redis and a worker on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from vidsearch.cli.options import engine_option, folder_or_uri, json_option
from vidsearch.cli.output import print_rows, talk

__all__ = ["local"]


_folder = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".vidsearch"),
    show_default=True,
    help="Folder for state, data and logs.",
)


@click.group()
def local() -> None:
    """Run a search node, Redis and a worker on this machine, without Docker."""


@local.command()
@engine_option
@click.option(
    "--version", help="Version of the search engine.  [default: the newest that your Java runs]"
)
@click.option(
    "--worker/--no-worker", default=True, show_default=True, help="Start a Celery worker with beat."
)
@click.option(
    "--model", type=folder_or_uri, help="Model (VIDSEARCH_MODEL__NAME), for example `demo`."
)
@click.option(
    "--index/--no-index",
    default=None,
    help="Create the videos index where there is none.  [default: if there is a worker]",
)
@click.option("--heap", default="1g", show_default=True, help="Java heap of the search node.")
@_folder
def up(
    engine: str,
    version: str | None,
    worker: bool,
    model: str | None,
    index: bool | None,
    heap: str,
    folder: Path,
) -> None:
    """Start everything, create the index, and print the variables that point vidsearch at it.

    Commands in this folder then find it by themselves, unless it has a vidsearch.toml. Elsewhere,
    and with --dir, use: eval "$(vidsearch local up)"

    Data outlive `vidsearch local down`.
    """
    from vidsearch.local import Stack

    stack = Stack.up(
        folder,
        engine=engine,
        version=version,
        worker=worker,
        model=model,
        heap=heap,
        talk=talk,
    )
    for name, value in stack.environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    created = (worker if index is None else index) and _create_index(stack.environment)
    talk(
        "ready; `vidsearch ingest --folder …` and `vidsearch search …` come next"
        if created
        else "ready; if this node has no videos index yet, create it with `vidsearch index create`"
    )


def _create_index(environment: Mapping[str, str]) -> bool:
    """Create the videos index where there is none; whether there is one now."""
    import os

    from vidsearch.errors import VidsearchError
    from vidsearch.index import create_videos_index
    from vidsearch_tasks import Services

    os.environ.update(environment)
    try:
        with Services() as services:
            settings = services.settings.index
            if not services.engine.indices_of(settings.name):
                made = create_videos_index(services.engine, settings, services.encoder.identity)
                talk(f"created index {made}")
    except VidsearchError as error:
        talk(f"Warning: no index was created: {error}")
        return False
    return True


@local.command()
@_folder
def down(folder: Path) -> None:
    """Stop everything. The data stay in the folder."""
    from vidsearch.local import Stack

    stack = Stack.find(folder)
    if stack is None:
        talk(f"nothing runs in {folder}")
        return
    stack.down()
    talk(f"stopped {', '.join(each.title for each in stack.services)}")


@local.command()
@json_option
@_folder
@click.pass_context
def status(ctx: click.Context, as_json: bool, folder: Path) -> None:
    """Show what runs. Exit code 1 unless everything does."""
    from vidsearch.local import Stack

    stack = Stack.find(folder)
    running = stack is not None and stack.running()
    services = [
        {
            "name": each.name,
            "title": each.title,
            "alive": each.alive(),
            "pid": each.process.pid,
            "url": each.url,
            "log": str(each.log),
        }
        for each in (stack.services if stack else ())
    ]
    data = {
        "folder": str(folder.resolve()),
        "running": running,
        "environment": dict(stack.environment) if stack else {},
        "services": services,
    }
    if services or as_json:
        columns = ("service", "what", "state", "pid", "url", "log")
        rows = [
            (name, title, "running" if alive else "dead", *rest)
            for name, title, alive, *rest in (one.values() for one in services)
        ]
        print_rows(data, columns, rows, as_json=as_json)
    else:
        talk(f"nothing runs in {folder}; start it with `vidsearch local up`")
    ctx.exit(0 if running else 1)
