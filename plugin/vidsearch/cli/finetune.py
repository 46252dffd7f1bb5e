"""``vidsearch finetune``: better weights from your own captions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output as out
from vidsearch.cli.left_out import tell_left_out
from vidsearch.cli.options import existing_file, folder_or_uri, json_option, pairs_options
from vidsearch.config import load_settings

if TYPE_CHECKING:
    from vidsearch.finetuning.job import FineTuning
    from vidsearch.finetuning.run import Epoch

__all__ = ["finetune"]

_CACHE = Path(".vidsearch", "frames")


@click.command()
@pairs_options(
    required=True,
    layout="Layout of the file, as of `vidsearch eval pairs`.",
)
@click.option(
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder to write the checkpoint to; must not be there.",
)
@click.option(
    "--model",
    type=folder_or_uri,
    metavar="M",
    help="Checkpoint to begin with: hub id, folder, or demo.  [default: the setting model.name]",
)
@click.option(
    "--validation",
    type=existing_file,
    metavar="FILE",
    help="Videos that decide which epoch is best: their names, one in a line.",
)
@click.option(
    "--validation-share",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the videos taken for that, where --validation is not given.",
)
@click.option(
    "--test",
    type=existing_file,
    metavar="FILE",
    help="Videos to measure on at the end, which nothing else looks at.",
)
@click.option("--epochs", default=5, show_default=True, help="Times that every pair is seen.")
@click.option(
    "--batch-size", default=128, show_default=True, help="Pairs that are compared with each other."
)
@click.option(
    "--piece-size",
    default=16,
    show_default=True,
    help="Pairs that are computed at a time: fewer take less memory and give the same result.",
)
@click.option(
    "--clip-rate",
    default=1e-7,
    show_default=True,
    help="Highest learning rate of the checkpoint's own weights.",
)
@click.option(
    "--scale-rate",
    default=1e-4,
    show_default=True,
    help="Highest learning rate of the scale of the cosines.",
)
@click.option("--weight-decay", default=0.2, show_default=True, help="Of matrices.")
@click.option(
    "--warm-up",
    default=0.1,
    show_default=True,
    help="Share of the steps until the highest rate is reached.",
)
@click.option("--frames", default=12, show_default=True, help="Most frames of a video.")
@click.option(
    "--patience",
    default=2,
    show_default=True,
    help="Epochs without a better R@1 on validation after which training stops; 0: never.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the order of the pairs.")
@click.option(
    "--threads",
    default=None,
    type=click.IntRange(min=1),
    help="Threads that the model computes with.  [default: one per core, shared by the processes "
    "of accelerate launch]",
)
@click.option(
    "--cache",
    type=folder_or_uri,
    default=None,
    metavar="URL",
    help=f"Folder or bucket that keeps the frames.  [default: {_CACHE}]",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder that keeps the state to go on from.  [default: the output's name with .work]",
)
@json_option
def finetune(
    captions: Path,
    format_: Any,
    videos: Path,
    folder: Path,
    model: str | None,
    validation: Path | None,
    validation_share: float,
    test: Path | None,
    threads: int | None,
    cache: str | None,
    work: Path | None,
    as_json: bool,
    **plan: Any,
) -> None:
    """Train a CLIP or SigLIP checkpoint on with your own captions and videos.

    Each video is decoded once; the frames are kept. Training goes on where it was interrupted, if
    the command is given again. The checkpoint is that of the epoch with the best R@1 on the
    validation split, and its README.md is a model card with the measured table. Take it into use
    with `vidsearch reindex --model FOLDER`.

    Several devices share the work under `accelerate launch`: see docs/finetuning.md.
    """
    from vidsearch.encoders.pool import model_named
    from vidsearch.encoders.towers import require_transformers
    from vidsearch.evaluation import VideoFiles, read_keys, read_pairs

    require_transformers()
    from vidsearch.finetuning.devices import processes_of_machine
    from vidsearch.finetuning.job import fine_tune_pairs
    from vidsearch.finetuning.plan import Plan

    settings, output = load_settings(), folder.absolute()
    section = settings.model if model is None else model_named(model, settings.model)
    threads = threads or max(1, (os.cpu_count() or 1) // processes_of_machine())
    section = section.model_copy(update={"threads": threads})
    settings = settings.model_copy(update={"model": section})
    with out.progress("fine-tuning") as progress:

        def decoding(number: int, total: int) -> None:
            progress(number, total, note="videos")

        def training(step: int, total: int, last: Epoch) -> None:
            note = f"steps; R@1 {100 * last.recall:.1f} after epoch {last.number}"
            progress(step, total, note=note)

        done = fine_tune_pairs(
            read_pairs(captions, format_),
            VideoFiles(videos),
            settings,
            Plan(**plan),
            output=output,
            work=work or output.with_name(f"{output.name}.work"),
            cache=cache or str(_CACHE.absolute()),
            data=captions.name,
            share=validation_share,
            validation=None if validation is None else read_keys(validation),
            test=None if test is None else read_keys(test),
            decoding=decoding,
            training=training,
        )
    if done is not None:
        _show(done, folder, as_json=as_json)


def _show(done: FineTuning, folder: Path, *, as_json: bool) -> None:
    from vidsearch.evaluation.pairs_report import row_cells, table_columns

    left_out, outcome = done.prepared.pairs.left_out, done.outcome
    out.talk(f"{done.prepared.decoded} videos decoded, the others' frames were kept")
    tell_left_out(left_out, part_of="training, validation or test")
    if as_json:
        out.print_json(
            {
                "output": str(folder),
                "decoded": done.prepared.decoded,
                "left_out": [each._asdict() for each in left_out],
                "epochs": [epoch._asdict() for epoch in outcome.epochs],
                "best": outcome.best,
                "stopped_early": outcome.stopped_early,
                "rows": [row.to_dict() for row in done.rows],
            }
        )
        return
    columns, numbers = table_columns(done.rows)
    out.print_table(columns, map(row_cells, done.rows), right=numbers)
    early = ", stopped early" if outcome.stopped_early else ""
    out.talk(f"wrote {folder}: the weights after epoch {outcome.best}{early}")
