"""``vidsearch index``: a managed index, or the object `video` in an index of the user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import dry_run_option, json_option, yes_option
from vidsearch.config import load_settings

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders import ModelIdentity
    from vidsearch.engines import Engine

__all__ = ["index"]


@click.group()
def index() -> None:
    """Manage the videos index, or attach vidsearch to an index of your own."""


@index.command()
@click.option("--dry-run", is_flag=True, help="Print the body and create nothing.")
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="JSON file with the mappings of your own fields.  [default: the setting index.mapping]",
)
def create(dry_run: bool, mapping: str | None) -> None:
    """Create the index, its alias and the registry, for the configured model.

    The model's identity is written into the mapping; vectors of another model are refused later.
    """
    from vidsearch.index import create_videos_index, videos_index_body
    from vidsearch.registry.index import registry_layout

    settings = load_settings(**({"index": {"mapping": mapping}} if mapping else {}))
    identity = _identity(settings)
    engine = _connect(settings)
    if dry_run:
        output.print_json(videos_index_body(engine, settings.index, identity))
        return
    name = create_videos_index(engine, settings.index, identity)
    if (layout := registry_layout(engine, settings.index)).is_older:
        output.talk(f"note: {layout}")
    output.talk(f"created {name}, alias {settings.index.name}, for model {identity}")


@index.command()
@json_option
def show(as_json: bool) -> None:
    """Show what stands behind the alias: index, model, quantization, counts."""
    from vidsearch.index import show_videos_index

    settings = load_settings()
    output.print_facts(show_videos_index(_connect(settings), settings.index), as_json=as_json)


@index.command()
@yes_option
def drop(yes: bool) -> None:
    """Drop the index and the registry, with all vectors and all states."""
    from vidsearch.index import drop_videos_index

    settings = load_settings()
    engine = _connect(settings)
    question = "Drop {index} with {videos} videos, and the registry, from {engine}?"
    if not yes:
        _confirm(question, engine, settings)
    names = drop_videos_index(engine, settings.index)
    output.talk(f"dropped {', '.join(names)}")


@index.command()
@click.argument("name")
@click.option(
    "--uri-field",
    required=True,
    metavar="FIELD",
    help="Field of your documents that holds a video's URI, such as `media.url`.",
)
@click.option("--copy-to", metavar="NAME", help="Name of the copy, if the index must be copied.")
@click.option(
    "--changed-field",
    metavar="FIELD",
    help="Date or number of your documents that your application sets at every change: to go by "
    "where the engine does not tell the numbers of writes.",
)
@dry_run_option
@yes_option
@json_option
def attach(name: str, *, dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Add the object `video` to the mapping of your index NAME, and make the registry.

    Nothing else of the index is changed. On OpenSearch, an index that was created without index.knn
    is copied while your application goes on writing; writes are refused for a moment only, when the
    alias moves to the copy. If the copying breaks off, run the command again: it removes the
    partial copy and starts anew. --dry-run shows whether it is copied, what the copy keeps
    (settings, mapping, analysers, aliases, policy, pipelines), for how long writes are refused, and
    the disk needed.
    """
    from vidsearch.cli.kept_output import blocked, show_attach_plan
    from vidsearch.index import attach_index, plan_attachment
    from vidsearch.interrupts import ending_as_an_error

    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run")
    settings = load_settings()
    chosen = settings.index.model_copy(update={"name": name})
    identity = _identity(settings)
    engine = _connect(settings)
    if dry_run:
        plan = plan_attachment(engine, chosen, identity, **options)
        show_attach_plan(plan, as_json=as_json)
        return

    def undone(index: str, copy: str) -> None:
        output.talk(
            f"an earlier copy of {index} to {copy} broke off: it is undone, {index} is as it was"
        )

    def confirm(index: str, copy: str) -> None:
        plan = plan_attachment(engine, chosen, identity, **options)
        for problem in plan.problems:
            output.talk(f"note: {problem}")
        if not yes:
            output.confirm(
                f"Copy {index} to {copy}? Writes go on, and are refused at the end for "
                f"{blocked(plan)}. {index} is kept afterwards, without writes.",
            )

    with ending_as_an_error(), output.progress("Copying") as progress:
        attached = attach_index(
            engine,
            chosen,
            identity,
            **options,
            undone=undone,
            confirm=confirm,
            progress=progress,
            on_outage=output.talk_of_outage,
        )
    output.talk(f"attached to {attached.index}, for model {identity}")
    if attached.copied_from:
        output.talk(
            f"writes were refused for {attached.blocked_seconds:.1f} s. {attached.copied_from} is "
            "kept, and takes no writes; delete it when you like"
        )
    if attached.problem is not None:
        output.talk(f"note: {attached.problem}")
    if attached.name != settings.index.name:
        output.talk(f"set VIDSEARCH_INDEX__NAME={attached.name} for workers and searches")
    output.talk("`vidsearch scan` enqueues the documents that have a URI")


@index.command()
@yes_option
def detach(yes: bool) -> None:
    """Take the object `video` out of every document of your index, and drop the registry.

    The documents are then as they were before. Safe to repeat if it breaks off.
    """
    from vidsearch.index import detach_index

    settings = load_settings()
    engine = _connect(settings)
    _refuse_while_reindexed(engine, settings)
    question = (
        "Take the vectors of {videos} videos out of {index}, and drop the registry, on {engine}?"
    )
    if not yes:
        _confirm(question, engine, settings)
    with output.progress("Detaching") as progress:
        done = detach_index(engine, settings.index, progress=progress)
    output.talk(
        f"detached: taken out of {done} documents, which are as they were. The field "
        f"{settings.index.field} stays in the mapping, empty, as an engine cannot remove one"
    )


