"""``vidsearch index``: the managed videos index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.engines import Engine

__all__ = ["index"]


@click.group()
def index() -> None:
    """Create, show or drop the videos index."""


@index.command()
def create() -> None:
    """Create the index, its alias and the registry, for the configured model.

    The model's identity is written into the mapping; vectors of another model are refused later.
    """
    from vidsearch.encoders import load_encoder
    from vidsearch.ingest import create_videos_index

    settings = output.settings()
    identity = load_encoder(settings.model, settings.ingest).identity
    name = create_videos_index(_connect(settings), settings.index, identity)
    output.talk(f"created {name}, alias {settings.index.name}, for model {identity}")


@index.command()
@output.json_option
def show(as_json: bool) -> None:
    """Show what stands behind the alias: index, model, quantisation, counts."""
    from vidsearch.ingest import show_videos_index

    settings = output.settings()
    shown = show_videos_index(_connect(settings), settings.index)
    if as_json:
        output.print_json(shown)
        return
    model = shown.pop("model")
    rows = [*shown.items(), *((f"model {name}", value) for name, value in model.items())]
    output.print_table(("what", "value"), rows, whole=("what",))


@index.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(yes: bool) -> None:
    """Drop the index and the registry, with all vectors and all states."""
    from vidsearch.ingest import drop_videos_index, show_videos_index

    settings = output.settings()
    engine = _connect(settings)
    if not yes:
        shown = show_videos_index(engine, settings.index)
        click.confirm(
            f"Drop {shown['index']} with {shown['videos']} videos, and the registry, "
            f"from {shown['engine']}?",
            abort=True,
            err=True,
        )
    names = drop_videos_index(engine, settings.index)
    output.talk(f"dropped {', '.join(names)}")


def _connect(settings: Settings) -> Engine:
    from vidsearch.engines import connect

    return connect(settings.engine)
