"""``vidsearch model``: show, export or time the configured model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.defaults import MAX_LOSS
from vidsearch.errors import ConfigError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders.checkpoint import Checkpoint

__all__ = ["model"]


@click.group()
def model() -> None:
    """Show, export or time the model."""


@model.command()
@output.json_option
def show(as_json: bool) -> None:
    """Show the configured model: its source, its encoder, its precision and its identity.

    Neither loads nor downloads weights.
    """
    from vidsearch.cli.model_facts import model_facts

    facts = model_facts(output.settings())
    if as_json:
        output.print_json(facts)
        return
    versions = facts.pop("versions")
    identity = facts.pop("identity")
    rows = [
        *((name.replace("_", " "), value) for name, value in facts.items()),
        *((f"identity {name}", value) for name, value in identity.items()),
        *((f"version {name}", value) for name, value in versions.items()),
    ]
    output.print_table(("what", "value"), rows, whole=("what",))


@model.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to write to.  [default: ./<name of the model>-onnx]",
)
@click.option("--int8/--no-int8", default=True, help="Write int8 as well.", show_default=True)
@click.option(
    "--max-loss",
    type=click.FloatRange(min=0, max=2),
    default=MAX_LOSS["int8"],
    show_default=True,
    help=f"Maximum loss of cosine in int8; in fp32 it is {MAX_LOSS['fp32']:g}.",
)
@output.json_option
def export(out: Path | None, int8: bool, max_loss: float, as_json: bool) -> None:
    """Export the model to ONNX, which runs without torch.

    Writes both towers, the tokenizer and a manifest. Compares the export's vectors with torch's, on
    texts of every length and on frames, and writes nothing if they differ by more than the maximum
    loss. Set VIDSEARCH_MODEL__NAME to the folder to use the export.
    """
    from vidsearch.encoders.onnx.export import export_checkpoint

    settings = output.settings()
    checkpoint = _checkpoint(settings)
    folder = out or Path(f"{_last_name(settings.model.name)}-onnx")
    made = export_checkpoint(
        checkpoint, folder, int8=int8, max_loss_int8=max_loss, report=output.talk
    )
    found = [
        {
            "tower": name,
            "precision": precision,
            "max_cosine_loss": tower.max_loss,
            "bytes": tower.graph.size + tower.weights.size,
        }
        for precision, towers in made.towers.items()
        for name, tower in towers.items()
    ]
    if as_json:
        output.print_json({"folder": str(folder), "model": dict(made.model), "towers": found})
    else:
        rows = [
            (one["tower"], one["precision"], f"{one['max_cosine_loss']:.1e}", one["bytes"])
            for one in found
        ]
        columns = ("tower", "precision", "max cosine loss", "bytes")
        output.print_table(columns, rows, right=columns[2:])
    output.talk(f"Wrote {folder}. To use it: VIDSEARCH_MODEL__NAME={folder}")


@model.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1, max=600),
    default=5.0,
    show_default=True,
    help="Number of seconds per measurement; there are three.",
)
@output.json_option
def bench(seconds: float, as_json: bool) -> None:
    """Time the configured model on this machine.

    Frames have 640x360 pixels and are resized by the encoder; no video is decoded. Every query is a
    new text of about ten words, so that no cache answers it. Other processes slow the model down.
    """
    from vidsearch.cli.model_bench import bench_encoder
    from vidsearch.encoders import load_encoder

    settings = output.settings()
    encoder = load_encoder(settings.model, settings.ingest)
    output.talk(f"{encoder.identity}; {settings.model.threads} thread(s), {seconds:g} s each")
    timings = bench_encoder(
        encoder, batch_size=settings.model.batch_size, seconds=seconds, report=output.talk
    )
    if as_json:
        output.print_json({"model": encoder.identity.to_meta(), **timings})
        return
    rows = [(name.replace("_", " "), value) for name, value in timings.items()]
    output.print_table(("what", "value"), rows, right=("value",), whole=("what",))


def _checkpoint(settings: Settings) -> Checkpoint:
    from vidsearch.encoders.checkpoint import open_checkpoint
    from vidsearch.encoders.onnx import is_export

    model = settings.model
    if is_export(model.name):
        raise ConfigError(
            f"{model.name!r} is an export already; set VIDSEARCH_MODEL__NAME to the checkpoint"
        )
    return open_checkpoint(
        model.name, revision=model.revision, offline=model.offline, token=model.token
    )


def _last_name(name: str) -> str:
    return Path(name).expanduser().resolve().name if Path(name).is_dir() else name.split("/")[-1]