@index.command()
def upgrade() -> None:
    """Add the fields of this version to the mapping of an older registry.

    Safe to repeat, and while workers run. A registry of a newer version is left as it is.
    """
    from vidsearch.registry.index import upgrade_registry_index

    settings = load_settings()
    before = upgrade_registry_index(_connect(settings), settings.index)
    if not before.is_older:
        output.talk(str(before))
        return
    added = f"added {', '.join(before.missing)}" if before.missing else "it lacked no field"
    output.talk(f"upgraded registry {before.name} from version {before.version}: {added}")


@index.command()
@click.option("--apply", is_flag=True, help="Make the changes that need no new index.")
@json_option
def diff(apply: bool, as_json: bool) -> None:
    """Compare the live index with the one that the settings and the model describe.

    Exit code 0 where nothing differs, 1 where something does (with --apply: still does). Each line
    says what it takes: a change in place, a new index with the same vectors, or a new index with
    vectors of another model. What --apply changes holds for what is written from then on; existing
    Lucene segments keep their form until they are merged.
    """
    from dataclasses import asdict

    from vidsearch.index import apply_changes, diff_videos_index, open_videos_index
    from vidsearch.reindex.advice import command_for, commands_for

    settings = load_settings()
    identity = _identity(settings)
    engine = _connect(settings)
    found = diff_videos_index(engine, settings.index, identity)
    changes = apply_changes(engine, settings.index, identity) if apply else found
    attached = open_videos_index(engine, settings.index).attached
    # Of an attached index no command brings vectors of another model.
    stuck = attached and any(change.how == "new vectors" for change in changes)
    if as_json:
        output.print_json(
            [
                {
                    **asdict(one),
                    "command": None
                    if stuck and one.how != "in place"
                    else command_for(one, settings),
                }
                for one in changes
            ]
        )
    elif changes:
        rows = [(_field(c.path), _short(c.live), _short(c.wanted), c.how) for c in changes]
        output.print_table(("what", "live", "wanted", "how"), rows, whole=("how",))
    made = [change for change in found if change not in changes]
    if made:
        output.talk(f"changed: {', '.join(_field(change.path) for change in made)}")
    if any(change.path.startswith("mappings.") for change in made):
        output.talk("existing Lucene segments keep their form until they are merged")
    if any(change.how != "in place" for change in changes):
        output.talk(
            "what is not `in place` needs a new index: "
            + (
                "detach, set the model (and another index.field where its vectors have other "
                "dims), then attach and scan"
                if stuck
                else f"`{commands_for(changes, settings)[0]}` makes it, under live traffic"
            )
        )
    if changes:
        raise click.exceptions.Exit(1)
    output.talk(f"{settings.index.name} is as the settings describe it")


@index.command()
@click.option(
    "--queries",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Number of vectors to search for.",
)
@click.option(
    "--k",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Number of nearest videos that each search should find.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1),
    default=0.98,
    show_default=True,
    help="Recall that is wanted.",
)
@json_option
def recall(queries: int, k: int, target: float, as_json: bool) -> None:
    """Measure recall and latency of the live index against exact search, and say what to change.

    Vectors of the index, taken at random, are searched for with the present number of candidates
    and with others, at both levels. The exact search runs as a script in the engine; where the
    cluster runs no scripts, all vectors are read instead, which takes minutes for a million.
    """
    from dataclasses import asdict

    from vidsearch.search import measure_recall

    settings = load_settings()
    with output.progress("Measuring") as progress:
        report = measure_recall(
            _connect(settings), settings, queries=queries, k=k, target=target, progress=progress
        )
    rows = []
    for each in report.measured:
        figures = (f"{each.recall:.3f}", f"{each.p50:.1f}", f"{each.p95:.1f}")
        now = "present" if each.present else ""
        rows.append((each.level, each.num_candidates, now, *figures))
    columns = ("level", "num_candidates", "", f"recall@{k}", "p50 ms", "p95 ms")
    output.print_rows(asdict(report), columns, rows, as_json=as_json, right=columns[1:])
    for sentence in report.advice:
        output.talk(sentence)


def _field(path: str) -> str:
    """A path in the mapping as one names a field: without ``properties`` at every level."""
    return path.removeprefix("mappings.properties.").replace(".properties.", ".")


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _confirm(question: str, engine: Engine, settings: Settings) -> None:
    from vidsearch.index import show_videos_index

    shown = show_videos_index(engine, settings.index)
    output.confirm(question.format_map(shown))


def _refuse_while_reindexed(engine: Engine, settings: Settings) -> None:
    from vidsearch.errors import ReindexError
    from vidsearch.registry import Notes
    from vidsearch.reindex import RunStore

    run = RunStore(Notes(engine, index=settings.index.operations)).open()
    if run is not None:
        raise ReindexError(
            f"{run.called} is open ({run.step}), and {run.source!r} and {run.target!r} are in use: "
            "`vidsearch reindex clean` or `vidsearch reindex rollback` ends it"
        )


def _identity(settings: Settings) -> ModelIdentity:
    from vidsearch.encoders import load_encoder

    return load_encoder(settings.model, settings.ingest).identity


def _connect(settings: Settings) -> Engine:
    from vidsearch.engines import connect

    return connect(settings.engine)
