"""What searches find for judged queries: each leg, and each fusion of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidsearch.batches import in_batches
from vidsearch.config import FusionName, SearchSettings
from vidsearch.evaluation.judgements import JudgedQuery
from vidsearch.evaluation.measures import measure, measure_names
from vidsearch.evaluation.statistics import Difference, Figure, mean_figure, paired_difference
from vidsearch.search import Fusion, Level, Linear, Mode, Rrf, Scored, VideoSearch

__all__ = [
    "Found",
    "SearchRow",
    "fuse",
    "fusions_of",
    "search_legs",
    "search_natively",
    "search_rows",
]

Legs = Mapping[str, Sequence[Scored]]
"""Hits of each leg, best first, by its name."""

_LEGS: tuple[Mode, ...] = ("vector", "keyword")
_BATCH = 50

Progress = Callable[[int, int], None]


class Found(NamedTuple):
    """What one way of searching has found."""

    name: str
    rankings: Sequence[Sequence[str]]
    """Ids by query, best first."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchRow:
    """One row: how well one way of searching finds."""

    name: str
    figures: Mapping[str, Figure]
    values: Mapping[str, NDArray[np.float64]]
    """Of each query, by the name of the measure."""
    difference: Difference | None
    """From the first row, by the first measure; ``None`` for that row itself."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, the values of each query included."""
        return {
            "search": self.name,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            "difference_from_first": self.difference and self.difference.to_dict(),
            "per_query": {name: values.tolist() for name, values in self.values.items()},
        }


def search_legs(
    videos: VideoSearch,
    queries: Sequence[JudgedQuery],
    *,
    window: int,
    level: Level = "segment",
    progress: Progress = lambda done, total: None,
) -> list[Legs]:
    """The hits of both legs for each query, as a hybrid search ranks them.

    Args:
        videos: searches the index.
        queries: what to search for.
        window: number of best hits of each leg.
        level: of the vector leg.
        progress: told how many queries of how many are done.

    Raises:
        QueryError, BackendError, EncoderError: see :meth:`~vidsearch.search.VideoSearch.search`.
    """
    found: list[Legs] = []
    for batch in in_batches(queries, _BATCH):
        texts = [query.text for query in batch]
        by_leg = {
            leg: videos.search_many(texts, mode=leg, level=level, k=window, moments=0, source=False)
            for leg in _LEGS
        }
        found += [
            {leg: [Scored(hit.id, hit.score) for hit in hits[at]] for leg, hits in by_leg.items()}
            for at in range(len(batch))
        ]
        progress(len(found), len(queries))
    return found


def search_natively(
    videos: VideoSearch, queries: Sequence[JudgedQuery], fusion: FusionName, *, k: int, level: Level
) -> Found:
    """What a fusion of the engine finds; arguments and errors are those of :func:`search_legs`."""
    rankings: list[list[str]] = []
    for batch in in_batches(queries, _BATCH):
        texts = [query.text for query in batch]
        results = videos.search_many(
            texts, mode="hybrid", fusion=fusion, level=level, k=k, moments=0, source=False
        )
        rankings += [[hit.id for hit in result] for result in results]
    return Found(fusion, rankings)


def fusions_of(settings: SearchSettings) -> dict[str, Fusion]:
    """The fusions that vidsearch computes, with the weights of the settings, by name."""
    weights = {"vector": settings.vector_weight, "keyword": settings.keyword_weight}
    return {
        "rrf": Rrf(settings.rank_constant, weights),
        "linear min_max": Linear("min_max", weights),
        "linear z_score": Linear("z_score", weights),
    }


def fuse(name: str, fusion: Fusion, legs: Iterable[Legs]) -> Found:
    """What a fusion makes of the legs of each query."""
    return Found(name, [[hit.id for hit in fusion(each)] for each in legs])


def search_rows(
    queries: Sequence[JudgedQuery], found: Iterable[Found], *, k: int, seed: int = 0
) -> Iterator[SearchRow]:
    """The rows of several ways of searching for the same queries.

    Args:
        queries: what should be found.
        found: what each way has found.
        k: number of hits that count.
        seed: of intervals and tests.

    Raises:
        MissingExtraError: ir-measures is not installed (extra ``eval``).
    """
    first: NDArray[np.float64] | None = None
    leading = measure_names(k)[0]
    each = np.arange(len(queries))
    for name, rankings in found:
        values = measure(queries, rankings, k=k)
        yield SearchRow(
            name=name,
            figures={n: mean_figure(v, each, seed=seed) for n, v in values.items()},
            values=values,
            difference=None
            if first is None
            else paired_difference(values[leading], first, each, seed=seed),
        )
        first = values[leading] if first is None else first
