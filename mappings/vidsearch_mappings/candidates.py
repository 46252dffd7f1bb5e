"""How many candidates a kNN search needs, by the size of the index."""

from __future__ import annotations

from math import ceil

__all__ = ["MAX_CANDIDATES", "auto_candidates", "auto_oversample"]

MAX_CANDIDATES = 10_000
"""The largest ``num_candidates`` of Elasticsearch, and ``k`` of OpenSearch."""
_LEAST, _SMALL, _GROWTH = 200, 100_000, 0.5
_RESCORED = 100
_MAX_OVERSAMPLE = 9.9
"""Elasticsearch takes less than 10."""


def auto_candidates(vectors: int, *, k: int) -> int:
    """``num_candidates`` per shard for a recall@10 of 0.98.

    200 up to 100,000 vectors, and then as the square root of their number grows. Of ``int8``
    vectors of 512 dims on Elasticsearch 9.5.3 (``python -m benchmarks.large``): 200 candidates find
    0.999 of 100,000 vectors; of 1.5 million they find 0.983 in one Lucene segment and 0.972 in
    forty, 400 find 0.993 and 0.982, 800 and more 0.993 and 0.99. More Lucene segments lower the
    recall, as each gives its own best; what a filter excludes is not counted among the candidates.

    Args:
        vectors: of one shard.
        k: number of videos that are sought.
    """
    larger: float = max(1.0, vectors / _SMALL) ** _GROWTH
    return min(ceil(max(_LEAST, 2 * k) * larger), MAX_CANDIDATES)


def auto_oversample(oversample: float, *, k: int) -> float:
    """The factor by which at least 100 candidates are scored anew with the exact vectors.

    The ten nearest of 1.5 million are not always among the ten best of shortened vectors: of 10
    ``int8`` candidates recall@10 was 0.013 lower than of 100.
    """
    return max(oversample, min(_RESCORED / k, _MAX_OVERSAMPLE))
