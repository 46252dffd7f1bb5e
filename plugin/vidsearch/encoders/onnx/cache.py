"""An LRU cache of text vectors, as users repeat each other's queries."""

from __future__ import annotations

import threading
from collections import OrderedDict

from vidsearch.encoders.base import Vectors

__all__ = ["VectorCache"]

_LONGEST = 1000


class VectorCache:
    """The vectors of the ``size`` texts used last. Thread-safe.

    A text of more than 1000 characters is not kept, so that memory is bounded by the number of
    entries.
    """

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a cache cannot hold {size} vectors")
        self._size = size
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def get(self, text: str) -> Vectors | None:
        """Its vector, read-only, or ``None``."""
        with self._lock:
            found = self._vectors.get(text)
            if found is not None:
                self._vectors.move_to_end(text)
            return found

    def put(self, text: str, vector: Vectors) -> None:
        """Keep a copy of a vector; the one used longest ago makes room."""
        if not self._size or len(text) > _LONGEST:
            return
        kept = vector.copy()
        kept.flags.writeable = False
        with self._lock:
            self._vectors[text] = kept
            self._vectors.move_to_end(text)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
