"""From an engine's ``_score`` back to the cosine, which is the same number on every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

__all__ = ["Similarity", "cosine_from_score", "cosines_from_scores", "similarity_of"]

Similarity = Literal["cosine", "inner_product", "half_inner_product", "l2"]
"""How an engine turns the distance of two unit vectors into a score. The third is that of
OpenSearch's script in the queries of vidsearch, which no field names."""

# Elasticsearch says `similarity`, OpenSearch `space_type`. Elasticsearch's dot_product is scored
# like its cosine; its max_inner_product like OpenSearch's innerproduct.
_SIMILARITIES: dict[str, Similarity] = {
    "cosine": "cosine",
    "dot_product": "cosine",
    "max_inner_product": "inner_product",
    "l2_norm": "l2",
    "cosinesimil": "cosine",
    "innerproduct": "inner_product",
    "l2": "l2",
}


def similarity_of(vector_field: Mapping[str, Any]) -> Similarity:
    """The similarity of a ``dense_vector`` or ``knn_vector``, from its part of the mapping.

    Raises:
        ValueError: a similarity that is not made for unit float vectors.
    """
    if vector_field.get("type") == "knn_vector":
        method = vector_field.get("method") or {}
        # l2 is what OpenSearch takes where nothing is said.
        name = vector_field.get("space_type") or method.get("space_type") or "l2"
    else:
        name = vector_field.get("similarity") or "cosine"
    try:
        return _SIMILARITIES[name]
    except KeyError:
        raise ValueError(f"similarity {name!r} does not compare unit vectors") from None


def cosine_from_score(score: float, *, similarity: Similarity) -> float:
    """The cosine of two unit vectors that the engine gave ``score``, within [-1, 1].

    Quantised vectors can score a trace beyond the range, which is cut off.
    """
    return cosines_from_scores([score], similarity=similarity)[0]


def cosines_from_scores(scores: Sequence[float], *, similarity: Similarity) -> list[float]:
    """As :func:`cosine_from_score`, of many scores at once."""
    if similarity == "half_inner_product":
        scores, similarity = [2.0 * score for score in scores], "inner_product"
    if similarity == "cosine":  # score = (1 + cos) / 2
        cosines = [2.0 * score - 1.0 for score in scores]
    elif similarity == "inner_product":  # score = 1 + cos, or 1 / (1 - cos) below zero
        cosines = [
            score - 1.0 if score >= 1.0 else 1.0 - 1.0 / score if score > 0.0 else -1.0
            for score in scores
        ]
    else:  # score = 1 / (1 + d²), and d² = 2 - 2 cos between unit vectors
        cosines = [1.0 - (1.0 / score - 1.0) / 2.0 if score > 0.0 else -1.0 for score in scores]
    return [cosine if -1.0 <= cosine <= 1.0 else min(1.0, max(-1.0, cosine)) for cosine in cosines]
