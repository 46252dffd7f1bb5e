"""``vidsearch ingest``: register videos and enqueue their ingestion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.folder import PassedOver, Reason, Selection, is_utf8, videos_below
from vidsearch.cli.gone import delete_gone, videos_gone
from vidsearch.cli.lists import column_types, opened_list
from vidsearch.cli.options import (
    dry_run_option,
    file_or_uri,
    folder_or_uri,
    json_option,
    wait_options,
    yes_option,
)
from vidsearch.cli.records import record_json, report, wait_for
from vidsearch.cli.registering import Registering
from vidsearch.cli.sources import (
    field_values,
    from_files,
    from_uris,
    parse_columns,
    parse_fields,
)
from vidsearch.cli.watch import FolderWatch
from vidsearch.file_names import printable
from vidsearch.registration import Format, IdFrom, Row
from vidsearch.signed_urls import same_file
from vidsearch_mappings.registry import PRIORITIES, Priority

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch.registry import NewVideo, Registration, VideoRecord
    from vidsearch_tasks import Services

__all__ = ["ingest"]

_list = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command()
@click.argument("uris", nargs=-1, type=file_or_uri, metavar="[URI]...")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder: register every video file in it and below, and tell what is passed over.",
)
@click.option(
    "--glob",
    "globs",
    multiple=True,
    metavar="PATTERN",
    help="Only files of --folder that match, by name, or with a slash by path below the folder, "
    "such as '2024/**/*.mp4'; repeat for more.",
)
@click.option(
    "--exclude",
    "excludes",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders of --folder that match. What is hidden or left by a system "
    "(._*, @eaDir, trash, …) is left out anyway. Repeat for more.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="LEVELS",
    help="Levels of --folder to look into; 1 is the folder alone.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Look at --folder every so many seconds until Ctrl-C. New and changed files are "
    "registered once their size is stable; files that are gone are told.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="List registered videos of --folder whose file is gone, with --dry-run that alone, and "
    "delete them after a question.",
)
@click.option(
    "--csv",
    "csv_file",
    type=_list,
    help="CSV file, or - for stdin: column `uri`, optionally `id`; other columns become fields, "
    "and `;` separates `tags`. A column of numbers, of true and false, or of ISO dates becomes "
    "such a field.",
)
@click.option(
    "--jsonl",
    "jsonl_file",
    type=_list,
    help="The same as JSON, one object a line or an array of them; - for stdin.",
)
@click.option("--parquet", "parquet_file", type=_list, help="The same as Parquet.")
@click.option(
    "--map",
    "column_pairs",
    multiple=True,
    metavar="COLUMN=FIELD",
    help="Read a column of the file as another field, also as id or uri; with an empty FIELD, "
    "leave it out. Repeat for more.",
)
@click.option(
    "--base",
    type=folder_or_uri,
    metavar="FOLDER|URL",
    help="What relative URIs of the file are below; by default the file's folder.",
)
@click.option("--as-text", is_flag=True, help="Keep every text of the file as text.")
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
    help="Field of every document; repeat for more. VALUE is read as JSON where it is a number, "
    "true, false, a list or a quoted text ('\"1.10\"'). Numbers, true and false stay as written "
    "where the index maps the field as text.",
)
@click.option(
    "--titles/--no-titles",
    default=True,
    show_default=True,
    help="Give videos of --folder a title, the words of the file name, unless --field has one.",
)
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES),
    default="bulk",
    show_default=True,
    help="Interactive videos are taken before all bulk ones that wait.",
)
@wait_options
@dry_run_option
@yes_option
@json_option
def ingest(
    uris: tuple[str, ...],
    folder: Path | None,
    globs: tuple[str, ...],
    excludes: tuple[str, ...],
    depth: int | None,
    watch: float | None,
    prune: bool,
    csv_file: Path | None,
    jsonl_file: Path | None,
    parquet_file: Path | None,
    column_pairs: tuple[str, ...],
    base: str | None,
    as_text: bool,
    id_from: IdFrom,
    pairs: tuple[str, ...],
    titles: bool,
    priority: Priority,
    wait: bool,
    timeout: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Register videos by URI, folder or list (CSV, JSON, Parquet), and enqueue their ingestion.

    Safe to repeat, also to go on after an interruption: videos that are indexed, queued or
    processing are left as they are. They keep their fields, but for those of --field; those of a
    row of a list take the place of all. A video that cannot be registered does not stop the others,
    and makes the exit code 1. A URI is a path, file://, http://, https://, s3://, gs:// or az://,
    as the workers see it.
    """
    files: dict[Format, Path | None]
    files = {"csv": csv_file, "jsonl": jsonl_file, "parquet": parquet_file}
    lists = [(format, path) for format, path in files.items() if path]
    stdins = [format for format, path in lists if str(path) == "-"]
    selection = Selection(globs, excludes, depth)
    texts, columns = parse_fields(pairs), parse_columns(column_pairs)
    _refuse(
        (timeout is not None and not wait, "--timeout goes with --wait"),
        (not lists and as_text, "--as-text goes with --csv, --jsonl or --parquet"),
        (not lists and (columns or base), "--map and --base go with --csv, --jsonl or --parquet"),
        (not folder and selection != Selection(), "--glob, --exclude and --depth go with --folder"),
        (not folder and (watch or prune), "--watch and --prune go with --folder"),
        (not prune and (dry_run or yes), "--dry-run and --yes go with --prune"),
        (dry_run and (uris or lists or wait), "--dry-run registers nothing: give --folder alone"),
        (watch and (uris or lists), "--watch goes with --folder alone"),
        (
            watch and (wait or dry_run or as_json),
            "--watch does not go with --wait, --dry-run, --json",
        ),
        (watch and prune and not yes, "--watch with --prune deletes without a question: add --yes"),
        ("parquet" in stdins, "Parquet cannot be read from stdin: name a file"),
        (len(stdins) > 1, "one list only can be read from stdin"),
    )
    titles = titles and "title" not in texts
    passed = PassedOver()
    with ExitStack() as stack:
        videos = [] if watch else _given(uris, id_from, passed)
        if folder and not watch:
            found = _found(folder, passed, selection, prune=prune)
            videos += from_files(found, id_from=id_from, titles=titles)
        opened = [
            stack.enter_context(
                opened_list(path, format, columns=columns, base=base, id_from=id_from)
            )
            for format, path in lists
        ]
        if not (videos or opened or watch):
            raise click.UsageError(_nothing_found(folder, passed))
        _refuse_duplicate_ids(videos)
        from vidsearch_tasks import Services

        services = stack.enter_context(Services())
        index = _require_managed_index(services)
        fields = field_values(texts, kind_of=index.kind_of)
        if folder and watch:
            watching = FolderWatch(
                services,
                folder,
                watch,
                selection=selection,
                id_from=id_from,
                titles=titles,
                fields=fields,
                prunes=prune,
            )
            watching.run()
            _exit(watching.has_problems)
            return
        if folder and dry_run:
            _exit(_list_gone(services, folder, selection, as_json=as_json))
            return
        types = column_types(opened, index, as_text=as_text)
        rows = chain(
            (Row("", video) for video in {one.id: one for one in videos}.values()),
            *(each.rows(by) for each, by in zip(opened, types, strict=True)),
        )
        printer = output.row_printer(("id", "state", "reason"), as_json=as_json)
        print_row = None if wait else stack.enter_context(printer)
        ends = _Ends(services, as_json=as_json, print_row=print_row)
        registering = Registering(services, fields=fields, priority=priority, keep=ends.add)
        others: list[Mapping[str, Any]] = []
        spared: Sequence[str] = ()
        try:
            registering.run(rows, total=len(videos) + sum(map(len, opened)))
            registering.tell()
            if folder and prune:
                gone = videos_gone(services.registry, folder, selection)
                spared = gone.problems
                others += map(record_json, delete_gone(services, folder, gone, yes=yes))
            if wait:
                ends.wait(timeout=timeout)
        finally:
            for line in passed.lines():
                output.talk(line)
        ends.report([*others, *passed.to_json()])
    _exit(registering.has_problems or passed.is_error or bool(spared))


