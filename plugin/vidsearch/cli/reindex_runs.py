"""The commands of ``vidsearch reindex`` that begin, show, finish and undo runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.kept_output import blocked
from vidsearch.cli.options import Amount, json_option, yes_option
from vidsearch.cli.reindex_output import Narrator, show_plan, show_run, show_runs
from vidsearch.defaults import LEAST_THROTTLE
from vidsearch.errors import VidsearchError

if TYPE_CHECKING:
    from vidsearch.reindex import Changes, Reindexer, ReindexRun
    from vidsearch.reindex.in_place import InPlace

__all__ = [
    "THROTTLE",
    "clean",
    "list_runs",
    "resume",
    "resume_run",
    "roll_back_run",
    "rollback",
    "show",
    "start_run",
    "swap",
]

THROTTLE = Amount(min=LEAST_THROTTLE, infinite=True)
"""Documents per second."""
_id = click.argument("id", required=False)


@click.command("list")
@json_option
def list_runs(as_json: bool) -> None:
    """List the runs of this index, the newest first."""
    from vidsearch_tasks import Services, run_store

    with Services() as services:
        runs = run_store(services).all()
    show_runs(runs, as_json=as_json)


@click.command()
@_id
@json_option
def show(id: str | None, as_json: bool) -> None:
    """Show a run, by default the newest: how far it is, and what its check found."""
    from vidsearch.errors import ReindexError
    from vidsearch_tasks import Services, run_store

    with Services() as services:
        run = run_store(services).get(id) if id else run_store(services).last()
        if run is None:
            raise ReindexError(f"there was no reindex of {services.settings.index.name!r} yet")
    show_run(run, as_json=as_json)


@click.command()
@_id
@click.option(
    "--throttle",
    type=THROTTLE,
    metavar="DOCS/S",
    help="Maximum number of documents per second that are copied from now on; `inf` for no limit.  "
    "[default: as before]",
)
@json_option
def resume(id: str | None, throttle: float | None, as_json: bool) -> None:
    """Go on with the open run where it broke off, a rollback too."""
    resume_run(id, throttle=throttle, as_json=as_json)


@click.command()
@_id
@json_option
def swap(id: str | None, as_json: bool) -> None:
    """Move searches to the new index of a run that was to stop before that (--no-swap)."""
    with _running() as reindexer:
        show_run(reindexer.swap(id), as_json=as_json)


@click.command()
@_id
@yes_option
@json_option
def rollback(id: str | None, yes: bool, as_json: bool) -> None:
    """Undo the open run: searches go to the old index, and the new one is deleted.

    What was written since the swap is brought into the old index first. After a change of the model
    workers embed those videos with the old one, and the command waits for them.
    """
    roll_back_run(id, yes=yes, as_json=as_json)


@click.command()
@_id
@yes_option
@json_option
def clean(id: str | None, yes: bool, as_json: bool) -> None:
    """End a run that was swapped: delete the old index. There is no rollback afterwards.

    Nothing is deleted where an alias stands for the old index by now. One of its name that was
    created anew is left.
    """
    with _running() as reindexer:
        run = _chosen(reindexer, id)
        if not yes and run is not None and run.is_open and run.swapped_at:  # else it is refused
            output.confirm(
                f"Delete {run.source}, the old index of {run.alias}?"
                + (" It is your own." if run.attached else ""),
            )
        show_run(reindexer.clean(id), as_json=as_json)


def resume_run(id: str | None, *, throttle: float | None, as_json: bool) -> None:
    """Go on with a run."""
    with _running() as reindexer:
        show_run(reindexer.resume(id, throttle=throttle), as_json=as_json)


def roll_back_run(id: str | None, *, yes: bool, as_json: bool) -> None:
    """Undo a run."""
    with _running() as reindexer:
        run = _chosen(reindexer, id)
        if not yes and run is not None and run.is_open:
            output.confirm(f"Delete {run.target}, and search {run.source}?")
        show_run(reindexer.roll_back(id), as_json=as_json)


def start_run(
    changes: Mapping[str, Any],
    *,
    canary: Path | None,
    throttle: float | None,
    dry_run: bool,
    background: bool,
    changed_field: str | None,
    yes: bool,
    as_json: bool,
    **options: bool,
) -> None:
    """Begin a run and go on to its end; or show what it would do."""
    from vidsearch.reindex import Changes
    from vidsearch.reindex.plan import lacking_space_of

    wanted, queries = Changes(**changes), _queries(canary)
    with _running() as reindexer:
        if dry_run:
            plan = reindexer.plan(wanted, throttle=throttle, changed_field=changed_field)
            show_plan(plan, as_json=as_json)
            _note_throttle(plan.way, throttle)
            return
        source, target = reindexer.planned(wanted)
        if target.is_same:
            _tell_same(source.name, as_json=as_json)
            return
        if target.in_place and (made := reindexer.change_in_place(wanted)) is not None:
            _tell_in_place(made, as_json=as_json)
            return
        short = lacking_space_of(source, target)
        for sentence in short:
            output.talk(f"note: {sentence}")
        if not yes:
            blocks = source.attached and _told_block(reindexer, wanted, changed_field)
            if (short or blocks) and reindexer.runs.open() is None:  # else it is refused
                output.confirm(f"{blocks} Go on?" if blocks else "Go on?")
        run = reindexer.begin(
            wanted,
            throttle=throttle,
            canary=queries,
            background=background,
            changed_field=changed_field,
            **options,
        )
        _note_throttle(run.way, throttle)
        if not background:
            run = reindexer.resume(run.id)
        show_run(run, as_json=as_json)


def _note_throttle(way: str, throttle: float | None) -> None:
    if throttle is not None and way not in {"copy", "in place"}:
        output.talk("note: --throttle is for what is copied: workers make these documents")


def _told_block(reindexer: Reindexer, changes: Changes, changed_field: str | None) -> str:
    """For how long writes will be refused where changes cannot be followed by the numbers of
    writes; else empty."""
    plan = reindexer.plan(changes, changed_field=changed_field)
    if plan.following is None or plan.following.why is None:
        return ""
    return f"{plan.source} will refuse writes at the end for {blocked(plan)}."


def _tell_same(index: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json([])  # of what was changed, as in place
    output.talk(f"nothing to do: {index} has that already, and a new index would not differ")


def _tell_in_place(made: InPlace, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        # An object, as for a run; ``way`` as in a plan.
        changes = [asdict(change) for change in made.changes]
        output.print_json({"way": "in place", "changes": changes})
    output.talk(
        "changed in place, without another index: "
        + ", ".join(change.path for change in made.changes)
    )
    if made.segments:
        output.talk("`vidsearch reindex --changed` has workers make segments of the new length")
    elif made.mapping:
        output.talk("existing Lucene segments keep their form until they are merged")


def _queries(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"{path} is not UTF-8 (at byte {error.start}): save it so", param_hint="--canary"
        ) from error
    queries = tuple(line for line in map(str.strip, text.splitlines()) if line)
    if not queries:
        raise click.BadParameter(f"{path} holds no query: write one a line", param_hint="--canary")
    return queries


def _chosen(reindexer: Reindexer, id: str | None) -> ReindexRun | None:
    return reindexer.runs.get(id) if id else reindexer.runs.open()


@contextmanager
def _running() -> Iterator[Reindexer]:
    """A reindexer that tells on stderr what it does."""
    from vidsearch.engines.bulk import ATTEMPTS
    from vidsearch_tasks import Services, reindexer

    with Services(tries=ATTEMPTS) as services, output.progress("Filling the new index") as bar:
        told = Narrator(bar)
        try:
            yield reindexer(
                services,
                on_step=told.step,
                on_progress=told.progress,
                on_outage=told.outage,
                on_problem=lambda sentence: None,  # what there is, was said before it was asked
            )
        except (KeyboardInterrupt, VidsearchError):
            if told.run is not None and told.run.is_open:
                output.talk(
                    f"{told.run.called} is open: `vidsearch reindex resume` goes on with it, "
                    "`vidsearch reindex rollback` undoes it"
                )
            raise
