"""``vidsearch thumbnails``: the pictures of segments."""

from __future__ import annotations

import time

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option, yes_option
from vidsearch.errors import ConfigError, VidsearchError
from vidsearch_mappings.registry import State

__all__ = ["thumbnails"]


@click.group()
def thumbnails() -> None:
    """Remove thumbnails that no video refers to any more."""


@thumbnails.command()
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option(
    "--index",
    "others",
    multiple=True,
    metavar="NAME",
    help="Another videos index whose thumbnails lie in the same place; repeat for more.",
)
@click.option(
    "--older-than",
    "hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Spare newer pictures, whose documents workers may still be writing.",
)
@yes_option
@json_option
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
        output.print_rows(
            [{"key": one.key, "bytes": one.size} for one in unused],
            ("key", "bytes"),
            [(one.key, one.size) for one in unused],
            as_json=as_json,
            whole=("key",),
        )
        told = f"{len(unused)} thumbnails, {sum(one.size for one in unused):,} bytes"
        if dry_run or not unused:
            output.talk(f"{told}: no document of {', '.join(names)} refers to them")
            return
        if not yes:
            click.confirm(
                f"Remove {told}, to which no document of {', '.join(names)} refers?",
                abort=True,
                err=True,
            )
        store.remove(one.key for one in unused)
        output.talk(f"removed {told}")
