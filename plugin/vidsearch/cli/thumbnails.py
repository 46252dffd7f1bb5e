"""``vidsearch thumbnails``: the pictures of segments."""

from __future__ import annotations

import time

import click

from vidsearch.cli.pruning import prune_options, remove_unused
from vidsearch.errors import ConfigError, VidsearchError
from vidsearch_mappings.registry import State

__all__ = ["thumbnails"]


@click.group()
def thumbnails() -> None:
    """Remove thumbnails that no video refers to any more."""


@thumbnails.command()
@prune_options(
    index="Another videos index whose thumbnails lie in the same place; repeat for more.",
    older_than="Spare newer pictures, whose documents workers may still be writing.",
)
def prune(dry_run: bool, others: tuple[str, ...], hours: float, yes: bool, as_json: bool) -> None:
    """Remove the pictures of deleted and replaced videos, unless another video has the same.

    Only the index of the settings is asked, and those given by --index: name every index whose
    workers have the same `thumbnails.url`, or its pictures are removed. Reads every document once.
    Nothing is removed while videos are being processed.
    """
    from vidsearch.ingest.thumbnails import unused_thumbnails
    from vidsearch_tasks import Services

    with Services() as services:
        store = services.thumbnails
        if store is None:
            raise ConfigError(
                "the setting thumbnails.url is not set, so there are no thumbnails to prune"
            )
        busy = services.registry.counts()[State.PROCESSING]
        if busy and not dry_run:
            raise VidsearchError(
                f"{busy} videos are being processed, which may take up old pictures again: stop "
                "the workers or wait until they are done, then prune again"
            )
        names = (services.settings.index.name, *others)
        before = time.time() - hours * 3600
        unused = unused_thumbnails(store, services.engine, names, written_before=before)
        indices = ", ".join(names)
        remove_unused(
            unused,
            store.remove,
            noun="thumbnails",
            why=f"no document of {indices} refers to them",
            question=lambda told: f"Remove {told}, to which no document of {indices} refers?",
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
