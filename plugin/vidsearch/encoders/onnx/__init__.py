"""Checkpoints as ONNX files: made once with torch, run by onnxruntime and tokenizers alone.

Importing this package loads nothing: the names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.encoders.onnx.encoder import OnnxEncoder
    from vidsearch.encoders.onnx.layout import Export, is_export, read_export

__all__ = ["Export", "OnnxEncoder", "is_export", "read_export"]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "Export": "vidsearch.encoders.onnx.layout",
        "OnnxEncoder": "vidsearch.encoders.onnx.encoder",
        "is_export": "vidsearch.encoders.onnx.layout",
        "read_export": "vidsearch.encoders.onnx.layout",
    },
)
