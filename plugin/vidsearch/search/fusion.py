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
from typing import Any, Literal, NamedTuple, get_args

from vidsearch.errors import QueryError

__all__ = ["Fusion", "Linear", "Normalizer", "Rrf", "Scored", "linear", "rrf", "weight_of"]

Normalizer = Literal["min_max", "z_score"]
"""How the scores of a leg are brought to a scale that legs have in common."""


class Scored(NamedTuple):
    """A video's id with its score; more is better."""

    id: str
    score: float


Legs = Mapping[str, Sequence[Scored]]
"""Hits of each leg, best first, an id at most once per leg, by the name of the leg."""

Fusion = Callable[[Legs], list[Scored]]
"""Takes each leg's hits, best first, by the name of the leg; gives all of them, best first."""


def rrf(
    legs: Legs,
    *,
    constant: float = 60,
    weights: Mapping[str, float] | None = None,
    window: int | None = None,
) -> list[Scored]:
    """Reciprocal rank fusion: the sum over the legs of ``weight / (constant + rank)``.

    After Cormack, Clarke and Büttcher, SIGIR 2009.

    Args:
        legs: hits of each leg, best first, an id at most once per leg; ranks count from 1.
        constant: how much the first ranks stand out, from 0 on; larger flattens.
        weights: weight of a leg by its name; 1 where absent, 0 takes the leg out.
        window: only so many hits of each leg count.

    Returns:
        Best first; equal scores in the order of their ids.

    Raises:
        QueryError: a weight is negative or names no leg, or ``constant`` or ``window`` is wrong.
    """
    _require_constant(constant)
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for weight, hits in _weighted(legs, weights=weights, window=window):
        for rank, hit in enumerate(hits, start=1):
            shares[hit.id].append(weight / (constant + rank))
    return _ranked(shares)


def linear(
    legs: Legs,
    *,
    normalizer: Normalizer = "min_max",
    weights: Mapping[str, float] | None = None,
    window: int | None = None,
) -> list[Scored]:
    """Convex combination: the weighted mean over the legs of the normalised scores.

    ``min_max`` (Lee, SIGIR 1997) gives a leg's best 1 and its last 0; a video that the leg lacks
    has 0 there, too. ``z_score`` (Montague and Aslam, CIKM 2001) counts standard deviations from
    the leg's mean; a video that the leg lacks has the share of the leg's last. Where all scores of
    a leg are the same, also of a single hit, a video has 1 if the leg has it, else 0, with both.
    An empty leg gives every video 0.

    With ``min_max`` a video whose score rises in a leg never falls in the result. With ``z_score``
    a video that no leg puts below another is never below it, but a score that rises far beyond all
    others widens the scale for the others, too.

    Args:
        legs: hits of each leg, best first, an id at most once per leg.
        normalizer: ``min_max`` or ``z_score``.
        weights: weight of a leg by its name; 1 where absent, 0 takes the leg out. Only their
            proportions matter.
        window: only so many hits of each leg count, also for their scale.

    Returns:
        Best first, with ``min_max`` from 1 to 0; equal scores in the order of their ids.

    Raises:
        QueryError: a weight is negative or names no leg, or ``normalizer`` or ``window`` is wrong.
    """
    _require_normalizer(normalizer)
    taken = _weighted(legs, weights=weights, window=window)
    total = fsum(weight for weight, _ in taken)
    shares: defaultdict[str, list[float]] = defaultdict(list)
    union = {hit.id for _, hits in taken for hit in hits}
    for weight, hits in taken:
        scaled, absent = _scaled(hits, normalizer=normalizer)
        for id in union:
            shares[id].append(weight / total * scaled.get(id, absent))
    return _ranked(shares)


@dataclass(frozen=True)
class Rrf:
    """:func:`rrf` with these arguments."""

    constant: float = 60
    weights: Mapping[str, float] | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        _require_constant(self.constant)
        _require_weights(self.weights)
        _require_window(self.window)

    def __call__(self, legs: Legs) -> list[Scored]:
        return rrf(legs, constant=self.constant, weights=self.weights, window=self.window)


@dataclass(frozen=True)
class Linear:
    """:func:`linear` with these arguments."""

    normalizer: Normalizer = "min_max"
    weights: Mapping[str, float] | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        _require_normalizer(self.normalizer)
        _require_weights(self.weights)
        _require_window(self.window)

    def __call__(self, legs: Legs) -> list[Scored]:
        return linear(legs, normalizer=self.normalizer, weights=self.weights, window=self.window)


def weight_of(leg: str, weights: Mapping[str, float] | None) -> float:
    """A leg's weight: 1 where none is given."""
    return float((weights or {}).get(leg, 1.0))


def _weighted(
    legs: Legs, *, weights: Mapping[str, float] | None, window: int | None
) -> list[tuple[float, Sequence[Scored]]]:
    """The legs that count, with their weights and cut to the window."""
    _require_weights(weights, legs=legs)
    _require_window(window)
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


def _require_constant(constant: float) -> None:
    if not (_is_finite(constant) and constant >= 0):
        raise QueryError(f"constant must be a number from 0 on, not {constant!r}")


def _require_normalizer(normalizer: str) -> None:
    if normalizer not in get_args(Normalizer):
        names = " or ".join(get_args(Normalizer))
        raise QueryError(f"normalizer must be {names}, not {normalizer!r}")


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
