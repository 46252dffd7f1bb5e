"""Checkpoints and ONNX exports for the tests, each made once for all testers of a session: making
one takes seconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from vidsearch.local.folders import locked

__all__ = ["demo_export", "siglip_checkpoint", "siglip_export", "tiny_checkpoint", "tiny_export"]


def tiny_checkpoint(factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights, saved in half precision."""
    return _checkpoint(_session(factory) / "tiny-checkpoint")


def tiny_export(factory: pytest.TempPathFactory) -> Path:
    """Of :func:`tiny_checkpoint`, in fp32 and int8. Not to be changed: copy it first."""
    return _export(str(tiny_checkpoint(factory)), _session(factory) / "tiny-export")


def siglip_checkpoint(factory: pytest.TempPathFactory) -> Path:
    """A small SigLIP of the first generation with random weights."""
    return _siglip(_session(factory) / "siglip-checkpoint")


def siglip_export(factory: pytest.TempPathFactory) -> Path:
    """Of :func:`siglip_checkpoint`, in fp32 and int8. Not to be changed: copy it first."""
    return _export(str(siglip_checkpoint(factory)), _session(factory) / "siglip-export")


def demo_export(factory: pytest.TempPathFactory) -> Path:
    """Of the checkpoint ``demo``, in fp32 and int8. Not to be changed: copy it first."""
    return _export("demo", _session(factory) / "demo-export")


def _session(factory: pytest.TempPathFactory) -> Path:
    """A folder that the testers of a session share; each has one of its own in it."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _made(folder: Path, make: Callable[[Path], object]) -> Path:
    """The folder, made by whoever comes first; others wait until it is whole."""
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            unfinished = folder.with_name(f"unfinished-{folder.name}")
            shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed
            make(unfinished)
            unfinished.rename(folder)
    return folder


@cache
def _checkpoint(folder: Path) -> Path:
    pytest.importorskip("torch")
    from vidsearch.testing.checkpoints import random_clip_checkpoint

    return _made(folder, lambda into: random_clip_checkpoint(into, half=True))


@cache
def _siglip(folder: Path) -> Path:
    pytest.importorskip("torch")
    from vidsearch.testing.checkpoints import random_siglip_checkpoint

    return _made(folder, random_siglip_checkpoint)


@cache
def _export(name: str, folder: Path) -> Path:
    for needed in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    from vidsearch.encoders.checkpoint import open_checkpoint
    from vidsearch.encoders.onnx.export import export_checkpoint

    return _made(folder, lambda into: export_checkpoint(open_checkpoint(name), into))
