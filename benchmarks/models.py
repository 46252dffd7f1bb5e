"""The model that is measured: the shape of ViT-B/32 with random weights, and its export to ONNX."""

from __future__ import annotations

from pathlib import Path

from vidsearch.encoders.checkpoint import open_checkpoint
from vidsearch.encoders.onnx import is_export
from vidsearch.encoders.onnx.export import export_checkpoint
from vidsearch.testing.checkpoints import random_clip_checkpoint

__all__ = ["made_checkpoint", "made_export"]


def made_checkpoint(folder: Path) -> Path:
    """The checkpoint's folder; one that is already in ``folder`` is taken as it is."""
    checkpoint = folder / "vit-b-32"
    if not (checkpoint / "preprocessor_config.json").exists():  # what is written last
        random_clip_checkpoint(checkpoint, shape="vit-b-32")
    return checkpoint


def made_export(folder: Path) -> Path:
    """The folder of its export in fp32 and int8, compared with torch as every export is."""
    export = folder / "vit-b-32-onnx"
    if not is_export(export):
        export_checkpoint(open_checkpoint(str(made_checkpoint(folder))), export)
    return export
