"""``vidsearch ingest``: register videos and enqueue their ingestion."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.records import report, wait_for
from vidsearch.cli.services import open_services
from vidsearch.cli.sources import (
    IdFrom,
    Source,
    from_csv,
    from_folder,
    from_uris,
    parse_fields,
)

if TYPE_CHECKING:
    from vidsearch.registry import VideoRecord
    from vidsearch_tasks import Services

__all__ = ["ingest"]


@click.command()
@click.argument("uris", nargs=-1, metavar="[URI]...")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder: register every video file in it and below.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file: column `uri`, optionally `id`; other columns become text fields, and `;` "
    "separates `tags`.",
)
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
    "--wait", is_flag=True, help="Wait until all videos are ingested; exit code 1 if any failed."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Maximum number of seconds to wait.",
)
@output.json_option
def ingest(
    uris: tuple[str, ...],
    folder: Path | None,
    csv_file: Path | None,
    id_from: IdFrom,
    pairs: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Register videos by URI, folder or CSV file, and enqueue their ingestion.

    Safe to repeat: videos that are indexed, queued or processing are left as they are. A URI is a
    path, file://, http://, https://, s3://, gs:// or az://, as the workers see it.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    fields = parse_fields(pairs)
    sources = from_uris(uris, id_from=id_from)
    if folder:
        sources += from_folder(folder, id_from=id_from)
    if csv_file:
        sources += from_csv(csv_file, id_from=id_from)
    if not sources:
        raise click.UsageError("name at least one URI, or use --folder or --csv")
    _refuse_duplicate_ids(sources)
    with open_services() as services:
        _require_managed_index(services)
        records = _register(services, sources, fields)
        if wait:
            records = wait_for(services.registry, [r.id for r in records], timeout=timeout)
        report(records, as_json=as_json)


def _refuse_duplicate_ids(sources: list[Source]) -> None:
    from vidsearch.media import public_uri

    uris: dict[str, str] = {}
    for source in sources:
        other = uris.setdefault(source.id, source.uri)
        if other != source.uri:
            shown = " and ".join(public_uri(uri) for uri in (other, source.uri))
            raise click.UsageError(f"{shown} have the same id {source.id!r}")


def _require_managed_index(services: Services) -> None:
    # Workers would refuse the videos as well, but after this command has ended.
    index = services.open_index()
    if index.attached:
        raise click.UsageError(
            f"{index.name} is an attached index, whose documents your application writes: run "
            f"`vidsearch scan`, which enqueues the URIs in their field {index.uri_field}"
        )


def _register(
    services: Services, sources: list[Source], fields: dict[str, object]
) -> list[VideoRecord]:
    from vidsearch_tasks import register_video

    records: dict[str, VideoRecord] = {}
    with output.progress("Registering", total=len(sources)) as bar:
        for done, source in enumerate(sources, start=1):
            records[source.id] = register_video(
                source.id, uri=source.uri, fields={**fields, **source.fields}, services=services
            )
            bar.at(done, _note(records))
    return list(records.values())


def _note(records: dict[str, VideoRecord]) -> str:
    counts = Counter(str(record.state) for record in records.values())
    return ", ".join(f"{n} {state}" for state, n in counts.most_common())
