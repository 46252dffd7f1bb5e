"""Writes a trained model as a checkpoint in the Hugging Face form."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

from vidsearch.encoders.checkpoint import SMALL_FILES
from vidsearch.encoders.towers import quiet_transformers

__all__ = ["write_checkpoint"]


def write_checkpoint(model: Any, folder: Path, *, files_of: Path, half: bool = False) -> None:
    """Write weights, configuration, tokenizer and image processor.

    Args:
        model: of transformers.
        folder: made if absent; a model card that is there already is left alone.
        files_of: folder that tokenizer and image processor are copied from.
        half: write float16, which takes half the space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        (copy.deepcopy(model).half() if half else model).save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # written for the owner alone
    for name in SMALL_FILES:
        # The configuration is the model's own, as just written.
        if name != "config.json" and (file := files_of / name).is_file():
            shutil.copyfile(file, folder / name)
