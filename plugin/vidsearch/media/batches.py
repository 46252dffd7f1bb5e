"""Gathers pictures into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.frames import FrameBatch

__all__ = ["Batches", "Draw"]

Draw = Callable[["NDArray[np.uint8] | None"], "NDArray[np.uint8]"]
"""Gives a picture, RGB ``(height, width, 3)``: the array given, written, where its shape fits."""


class Batches:
    """Full batches as they come, and a last one. Pictures of two sizes never share a batch."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._times: list[float] = []
        self._data = np.empty((0, 0, 0, 3), dtype=np.uint8)

    def add(self, seconds: float, draw: Draw) -> Iterator[FrameBatch]:
        """Add a picture; yields the batches before it where it does not fit in any more."""
        if len(self._times) == self._size:
            yield self._take()
        if not self._times and len(self._data):
            self._data = np.empty_like(self._data)  # the one before belongs to who got it
        slot = self._data[len(self._times)] if len(self._data) else None
        picture = draw(slot)
        if picture is not slot:
            if self._times and picture.shape != self._data.shape[1:]:
                yield self._take()
            if not self._times and picture.shape != self._data.shape[1:]:
                self._data = np.empty((self._size, *picture.shape), dtype=np.uint8)
            self._data[len(self._times)] = picture
        self._times.append(seconds)

    def rest(self) -> Iterator[FrameBatch]:
        """Yield the last batch, where there is one."""
        if self._times:
            yield self._take()

    def _take(self) -> FrameBatch:
        batch = FrameBatch(data=self._data[: len(self._times)], pts_seconds=np.array(self._times))
        self._times = []
        return batch
