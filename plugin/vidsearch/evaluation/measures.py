"""nDCG, recall, MRR and success of rankings, computed by ir-measures (trec_eval's own code)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError
from vidsearch.evaluation.judgements import JudgedQuery

__all__ = ["measure", "measure_names", "require_measures"]

_SUCCESS = (1, 5, 10)

Values = dict[str, NDArray[np.float64]]


def measure_names(k: int) -> tuple[str, ...]:
    """What is measured of ``k`` hits, the one to decide by first; as ir-measures writes it."""
    return (f"nDCG@{k}", f"R@{k}", "RR", *(f"Success@{each}" for each in _SUCCESS))


def require_measures() -> None:
    """Find out before searches are made in vain.

    Raises:
        MissingExtraError: ir-measures is not installed (extra ``eval``).
    """
    try:
        import ir_measures  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.of("eval", needed_for="measuring searches") from error


def measure(
    queries: Sequence[JudgedQuery],
    rankings: Sequence[Sequence[str]],
    *,
    k: int,
    names: Sequence[str] | None = None,
) -> Values:
    """Measure the ranking of each query.

    Args:
        queries: what should be found.
        rankings: ids of videos by query, best first. Their order counts, not their scores, so
            that ties are as the search has broken them.
        k: number of hits that count for nDCG and recall.
        names: of the measures; all of :func:`measure_names` if not given.

    Returns:
        By name, a value of each query, shape ``(queries,)``.

    Raises:
        MissingExtraError: ir-measures is not installed (extra ``eval``).
    """
    require_measures()
    import ir_measures

    names = names or measure_names(k)
    asked = {name: ir_measures.parse_measure(name) for name in names}
    qrels = {query.id: dict(query.relevance) for query in queries}
    run: Mapping[str, Mapping[str, float]] = {
        query.id: {id: -float(rank) for rank, id in enumerate(ranking)}
        for query, ranking in zip(queries, rankings, strict=True)
    }
    numbers = {query.id: number for number, query in enumerate(queries)}
    values: Values = {name: np.zeros(len(queries)) for name in names}
    by_measure: dict[Any, str] = {each: name for name, each in asked.items()}
    for found in ir_measures.iter_calc(list(asked.values()), qrels, run):
        values[by_measure[found.measure]][numbers[found.query_id]] = found.value
    return values
