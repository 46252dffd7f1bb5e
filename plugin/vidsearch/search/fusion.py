"""Fusions of several rankings, computed by vidsearch: on every licence, the same on every engine.

A :data:`Fusion` is a plain function of the legs' hits. :class:`Rrf` asks for ranks only and needs
neither a common scale nor tuning; :class:`Linear` adds scores that were brought to one scale.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, NamedTuple, get_args

from vidsearch.errors import QueryError
from vidsearch_mappings.fusions import Normalizer

__all__ = ["Fusion", "Linear", "Normalizer", "Rrf", "Scored", "linear", "rrf", "weight_of"]


class Scored(NamedTuple):
    """A video's id with its score; more is better."""

    id: str
    score: float


Legs = Mapping[str, Sequence[Scored]]
"""Hits of each leg, best first, an id at most once per leg, by the name of the leg."""

Fusion = Callable[[Legs], list[Scored]]
"""Takes each leg's hits, best first, by the name of the leg; gives all of them, best first."""


@dataclass(frozen=True)
class Rrf:
    """Reciprocal rank fusion: the sum over the legs of ``weight / (constant + rank)``.

    After Cormack, Clarke and Büttcher, SIGIR 2009. Ranks count from 1. Gives the best first; equal
    scores in the order of their ids.

    Raises:
        QueryError: a weight is negative or, in a call, names no leg; or an argument is wrong.
    """

    constant: float = 60
    """How much the first ranks stand out, from 0 on; larger flattens."""
    weights: Mapping[str, float] | None = None
    """Weight of a leg by its name; 1 where absent, 0 takes the leg out."""
    window: int | None = None
    """Only so many hits of each leg count."""

    def __post_init__(self) -> None:
        if not (_is_finite(self.constant) and self.constant >= 0):
            raise QueryError(f"constant must be a number from 0 on, not {self.constant!r}")
        _require_weights(self.weights)
        _require_window(self.window)

    def __call__(self, legs: Legs) -> list[Scored]:
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for weight, hits in _weighted(legs, weights=self.weights, window=self.window):
            for rank, hit in enumerate(hits, start=1):
                shares[hit.id].append(weight / (self.constant + rank))
        return _ranked(shares)


@dataclass(frozen=True)
class Linear:
    """Convex combination: the weighted mean over the legs of the normalised scores.

    ``min_max`` (Lee, SIGIR 1997) gives a leg's best 1 and its last 0; a video that the leg lacks
    has 0 there, too. ``z_score`` (Montague and Aslam, CIKM 2001) counts standard deviations from
    the leg's mean; a video that the leg lacks has the share of the leg's last. Where all scores of
    a leg are the same, also of a single hit, a video has 1 if the leg has it, else 0, with both.
    An empty leg gives every video 0.

    With ``min_max`` a video whose score rises in a leg never falls in the result. With ``z_score``
    a video that no leg puts below another is never below it, but a score that rises far beyond all
    others widens the scale for the others, too.

    Gives the best first, with ``min_max`` from 1 to 0; equal scores in the order of their ids.

    Raises:
        QueryError: as :class:`Rrf`.
    """

    normalizer: Normalizer = "min_max"
    weights: Mapping[str, float] | None = None
    """As of :class:`Rrf`; only their proportions matter."""
    window: int | None = None
    """Only so many hits of each leg count, also for their scale."""

    def __post_init__(self) -> None:
        if self.normalizer not in get_args(Normalizer):
            names = " or ".join(get_args(Normalizer))
            raise QueryError(f"normalizer must be {names}, not {self.normalizer!r}")
        _require_weights(self.weights)
        _require_window(self.window)

    def __call__(self, legs: Legs) -> list[Scored]:
        taken = _weighted(legs, weights=self.weights, window=self.window)
        total = fsum(weight for weight, _ in taken)
        shares: defaultdict[str, list[float]] = defaultdict(list)
        union = {hit.id for _, hits in taken for hit in hits}
        for weight, hits in taken:
            scaled, absent = _scaled(hits, normalizer=self.normalizer)
            for id in union:
                shares[id].append(weight / total * scaled.get(id, absent))
        return _ranked(shares)


def rrf(
    legs: Legs,
    *,
    constant: float = 60,
    weights: Mapping[str, float] | None = None,
    window: int | None = None,
) -> list[Scored]:
    """:class:`Rrf` of these legs."""
    return Rrf(constant, weights, window)(legs)


def linear(
    legs: Legs,
    *,
    normalizer: Normalizer = "min_max",
    weights: Mapping[str, float] | None = None,
    window: int | None = None,
) -> list[Scored]:
    """:class:`Linear` of these legs."""
    return Linear(normalizer, weights, window)(legs)


def weight_of(leg: str, weights: Mapping[str, float] | None) -> float:
    """A leg's weight: 1 where none is given."""
    return float((weights or {}).get(leg, 1.0))


def _weighted(
    legs: Legs, *, weights: Mapping[str, float] | None, window: int | None
) -> list[tuple[float, Sequence[Scored]]]:
    """The legs that count, with their weights and cut to the window."""
    _require_weights(weights, legs=legs)
    pairs = [(weight_of(name, weights), hits[:window]) for name, hits in legs.items()]
    return [(weight, hits) for weight, hits in pairs if weight > 0]


def _scaled(hits: Sequence[Scored], *, normalizer: Normalizer) -> tuple[dict[str, float], float]:
    """The normalised scores of a leg by id, and the share of a video that it lacks."""
    if not hits:
        return {}, 0.0
    scores = [hit.score for hit in hits]
    low, high = min(scores), max(scores)
    if low == high:
        return {hit.id: 1.0 for hit in hits}, 0.0
    shares = [(score - low) / (high - low) for score in scores]
    if normalizer == "z_score":
        # Of the shares, which have the same z-scores and neither over- nor underflow.
        mean = fsum(shares) / len(shares)
        deviation = math.sqrt(fsum((share - mean) ** 2 for share in shares) / len(shares))
        shares = [(share - mean) / deviation for share in shares]
    return {hit.id: share for hit, share in zip(hits, shares, strict=True)}, min(shares)


def _ranked(shares: Mapping[str, Sequence[float]]) -> list[Scored]:
    # fsum is exact before rounding, so the order of the legs cannot change an order of hits.
    ranked = sorted((-fsum(parts), id) for id, parts in shares.items())
    return [Scored(id, -negated) for negated, id in ranked]


def _require_window(window: int | None) -> None:
    if window is not None and (
        isinstance(window, bool) or not isinstance(window, int) or window < 1
    ):
        raise QueryError(f"window must be a whole number from 1 on, not {window!r}")


def _require_weights(weights: Mapping[str, float] | None, *, legs: Any = None) -> None:
    for name, weight in (weights or {}).items():
        if legs is not None and name not in legs:
            raise QueryError(f"weights: leg {name!r} is not one of {', '.join(legs) or 'none'}")
        if not (_is_finite(weight) and weight >= 0):
            raise QueryError(f"weights: leg {name!r} must have a number from 0 on, not {weight!r}")
    if legs and not any(weight_of(name, weights) for name in legs):
        raise QueryError("weights: every leg has 0, which leaves nothing to order by")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
