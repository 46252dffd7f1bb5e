"""The table of a model card: R@1, R@5, R@10, MedianR, MeanR, a row per model and variant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.evaluation.places import Places
from vidsearch.evaluation.statistics import (
    Difference,
    Figure,
    mean_figure,
    median_figure,
    paired_difference,
)
from vidsearch.evaluation.variants import Variant
from vidsearch.evaluation.vectors import DIRECTIONS, Direction, PairVectors

__all__ = ["CUTS", "PairRow", "pair_rows"]

CUTS = (1, 5, 10)
_MEAN, _MEDIAN = "MeanR", "MedianR"


@dataclass(frozen=True, slots=True, eq=False)
class PairRow:
    """One row: how well one model finds, in one variant and one direction."""

    model: str
    variant: str
    direction: Direction
    places: Places
    figures: Mapping[str, Figure]
    """``R@1``, ``R@5`` and ``R@10`` as shares, ``MedianR`` and ``MeanR`` as ranks from 1."""
    differences: Mapping[str, Difference] | None
    """From the first row of the direction; ``None`` for that row itself."""
    bytes_per_vector: int
    """That the first step compares."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        differences = self.differences
        return {
            "model": self.model,
            "variant": self.variant,
            "direction": self.direction,
            "queries": len(self.places),
            "bytes_per_vector": self.bytes_per_vector,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            "difference_from_first": differences
            and {name: each.to_dict() for name, each in differences.items()},
        }


def pair_rows(
    models: Iterable[tuple[str, PairVectors]],
    variants: Iterable[Variant],
    *,
    directions: Iterable[Direction] = DIRECTIONS,
    seed: int = 0,
) -> Iterator[PairRow]:
    """The rows of all models and variants, a direction after the other.

    Args:
        models: names, each with the vectors of the same captions and videos.
        variants: ways to compare.
        directions: what is asked for what.
        seed: of intervals and tests.

    Raises:
        EvaluationError: a variant that the vectors do not allow.
    """
    models, variants = list(models), list(variants)
    for direction in directions:
        first: Mapping[str, NDArray[np.float64]] | None = None
        for name, vectors in models:
            groups = vectors.groups(direction)
            for variant in variants:
                places = vectors.places(variant, direction)
                values = _values(places)
                yield PairRow(
                    model=name,
                    variant=str(variant),
                    direction=direction,
                    places=places,
                    figures=_figures(values, groups, seed),
                    differences=None
                    if first is None
                    else {
                        each: paired_difference(values[each], first[each], groups, seed=seed)
                        for each in values
                    },
                    bytes_per_vector=variant.bytes_of(vectors.videos.shape[1]),
                )
                first = first or values


def _values(places: Places) -> dict[str, NDArray[np.float64]]:
    """What is averaged, for each query."""
    return {**{f"R@{k}": places.found(k) for k in CUTS}, _MEAN: places.ranks()}


def _figures(
    values: Mapping[str, NDArray[np.float64]], groups: NDArray[np.int64], seed: int
) -> dict[str, Figure]:
    means = {name: mean_figure(each, groups, seed=seed) for name, each in values.items()}
    mean = means.pop(_MEAN)
    return {**means, _MEDIAN: median_figure(values[_MEAN], groups, seed=seed), _MEAN: mean}
