"""Frames or words → unit vectors in one space.

Importing this package loads neither torch, transformers nor the tokenizers.
"""

from __future__ import annotations

from vidsearch.encoders.base import Encoder, Vectors
from vidsearch.encoders.clip4clip import Clip4ClipEncoder
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.encoders.load import load_encoder
from vidsearch.encoders.pooling import mean_unit

__all__ = [
    "Clip4ClipEncoder",
    "Encoder",
    "ModelIdentity",
    "Vectors",
    "load_encoder",
    "mean_unit",
]
