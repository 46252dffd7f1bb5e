"""The protocol of encoders, and the mean of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.media.frames import FrameBatch

__all__ = ["Encoder", "Vectors", "mean_unit"]

Vectors = NDArray[np.float32]
"""Unit vectors, shape ``(n, dims)``, float32."""


@runtime_checkable
class Encoder(Protocol):
    """Embeds texts and frames in one vector space. Its methods are thread-safe."""

    @property
    def identity(self) -> ModelIdentity:
        """Identity of the model, kept in the index to tell which vectors are comparable."""
        ...

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a text, special tokens included; the rest is cut off."""
        ...

    def count_tokens(self, text: str) -> int:
        """Number of tokens of ``text`` before truncation, special tokens included."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: ``(len(texts), dims)`` float32, each row of unit length.

        Lengths within 1 % of it, as of half precision, are scaled; others are refused.

        Raises:
            EncoderError: the model failed.
        """
        ...

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        """Embed pictures: ``(len(frames), dims)`` float32, each row of unit length.

        Lengths within 1 % of it, as of half precision, are scaled; others are refused.

        Raises:
            EncoderError: the model failed.
        """
        ...


def mean_unit(
    vectors: NDArray[np.float32], *, weights: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """The mean of unit vectors, scaled to unit length again.

    Args:
        vectors: shape ``(n, dims)``, each row of unit length.
        weights: how often each row counts, shape ``(n,)``; once if not given.

    Returns:
        Shape ``(dims,)``, float32; summed in double precision.

    Raises:
        ValueError: no rows, or rows that cancel out, so that no direction is left.
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(
            f"pooling needs vectors of shape (n, dims) with n > 0, not {vectors.shape}"
        )
    mean = np.average(vectors.astype(np.float64), axis=0, weights=weights)
    norm = float(np.linalg.norm(mean))
    if not norm > 1e-9:
        raise ValueError(f"the mean of {len(vectors)} vectors has no direction")
    pooled: NDArray[np.float32] = (mean / norm).astype(np.float32)
    return pooled
