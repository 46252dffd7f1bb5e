"""Loads one tower of a checkpoint with transformers; refuses incomplete or mismatched weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.families import Tower
from vidsearch.encoders.precision import FramePrecision
from vidsearch.error_texts import first_line
from vidsearch.errors import ConfigError, MissingExtraError, ModelUnavailableError

__all__ = [
    "load_model",
    "load_tower",
    "loading",
    "quiet_transformers",
    "require_transformers",
    "torch_device",
]

_log = logging.getLogger(__name__)
_START_VALUES = {"logit_scale": math.log(1 / 0.07), "logit_bias": 0.0}
"""CLIP's; of what scores need and vectors do not."""
_FEW_PATCHES = 64
"""Of a picture, up to which a CPU in bf16 trains with the plain product of attention: a step takes
14 % less than with torch's fused one with 49 (ViT-B/32), 40 % less with 64 (``demo``); in fp32 it
is even. The plain one keeps a number for each pair of them in each head and layer, a thousand
million for 16 clips of 12 frames with 196 (ViT-B/16)."""


def torch_device(name: str, *, threads: int) -> Any:
    """The ``torch.device`` of a setting; ``auto`` is CUDA where there is a card, else the CPU.

    Raises:
        ConfigError: this machine has no such device.
        MissingExtraError: torch is not installed.
    """
    torch = _torch()
    torch.set_num_threads(threads)
    _one_thread_between_operators(torch)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"torch cannot use the device {name!r} ({first_line(error)}); set "
            "VIDSEARCH_MODEL__DEVICE to 'auto' or 'cpu'"
        ) from error
    return torch.device(name)


def _one_thread_between_operators(torch: Any) -> None:
    # It serves torch.jit's forks alone, and can be set once per process.
    try:
        torch.set_num_interop_threads(1)
    except RuntimeError:
        _log.debug("torch's threads between operators were set before", exc_info=True)


def load_tower(
    checkpoint: Checkpoint,
    tower: Tower,
    *,
    device: Any,
    precision: FramePrecision = "fp32",
) -> Any:
    """One tower with what makes its vector, in evaluation mode, on ``device``.

    Raises:
        ModelUnavailableError: weights are missing or of another shape.
        MissingExtraError: torch or transformers is not installed.
    """
    torch = _torch()
    transformers = require_transformers()
    family = checkpoint.family
    folder = checkpoint.with_weights()
    with loading(checkpoint, f"the {tower} tower"), quiet_transformers():
        whole = _configuration(checkpoint, folder)
        config = whole.text_config if tower == "text" else whole.vision_config
        if hasattr(whole, "projection_dim"):
            # The whole model goes by its own, a tower by one that some checkpoints do not name.
            config.projection_dim = whole.projection_dim
        # A checkpoint saved in half precision would load in half precision.
        model, report = getattr(transformers, family.towers[tower]).from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            local_files_only=True,
        )
    _refuse_incomplete(checkpoint, report, f"the {tower} tower")
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return model.eval().requires_grad_(False).to(device, dtype)


def load_model(checkpoint: Checkpoint, *, device: Any, precision: FramePrecision = "fp32") -> Any:
    """Both towers and the scale of their cosines in fp32, in training mode, on ``device``.

    A checkpoint without a scale, which no vector depends on, begins with CLIP's start value.

    Args:
        checkpoint: what to load.
        device: a ``torch.device``.
        precision: that it will be computed in, with autocast.

    Raises:
        ModelUnavailableError: weights are missing or of another shape.
        MissingExtraError: torch or transformers is not installed.
    """
    torch = _torch()
    transformers = require_transformers()
    folder = checkpoint.with_weights()
    with loading(checkpoint, "the model"), quiet_transformers():
        whole = _configuration(checkpoint, folder)
        few = (device.type, precision) == ("cpu", "bf16") and _patches(whole) <= _FEW_PATCHES
        plain = {"attn_implementation": "eager"} if few else {}
        model, report = transformers.AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            **plain,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            local_files_only=True,
        )
    with torch.no_grad():
        # Left as the memory was.
        for name in _START_VALUES.keys() & set(report["missing_keys"]):
            getattr(model, name).fill_(_START_VALUES[name])
    report["missing_keys"] = set(report["missing_keys"]) - _START_VALUES.keys()
    _refuse_incomplete(checkpoint, report, "the model")
    return model.train().to(device)


def _configuration(checkpoint: Checkpoint, folder: Path) -> Any:
    configuration = getattr(require_transformers(), checkpoint.family.config)
    return configuration.from_pretrained(str(folder), local_files_only=True)


def _patches(configuration: Any) -> int:
    """Into how many parts the vision tower cuts a picture."""
    vision = configuration.vision_config
    return int((vision.image_size // vision.patch_size) ** 2)


def _refuse_incomplete(checkpoint: Checkpoint, report: Any, part: str) -> None:
    if mismatched := sorted(report["mismatched_keys"]):
        name, stored, expected = mismatched[0]
        raise ModelUnavailableError(
            f"{part} of {checkpoint.name!r} cannot be loaded: {name} has the shape "
            f"{tuple(stored)}, but config.json asks for {tuple(expected)}: weights and config.json "
            "belong to different checkpoints"
        )
    # transformers fills missing weights with random numbers and only warns.
    if missing := sorted(report["missing_keys"]):
        family = checkpoint.family
        raise ModelUnavailableError(
            f"{checkpoint.name!r} lacks weights of {part} ({missing[0]} and "
            f"{len(missing) - 1} more): not a {family.name} checkpoint with {family.parts}"
        )


def require_transformers() -> Any:
    """The library.

    Raises:
        MissingExtraError: torch or transformers is not installed.
    """
    _torch()
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="loading a checkpoint") from error
    return transformers


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError.of(
            "worker", needed_for="running a checkpoint with torch"
        ) from error
    return torch


@contextmanager
def loading(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Turn any error into one that names this part of this checkpoint.

    Raises:
        ModelUnavailableError: something failed.
    """
    try:
        yield
    except Exception as error:  # files of any kind, read by several libraries: any error at all
        raise ModelUnavailableError(
            f"{part} of {checkpoint.name!r} cannot be loaded: {first_line(error)}"
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No warnings and no progress bars from transformers; errors are still raised and logged."""
    # Each tower class reports the other tower's weights as unexpected, at length.
    logging = require_transformers().utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
