"""``vidsearch thumbnails``: the pictures of segments."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidsearch.cli.pruning import prune_options, remove_unused
from vidsearch.errors import ConfigError, IndexNotFoundError, VidsearchError
from vidsearch_mappings.registry import State

if TYPE_CHECKING:
    from vidsearch.config import IndexSettings
    from vidsearch.engines import Engine

__all__ = ["thumbnails", "videos_in_work", "with_those_of_reindexes"]


@click.group()
def thumbnails() -> None:
    """Remove thumbnails that no video refers to any more."""


@thumbnails.command()
@prune_options(
    index="Another videos index whose thumbnails lie in the same place; repeat for more.",
    older_than="Spare newer pictures, whose documents workers may still be writing. Less than 1 "
    "only where no worker runs: what it takes up again looks up to an hour older.",
)
def prune(dry_run: bool, others: tuple[str, ...], hours: float, yes: bool, as_json: bool) -> None:
    """Remove the pictures of deleted and replaced videos, unless another video has the same.

    Only the index of the settings is asked, and those given by --index: name every index whose
    workers have the same `thumbnails.url`, or its pictures are removed. Where one is reindexed, its
    other index is asked, too, until the reindex has ended. Reads every document once. Nothing is
    removed while videos of these indices are being processed.
    """
    from vidsearch.ingest.thumbnails import remove_thumbnails, unused_thumbnails
    from vidsearch_tasks import Services

    with Services() as services:
        store = services.thumbnails
        if store is None:
            raise ConfigError(
                "the setting thumbnails.url is not set, so there are no thumbnails to prune"
            )
        names = (services.settings.index.name, *others)
        busy = videos_in_work(services.engine, services.settings.index, names)
        if busy and not dry_run:
            raise VidsearchError(
                f"{busy} videos are being processed, which may take up old pictures again: stop "
                "the workers or wait until they are done, then prune again"
            )
        before = time.time() - hours * 3600
        asked = with_those_of_reindexes(services.engine, services.settings.index, names)
        unused = unused_thumbnails(store, services.engine, asked)
        indices = ", ".join(names)
        remove_unused(
            unused,
            lambda keys: remove_thumbnails(store, keys, written_before=before),
            noun="thumbnails",
            before=before,
            hours=hours,
            why=f"no document of {indices} refers to them",
            question=lambda told: f"Remove {told}, to which no document of {indices} refers?",
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )


def videos_in_work(engine: Engine, settings: IndexSettings, names: Sequence[str]) -> int:
    """Number of videos of some indices that workers have, for a reindex as well.

    Raises:
        IndexNotFoundError: one has no registry, as the index behind an alias.
    """
    from vidsearch.registry import Registry

    busy = 0
    for name in names:
        index = settings.model_copy(update={"name": name})
        if not engine.indices_of(index.registry):
            raise IndexNotFoundError(
                f"index {name!r} has no registry ({index.registry}), so it is not known whether "
                "workers have videos of it: give the name that its workers have as index.name"
            )
        fills = [index.fills] if engine.indices_of(index.fills) else []
        for one in (index.registry, *fills):
            busy += Registry(engine, index=one).counts()[State.PROCESSING]
    return busy


def with_those_of_reindexes(
    engine: Engine, settings: IndexSettings, names: Sequence[str]
) -> list[str]:
    """Some indices, and of each the one that a reindex is making of it, or keeps for a rollback."""
    from vidsearch.registry import Notes
    from vidsearch.reindex import RunStore

    found = dict.fromkeys(names)
    for name in names:
        operations = settings.model_copy(update={"name": name}).operations
        if run := RunStore(Notes(engine, index=operations)).open():
            both = {each for each in (run.source, run.target) if engine.indices_of(each)}
            found |= dict.fromkeys(sorted(both.difference(engine.indices_of(name))))
    return [*found]
