"""From several rankings to one.

A :data:`Fusion` is a plain function; :func:`rrf` is the one that needs no licence, no common
scale of the scores and no tuning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import NamedTuple

__all__ = ["Fusion", "Scored", "rrf"]


class Scored(NamedTuple):
    """A video's id with its score; more is better."""

    id: str
    score: float


Fusion = Callable[[Mapping[str, Sequence[Scored]]], list[Scored]]
"""Takes each leg's hits, best first, by the name of the leg; gives all of them, best first."""


def rrf(
    legs: Mapping[str, Sequence[Scored]],
    *,
    constant: int = 60,
    weights: Mapping[str, float] | None = None,
    window: int | None = None,
) -> list[Scored]:
    """Reciprocal rank fusion: the sum over the legs of ``weight / (constant + rank)``.

    Args:
        legs: hits of each leg, best first, an id at most once per leg; ranks count from 1.
        constant: how much the first ranks stand out; larger flattens.
        weights: weight of a leg by its name; 1 where absent, 0 takes the leg out.
        window: only so many hits of each leg count.

    Returns:
        Best first; equal scores in the order of their ids.

    Raises:
        ValueError: a weight is negative or names no leg.
    """
    weights = weights or {}
    for name, weight in weights.items():
        if name not in legs:
            raise ValueError(f"weight for leg {name!r}, but the legs are {', '.join(legs)}")
        if not weight >= 0:
            raise ValueError(f"weight of leg {name!r} must not be negative, not {weight}")
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for name, hits in legs.items():
        weight = weights.get(name, 1.0)
        if weight == 0:
            continue
        for rank, hit in enumerate(hits[:window], start=1):
            shares[hit.id].append(weight / (constant + rank))
    # fsum is exact before rounding, so the order of the legs cannot change an order of hits.
    fused = [Scored(id, fsum(parts)) for id, parts in shares.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.id))
