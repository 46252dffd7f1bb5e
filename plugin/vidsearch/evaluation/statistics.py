"""How sure a figure is: bootstrap intervals, and a paired test of two rows.

The units that are drawn are videos, each with all of its queries, as those vary together; with one
caption per video these are the queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Difference", "Figure", "mean_figure", "median_figure", "paired_difference"]

DRAWS = 1_000
"""Samples of a bootstrap."""
_FLIPS = 10_000
"""Sign patterns of the paired test."""
_LEVEL = 0.95
_BATCH = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval: 95 % of bootstrap samples lie in it."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """As plain JSON values."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a row differs from another one, over the same queries."""

    figure: Figure
    p: float
    """Two-sided: how often a difference at least as large comes about where both rows are alike
    and which is which is drawn anew for each video."""

    @property
    def is_noise(self) -> bool:
        """Whether it may well be chance: p is 0.05 or more."""
        return self.p >= 1 - _LEVEL

    def to_dict(self) -> dict[str, float]:
        """As plain JSON values."""
        return {**self.figure.to_dict(), "p": self.p}


def mean_figure(values: Floats, groups: NDArray[np.int64], *, seed: int = 0) -> Figure:
    """The mean over all queries.

    Args:
        values: of each query, shape ``(n,)``.
        groups: which unit each query belongs to, shape ``(n,)``.
        seed: of the bootstrap.
    """
    sums, sizes = _by_group(values, groups)
    drawn = [c @ sums / (c @ sizes) for c in _counts(len(sums), seed)]
    return _figure(float(values.mean()), np.concatenate(drawn))


def median_figure(values: Floats, groups: NDArray[np.int64], *, seed: int = 0) -> Figure:
    """The median over all queries; arguments as in :func:`mean_figure`."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    _, units = np.unique(groups, return_inverse=True)
    units = units[order]
    drawn = []
    for counts in _counts(int(units.max()) + 1, seed):
        for count in counts:
            before = np.cumsum(count[units])
            half = before[-1] / 2
            low, high = np.searchsorted(before, half), np.searchsorted(before, half, "right")
            drawn.append((ordered[low] + ordered[high]) / 2)
    return _figure(float(np.median(values)), np.array(drawn))


def paired_difference(
    values: Floats, others: Floats, groups: NDArray[np.int64], *, seed: int = 0
) -> Difference:
    """The mean difference ``values - others`` of the same queries, and a permutation test of it.

    Arguments as in :func:`mean_figure`.
    """
    differences = values - others
    figure = mean_figure(differences, groups, seed=seed)
    sums = np.abs(_by_group(differences, groups)[0])
    moved = sums[sums > 0]
    least = abs(float(differences.sum())) - 1e-9
    drawn = np.random.default_rng([seed, 1])
    reached = 0
    for _ in range(0, _FLIPS, _BATCH):
        signs = drawn.integers(2, size=(_BATCH, len(moved)), dtype=np.int8) * 2.0 - 1.0
        reached += int(np.count_nonzero(np.abs(signs @ moved) >= least))
    return Difference(figure, p=(reached + 1) / (_FLIPS + 1))


def _by_group(values: Floats, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    _, units = np.unique(groups, return_inverse=True)
    sums: Floats = np.bincount(units, values).astype(np.float64)
    return sums, np.bincount(units).astype(np.float64)


def _counts(units: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each unit is in each sample, in batches of samples: shape ``(batch, units)``."""
    drawn = np.random.default_rng([seed, 0])
    for _ in range(0, DRAWS, _BATCH):
        samples = drawn.integers(units, size=(_BATCH, units))
        yield np.stack([np.bincount(sample, minlength=units) for sample in samples])


def _figure(value: float, drawn: Floats) -> Figure:
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Figure(value, float(low), float(high))
