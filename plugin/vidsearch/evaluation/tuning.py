"""Fusion settings that find best on judged queries, and whether that is more than chance.

Settings that were chosen on the queries that they are measured on look better than they are. So the
queries are parted into folds: what is best on all others is measured on the queries of each fold,
and that is compared with the present settings on the same queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings
from vidsearch.errors import EvaluationError
from vidsearch.evaluation.judgements import JudgedQuery
from vidsearch.evaluation.measures import measure, measure_names
from vidsearch.evaluation.searches import Legs, fuse
from vidsearch.evaluation.statistics import Difference, Figure, mean_figure, paired_difference
from vidsearch.search import Fusion, Linear, Rrf

__all__ = ["FusionChoice", "Tuning", "choices", "tune"]

_CONSTANTS = (5, 20, 60)
_MOST_WEIGHTS = 70
_REPEATS = 10
_LEAST_PER_FOLD = 2


@dataclass(frozen=True, slots=True)
class FusionChoice:
    """A fusion with all of its parameters."""

    kind: str
    """``rrf``, or the normalizer of ``linear``."""
    weights: tuple[tuple[str, float], ...]
    """Of each leg."""
    constant: int = 60
    """Of ``rrf``."""

    @property
    def fusion(self) -> Fusion:
        """The fusion itself."""
        weights = dict(self.weights)
        if self.kind == "rrf":
            return Rrf(self.constant, weights)
        return Linear("z_score" if self.kind == "z_score" else "min_max", weights)

    def settings(self) -> dict[str, Any]:
        """The settings of the section ``search`` that ask for it, by name."""
        own: dict[str, Any] = (
            {"fusion": "rrf", "rank_constant": self.constant}
            if self.kind == "rrf"
            else {"fusion": "linear", "normalizer": self.kind}
        )
        return {**own, **{f"{leg}_weight": weight for leg, weight in self.weights}}

    def __str__(self) -> str:
        weights = ", ".join(f"{leg} {weight:g}" for leg, weight in self.weights)
        how = f"rrf {self.constant}" if self.kind == "rrf" else f"linear {self.kind}"
        return f"{how}: {weights}"

    @classmethod
    def of(cls, settings: SearchSettings) -> FusionChoice:
        """What the settings ask for; ``rrf`` where the engine fuses."""
        weights = (("vector", settings.vector_weight), ("keyword", settings.keyword_weight))
        if settings.fusion == "linear":
            return cls(settings.normalizer, weights)
        return cls("rrf", weights, settings.rank_constant)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What :func:`tune` found."""

    measure: str
    """That was decided by."""
    present: FusionChoice
    present_figure: Figure
    best: FusionChoice
    """Of all queries; what to set."""
    held_out: Figure
    """What settings that are chosen so reach on queries that they were not chosen on."""
    difference: Difference
    """Of ``held_out`` from the present settings."""
    tried: int

    @property
    def is_noise(self) -> bool:
        """Whether the difference may well be chance, or is none for the better."""
        return self.difference.is_noise or self.difference.figure.low <= 0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "measure": self.measure,
            "tried": self.tried,
            "present": {"settings": self.present.settings(), **self.present_figure.to_dict()},
            "best": {"settings": self.best.settings()},
            "held_out": self.held_out.to_dict(),
            "difference": self.difference.to_dict(),
            "is_noise": self.is_noise,
        }


def choices(legs: Sequence[str]) -> Iterator[FusionChoice]:
    """What is tried: each fusion with weights in even steps that add up to 1.

    The step is a tenth for two legs, and wider for more, so that their number stays small.
    """
    steps = 10
    while comb(steps + len(legs) - 1, len(legs) - 1) > _MOST_WEIGHTS and steps > 1:
        steps -= 1
    for weights in _shares(steps, len(legs)):
        named = tuple(zip(legs, (each / steps for each in weights), strict=True))
        for constant in _CONSTANTS:
            yield FusionChoice("rrf", named, constant)
        for normalizer in ("min_max", "z_score"):
            yield FusionChoice(normalizer, named)


def tune(
    queries: Sequence[JudgedQuery],
    legs: Sequence[Legs],
    present: FusionChoice,
    *,
    k: int,
    folds: int = 5,
    seed: int = 0,
) -> Tuning:
    """Find the fusion settings with the highest nDCG.

    Args:
        queries: what should be found.
        legs: what each leg has found for each query; any number of legs.
        present: the settings in force.
        k: number of hits that count.
        folds: number of parts in cross-validation.
        seed: of the parts, intervals and tests.

    Raises:
        EvaluationError: too few queries for so many folds.
        MissingExtraError: ir-measures is not installed (extra ``eval``).
    """
    if len(queries) < _LEAST_PER_FOLD * folds:
        raise EvaluationError(
            f"{folds} folds need at least {_LEAST_PER_FOLD * folds} queries with a relevant video, "
            f"not {len(queries)}"
        )
    name = measure_names(k)[0]
    # The present one first: of several that are as good it is kept.
    tried = list(dict.fromkeys([present, *choices(list(legs[0]))]))
    values = np.stack(
        [
            measure(queries, fuse("", each.fusion, legs).rankings, k=k, names=[name])[name]
            for each in tried
        ]
    )
    held_out = cross_validated(values, folds=folds, seed=seed)
    each = np.arange(len(queries))
    return Tuning(
        measure=name,
        present=present,
        present_figure=mean_figure(values[0], each, seed=seed),
        best=tried[_best(values)],
        held_out=mean_figure(held_out, each, seed=seed),
        difference=paired_difference(held_out, values[0], each, seed=seed),
        tried=len(tried),
    )


def cross_validated(values: NDArray[np.float64], *, folds: int, seed: int) -> NDArray[np.float64]:
    """What each query has from the choice that is best on the other folds.

    The mean over several ways to part the queries.

    Args:
        values: of each choice and query, shape ``(choices, queries)``.
        folds: number of parts.
        seed: of the parts.
    """
    drawn = np.random.default_rng([seed, 2])
    held_out = np.zeros(values.shape[1])
    for _ in range(_REPEATS):
        fold = drawn.permutation(values.shape[1]) % folds
        for number in range(folds):
            chosen = _best(values[:, fold != number])
            held_out[fold == number] += values[chosen, fold == number] / _REPEATS
    return held_out


def _best(values: NDArray[np.float64]) -> int:
    """The first of the choices with the highest mean, but for rounding."""
    means = values.mean(axis=1)
    return int(np.argmax(means >= means.max() - 1e-12))


def _shares(steps: int, legs: int) -> Iterator[tuple[int, ...]]:
    """All ways to give ``steps`` to the legs."""
    for bars in combinations(range(steps + legs - 1), legs - 1):
        edges = (-1, *bars, steps + legs - 1)
        yield tuple(b - a - 1 for a, b in pairwise(edges))


def settings_lines(settings: Mapping[str, Any]) -> list[str]:
    """Settings of the section ``search`` as TOML."""
    rows = (f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in settings.items())
    return ["[search]", *rows]
