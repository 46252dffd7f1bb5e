"""What fine-tuning writes: hours of work end there, so errors say what to do, and come early."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from vidsearch.error_texts import first_line
from vidsearch.errors import FineTuningError

__all__ = ["require_writable", "save_state", "writing"]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write a file or folder within.

    Raises:
        FineTuningError: it cannot be written. torch says so by a RuntimeError.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise FineTuningError(
            f"{path} cannot be written ({reason}): make room, or see to its rights, and run the "
            "same again, which goes on from the last state"
        ) from error


def require_writable(folder: Path) -> None:
    """See that files can be written into a folder, or that it can be made. It is not made.

    Raises:
        FineTuningError: they cannot, or it cannot.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise FineTuningError(
            f"nothing can be written into {folder}: {error.strerror or error}"
        ) from error


def save_state(state: Any, path: Path) -> None:
    """Write what torch loads again, in place of what is there; never seen half written.

    Raises:
        FineTuningError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            torch.save(state, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
