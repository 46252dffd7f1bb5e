"""``vidsearch index``: the managed videos index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
@click.option("--dry-run", is_flag=True, help="Print the body and create nothing.")
def create(dry_run: bool) -> None:
    """Create the index, its alias and the registry, for the configured model.

    The model's identity is written into the mapping; vectors of another model are refused later.
    """
    from vidsearch.encoders import load_encoder
    from vidsearch.ingest import create_videos_index
    from vidsearch.ingest.videos_index import videos_index_body

    settings = output.settings()
    identity = load_encoder(settings.model, settings.ingest).identity
    engine = _connect(settings)
    if dry_run:
        output.print_json(videos_index_body(engine, settings.index, identity))
        return
    name = create_videos_index(engine, settings.index, identity)
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


@index.command()
@click.option("--apply", is_flag=True, help="Make the changes that need no new index.")
@output.json_option
def diff(apply: bool, as_json: bool) -> None:
    """Compare the live index with the one that the settings and the model describe.

    Exit code 0 where nothing differs, 1 where something does (with --apply: still does). Each line
    says how it is changed: in place, by a reindex that copies the vectors, or by one that embeds
    every video again. What --apply changes holds for what is written from then on; older segments
    keep their form until they are merged.
    """
    from dataclasses import asdict

    from vidsearch.encoders import load_encoder
    from vidsearch.ingest.index_diff import apply_changes, diff_videos_index

    settings = output.settings()
    identity = load_encoder(settings.model, settings.ingest).identity
    compare = apply_changes if apply else diff_videos_index
    changes = compare(_connect(settings), settings.index, identity)
    if as_json:
        output.print_json([asdict(change) for change in changes])
    elif changes:
        rows = [(c.path, _short(c.live), _short(c.wanted), c.how) for c in changes]
        output.print_table(("what", "live", "wanted", "how"), rows, whole=("how",))
    if apply:
        output.talk("older segments keep their form until they are merged")
    if changes:
        raise click.exceptions.Exit(1)
    output.talk(f"{settings.index.name} is as the settings describe it")


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)


def _connect(settings: Settings) -> Engine:
    from vidsearch.engines import connect

    return connect(settings.engine)
