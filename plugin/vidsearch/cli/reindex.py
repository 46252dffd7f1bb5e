"""``vidsearch reindex``: another index, or videos enqueued again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from vidsearch.cli.options import (
    Amount,
    dry_run_option,
    folder_or_uri,
    json_option,
    wait_options,
    yes_option,
)
from vidsearch.cli.reindex_runs import (
    THROTTLE,
    clean,
    list_runs,
    resume,
    resume_run,
    roll_back_run,
    rollback,
    show,
    start_run,
    swap,
)
from vidsearch.interrupts import ending_as_an_error
from vidsearch_mappings.types import Quantization

__all__ = ["reindex"]

_VIDEOS = ("all", "missing", "changed", "ids")
_CHANGES = (
    *("quantization", "segment_seconds", "shards", "replicas", "m", "ef_construction"),
    *("model", "mapping"),
)
_OF_A_RUN = ("swap", "canary", "throttle", "keep_old", "background", "changed_field")
_OF_VIDEOS = ("wait", "timeout")


class _Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not ctx.params.get("ids"):
                raise
            message = f"{error.message} For another video, give --ids again."
            raise click.UsageError(message, ctx) from error


@click.group(cls=_Group, invoke_without_command=True)
@click.option(
    "--quantization",
    type=click.Choice(get_args(Quantization)),
    help="How the new index keeps vectors; see docs/indices.md.",
)
@click.option(
    "--segment-seconds",
    type=Amount(),
    metavar="SECONDS",
    help="Length of a segment in the new index.",
)
@click.option("--shards", type=click.IntRange(1), help="Primary shards of the new index.")
@click.option("--replicas", type=click.IntRange(0), help="Replicas of the new index.")
@click.option(
    "--m",
    type=click.IntRange(2),
    help="Neighbours of a vector in the graph; see the setting index.m.",
)
@click.option(
    "--ef-construction",
    type=click.IntRange(2),
    help="Candidates for them; see the setting index.ef_construction.",
)
@click.option(
    "--model",
    type=folder_or_uri,
    metavar="NAME",
    help="Model of the new index, as the setting model.name; NAME@REVISION for one of a hub id.",
)
@click.option(
    "--mapping",
    is_flag=True,
    help="Map your own fields in the new index as the setting index.mapping says.",
)
@click.option(
    "--no-swap", "swap", flag_value=False, type=bool, default=None, help="Stop before the swap."
)
@click.option(
    "--canary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Queries, a line each, whose results are shown side by side before the swap.",
)
@click.option(
    "--throttle",
    type=THROTTLE,
    metavar="DOCS/S",
    help="Maximum number of documents per second that are copied; `inf` for no limit.  [default: "
    "as many as leave the cluster half of its time]",
)
@click.option(
    "--keep-old/--drop-old",
    default=None,
    help="Whether the old index is kept for a rollback, until `vidsearch reindex clean`.  "
    "[default: keep-old]",
)
@click.option(
    "--changed-field",
    metavar="FIELD",
    help="Of an index of your own: a date or number that your application sets at every change of "
    "a document, to go by where the engine does not tell the numbers of writes.",
)
@click.option("--background", is_flag=True, help="Have workers do it, and return at once.")
@click.option("--resume", "go_on", is_flag=True, help="The same as `vidsearch reindex resume`.")
@click.option(
    "--rollback", "go_back", is_flag=True, help="The same as `vidsearch reindex rollback`."
)
@click.option(
    "--all",
    is_flag=True,
    help="Read every file again, and embed what the store of embeddings lacks.",
)
@click.option("--missing", is_flag=True, help="Embed videos whose vectors the index does not hold.")
@click.option(
    "--changed", is_flag=True, help="Embed videos whose file or settings changed since then."
)
@click.option("--ids", multiple=True, metavar="ID", help="Enqueue this video; repeat for more.")
@dry_run_option
@wait_options
@yes_option
@json_option
@click.pass_context
def reindex(context: click.Context, /, **options: Any) -> None:
    """Make a new index under live traffic, or enqueue videos again into the one that they are in.

    With --quantization, --segment-seconds, --shards, --replicas, --m, --ef-construction, --model or
    --mapping a new index is made, while the old one answers searches and takes writes. It is
    checked, and searches are moved to it in one step; see docs/reindex.md. Only --model embeds
    videos again, which workers do. An index of your own is changed in place where the engine allows
    it, and else copied with all that is yours; --dry-run shows which, and what is kept.

    With --all, --missing, --changed or --ids videos are enqueued into the index that they are in.
    --all embeds each of them, --changed and --ids only if its content, the model or the settings
    changed; --missing makes lost documents again of what was kept, and else embeds. Where the file
    is gone, what was kept of it counts, and for --missing also where its place is away; else the
    video waits for that. Searches use the old vectors until the new ones are written.
    """
    context.with_resource(ending_as_an_error())  # for its commands as well
    given = {name for name, value in options.items() if _is_given(name, value)}
    if context.invoked_subcommand is not None:
        if given:
            raise click.UsageError(
                f"options of `vidsearch reindex {context.invoked_subcommand}` go after its name"
            )
        return
    _dispatch(options, given)


def _dispatch(options: dict[str, Any], given: set[str]) -> None:
    """Decide by the options that were given what is to be done."""
    videos, changes = given & {*_VIDEOS}, given & {*_CHANGES}
    turns = given & {"go_on", "go_back"}
    if bool(videos) + bool(changes) + len(turns) != 1 or len(videos) > 1:
        raise click.UsageError(
            "choose one of --all, --missing, --changed and --ids, or say what the new index is to "
            "have (--quantization, --segment-seconds, --shards, --replicas, --m, "
            "--ef-construction, --model, --mapping)"
        )
    wrong = given & {*(_OF_A_RUN if videos or turns else ()), *(() if videos else _OF_VIDEOS)}
    if turns:
        wrong |= given & {"dry_run"}
    if "go_on" in turns:
        wrong -= {"throttle"}
    if wrong:
        names = ", ".join(sorted(_flag(name) for name in wrong))
        raise click.UsageError(f"{names} does not go with {_flag(min(videos | changes | turns))}")
    as_json = options["as_json"]
    if "go_on" in turns:
        resume_run(None, throttle=options["throttle"], as_json=as_json)
    elif "go_back" in turns:
        roll_back_run(None, yes=options["yes"], as_json=as_json)
    elif changes:
        start_run(
            {name: options[name] for name in changes},
            swap=options["swap"] is not False,
            canary=options["canary"],
            throttle=options["throttle"],
            keep_old=options["keep_old"] is not False,
            background=options["background"],
            changed_field=options["changed_field"],
            yes=options["yes"],
            dry_run=options["dry_run"],
            as_json=as_json,
        )
    else:
        _enqueue(options, min(videos))


def _enqueue(options: dict[str, Any], which: Any) -> None:
    from vidsearch.cli.enqueue_again import enqueue_again

    if options["timeout"] is not None and not options["wait"]:
        raise click.UsageError("--timeout goes with --wait")
    if options["wait"] and options["dry_run"]:
        raise click.UsageError("--wait does not go with --dry-run")
    enqueue_again(
        which,
        options["ids"],
        **{name: options[name] for name in ("dry_run", "wait", "timeout", "as_json")},
    )


def _is_given(name: str, value: Any) -> bool:
    if name in {"swap", "keep_old"}:
        return value is not None
    return value is not None and value is not False and value != ()


def _flag(name: str) -> str:
    """An option as it is written."""
    other = {
        "go_on": "--resume",
        "go_back": "--rollback",
        "swap": "--no-swap",
        "keep_old": "--keep-old/--drop-old",
    }
    return other.get(name, f"--{name.replace('_', '-')}")


for _command in (list_runs, show, resume, swap, rollback, clean):
    reindex.add_command(_command)
