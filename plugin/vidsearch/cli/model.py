"""``vidsearch model``: show, export or time the configured model."""

from __future__ import annotations

import importlib.metadata
import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.config import load_settings
from vidsearch.defaults import MAX_LOSS
from vidsearch.errors import ConfigError, ModelUnavailableError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.encoders import Encoder, TorchEncoder
    from vidsearch.encoders.checkpoint import Checkpoint
    from vidsearch.encoders.onnx import OnnxEncoder

__all__ = ["model"]

_LIBRARIES = ("vidsearch", "torch", "transformers", "onnxruntime", "tokenizers")


@click.group()
def model() -> None:
    """Show, export or time the model."""


@model.command()
@json_option
def show(as_json: bool) -> None:
    """Show the configured model: its source, its encoder, its precision and its identity.

    Neither loads nor downloads weights.
    """
    output.print_facts(_facts(load_settings()), as_json=as_json)


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
@json_option
def export(out: Path | None, int8: bool, max_loss: float, as_json: bool) -> None:
    """Export the model to ONNX, which runs without torch.

    Writes both towers, the tokenizer and a manifest. Compares the export's vectors with torch's, on
    texts of every length and on frames, and writes nothing if they differ by more than the maximum
    loss. Set VIDSEARCH_MODEL__NAME to the folder to use the export.
    """
    from vidsearch.encoders.onnx import is_export
    from vidsearch.encoders.onnx.export import export_checkpoint

    settings = load_settings()
    if is_export(settings.model.name):
        raise ConfigError(
            f"{settings.model.name!r} is an export already; set VIDSEARCH_MODEL__NAME to the "
            "checkpoint"
        )
    folder = out or Path(f"{_last_name(settings.model.name)}-onnx")
    made = export_checkpoint(
        _open_checkpoint(settings),
        folder,
        int8=int8,
        max_loss_int8=max_loss,
        report=output.talk,
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
    data = {"folder": str(folder), "model": dict(made.model), "towers": found}
    columns = ("tower", "precision", "max_cosine_loss", "bytes")
    rows = [
        (*list(one.values())[:2], f"{one['max_cosine_loss']:.1e}", one["bytes"]) for one in found
    ]
    output.print_rows(data, columns, rows, as_json=as_json, right=columns[2:])
    output.talk(f"Wrote {folder}. To use it: VIDSEARCH_MODEL__NAME={folder}")


@model.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1, max=600),
    default=5.0,
    show_default=True,
    help="Number of seconds per measurement; there are three.",
)
@json_option
def bench(seconds: float, as_json: bool) -> None:
    """Time the configured model on this machine.

    Frames have 640x360 pixels and are resized by the encoder; no video is decoded. Every query is a
    new text of about ten words, so that no cache answers it. Other processes slow the model down.
    """
    from vidsearch.cli.model_bench import bench_encoder
    from vidsearch.encoders import load_encoder

    settings = load_settings()
    encoder = load_encoder(settings.model, settings.ingest)
    output.talk(f"{encoder.identity}; {settings.model.threads} thread(s), {seconds:g} s each")
    timings = bench_encoder(
        encoder, batch_size=settings.model.batch_size, seconds=seconds, report=output.talk
    )
    output.print_facts({"model": encoder.identity.to_meta(), **timings}, as_json=as_json)


def _open_checkpoint(settings: Settings) -> Checkpoint:
    from vidsearch.encoders.checkpoint import open_checkpoint

    model = settings.model
    return open_checkpoint(
        model.name, revision=model.revision, offline=model.offline, token=model.token
    )


def _last_name(name: str) -> str:
    return Path(name).expanduser().resolve().name if Path(name).is_dir() else name.split("/")[-1]


def _facts(settings: Settings) -> dict[str, Any]:
    """Name, source, encoder, shape, precision with its reason, identity and versions.

    Raises:
        ModelUnavailableError: there is no such model.
        ConfigError: it cannot run as the settings say.
    """
    from vidsearch.encoders import TorchEncoder, load_encoder
    from vidsearch.encoders.onnx import OnnxEncoder

    encoder = load_encoder(settings.model, settings.ingest)
    if isinstance(encoder, OnnxEncoder):
        special = _export_facts(encoder, asked=settings.model.precision)
    elif isinstance(encoder, TorchEncoder):
        special = _checkpoint_facts(encoder, settings)
    else:
        special = _own_facts(encoder, settings)
    identity = encoder.identity
    return {
        "name": settings.model.name,
        "encoder": f"{type(encoder).__module__}.{type(encoder).__qualname__}",
        **special,
        "dims": identity.dims,
        "image_size": identity.image_size,
        "context_length": encoder.context_length,
        "threads": settings.model.threads,
        "batch_size": settings.model.batch_size,
        "identity": identity.to_meta(),
        "versions": {name: _version(name) for name in _LIBRARIES},
    }


def _export_facts(encoder: OnnxEncoder, *, asked: str) -> dict[str, Any]:
    export = encoder.export
    held = " and ".join(export.towers)
    towers = export.towers[encoder.precision]
    loss = ", ".join(f"{name} {tower.max_loss:.1e}" for name, tower in towers.items())
    return {
        "source": f"ONNX export, folder {export.folder}",
        "weights": f"on this machine, {sum(file.size for file in export.files()) / 1e6:.1f} MB",
        "device": "cpu",
        "precision": encoder.precision,
        "precision_why": f"of text and frames; the setting is {asked!r}, the export holds {held}",
        "cosine_lost": f"to torch, at most, when it was made: {loss}",
    }


def _checkpoint_facts(encoder: TorchEncoder, settings: Settings) -> dict[str, Any]:
    model, checkpoint = settings.model, _open_checkpoint(settings)
    source = {"demo": "shipped with vidsearch", "local": f"folder {checkpoint.folder}"}.get(
        checkpoint.name, f"model hub, commit {checkpoint.revision}"
    )
    try:
        replace(checkpoint, offline=True).with_weights()
        weights = "on this machine"
    except ModelUnavailableError:
        weights = "not on this machine; downloaded when first needed"
    return {
        "source": source,
        "family": checkpoint.config["model_type"],
        "weights": weights,
        "device": model.device,
        "precision": encoder.precision,
        "precision_why": f"of frames; the setting is {model.precision!r}, text is always fp32",
    }


def _own_facts(encoder: Encoder, settings: Settings) -> dict[str, Any]:
    where = inspect.getsourcefile(type(encoder)) or type(encoder).__module__
    return {
        "name": encoder.identity.name,
        "source": f"your own encoder {settings.model.encoder}, in {where}",
        "precision": getattr(encoder, "precision", encoder.identity.precision),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
