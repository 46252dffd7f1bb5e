"""Removing files that nothing refers to: of the thumbnails, and of the store of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option, yes_option

if TYPE_CHECKING:
    from vidsearch.media.file_store import StoredFile

__all__ = ["other_indices", "prune_options", "remove_unused", "told"]

_F = TypeVar("_F", bound=Callable[..., Any])


def other_indices(help: str) -> Callable[[_F], _F]:
    """The option ``--index`` of what several indices share."""
    return click.option("--index", "others", multiple=True, metavar="NAME", help=help)


def prune_options(*, index: str, older_than: str) -> Callable[[_F], _F]:
    """The options of a command ``prune``, with the help of ``--index`` and ``--older-than``."""
    options = (
        click.option(
            "--dry-run", is_flag=True, help="Show what would be removed, and remove nothing."
        ),
        other_indices(index),
        click.option(
            "--older-than",
            "hours",
            type=click.FloatRange(min=0),
            default=24.0,
            show_default=True,
            metavar="HOURS",
            help=older_than,
        ),
        yes_option,
        json_option,
    )

    def decorated(command: _F) -> _F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def told(files: Sequence[StoredFile], noun: str) -> str:
    """How many files there are, and how large: ``3 thumbnails, 12,345 bytes``."""
    return f"{len(files)} {noun}, {sum(file.size for file in files):,} bytes"


def remove_unused(
    unused: Sequence[StoredFile],
    remove: Callable[[Iterable[str]], object],
    *,
    noun: str,
    before: float,
    hours: float,
    why: str,
    question: Callable[[str], str],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """List the files that are old enough, ask, and remove them; say how many are spared.

    Args:
        unused: the files, new ones as well.
        remove: takes their keys.
        noun: what messages call them.
        before: those that are not older than this are spared; seconds since the epoch.
        hours: the option that says so.
        why: nothing refers to them; said of those that are not removed.
        question: asked before; made of how many there are.
        dry_run: remove nothing.
        yes: do not ask.
        as_json: list them as JSON.
    """
    old = [one for one in unused if one.is_older(before)]
    spared = [one for one in unused if not one.is_older(before)]
    output.print_rows(
        [{"key": one.key, "bytes": one.size} for one in old],
        ("key", "bytes"),
        [(one.key, one.size) for one in old],
        as_json=as_json,
        whole=("key",),
    )
    count = told(old, noun)
    if not old:
        output.talk("nothing to remove")
    elif dry_run:
        output.talk(f"{count}: {why}")
    else:
        if not yes:
            output.confirm(question(count))
        remove(one.key for one in old)
        output.talk(f"removed {count}")
    if spared:
        output.talk(
            f"spared {told(spared, noun)}: {why}, but they are not older than {hours:g} hours "
            "(--older-than)"
        )
