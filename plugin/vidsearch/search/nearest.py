"""The nearest of many, which are shown batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nearest", "NearestIds"]

NearestIds = list[tuple[str, float]]
"""Ids with their cosines, best first."""


class Nearest:
    """The ``keep`` best of each query, among all that were shown."""

    def __init__(self, queries: int, *, keep: int) -> None:
        self._keep = keep
        self._cosines = np.empty((queries, 0), np.float32)
        self._ids = np.empty((queries, 0), object)

    def show(self, ids: Sequence[str], cosines: NDArray[np.float32]) -> None:
        """``(queries, len(ids))`` cosines."""
        every = np.hstack([self._cosines, cosines])
        known = np.hstack([self._ids, np.tile(np.array(ids, object), (len(every), 1))])
        best = np.argsort(-every, axis=1, kind="stable")[:, : self._keep]
        self._cosines = np.take_along_axis(every, best, axis=1)
        self._ids = np.take_along_axis(known, best, axis=1)

    def best(self) -> list[NearestIds]:
        """Of each query."""
        pairs = zip(self._ids.tolist(), self._cosines.tolist(), strict=True)
        return [list(zip(ids, cosines, strict=True)) for ids, cosines in pairs]
