"""Ways of comparing vectors: exactly, with fewer bits, with fewer dims, in two steps.

A variant is named by its steps, joined by ``+``:

============ =====================================================================================
``exact``    cosine of float32 vectors
``int8``     whole numbers from -127 to 127; one scale for all components of a side, by its
             largest one
``binary``   the sign of each component; more equal signs are nearer (Hamming distance)
``dims256``  before one of the three: the first 256 components alone, scaled to unit length, as a
             Matryoshka model allows
``rerank100`` after ``binary`` or ``int8``, or after ``dims256``: the 100 best are ranked again by
             the exact cosine of all dims, and stay before all others
============ =====================================================================================

``binary+rerank100`` is the fourth row of the model card of the default checkpoint. Candidates of
the same distance at its edge are taken in the order of the gallery, as an engine does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import EvaluationError

__all__ = ["Variant"]

_STEP = re.compile(r"(dims|rerank)([1-9]\d*)|exact|int8|binary")
_ORDER = ("dims", "kind", "rerank")

Vectors = NDArray[np.float32]
Scorer = Callable[[slice], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A way of comparing; see the module."""

    kind: str = "exact"
    dims: int | None = None
    rerank: int | None = None

    @classmethod
    def named(cls, name: str) -> Variant:
        """The variant of a name.

        Raises:
            EvaluationError: there is none.
        """
        steps: dict[str, str] = {}
        for part in name.split("+"):
            match = _STEP.fullmatch(part)
            step = (match[1] or "kind") if match else ""
            if match is None or any(_ORDER.index(step) <= _ORDER.index(each) for each in steps):
                raise EvaluationError(
                    f"there is no variant {name!r}: write exact, int8 or binary, with dims256+ "
                    "before it, +rerank100 after it, or both, such as binary+rerank100"
                )
            steps[step] = match[2] or part
        made = cls(
            steps.get("kind", "exact"),
            int(steps["dims"]) if "dims" in steps else None,
            int(steps["rerank"]) if "rerank" in steps else None,
        )
        if made.rerank and made.kind == "exact" and made.dims is None:
            raise EvaluationError(
                f"variant {name!r} ranks again what is exact already: write exact, or put binary, "
                "int8 or dims256 before +rerank"
            )
        return made

    def __str__(self) -> str:
        parts = [f"dims{self.dims}"] if self.dims else []
        if self.kind != "exact" or not parts:
            parts.append(self.kind)
        if self.rerank:
            parts.append(f"rerank{self.rerank}")
        return "+".join(parts)

    def bytes_of(self, dims: int) -> int:
        """Bytes that the first step compares, of one vector of so many dims."""
        kept = min(self.dims or dims, dims)
        return {"exact": 4 * kept, "int8": kept, "binary": -(-kept // 8)}[self.kind]

    def scorer(self, queries: Vectors, gallery: Vectors) -> Scorer:
        """Scores of queries with the whole gallery; more is nearer.

        Args:
            queries: unit vectors, shape ``(n, dims)``.
            gallery: unit vectors, shape ``(m, dims)``.

        Returns:
            A function of a slice of the queries, which gives shape ``(queries, m)``.

        Raises:
            EvaluationError: the vectors have fewer dims than the variant keeps.
        """
        first = _scorer(self.kind, *(self._cut(each) for each in (queries, gallery)))
        if self.rerank is None:
            return first
        exact, number = _scorer("exact", queries, gallery), self.rerank
        return lambda block: reranked(first(block), exact(block), number)

    def _cut(self, vectors: Vectors) -> Vectors:
        if self.dims is None:
            return vectors
        if self.dims > vectors.shape[1]:
            raise EvaluationError(
                f"variant {self} keeps {self.dims} dims, but the vectors have {vectors.shape[1]}"
            )
        kept = vectors[:, : self.dims]
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        cut: Vectors = (kept / np.where(lengths, lengths, 1)).astype(np.float32)
        return cut


def reranked(
    scores: NDArray[np.floating[Any]], exact: NDArray[np.floating[Any]], number: int
) -> NDArray[np.float64]:
    """Scores that put the ``number`` best of the first step in front, by their exact cosine.

    All arrays have the shape ``(queries, items)``.
    """
    number = min(number, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :number]
    # Behind them all others, as the first step has them: a cosine is never below -1.
    least = scores.max(axis=1, keepdims=True).astype(np.float64)
    both: NDArray[np.float64] = scores.astype(np.float64) - least - 2.0
    np.put_along_axis(both, best, np.take_along_axis(exact, best, axis=1), axis=1)
    return both


def _scorer(kind: str, queries: Vectors, gallery: Vectors) -> Scorer:
    if kind == "binary":
        # With signs as +1 and -1, a product counts the equal ones less the others, exactly.
        queries, gallery = _signs(queries), _signs(gallery)
    elif kind == "int8":
        queries, gallery = _whole_numbers(queries), _whole_numbers(gallery)
    turned = np.ascontiguousarray(gallery.T)
    return lambda block: queries[block] @ turned


def _signs(vectors: Vectors) -> Vectors:
    return np.where(vectors > 0, np.float32(1), np.float32(-1))


def _whole_numbers(vectors: Vectors) -> Vectors:
    """Rounded to 255 steps, and scaled back, so that a score is a cosine but for the rounding."""
    step = float(np.abs(vectors).max(initial=0.0)) / 127 or 1.0
    whole: Vectors = (np.rint(vectors / step) * step).astype(np.float32)
    return whole
