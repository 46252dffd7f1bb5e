"""Frame vectors → one vector per video, the CLIP4Clip way without parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_unit"]


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
