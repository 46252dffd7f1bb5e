"""``vidsearch videos``: records of the registry."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vidsearch.batches import in_batches
from vidsearch.cli import output
from vidsearch.cli.options import json_option, yes_option
from vidsearch.cli.records import record_json
from vidsearch.cli.sources import field_values, parse_fields
from vidsearch_mappings.registry import GIVEN_UP, UNWANTED, State, VideoRecord

if TYPE_CHECKING:
    from vidsearch_tasks import Services

__all__ = ["videos"]


@click.group()
def videos() -> None:
    """List, show, change, retry, delete or purge registered videos."""


_error_option = click.option(
    "--error",
    metavar="TYPE",
    help="Only videos whose last attempt ended with this class of error, such as VideoOpenError.",
)
_every_option = click.option("--all", "every", is_flag=True, help="All failed and dead videos.")


@videos.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in State]),
    help="Only videos in this state; several may be given.",
)
@_error_option
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Maximum number of videos.",
)
@json_option
def list_(states: tuple[str, ...], error: str | None, limit: int, as_json: bool) -> None:
    """List videos, last changed first. Deleted ones only with --state deleted."""
    from vidsearch_tasks import Services

    with Services() as services:
        records = services.registry.list(
            state=[State(state) for state in states], error=error, limit=limit
        )
        known = _known_errors(services) if error and not records else ""
    if as_json:
        output.print_json([record_json(record) for record in records])
        return
    _print_list(records)
    state = " or ".join(states)
    if not records and error:
        output.talk(f"no{f' {state}' * bool(state)} video has the error {error!r}; {known}")
    elif not records:
        output.talk(
            f"no video is {state}; `vidsearch status` shows how many are in each state"
            if state
            else "no videos are registered; `vidsearch ingest` registers some"
        )
    elif len(records) == limit:
        output.talk(f"only the {limit} last changed; --limit shows more")


@videos.command()
@click.argument("id")
@json_option
def show(id: str, as_json: bool) -> None:
    """Show the registry's record of a video, with the causes of its last error.

    Of one that is embedded in slices, their states as well.
    """
    from vidsearch.ingest import Slice
    from vidsearch_tasks import Services

    with Services() as services:
        record = services.registry.get(id)
        found = record_json(record)
        if slices := Slice.of_video(record):
            found["slices"] = services.board.counts(slices)
    output.print_facts(found, as_json=as_json)


@videos.command("set")
@click.argument("id")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--unset", "removed", multiple=True, metavar="NAME", help="Remove a field.")
@json_option
def set_(id: str, values: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Change fields of a video's document. Its file is not read.

    VALUE is read as JSON where it is a number, true, false, a list or a quoted text ('"1.10"').
    Numbers, true and false stay as written where the index maps the field as text. A NAME that
    repeats makes a list.
    """
    from vidsearch_tasks import Services, update_fields

    if not values and not removed:
        raise click.UsageError("give at least one NAME=VALUE or --unset NAME")
    texts = parse_fields(values, option="")
    with Services() as services:
        given = field_values(texts, kind_of=services.open_index().kind_of)
        fields = {**dict.fromkeys(removed), **given}
        record = update_fields(id, fields, services=services)
    _tell([record], done="changed", as_json=as_json)


@videos.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="Retry all failed videos.")
@click.option("--dead", is_flag=True, help="Retry all dead videos.")
@_every_option
@_error_option
@json_option
def retry(
    ids: tuple[str, ...], failed: bool, dead: bool, every: bool, error: str | None, as_json: bool
) -> None:
    """Enqueue failed or dead videos again, and reset their attempts.

    With --error alone: failed and dead ones.
    """
    from vidsearch.registry import transitions
    from vidsearch_tasks import Services, retry_videos

    with Services() as services:
        given = _require_all(services, ids)
        for record in given.values():
            transitions.retry(record, record.updated_at)  # raises, before anything is changed
        states = _states(failed=failed or every, dead=dead or every)
        if error and not states:
            states = [*GIVEN_UP]
        chosen = _chosen(services, ids, states, error)
        records = retry_videos(given, services=services)
        records += retry_videos(
            [id for id in chosen if id not in given], listed=True, services=services
        )
    _tell(records, done="queued again", as_json=as_json)