@dataclass(slots=True)
class _Ends:
    """What becomes of videos: printed as soon as they are registered, or waited for."""

    services: Services
    as_json: bool
    print_row: Callable[[Mapping[str, Any], Sequence[Any]], None] | None
    """``None`` where they are waited for."""
    waiting: dict[str, None] = field(default_factory=dict)
    ended: list[VideoRecord] = field(default_factory=list)

    def add(self, one: Registration) -> None:
        """One was registered."""
        record = one.record
        assert record is not None
        if self.print_row:
            data = record_json(record) if self.as_json else {}
            self.print_row(data, (record.id, record.state, record.error or ""))
        elif one.error:
            self.ended.append(record)
        else:
            self.waiting[one.id] = None

    def wait(self, *, timeout: float | None) -> None:
        """Wait for all but those that are not queued."""
        self.ended += wait_for(self.services, [*self.waiting], timeout=timeout)

    def report(self, others: Sequence[Mapping[str, Any]]) -> None:
        """Print what was waited for; ``others`` are what the JSON lists after the videos."""
        if self.print_row is None:
            report(self.ended, as_json=self.as_json, others=others)
        elif self.as_json:
            for each in others:
                self.print_row(each, ())


def _found(
    folder: Path, passed: PassedOver, selection: Selection, *, prune: bool
) -> Sequence[Path]:
    """The videos of a folder; where there are none, none is taken for gone."""
    found = videos_below(folder, passed, selection)
    if prune and not found:
        raise click.UsageError(
            f"{_nothing_found(folder, passed)}, so none is taken for gone: is it mounted?"
        )
    return found


