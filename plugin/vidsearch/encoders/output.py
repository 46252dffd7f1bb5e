"""The vectors of an encoder, checked once per batch before anything is made of them.

An encoder may be anybody's. A vector too few would shift all later frames to wrong times, and one
that is not finite would only be noticed where it is stored. One of other dims not even there:
Elasticsearch 9.5 reads base64 of half the bytes that it expects as bfloat16, and stores wrong
vectors without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vidsearch.encoders.base import Encoder, Vectors
from vidsearch.errors import EncoderError, ModelMismatchError
from vidsearch.media.frames import FrameBatch

__all__ = ["checked_vectors", "embedded_frames", "embedded_texts"]

_UNIT = 0.01
"""How far a length may be from 1 for the vector to be scaled: a unit vector in half precision."""
_EXACT = 1e-6
"""What is nearer to 1 than that is left as it is."""


def embedded_frames(encoder: Encoder, frames: FrameBatch) -> Vectors:
    """The vectors of frames: ``(len(frames), dims)`` float32, each row of unit length.

    Raises:
        EncoderError: the model failed, or what it returned are no such vectors.
        ModelMismatchError: they do not have the dims of the encoder's identity.
    """
    return checked_vectors(encoder.encode_frames(frames), encoder, len(frames), "frame")


def embedded_texts(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """The vectors of texts: ``(len(texts), dims)`` float32, each row of unit length.

    Raises:
        EncoderError: the model failed, or what it returned are no such vectors.
        ModelMismatchError: they do not have the dims of the encoder's identity.
    """
    return checked_vectors(encoder.encode_text(texts), encoder, len(texts), "text")


def checked_vectors(found: Any, encoder: Encoder, count: int, kind: str) -> Vectors:
    """What an encoder has returned for so many texts or frames, held to its contract."""
    method = "encode_frames" if kind == "frame" else "encode_text"
    where = f"encoder {encoder.identity.name!r}, {type(encoder).__name__}.{method}"
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        what = f"an array of {found.dtype}" if isinstance(found, np.ndarray) else _name(found)
        raise EncoderError(f"{where} returned {what}, but vectors are a numpy array of float32")
    if found.ndim != 2 or len(found) != count:
        raise EncoderError(
            f"{where} returned the shape {found.shape} for {count} {kind}s; it must be "
            f"({count}, dims), one vector per {kind}"
        )
    if found.shape[1] != encoder.identity.dims:
        raise ModelMismatchError(
            f"{where} returned vectors of {found.shape[1]} dims, but the encoder's identity says "
            f"{encoder.identity.dims}: correct the encoder, or the dims in its identity"
        )
    lengths = np.linalg.norm(found.astype(np.float64, copy=False), axis=1)
    off = np.abs(lengths - 1.0)
    if not np.all(off <= _UNIT):  # also where a length is not a number
        at = int(np.argmax(~(off <= _UNIT)))
        if not np.isfinite(found[at]).all():
            raise EncoderError(
                f"{where} returned a vector that is not finite, for {kind} {at + 1} of {count} in "
                "the batch; a model in half precision may overflow (setting model.precision)"
            )
        raise EncoderError(
            f"{where} returned a vector of length {lengths[at]:.4g} for {kind} {at + 1} of {count} "
            "in the batch; the contract of encoders asks for unit length: divide each vector by "
            "its norm"
        )
    vectors: Vectors = found.astype(np.float32, copy=False)
    if np.any(off > _EXACT):
        vectors = (found / lengths[:, np.newaxis]).astype(np.float32)
    return vectors


def _name(found: object) -> str:
    return f"a {type(found).__name__}"
