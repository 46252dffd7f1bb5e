"""ONNX exports for the tests, each made once per session, as making one takes seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

__all__ = ["demo_export", "siglip_checkpoint", "siglip_export", "tiny_checkpoint", "tiny_export"]


def tiny_checkpoint(factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights, saved in half precision."""
    return _checkpoint(factory.getbasetemp() / "tiny-checkpoint")


def tiny_export(factory: pytest.TempPathFactory) -> Path:
    """Of :func:`tiny_checkpoint`, in fp32 and int8. Not to be changed: copy it first."""
    return _export(str(tiny_checkpoint(factory)), factory.getbasetemp() / "tiny-export")


def siglip_checkpoint(factory: pytest.TempPathFactory) -> Path:
    """A small SigLIP of the first generation with random weights."""
    return _siglip(factory.getbasetemp() / "siglip-checkpoint")


def siglip_export(factory: pytest.TempPathFactory) -> Path:
    """Of :func:`siglip_checkpoint`, in fp32 and int8. Not to be changed: copy it first."""
    return _export(str(siglip_checkpoint(factory)), factory.getbasetemp() / "siglip-export")


def demo_export(factory: pytest.TempPathFactory) -> Path:
    """Of the checkpoint ``demo``, in fp32 and int8. Not to be changed: copy it first."""
    return _export("demo", factory.getbasetemp() / "demo-export")


@cache
def _checkpoint(folder: Path) -> Path:
    pytest.importorskip("torch")
    from vidsearch.testing.checkpoints import random_clip_checkpoint

    return random_clip_checkpoint(folder, half=True)


@cache
def _siglip(folder: Path) -> Path:
    pytest.importorskip("torch")
    from vidsearch.testing.checkpoints import random_siglip_checkpoint

    return random_siglip_checkpoint(folder)


@cache
def _export(name: str, folder: Path) -> Path:
    for needed in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    from vidsearch.encoders.checkpoint import open_checkpoint
    from vidsearch.encoders.onnx.export import export_checkpoint

    return export_checkpoint(open_checkpoint(name), folder).folder
