"""The nearest of many, which are shown batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nearest", "NearestIds", "Wanted"]

NearestIds = list[tuple[str, float]]
"""Ids with their cosines, best first."""
_ROUNDING = 1e-6


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What counts as found by one query: as near as the last of the ``k`` nearest, or nearer."""

    itself: str
    """The video that the query is of; it does not count."""
    number: int
    """How many videos there are to find."""
    ids: frozenset[str]
    """Of the videos that are near enough, as far as they are known."""
    least: float | None
    """Cosine from which on others are near enough, too: where more videos may have the same one
    than were read. ``None``: all are known."""

    @classmethod
    def of(cls, best: NearestIds, itself: str, k: int) -> Wanted:
        """By the nearest videos, of which more than ``2 k`` were asked for."""
        others = [(id, cosine) for id, cosine in best if id != itself]
        number = min(k, len(others))
        least = others[number - 1][1] - _ROUNDING
        ids = frozenset(id for id, cosine in others if cosine >= least)
        goes_on = len(best) > 2 * k and len(ids) == len(others)
        return cls(itself, number, ids, least if goes_on else None)

    @property
    def is_tied(self) -> bool:
        """Whether more videos than there are to find are as near as the last of them."""
        return self.least is not None or len(self.ids) > self.number

    def share(self, hits: Iterable[tuple[str, float]]) -> float:
        """Recall of hits: their ids, each with its cosine, best first."""
        others = [(id, cosine) for id, cosine in hits if id != self.itself][: self.number]
        least = math.inf if self.least is None else self.least
        found = sum(id in self.ids or cosine >= least for id, cosine in others)
        return found / self.number
