"""How many vectors an index holds, as the bodies of a search depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch_mappings.queries import SEGMENT_HITS, WITHOUT_DURATION, Level, counts_query

__all__ = ["IndexSize", "size_of"]


@dataclass(frozen=True, slots=True)
class IndexSize:
    """Vectors of an index, and the shards that they are in."""

    videos: int
    segments: int
    shards: int
    without_duration: int = 0
    """Videos that have no ``duration``: another program wrote them."""

    def vectors(self, level: Level) -> int:
        """Number of vectors in one shard that a search of ``level`` compares with."""
        return ceil((self.segments if level == "segment" else self.videos) / self.shards)


def size_of(calls: Calls, alias: str, field: str) -> Steps[IndexSize]:
    """Count the vectors behind an alias. The right to search it is enough.

    The engine keeps the answer until the index changes. Where the alias has a filter, only what is
    behind it is counted.
    """
    # Searches wait for this, and they do with any copy.
    response = yield from calls.search(alias, counts_query(field), refreshed=False)
    return IndexSize(
        videos=response["hits"]["total"]["value"],
        segments=response["aggregations"][SEGMENT_HITS]["doc_count"],
        without_duration=response["aggregations"][WITHOUT_DURATION]["doc_count"],
        shards=max(1, response["_shards"]["total"]),
    )
