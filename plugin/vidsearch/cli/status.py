"""``vidsearch status``: how ingestion is doing, and what needs a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.cli.terminal import escaped
from vidsearch.cli.workers import model_note, model_problem, shared_names, worker_problem

if TYPE_CHECKING:
    from vidsearch_tasks import IngestionStatus, Services

__all__ = ["status"]

_COLUMNS = ("what", "number", "note")
_AGES = {
    0: "under 1 min",
    60: "1 to 10 min",
    600: "10 to 60 min",
    3600: "1 to 24 h",
    86_400: "over 1 d",
}


@click.command()
@click.option("--watch", is_flag=True, help="Show it again and again, until interrupted.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: number of seconds between two looks.",
)
@json_option
def status(watch: bool, interval: float, as_json: bool) -> None:
    """Show how ingestion is doing: videos by state, how long they wait, rate, errors, workers.

    Of an attached index also the number of documents that have a video's URI and no vector of it.
    Exit code 1 if something needs a person: no sweep or no worker while videos wait, expired leases
    that no sweep has taken up, a worker that is not set up right, an index that takes no writes, a
    broker that does not answer, or videos that have lost their vectors. In a pipe, --watch prints a
    line per look.
    """
    from vidsearch_tasks import Services, ingestion_status

    with Services() as services:
        if not watch:
            found = ingestion_status(services=services)
            output.print_rows(
                found.to_json(), _COLUMNS, _rows(found), as_json=as_json, right=("number",)
            )
            for line in _advice(found, services):
                output.talk(f"Warning: {line}")
        else:
            found = _watched(services, interval=interval, as_json=as_json)
    for problem in found.problems:
        click.secho("Needs a person: ", fg="red", bold=True, nl=False, err=True)
        output.talk(problem)
    if found.error:
        raise found.error
    if found.problems:
        click.get_current_context().exit(1)


def _watched(services: Services, *, interval: float, as_json: bool) -> IngestionStatus:
    """Show it until the user interrupts; returns what was shown last."""
    from vidsearch_tasks import ingestion_status

    found = None
    with _screen(as_json=as_json) as show:
        while True:
            try:
                found = ingestion_status(services=services)
                show(found)
                time.sleep(interval)
            except KeyboardInterrupt:
                if found is None:
                    raise
                return found


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Any]:
    """Draws on a terminal, in place; prints a line each time in a pipe or as JSON."""
    if as_json:
        yield lambda found: output.print_line_of_json(found.to_json())
        return
    if not sys.stdout.isatty():
        yield lambda found: click.echo(_line(found))
        return
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, vertical_overflow="ellipsis") as live:

        def draw(found: IngestionStatus) -> None:
            rows = [row for row in _rows(found) if row[1] != 0]
            table = output.table(_COLUMNS, rows, right=("number",))
            told = [f"Needs a person: {each}" for each in found.problems]
            told += [f"Error: {found.error}"] if found.error else []
            problems = [Text(escaped(each), style="red") for each in told]
            live.update(Group(Text(_line(found)), *problems, table), refresh=True)

        yield draw


def _line(found: IngestionStatus) -> str:
    """All in one line, for a pipe and as a headline."""
    from vidsearch_tasks.overview import rate

    videos = found.videos
    states = ", ".join(f"{number} {state}" for state, number in videos.states.items() if number)
    told = [states or "no videos", f"{rate(videos.per_minute)}/min"]
    if (left := _time_left(found)) and videos.unfinished:
        told.append(left)
    if not found.ok:
        told.append(f"{len(found.problems) + (found.error is not None)} problems")
    return f"{time.strftime('%H:%M:%S')} {'; '.join(told)}"


def _rows(found: IngestionStatus) -> list[tuple[str, Any, str]]:
    from vidsearch_tasks.overview import duration

    videos, sweep = found.videos, found.last_sweep
    rows: list[tuple[str, Any, str]] = [(state, n, "") for state, n in videos.states.items()]
    ages = [f"{number} {_AGES[age]}" for age, number in videos.ages.items() if number]
    if videos.oldest:
        ages.append(f"the oldest {duration(videos.oldest.seconds)} ({videos.oldest.id})")
    if videos.later:
        ages.append(f"{videos.later} are tried again later")
    rows.append(("waiting", videos.waiting, ", ".join(ages)))
    *shorter, (longest, finished) = videos.finished.items()
    told = [f"{number} in {duration(seconds)}" for seconds, number in reversed(shorter)]
    told += filter(None, [_time_left(found)])
    rows.append((f"finished in {duration(longest)}", finished, ", ".join(told)))
    leases = videos.leases
    rows.append(("expired leases", leases.expired, f"{leases.overdue} overdue"))
    rows += [(f"slices {state}", number, "") for state, number in found.slices.items()]
    rows += [
        (f"slices of {video.id}", video.done, f"done of {video.slices}")
        for video in found.long_videos
    ]
    rows.append((f"searchable in {found.index}", found.searchable, ""))
    if found.lacking is not None:
        rows.append(("waiting for vectors", found.lacking, "documents of your index"))
    broker, workers = found.broker, ", ".join(found.serving)
    rows.append((f"messages in queue {found.queue!r}", broker.queued if broker else None, ""))
    rows.append(("workers of this index", len(found.serving) if broker else None, workers))
    ago = f"{duration(videos.at - sweep.at)} ago" if sweep else "never"
    rows.append(("last sweep", ago, f"by {sweep.by}" if sweep else ""))
    for pause in found.pauses:
        since, until = duration(videos.at - pause.since), duration(pause.until - videos.at)
        note = f"since {since}, next try in {until}: {pause.error}"
        rows.append((f"paused {pause.key}", pause.tries, note))
    if (run := found.reindex) is not None:
        note = f"{run.step}, from {run.source} to {run.target}"
        if run.waits(found.videos.at):
            note += "; waits for the engine, and tries again"
            note += f": {run.error}" if run.error else ""
        elif run.waits_for is not None:
            note += f"; waits for {run.waits_for}"
        rows.append((f"reindex {run.id}", run.done, note))
    for group in videos.errors:
        states = ", ".join(f"{number} {state}" for state, number in group.states.items())
        note = f"{states}; last {group.id}: {group.error.message}"
        rows.append((group.type, group.videos, output.shortened(note, length=160)))
    return rows


def _time_left(found: IngestionStatus) -> str:
    from vidsearch_tasks.overview import duration

    left = found.videos.eta_seconds
    return f"all done in about {duration(left)}" if left else ""


def _advice(found: IngestionStatus, services: Services) -> Iterator[str]:
    if found.warning:
        yield found.warning
    if found.broker:
        index = services.open_index(replacement=True)
        yield from filter(
            None,
            [
                worker_problem(found.broker, services.settings),
                model_problem(found.broker, index) or model_note(found.broker, index),
                shared_names(found.broker),
            ],
        )
