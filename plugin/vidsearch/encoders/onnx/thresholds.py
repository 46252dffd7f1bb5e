"""How much an export may differ from torch. Imports nothing: the help of a command shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsearch.encoders.onnx.layout import Precision

__all__ = ["MAX_LOSS"]

MAX_LOSS: dict[Precision, float] = {"fp32": 1e-6, "int8": 0.02}
"""Maximum of ``1 - cosine`` to torch by precision, by default."""
