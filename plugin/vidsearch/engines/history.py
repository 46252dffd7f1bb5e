"""Calls about what was written to an index since a point, for those that keep a copy up to date.

Both engines number the writes of a shard; a document has the number of its last one in ``_seq_no``,
by which they search and sort. Deletes leave nothing that a search finds: they show as what an
earlier point in time has and a later one lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.engines.dialect import ALL_SHARDS, KEEP_ALIVE, Dialect, document_of, quoted
from vidsearch.engines.steps import Steps
from vidsearch.engines.types import Document, Json
from vidsearch.errors import BackendUnavailableError

__all__ = ["HistoryCalls"]


class HistoryCalls:
    """A part of :class:`~vidsearch.engines.calls.Calls`."""

    dialect: Dialect

    def checkpoints(self, index: str) -> Steps[dict[int, int]]:
        path, params = f"/{quoted(index)}/_stats/docs", {"level": "shards"}
        answer = yield from self.dialect.request("GET", path, index=index, params=params)
        primaries: dict[int, Json] = {
            int(shard): copy
            for stats in answer.body["indices"].values()  # none where no shard is on a node
            for shard, copies in stats["shards"].items()
            for copy in copies
            if copy["routing"]["primary"]
        }
        if not primaries or any(map(_is_recovering, primaries.values())):
            raise BackendUnavailableError(
                f"not every shard of index {index!r} at {self.dialect.url} has started yet"
            )
        return {
            shard: int(copy["seq_no"]["global_checkpoint"]) for shard, copy in primaries.items()
        }

    def changes_page(
        self, index: str, shard: int, above: int, last: int, *, size: int
    ) -> Steps[list[Document]]:
        """A page of :meth:`vidsearch.engines.base.Engine.changes`, of one shard, in order."""
        body: Json = {
            "query": {"range": {"_seq_no": {"gt": above, "lte": last}}},
            "sort": [{"_seq_no": "asc"}],
            "size": size,
            "_source": self.dialect.source_of(True),
            "seq_no_primary_term": True,
            "version": True,
            "track_total_hits": False,
        }
        response = yield from self.search_shard(index, shard, body)
        return [document_of(hit) for hit in response["hits"]["hits"]]

    def search_shard(self, index: str, shard: int, body: Mapping[str, Any]) -> Steps[Json]:
        path, params = f"/{quoted(index)}/_search", {**ALL_SHARDS, **self.dialect.preference(shard)}
        return self.dialect.search(path, index=index, params=params, body=body)

    def open_point_in_time(self, index: str, *, shard: int | None = None) -> Steps[str]:
        return self.dialect.open_point_in_time(index, shard=shard)

    def search_point_in_time(self, point: str, body: Mapping[str, Any]) -> Steps[Json]:
        whole = {**body, "pit": {"id": point, "keep_alive": KEEP_ALIVE}}
        called = "a point in time"
        return self.dialect.search("/_search", index=called, params=ALL_SHARDS, body=whole)

    def close_point_in_time(self, point: str) -> Steps[None]:
        yield from self.dialect.close_point_in_time(point)


def _is_recovering(copy: Json) -> bool:
    """Whether a copy of a shard does not count writes yet, as after the start of its node."""
    return "seq_no" not in copy and copy["routing"]["state"] != "STARTED"
