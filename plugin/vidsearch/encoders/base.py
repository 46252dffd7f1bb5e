"""The seam between pixels or words and unit vectors."""

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
    """Text and frames into one space of unit vectors. Methods may be called from many threads."""

    @property
    def identity(self) -> ModelIdentity:
        """What the index must remember to know these vectors again."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens the text tower reads, those included that the model adds; more is cut off."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` before any cut, those included that the model adds."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: ``(len(texts), dims)`` float32, each row of unit length.

        Raises:
            EncoderError: the model failed.
        """
        ...

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        """Embed frames: ``(len(frames), dims)`` float32, each row of unit length.

        Raises:
            EncoderError: the model failed.
        """
        ...


def mean_unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of unit vectors, scaled to unit length again.

    Args:
        vectors: shape ``(n, dims)``, each row of unit length.

    Returns:
        Shape ``(dims,)``, float32; summed in double precision.

    Raises:
        ValueError: no rows, or rows that cancel out, so that no direction is left.
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(
            f"pooling needs vectors of shape (n, dims) with n > 0, not {vectors.shape}"
        )
    mean = vectors.mean(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(mean))
    if not norm > 1e-9:
        raise ValueError(f"the mean of {len(vectors)} vectors has no direction")
    pooled: NDArray[np.float32] = (mean / norm).astype(np.float32)
    return pooled
