"""Encoders: frames and texts → unit vectors in one space.

Importing this package loads nothing: the names below are imported when first used. torch,
transformers and tokenizers are imported when an encoder first computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.encoders.base import Encoder, Vectors, mean_unit
    from vidsearch.encoders.identity import ModelIdentity
    from vidsearch.encoders.load import load_encoder
    from vidsearch.encoders.output import embedded_frames, embedded_texts
    from vidsearch.encoders.pool import EncoderPool
    from vidsearch.encoders.soundness import require_sound
    from vidsearch.encoders.torch_encoder import TorchEncoder

__all__ = [
    "TorchEncoder",
    "Encoder",
    "EncoderPool",
    "ModelIdentity",
    "Vectors",
    "embedded_frames",
    "embedded_texts",
    "load_encoder",
    "mean_unit",
    "require_sound",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "TorchEncoder": "vidsearch.encoders.torch_encoder",
        "Encoder": "vidsearch.encoders.base",
        "EncoderPool": "vidsearch.encoders.pool",
        "ModelIdentity": "vidsearch.encoders.identity",
        "Vectors": "vidsearch.encoders.base",
        "embedded_frames": "vidsearch.encoders.output",
        "embedded_texts": "vidsearch.encoders.output",
        "load_encoder": "vidsearch.encoders.load",
        "mean_unit": "vidsearch.encoders.base",
        "require_sound": "vidsearch.encoders.soundness",
    },
)
