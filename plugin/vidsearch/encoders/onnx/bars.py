"""What an export may lose. Imports nothing, as the command line names it in its help."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsearch.encoders.onnx.layout import Precision

__all__ = ["MAX_LOSS"]

MAX_LOSS: dict[Precision, float] = {"fp32": 1e-6, "int8": 0.02}
"""Largest ``1 - cosine`` to torch that an export may have by default."""
