"""Facts about the configured model that need no loading."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vidsearch.config import Settings
from vidsearch.errors import ModelUnavailableError

if TYPE_CHECKING:
    from vidsearch.encoders import TorchEncoder
    from vidsearch.encoders.onnx import OnnxEncoder

__all__ = ["model_facts"]

_LIBRARIES = ("vidsearch", "torch", "transformers", "onnxruntime", "tokenizers")


def model_facts(settings: Settings) -> dict[str, Any]:
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
        special = {"source": "your own encoder"}
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
    from vidsearch.encoders.checkpoint import open_checkpoint

    model = settings.model
    checkpoint = open_checkpoint(
        model.name, revision=model.revision, offline=model.offline, token=model.token
    )
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


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
