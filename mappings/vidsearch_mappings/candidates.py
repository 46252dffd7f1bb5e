"""How many candidates a kNN search needs, by the size of the index."""

from __future__ import annotations

from math import ceil

from vidsearch_mappings.types import Level

__all__ = ["MAX_CANDIDATES", "auto_candidates", "auto_oversample"]

MAX_CANDIDATES = 10_000
"""The largest ``num_candidates`` of Elasticsearch, and ``k`` of OpenSearch."""
_SMALL = 100_000
_RULES: dict[Level, tuple[int, float]] = {"segment": (200, 0.15), "video": (400, 0.4)}
"""Candidates of a small index by level, and the power of its vectors by which they grow."""
_RESCORED = 100
_MAX_OVERSAMPLE = 9.9
"""Elasticsearch takes less than 10."""


def auto_candidates(vectors: int, *, level: Level, k: int) -> int:
    """``num_candidates`` per shard for a recall@10 of 0.98.

    Among segments 200 up to 100,000 vectors, and then by the power 0.15 of their number: 301 for
    1.5 million. A candidate is a video there, with all its segments, so they need few and each of
    them costs time. Among videos 400, and then by the power 0.4: 1,182 for 1.5 million.

    Measured with ``int8`` vectors of 512 dims on Elasticsearch 9.5.3 (``python -m
    benchmarks.large``), recall@10: of 100,000 segments 200 candidates find 0.999; of 1.5 million
    they find 0.982 in one Lucene segment and 0.992 in 28, 301 find 0.994 in both. Of the 100,000
    videos of that index 200 find 0.990 and 0.978, 400 find 0.993 and 0.983. More videos were not
    measured. A filter for a tenth of the videos needs no more where the index has the settings of
    :data:`~vidsearch_mappings.vectors.SEARCH_SETTINGS`: 400 candidates find 0.997; with the
    engine's own they find 0.92, and 3,600 find 0.99.

    Args:
        vectors: of one shard, of the level.
        level: of the search.
        k: number of videos that are sought.
    """
    least, power = _RULES[level]
    larger: float = max(1.0, vectors / _SMALL) ** power
    return min(ceil(max(least, 2 * k) * larger), MAX_CANDIDATES)


def auto_oversample(oversample: float, *, k: int) -> float:
    """The factor by which at least 100 candidates are scored anew with the exact vectors.

    The ten nearest of 1.5 million are not always among the ten best of shortened vectors: of 10
    ``int8`` candidates recall@10 was 0.013 lower than of 100.
    """
    return max(oversample, min(_RESCORED / k, _MAX_OVERSAMPLE))
