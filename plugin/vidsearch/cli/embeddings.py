"""``vidsearch embeddings``: the vectors that are kept so that no file is embedded twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option, yes_option
from vidsearch.errors import ConfigError

if TYPE_CHECKING:
    from vidsearch.embeddings import EmbeddingStore
    from vidsearch.media.file_store import StoredFile
    from vidsearch_tasks import Services

__all__ = ["embeddings"]

_other_indices = click.option(
    "--index",
    "others",
    multiple=True,
    metavar="NAME",
    help="Another videos index that has the same `embeddings.url`; repeat for more.",
)


@click.group()
def embeddings() -> None:
    """Show and prune the store of embeddings, by which no file is embedded twice."""


@embeddings.command()
@_other_indices
@json_option
def show(others: tuple[str, ...], as_json: bool) -> None:
    """Show how much is kept, and for how many contents no registered video is left."""
    from vidsearch.embeddings.store import content_of
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        files = list(store.files())
        unused = store.unused(_contents(services, others), written_before=time.time())
        output.print_facts(
            {
                "store": store.shown,
                "contents": len({content_of(file.key) for file in files}),
                "files": len(files),
                "bytes": sum(file.size for file in files),
                "unused": {
                    "contents": len({content_of(file.key) for file in unused}),
                    "bytes": sum(file.size for file in unused),
                },
            },
            as_json=as_json,
        )


@embeddings.command()
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@_other_indices
@click.option(
    "--older-than",
    "hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Spare what is newer.",
)
@yes_option
@json_option
def prune(dry_run: bool, others: tuple[str, ...], hours: float, yes: bool, as_json: bool) -> None:
    """Remove what is kept of files that no registered video has any more.

    Only the registry of the settings is asked, and those of --index: name every index whose workers
    have the same `embeddings.url`. What is removed is embedded again when a video needs it.
    """
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        before = time.time() - hours * 3600
        unused = store.unused(_contents(services, others), written_before=before)
        output.print_rows(
            [{"key": one.key, "bytes": one.size} for one in unused],
            ("key", "bytes"),
            [(one.key, one.size) for one in unused],
            as_json=as_json,
            whole=("key",),
        )
        names = ", ".join((services.settings.index.name, *others))
        told = f"{len(unused)} files, {sum(one.size for one in unused):,} bytes"
        if dry_run or not unused:
            output.talk(f"{told}: no registered video of {names} has their content")
            return
        _confirm(f"Remove {told} of {store.shown}, which no video of {names} needs?", yes)
        _remove(store, unused)


@embeddings.command()
@yes_option
def drop(yes: bool) -> None:
    """Remove all that is kept. Videos stay searchable; each is embedded again when it is needed."""
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        files = list(store.files())
        size = sum(file.size for file in files)
        if files:
            _confirm(f"Remove all {len(files)} files, {size:,} bytes, of {store.shown}?", yes)
        _remove(store, files)


def _store(services: Services) -> EmbeddingStore:
    store = services.embeddings
    if store is None:
        raise ConfigError("the setting embeddings.keep is false, so no embeddings are kept")
    return store


def _contents(services: Services, others: Sequence[str]) -> set[bytes]:
    """Of all registered videos of these indices."""
    from vidsearch.registry import Registry
    from vidsearch.registry.index import registry_layout

    found: set[bytes] = set()
    for name in (services.settings.index.name, *others):
        index = services.settings.index.model_copy(update={"name": name})
        layout = registry_layout(services.engine, index)
        if "content" in layout.missing:
            raise ConfigError(f"{layout}; before that, it does not say which contents are needed")
        for record in Registry(services.engine, index=index.registry).scan():
            if record.content is not None:
                found.add(bytes.fromhex(record.content))
    return found


def _confirm(question: str, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _remove(store: EmbeddingStore, files: Sequence[StoredFile]) -> None:
    store.remove(file.key for file in files)
    output.talk(f"removed {len(files)} files, {sum(one.size for one in files):,} bytes")