@videos.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@json_option
def delete(ids: tuple[str, ...], as_json: bool) -> None:
    """Delete videos from the index. The registry keeps a tombstone until `videos purge`."""
    from vidsearch.ingest import delete_video
    from vidsearch_tasks import Services

    with Services() as services:
        index = services.open_index()
        for id in ids:  # all or none: a typing error must change nothing
            services.registry.get(id)
        records = [delete_video(services.registry, index, id) for id in ids]
    _tell(records, done="deleted", as_json=as_json)


@videos.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="Purge all failed videos as well.")
@click.option("--dead", is_flag=True, help="Purge all dead videos as well.")
@_every_option
@_error_option
@yes_option
@json_option
def purge(
    ids: tuple[str, ...],
    failed: bool,
    dead: bool,
    every: bool,
    error: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove the records of all deleted videos, or of those given.

    A given video must be deleted, dead or failed; others are kept. With --error: failed and dead
    ones with that error, and no others. Asks, unless --yes is given.
    """
    from vidsearch.ingest import purge_videos
    from vidsearch_tasks import Services

    with Services() as services:
        index = services.open_index()
        _require_all(services, ids)
        states = _states(failed=failed or every, dead=dead or every)
        if error:
            states = states or [*GIVEN_UP]
        elif states or not ids:
            states.append(State.DELETED)
        chosen = _chosen(services, ids, states, error)
        records = [
            record
            for batch in in_batches(chosen)
            for record in services.registry.find_many(batch).values()
        ]
        if not yes and any(record.state in UNWANTED for record in records):
            number = sum(record.state in UNWANTED for record in records)
            output.confirm(f"Purge the records of {number} videos?")
        gone = purge_videos(services.registry, index, [record.id for record in records])
    _tell([record for record in records if record.id in gone], done="purged", as_json=as_json)
    kept = [record for record in records if record.id not in gone]
    if kept:
        output.talk(
            f"{len(kept)} kept: not deleted, dead or failed, or a worker may still hold the lease: "
            + ", ".join(f"{record.id} ({record.state})" for record in kept)
        )
        click.get_current_context().exit(1)


def _print_list(records: Sequence[VideoRecord]) -> None:
    from vidsearch_tasks.overview import duration

    # A terminal has no room for title and error on one line; a pipe has.
    shared = sys.stdout.isatty()
    now = time.time()
    rows = []
    for record in records:
        title, error = output.shortened(record.fields.get("title")), record.error
        length = None if record.duration is None else f"{record.duration:.0f} s"
        row = (record.id, record.state, length, f"{duration(now - record.updated_at)} ago")
        rows.append((*row, error or title) if shared else (*row, title, error))
    head = ("id", "state", "length", "changed")
    tail = ("title or error",) if shared else ("title", "error")
    output.print_table((*head, *tail), rows, right=("length", "changed"), whole=head)


def _require_all(services: Services, ids: Sequence[str]) -> dict[str, VideoRecord]:
    """All or none: a typing error must change nothing. Returns the records in the order given."""
    known = services.registry.find_many(ids)
    return {id: known.get(id) or services.registry.get(id) for id in ids}  # `get` raises


def _states(*, failed: bool, dead: bool) -> list[State]:
    return [state for state, asked in ((State.FAILED, failed), (State.DEAD, dead)) if asked]


def _chosen(
    services: Services, ids: Sequence[str], states: Sequence[State], error: str | None
) -> list[str]:
    if not ids and not states:
        raise click.UsageError("name at least one ID, or use --failed, --dead, --error or --all")
    scan = services.registry.scan
    found = [record.id for record in scan(*states, error=error)] if states else []
    if error and not found:
        output.talk(f"no failed or dead video has the error {error!r}; {_known_errors(services)}")
    return list(dict.fromkeys([*ids, *found]))


def _known_errors(services: Services) -> str:
    """The classes of errors that there are, for somebody who mistypes one."""
    from vidsearch.registry import summarize

    registry = services.registry
    groups = summarize(
        services.engine, registry.index, lease_seconds=registry.lease_seconds, overdue_after=0
    ).errors
    told = ", ".join(f"{group.type} ({group.videos})" for group in groups)
    return f"the last errors are {told}" if told else "no video has one"


def _tell(records: list[VideoRecord], *, done: str, as_json: bool) -> None:
    rows = [(record.id, record.state) for record in records]
    data = [record_json(record) for record in records]
    output.print_rows(data, ("id", "state"), rows, as_json=as_json, whole=("id",))
    output.talk(f"{len(records)} {done}")
