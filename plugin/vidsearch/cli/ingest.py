"""``vidsearch ingest``: register videos and enqueue their ingestion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsearch.batches import BATCH
from vidsearch.cli import output
from vidsearch.cli.columns import with_types
from vidsearch.cli.folder import PassedOver, Reason, is_utf8
from vidsearch.cli.options import json_option, wait_options
from vidsearch.cli.records import report, wait_for
from vidsearch.cli.sources import (
    IdFrom,
    Source,
    from_csv,
    from_folder,
    from_uris,
    parse_fields,
)

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch.registry import Registration
    from vidsearch_tasks import Services

__all__ = ["ingest"]

_SHOWN = 10


@click.command()
@click.argument("uris", nargs=-1, metavar="[URI]...")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder: register every video file in it and below, and tell what is passed over.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file: column `uri`, optionally `id`; other columns become fields, and `;` separates "
    "`tags`. A column of numbers, of true and false, or of ISO dates becomes such a field.",
)
@click.option("--as-text", is_flag=True, help="Keep every column of the CSV file as text.")
@click.option(
    "--id-from",
    type=click.Choice(["uri", "name"]),
    default="uri",
    show_default=True,
    help="Make ids from the whole URI, or from the file name alone.",
)
@click.option(
    "--field",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Field of every document; repeat for more.",
)
@click.option(
    "--titles/--no-titles",
    default=True,
    show_default=True,
    help="Give videos of --folder a title, the words of the file name, unless --field has one.",
)
@wait_options
@json_option
def ingest(
    uris: tuple[str, ...],
    folder: Path | None,
    csv_file: Path | None,
    as_text: bool,
    id_from: IdFrom,
    pairs: tuple[str, ...],
    titles: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Register videos by URI, folder or CSV file, and enqueue their ingestion.

    Safe to repeat: videos that are indexed, queued or processing are left as they are. A video that
    cannot be registered does not stop the others, and makes the exit code 1. A URI is a path,
    file://, http://, https://, s3://, gs:// or az://, as the workers see it.
    """
    from vidsearch.media import public_uri

    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    if as_text and not csv_file:
        raise click.UsageError("--as-text goes with --csv")
    fields = parse_fields(pairs)
    passed = PassedOver()
    for uri in uris:
        if not is_utf8(uri):
            passed.add(Reason.NAME, public_uri(uri))
    sources = from_uris([uri for uri in uris if is_utf8(uri)], id_from=id_from)
    if folder:
        named = titles and "title" not in fields
        sources += from_folder(folder, id_from=id_from, passed=passed, titles=named)
    rows = from_csv(csv_file, id_from=id_from) if csv_file else []
    sources += rows
    if not sources:
        raise click.UsageError(_nothing_found(folder, passed))
    _refuse_duplicate_ids(sources)
    from vidsearch_tasks import Services

    with Services() as services:
        index = _require_managed_index(services)
        if rows:
            typed = with_types(rows, index, as_text=as_text)
            sources = [*sources[: -len(rows)], *typed]
        registrations = _register(services, sources, fields)
        problems = _tell_problems(registrations)
        records = [one.record for one in registrations if one.record]
        try:
            if wait:
                ids = [one.id for one in registrations if not one.error]
                done = wait_for(services.registry, ids, timeout=timeout)
                records = done + [r for r in records if r.id not in set(ids)]
        finally:
            for line in passed.lines():
                output.talk(line)
        report(records, as_json=as_json, others=passed.to_json())
        if problems or passed.is_error:
            click.get_current_context().exit(1)


def _nothing_found(folder: Path | None, passed: PassedOver) -> str:
    found = "; ".join(passed.lines())
    if folder:
        return f"no video file below {folder}{f' ({found})' if found else ''}"
    return found or "name at least one URI, or use --folder or --csv"


def _tell_problems(registrations: Sequence[Registration]) -> bool:
    """Say what was not registered or not queued; where it is the only video, as an error."""
    problems = [one.error for one in registrations if one.error]
    if problems and len(registrations) == 1:
        raise problems[0]
    for problem in problems[:_SHOWN]:
        output.talk(f"error: {problem}")
    if len(problems) > _SHOWN:
        output.talk(f"… and {len(problems) - _SHOWN} more errors")
    return bool(problems)


def _refuse_duplicate_ids(sources: list[Source]) -> None:
    from vidsearch.media import public_uri

    uris: dict[str, str] = {}
    for source in sources:
        other = uris.setdefault(source.id, source.uri)
        if other != source.uri:
            shown = " and ".join(public_uri(uri) for uri in (other, source.uri))
            raise click.UsageError(f"{shown} have the same id {source.id!r}")


def _require_managed_index(services: Services) -> VideosIndex:
    # Workers would refuse the videos as well, but after this command has ended.
    index = services.open_index()
    if index.attached:
        raise click.UsageError(
            f"{index.name} is an attached index, whose documents your application writes: run "
            f"`vidsearch scan`, which enqueues the URIs in their field {index.uri_field}"
        )
    return index


def _register(
    services: Services, sources: list[Source], fields: dict[str, object]
) -> list[Registration]:
    from vidsearch.registry import NewVideo
    from vidsearch_tasks import stream_registrations

    by_id = {one.id: NewVideo(one.id, one.uri, {**fields, **one.fields}) for one in sources}
    done: list[Registration] = []
    counts: Counter[str] = Counter()
    try:
        with output.progress("Registering", total=len(by_id)) as bar:
            for one in stream_registrations(by_id.values(), services=services):
                done.append(one)
                counts.update([str(one.record.state)] if one.record else ())
                bar(len(done), note=", ".join(f"{n} {state}" for state, n in counts.most_common()))
    except KeyboardInterrupt:
        output.talk(
            f"\nStopped: {sum(counts.values())} of {len(by_id)} videos are registered, perhaps "
            f"some of the next {BATCH}, too. The workers go on with them; the same command "
            "registers the rest."
        )
        raise
    return done
