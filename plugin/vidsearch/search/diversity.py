"""Near-duplicates are collapsed, and hits made to differ from each other. Pure functions.

All work on the window of candidates that a search has anyway, so they give the same on every
engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidsearch.engines import EngineKind
from vidsearch.engines.vectors import BYTE_ORDERS, decode_vector
from vidsearch.errors import QueryError
from vidsearch.index.description import IndexDescription
from vidsearch.search.fusion import Scored
from vidsearch.search.mapping_fields import find_field, with_runtime
from vidsearch.search.request import SearchRequest
from vidsearch_mappings.queries import vector_path

__all__ = [
    "Collapsed",
    "Compared",
    "collapse_by_value",
    "collapse_similar",
    "compared_fields",
    "mmr",
    "reorder",
]

_NO_VALUES = frozenset({"object", "nested", "dense_vector", "knn_vector", "derived"})

_ROUNDING = 1e-6
"""By so much a unit vector of 32-bit floats may fall short of a cosine of 1 with itself."""


@dataclass(frozen=True, slots=True)
class Collapsed:
    """A ranking without what was folded into a better hit."""

    kept: list[Scored]
    """Best first, as before."""
    duplicates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of what was folded into a kept hit, best first, by its id."""


class Compared(NamedTuple):
    """The fields of the candidates that ``collapse`` and ``diversity`` compare, as far as they are
    asked for."""

    vector: str | None = None
    """Of the whole video."""
    value: str | None = None
    """Its path, by which the engine knows the field that ``collapse`` names."""

    @property
    def names(self) -> list[str]:
        """Those that have to be read."""
        return [name for name in self if name is not None]


def compared_fields(request: SearchRequest, index: IndexDescription) -> Compared:
    """What of the candidates is compared.

    Raises:
        QueryError: ``collapse`` names a field that has no values.
    """
    collapse, vector = request.collapse, None
    if request.diversity or isinstance(collapse, (int, float)):
        vector = vector_path(index.field, level="video")
    if not isinstance(collapse, str):
        return Compared(vector)
    found = find_field(with_runtime(index.properties, index.runtime), collapse)
    if found is None:
        problem = f"there is no field {collapse!r} in index {index.name!r}"
    elif found.nested is not None or found.type in _NO_VALUES:
        problem = f"field {collapse!r} is {found.type}, which has no value of a video"
    else:
        return Compared(vector, found.path)
    raise QueryError(f"collapse: {problem}", argument="collapse")


def reorder(
    request: SearchRequest,
    order: Sequence[Scored],
    values: Mapping[str, Mapping[str, Any]],
    *,
    kind: EngineKind,
    compared: Compared,
) -> Collapsed:
    """Collapse, then diversity, as far as the request asks for them.

    Args:
        request: says how.
        order: the candidates, best first.
        values: of the fields that are compared, by id and field.
        kind: of the engine, which may give vectors as base64.
        compared: from :func:`compared_fields`.
    """
    order_of_bytes, name = BYTE_ORDERS[kind], compared.vector
    vectors = {
        id: decode_vector(fields[name], order_of_bytes)
        for id, fields in values.items()
        if name is not None and name in fields
    }
    collapsed = Collapsed(list(order))
    if compared.value is not None:
        by_id = {id: fields.get(compared.value) for id, fields in values.items()}
        collapsed = collapse_by_value(order, by_id)
    elif isinstance(request.collapse, (int, float)):
        collapsed = collapse_similar(order, vectors, threshold=request.collapse)
    if not request.diversity:
        return collapsed
    first = mmr(collapsed.kept, vectors, diversity=request.diversity, count=request.last)
    # The others are on no page, and are counted.
    shown = {hit.id for hit in first}
    rest = [hit for hit in collapsed.kept if hit.id not in shown]
    return Collapsed(first + rest, collapsed.duplicates)


