"""Calls about what was written to an index since a point, for those that keep a copy up to date.

Both engines number the writes of a shard; a document has the number of its last one in ``_seq_no``,
by which they search and sort. Deletes leave nothing that a search finds: they show as what an
earlier point in time has and a later one lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.engines.dialect import ALL_SHARDS, KEEP_ALIVE, Dialect, document_of, quoted
from vidsearch.engines.steps import Steps
from vidsearch.engines.types import Document, Json, ShardsRead
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

    def merging(self, indices: Sequence[str]) -> Steps[int]:
        names = ",".join(map(quoted, indices))
        answer = yield from self.dialect.request("GET", f"/{names}/_stats/merge", index=names)
        return int(answer.body["_all"]["total"]["merges"]["current"])

    def changes_page(
        self, index: str, shard: int, above: int, last: int, *, size: int
    ) -> Steps[list[Document]]:
        """A page of :meth:`vidsearch.engines.base.Engine.changes`, of one shard, in order."""
        numbers = {"gt": above, "lte": last}
        return _documents(
            (yield from self.search_shard(index, shard, self._changes(numbers, size)))
        )

    def _changes(self, numbers: Json, size: int) -> Json:
        """The search for the documents whose last writes have these numbers."""
        return {
            "query": {"range": {"_seq_no": numbers}},
            "sort": [{"_seq_no": "asc"}],
            "size": size,
            "_source": self.dialect.source_of(True),
            "seq_no_primary_term": True,
            "version": True,
            "track_total_hits": False,
        }

    def read_shards(
        self,
        index: str,
        after: Mapping[int, int],
        *,
        size: int,
        bodies: Sequence[tuple[int, Mapping[str, Any]]] = (),
    ) -> Steps[ShardsRead]:
        shards = sorted(after)
        searches: list[tuple[int | None, Mapping[str, Any]]] = [
            *((shard, self._changes({"gt": after[shard]}, size)) for shard in shards),
            *bodies,
            (None, {"size": 0, "track_total_hits": True}),
        ]
        answers = yield from self.dialect.msearch(
            index,
            ((self.dialect.preference(one), body) for one, body in searches),
        )
        return ShardsRead(
            {shard: _documents(answer) for shard, answer in zip(shards, answers, strict=False)},
            answers[len(shards) : -1],
            int(answers[-1]["hits"]["total"]["value"]),
        )

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


def _documents(response: Json) -> list[Document]:
    return [document_of(hit) for hit in response["hits"]["hits"]]


def _is_recovering(copy: Json) -> bool:
    """Whether a copy of a shard does not count writes yet, as after the start of its node."""
    return "seq_no" not in copy and copy["routing"]["state"] != "STARTED"
