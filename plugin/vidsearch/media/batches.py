"""Gathers pictures into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.frames import FrameBatch

__all__ = ["Batches", "Draw"]

Draw = Callable[["NDArray[np.uint8] | None"], "NDArray[np.uint8]"]
"""Gives a picture, RGB ``(height, width, 3)``: the array given, written, where its shape fits."""

_SPARSE = 32


class Batches:
    """Full batches as they come, and a last one. Pictures of two sizes never share a batch."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._data = np.empty((0, 0, 0, 3), dtype=np.uint8)
        self._times: list[float] = []
        self._repeats: list[int] = []
        self._number: int | None = None

    def add(self, seconds: float, draw: Draw, *, number: int | None = None) -> Iterator[FrameBatch]:
        """Add a frame; yields the batch before it where it does not fit in any more.

        Args:
            seconds: its time.
            draw: gives its picture; not called where ``number`` is that of the frame before.
            number: of the frame in the video.
        """
        if number is not None and number == self._number:
            self.hold(seconds)
            return
        self._number = number
        count, data = len(self._repeats), self._data
        if count == self._size:  # that batch goes to whoever takes it
            data = np.empty_like(data)
        slot = data[count % self._size] if len(data) else None
        picture = draw(slot)
        if count and _are_equal(picture, self._data[count - 1]):
            self.hold(seconds)
            return
        if count and (data is not self._data or picture.shape != data.shape[1:]):
            yield self._take()
        if picture.shape != data.shape[1:]:
            data = np.empty((self._size, *picture.shape), dtype=np.uint8)
        if picture is not slot:
            data[len(self._repeats)] = picture
        self._data = data
        self._times.append(seconds)
        self._repeats.append(1)

    def hold(self, seconds: float) -> None:
        """Add a frame that shows the picture of the one before."""
        self._times.append(seconds)
        self._repeats[-1] += 1

    def rest(self) -> Iterator[FrameBatch]:
        """Yield the last batch, where there is one."""
        if self._repeats:
            yield self._take()

    def _take(self) -> FrameBatch:
        batch = FrameBatch(
            self._data[: len(self._repeats)], np.array(self._times), np.array(self._repeats)
        )
        self._times, self._repeats = [], []
        return batch


def _are_equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    # Most differ, and are told apart by a few of their pixels.
    few = np.s_[::_SPARSE, ::_SPARSE]
    return np.array_equal(one[few], other[few]) and np.array_equal(one, other)