def collapse_similar(
    order: Sequence[Scored], vectors: Mapping[str, ArrayLike], *, threshold: float
) -> Collapsed:
    """Fold near-duplicates into the best-ranked of them.

    A video is folded into the first kept one whose vector has a cosine of at least ``threshold``
    with its own. What is folded is compared with nothing any more, so a chain of small changes
    does not pull everything into one hit.

    Args:
        order: best first.
        vectors: unit vectors by id, ``(dims,)`` each; a video without one is always kept.
        threshold: least cosine of duplicates, within (0, 1].
    """
    table = _table(order, vectors)
    kept_rows: list[int] = []
    kept: list[Scored] = []
    duplicates: dict[str, list[str]] = {}
    for row, hit in enumerate(order):
        if kept_rows and hit.id in vectors:
            near = np.flatnonzero(table[kept_rows] @ table[row] >= threshold - _ROUNDING)
            if near.size:
                duplicates.setdefault(order[kept_rows[near[0]]].id, []).append(hit.id)
                continue
        kept.append(hit)
        kept_rows.append(row)
    return Collapsed(kept, {id: tuple(folded) for id, folded in duplicates.items()})


def collapse_by_value(order: Sequence[Scored], values: Mapping[str, Any]) -> Collapsed:
    """Keep the best-ranked video of each value.

    Args:
        order: best first.
        values: the value by id, a list for several, which are a value of their own together; a
            video without one is always kept.
    """
    first: dict[str, str] = {}
    kept: list[Scored] = []
    duplicates: dict[str, list[str]] = {}
    for hit in order:
        value = values.get(hit.id)
        if value is None or value == []:
            kept.append(hit)
            continue
        key = json.dumps(value, sort_keys=True, default=str)
        if key in first:
            duplicates.setdefault(first[key], []).append(hit.id)
        else:
            first[key] = hit.id
            kept.append(hit)
    return Collapsed(kept, {id: tuple(folded) for id, folded in duplicates.items()})


def mmr(
    order: Sequence[Scored],
    vectors: Mapping[str, ArrayLike],
    *,
    diversity: float,
    count: int | None = None,
) -> list[Scored]:
    """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    Hit by hit, what comes next has the most of ``(1 - diversity) * relevance - diversity *
    likeness``, where likeness is the greatest cosine with a hit that is already chosen. Relevance
    is the score, brought to [0, 1] over ``order``, so that it and a cosine are of one scale. The
    first hit stays the first.

    Args:
        order: best first.
        vectors: unit vectors by id, ``(dims,)`` each; a video without one is like no other.
        diversity: 0 leaves the order as it is, 1 asks for the unlike only.
        count: so many hits are enough; all where ``None``.

    Returns:
        The chosen, with the scores they came with; equals in the order they came in.
    """
    if diversity == 0 or len(order) < 2:
        return list(order[:count])
    count = len(order) if count is None else min(count, len(order))
    table = _table(order, vectors)
    gain = (1.0 - diversity) * _relevance(order)
    # No cosine is below -1, so the first round changes nothing about who leads.
    likeness = np.full(len(order), -np.inf)
    open_ = np.ones(len(order), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < count:
        worth = gain if not chosen else gain - diversity * likeness
        # argmax takes the first of equals, which is the better ranked.
        best = int(np.argmax(np.where(open_, worth, -np.inf)))
        chosen.append(best)
        open_[best] = False
        likeness = np.maximum(likeness, table @ table[best])
    return [order[at] for at in chosen]


def _relevance(order: Sequence[Scored]) -> NDArray[np.float64]:
    scores = np.array([hit.score for hit in order], dtype=np.float64)
    spread = scores.max() - scores.min()
    return np.ones_like(scores) if spread == 0 else (scores - scores.min()) / spread


def _table(order: Sequence[Scored], vectors: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """``(len(order), dims)``; zeros where there is no vector."""
    # 32 bits are what was stored; engines write them with more digits or fewer.
    rows = [
        np.asarray(vectors[hit.id], dtype=np.float32) if hit.id in vectors else None
        for hit in order
    ]
    dims = next((row.size for row in rows if row is not None), 0)
    table = np.zeros((len(order), dims))
    for at, row in enumerate(rows):
        if row is not None:
            table[at] = row
    return table
