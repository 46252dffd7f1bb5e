"""``vidsearch embeddings``: the vectors that are kept so that no file is embedded twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option, yes_option
from vidsearch.cli.pruning import other_indices, prune_options, remove_unused, told
from vidsearch.errors import ConfigError, VidsearchError
from vidsearch_mappings.registry import IN_PROGRESS

if TYPE_CHECKING:
    from vidsearch.embeddings import EmbeddingStore
    from vidsearch_tasks import Services

__all__ = ["Needed", "embeddings", "needed_contents"]

_OTHERS = "Another videos index that has the same `embeddings.url`; repeat for more."


@click.group()
def embeddings() -> None:
    """Show and prune the store of embeddings, by which no file is embedded twice."""


@embeddings.command()
@other_indices(_OTHERS)
@json_option
def show(others: tuple[str, ...], as_json: bool) -> None:
    """Show how much is kept, and for how many contents no registered video is left."""
    from vidsearch.embeddings.store import content_of, unused_files
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        files = list(store.files())
        needed = needed_contents(services, others)
        unused = unused_files(files, needed.contents)
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
        if needed.unknown:
            output.talk(f"note: {needed.why_unknown}")


@embeddings.command()
@prune_options(index=_OTHERS, older_than="Spare what is newer.")
def prune(dry_run: bool, others: tuple[str, ...], hours: float, yes: bool, as_json: bool) -> None:
    """Remove what is kept of files that no registered video has any more.

    Only the registry of the settings is asked, and those of --index: name every index whose workers
    have the same `embeddings.url`. What is removed is embedded again when a video needs it. Nothing
    is removed while videos that were indexed wait to be ingested again, as after all have moved:
    what they need is not known until then.
    """
    from vidsearch.embeddings.store import unused_files
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        before = time.time() - hours * 3600
        # Listed before the registry is read: what is written in between is no candidate.
        files = list(store.files())
        names = ", ".join((services.settings.index.name, *others))
        needed = needed_contents(services, others)
        if needed.unknown and not dry_run:
            raise VidsearchError(f"{needed.why_unknown}: prune when they are ingested")
        if needed.unknown:
            output.talk(f"note: {needed.why_unknown}")
        remove_unused(
            unused_files(files, needed.contents),
            store.remove,
            noun="files",
            before=before,
            hours=hours,
            why=f"no registered video of {names} has their content",
            question=lambda told: (
                f"Remove {told} of {store.shown}, which no video of {names} needs?"
            ),
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )


@embeddings.command()
@yes_option
def drop(yes: bool) -> None:
    """Remove all that is kept. Videos stay searchable; each is embedded again when it is needed."""
    from vidsearch_tasks import Services

    with Services() as services:
        store = _store(services)
        files = list(store.files())
        if files and not yes:
            question = f"Remove all {told(files, 'files')}, of {store.shown}?"
            output.confirm(question)
        store.remove(file.key for file in files)
        output.talk(f"removed {told(files, 'files')}")


def _store(services: Services) -> EmbeddingStore:
    store = services.embeddings
    if store is None:
        raise ConfigError("the setting embeddings.keep is false, so no embeddings are kept")
    return store


@dataclass(frozen=True, slots=True)
class Needed:
    """What the registered videos of some indices need of the store."""

    contents: set[bytes]
    """Hashes of 32 bytes."""
    unknown: int
    """Videos that were indexed and are to be ingested again, under another URI or anew."""

    @property
    def why_unknown(self) -> str:
        """In a sentence, for messages."""
        return (
            f"{self.unknown} videos that were indexed wait to be ingested again, and it is not "
            "known until then which embeddings they need"
        )


def needed_contents(services: Services, others: Sequence[str]) -> Needed:
    """Of all registered videos of the index of the settings, and of others.

    Raises:
        ConfigError: a registry is of a version that does not know contents.
    """
    from vidsearch.registry import Registry
    from vidsearch.registry.index import registry_layout

    contents: set[bytes] = set()
    unknown = 0
    for name in (services.settings.index.name, *others):
        index = services.settings.index.model_copy(update={"name": name})
        layout = registry_layout(services.engine, index)
        if "content" in layout.missing:
            raise ConfigError(f"{layout}; before that, it does not say which contents are needed")
        for record in Registry(services.engine, index=index.registry).scan():
            if record.content is not None:
                contents.add(bytes.fromhex(record.content))
            elif record.indexed_at is not None and record.state in IN_PROGRESS:
                unknown += 1
    return Needed(contents, unknown)
