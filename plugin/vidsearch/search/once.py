"""A value that is built when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Once"]

_T = TypeVar("_T")


class Once(Generic[_T]):
    """Calls ``build`` in the first thread that asks for the value; a failure is tried again."""

    def __init__(self, build: Callable[[], _T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[_T] = []

    def __call__(self) -> _T:
        if not self._built:
            with self._lock:
                if not self._built:
                    self._built.append(self._build())
        return self._built[0]

    @property
    def is_built(self) -> bool:
        """Whether the value is there already."""
        return bool(self._built)