def _refuse(*checks: tuple[object, str]) -> None:
    for is_wrong, message in checks:
        if is_wrong:
            raise click.UsageError(message)


def _exit(has_problems: bool) -> None:
    if has_problems:
        click.get_current_context().exit(1)


def _given(uris: Sequence[str], id_from: IdFrom, passed: PassedOver) -> list[NewVideo]:
    from vidsearch.media import public_uri

    for uri in uris:
        if not is_utf8(uri):
            passed.add(Reason.NAME, public_uri(uri))
    return from_uris([uri for uri in uris if is_utf8(uri)], id_from=id_from)


def _list_gone(services: Services, folder: Path, selection: Selection, *, as_json: bool) -> bool:
    """Returns whether some may only not be mounted."""
    gone = videos_gone(services.registry, folder, selection)
    output.print_rows(
        [
            *(record_json(record) for record, _ in gone.videos),
            *(one.to_json() for one in gone.spared),
        ],
        ("id", "state", "file"),
        [(record.id, record.state, printable(path)) for record, path in gone.videos],
        as_json=as_json,
        whole=("id", "state"),
    )
    for line in gone.problems:
        output.talk(line)
    output.talk(f"{len(gone.videos)} registered videos of {folder} have lost their file")
    return bool(gone.problems)


def _nothing_found(folder: Path | None, passed: PassedOver) -> str:
    found = "; ".join(passed.lines())
    if folder:
        return f"no video file below {folder}{f' ({found})' if found else ''}"
    return found or "name at least one URI, or use --folder, --csv, --jsonl or --parquet"


def _refuse_duplicate_ids(videos: Iterable[NewVideo]) -> None:
    from vidsearch.media import public_uri

    uris: dict[str, str] = {}
    for video in videos:
        other = uris.setdefault(video.id, video.uri)
        if not same_file(other, video.uri):
            shown = " and ".join(public_uri(uri) for uri in (other, video.uri))
            raise click.UsageError(f"{shown} have the same id {video.id!r}")


def _require_managed_index(services: Services) -> VideosIndex:
    # Workers would refuse the videos as well, but after this command has ended.
    index = services.open_index()
    if index.attached:
        raise click.UsageError(
            f"{index.name} is an attached index, whose documents your application writes: run "
            f"`vidsearch scan`, which enqueues the URIs in their field {index.uri_field}"
        )
    return index
