"""How many candidates a kNN search needs, by the size of the index."""

from __future__ import annotations

from math import ceil

__all__ = ["MAX_CANDIDATES", "auto_candidates"]

MAX_CANDIDATES = 10_000
"""The largest ``num_candidates`` of Elasticsearch, and ``k`` of OpenSearch."""
_LEAST, _SMALL, _GROWTH = 200, 100_000, 0.5


def auto_candidates(vectors: int, *, k: int) -> int:
    """``num_candidates`` per shard for a recall@10 of 0.98.

    Args:
        vectors: of one shard.
        k: number of videos that are sought.
    """
    larger: float = max(1.0, vectors / _SMALL) ** _GROWTH
    return min(ceil(max(_LEAST, 2 * k) * larger), MAX_CANDIDATES)
