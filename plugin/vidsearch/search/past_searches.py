"""How earlier searches went, by which the next one is planned."""

from __future__ import annotations

from typing import NamedTuple

from vidsearch.search.request import SearchRequest

__all__ = ["CutSize", "PastSearches"]

_KEPT = 64
"""Thresholds and sorts that are remembered; an application has few."""
_TIE_KEPT = 20
"""Pages for which a tie is remembered: a request more costs far more than a body more."""


class CutSize(NamedTuple):
    """What thresholds left of a window."""

    good: int
    """Hits that reach them."""
    found: int
    """Hits of the window."""


class PastSearches:
    """What the thresholds and the sorts of earlier searches led to. Thread-safe.

    It decides which bodies are sent first, and never which hits are shown.
    """

    def __init__(self) -> None:
        self._sizes: dict[tuple[object, ...], CutSize] = {}
        self._tied: dict[str, int] = {}

    def cut_of(self, request: SearchRequest) -> CutSize | None:
        """What to expect of its thresholds; ``None`` where no search had them."""
        return self._sizes.get(_thresholds(request))

    def remember_cut(self, request: SearchRequest, size: CutSize) -> None:
        """What the thresholds of a search left."""
        if len(self._sizes) >= _KEPT:
            self._sizes.clear()
        self._sizes[_thresholds(request)] = size

    def tied(self, request: SearchRequest) -> bool:
        """Whether one of the last pages by its sort lacked hits that are equal to its last one."""
        return self._tied.get(str(request.sort), 0) > 0

    def remember_tie(self, request: SearchRequest, tied: bool) -> None:
        """Whether a page by the sort of a search lacked hits that are equal to its last one."""
        if len(self._tied) >= _KEPT:
            self._tied.clear()
        left = self._tied.get(str(request.sort), 0) - 1
        self._tied[str(request.sort)] = _TIE_KEPT if tied else max(left, 0)


def _thresholds(request: SearchRequest) -> tuple[object, ...]:
    return request.level, request.gap, request.min_cosine
