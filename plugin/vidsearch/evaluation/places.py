"""Where the right item of each query lies among the ranked ones, ties included.

Ties are counted by expectation: every figure is the mean over all orders of the items that share a
score, as if they were shuffled. A model that gives every video the same vector has R@1 of one in
the number of videos, not 1 or 0 by the order of a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Places", "find_places"]

TIE = 1e-6
"""Scores that are nearer to each other are the same: what is left of float32 cosines."""
_BLOCK = 1 << 24
"""Scores that are in memory at a time."""

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What the rank of the first right item depends on, for each of ``n`` queries."""

    ahead: Numbers
    """Wrong items with a higher score than the best right one, shape ``(n,)``."""
    tied: Numbers
    """Wrong items with the same score."""
    right: Numbers
    """Right items with that score, from 1."""

    def __len__(self) -> int:
        return len(self.ahead)

    def ranks(self) -> Floats:
        """Expected rank, from 1, of the first right item of each query."""
        ranks: Floats = self.ahead + (self.tied + self.right + 1) / (self.right + 1)
        return ranks

    def found(self, k: int) -> Floats:
        """Probability, for each query, that a right item is among the first ``k``."""
        places = self.tied + self.right
        room = np.clip(k - self.ahead, 0, places)
        missed = np.ones(len(self))
        for drawn in range(int(self.right.max(initial=0))):
            left = np.clip(places - room - drawn, 0, None) / np.maximum(places - drawn, 1)
            missed *= np.where(drawn < self.right, left, 1.0)
        return 1.0 - missed

    @classmethod
    def joined(cls, parts: list[Places]) -> Places:
        """Of several batches of queries."""
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in cls.__slots__))


def find_places(
    scores: Callable[[slice], NDArray[np.floating]],
    *,
    wanted: Numbers,
    gallery: Numbers,
    tie: float = TIE,
) -> Places:
    """Compare the scores of all items with that of the best right one, in blocks of queries.

    Args:
        scores: of the queries of a slice with every item, shape ``(queries, items)``, finite.
        wanted: what each query asks for, shape ``(n,)``.
        gallery: what each item is, shape ``(items,)``; it is right where it equals the wanted one.
        tie: scores that differ by no more are the same.

    Raises:
        ValueError: there is no right item for a query.
    """
    step = max(1, _BLOCK // max(1, len(gallery)))
    parts = []
    for start in range(0, len(wanted), step):
        block = slice(start, min(start + step, len(wanted)))
        parts.append(_places(scores(block), wanted[block, np.newaxis] == gallery, tie))
    return Places.joined(parts)


def _places(scores: NDArray[np.floating], is_right: NDArray[np.bool_], tie: float) -> Places:
    if not is_right.any(axis=1).all():
        raise ValueError("a query asks for what the gallery does not hold")
    best = np.where(is_right, scores, -np.inf).max(axis=1, keepdims=True)
    beyond = scores - best
    same = np.abs(beyond) <= tie
    return Places(
        ahead=np.count_nonzero((beyond > tie) & ~is_right, axis=1),
        tied=np.count_nonzero(same & ~is_right, axis=1),
        right=np.count_nonzero(same & is_right, axis=1),
    )
