"""Checkpoints as ONNX files: made once with torch, run by onnxruntime and tokenizers alone.

Importing this package loads none of them.
"""

from __future__ import annotations

from vidsearch.encoders.onnx.encoder import OnnxEncoder
from vidsearch.encoders.onnx.layout import Export, is_export, read_export

__all__ = ["Export", "OnnxEncoder", "is_export", "read_export"]
