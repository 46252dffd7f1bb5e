"""Searches and counts, which every shard has to take part in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.engines._calls.asking import Call, part
from vidsearch.engines._calls.cluster import ClusterCalls
from vidsearch.engines.base import Json
from vidsearch.engines.errors import error_of, reason_of
from vidsearch.errors import BackendUnavailableError

__all__ = ["WHOLE", "SearchCalls"]

WHOLE = {"allow_partial_search_results": "false"}
"""Parameters of a search that reaches every shard, or is an error."""


class SearchCalls(ClusterCalls):
    """A search that reached only some shards is an error."""

    def search(self, index: str, body: Mapping[str, Any]) -> Call[Json]:
        path = f"/{part(index)}/_search"
        return (yield from self.searched(path, index=index, params=WHOLE, body=body))

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> Call[list[Json]]:
        if not bodies:
            return []
        # Written here, as the clients' own serializers take ten times as long for a vector.
        lines = b"".join(
            b"%b\n" % self._json(line, None) for body in bodies for line in _header_and_body(body)
        )
        path = f"/{part(index)}/_msearch"
        answer = yield from self.request("POST", path, index=index, lines=lines)
        responses: list[Json] = answer.body["responses"]
        for response in responses:
            if "error" in response:
                raise error_of(response["status"], response, url=self.url, index=index)
            self._require_whole(response, index=index)
        return responses

    def count(self, index: str, query: Mapping[str, Any] | None) -> Call[int]:
        body = {"query": query or {"match_all": {}}}
        path = f"/{part(index)}/_count"
        response = yield from self.searched(path, index=index, params={}, body=body)
        return int(response["count"])

    def searched(
        self, path: str, *, index: str, params: Mapping[str, str], body: Mapping[str, Any]
    ) -> Call[Json]:
        """The answer of a request that every shard has to take part in."""
        answer = yield from self.request("POST", path, index=index, params=params, body=body)
        response: Json = answer.body
        self._require_whole(response, index=index)
        return response

    def _require_whole(self, response: Json, *, index: str) -> None:
        shards = response["_shards"]
        if shards["failed"]:
            failures = shards.get("failures") or [{}]
            raise BackendUnavailableError(
                f"{shards['failed']} of {shards['total']} shards of index {index!r} at {self.url} "
                f"did not answer: {reason_of(failures[0].get('reason'))}"
            )


def _header_and_body(body: Mapping[str, Any]) -> tuple[Json, Json]:
    """The two lines of one search; ``search_type`` stands in the first."""
    header: Json = {"allow_partial_search_results": False}
    kept = dict(body)
    if "search_type" in kept:
        header["search_type"] = kept.pop("search_type")
    return header, kept
