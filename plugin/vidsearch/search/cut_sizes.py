"""How many hits thresholds left of earlier searches, by which the next one is planned."""

from __future__ import annotations

from typing import NamedTuple

from vidsearch.search.request import SearchRequest

__all__ = ["CutSize", "CutSizes"]

_KEPT = 64
"""Thresholds that are remembered; an application has few."""


class CutSize(NamedTuple):
    """What thresholds left of a window."""

    good: int
    """Hits that reach them."""
    found: int
    """Hits of the window."""


class CutSizes:
    """By the thresholds of a search, what they left of the last window. Thread-safe.

    It decides which page is asked for beside the window, and never which one is shown.
    """

    def __init__(self) -> None:
        self._sizes: dict[tuple[object, ...], CutSize] = {}

    def of(self, request: SearchRequest) -> CutSize | None:
        """What to expect; ``None`` where no search had these thresholds."""
        return self._sizes.get(_key(request))

    def remember(self, request: SearchRequest, size: CutSize) -> None:
        """What the thresholds of a search left."""
        if len(self._sizes) >= _KEPT:
            self._sizes.clear()
        self._sizes[_key(request)] = size


def _key(request: SearchRequest) -> tuple[object, ...]:
    return request.level, request.gap, request.min_cosine
