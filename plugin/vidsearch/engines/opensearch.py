"""OpenSearch 2.19 and 3, over the official client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import opensearchpy

from vidsearch.engines.dialect import ALL_SHARDS, KEEP_ALIVE, Dialect, quoted
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.engines.features import is_opensearch, opensearch_features, plugins_of
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import EngineInfo, EngineKind, Features, Json
from vidsearch.errors import BackendError

__all__ = ["OpenSearchDialect"]

_SCROLL = "/_search/scroll"


class OpenSearchDialect(Dialect):
    """What is asked of OpenSearch."""

    kind: ClassVar[EngineKind] = "opensearch"
    failures = (opensearchpy.OpenSearchException,)
    # With `index.replication.type: SEGMENT` a replica gets segments after the refresh has answered.
    refreshed = "_primary"

    def perform(self, client: Any) -> Callable[..., Any]:
        perform: Callable[..., Any] = client.transport.perform_request
        return perform

    def arguments(self, request: Request) -> Json:
        content, media_type = request.body, "application/json"
        if request.lines is not None:
            content, media_type = request.lines, "application/x-ndjson"
        headers = {"content-type": media_type}
        return {"params": dict(request.params), "headers": headers, "body": content}

    def answer(self, response: Any) -> Answer:
        return Answer(200, response)

    def answer_of(self, error: Exception) -> Answer:
        if isinstance(error, opensearchpy.ConnectionTimeout):
            raise timed_out(url=self.url) from error
        if isinstance(error, opensearchpy.ConnectionError):
            raise unreachable(error, url=self.url) from error
        if isinstance(error, opensearchpy.TransportError):
            # Where the body is no JSON, a proxy's page for one, only the other attribute has it.
            body_or_text = error.info if error.info is not None else error.error
            return Answer(int(error.status_code), body_or_text, error)
        if isinstance(error, opensearchpy.SerializationError):
            raise unreadable(error, url=self.url) from error
        raise error

    def version_of(self, root: Json) -> str | None:
        if not is_opensearch(root):
            raise BackendError(
                f"{self.url} is not OpenSearch; set engine.kind to what it is, or to auto"
            )
        version = root["version"]
        return str(version["number"]) if "distribution" in version else None

    def detect_features(self, info: EngineInfo) -> Steps[Features]:
        answer = yield from self.send(Request("GET", "/_nodes/plugins"))
        return opensearch_features(info.version, plugins=plugins_of(answer.status, answer.body))

    def may_repeat(self, request: Request) -> bool:
        # Of a scroll some shards may have gone on to the next page.
        return request.path != _SCROLL and super().may_repeat(request)

    def open_point_in_time(self, index: str, *, shard: int | None = None) -> Steps[str]:
        path, params = f"/{quoted(index)}/_search/point_in_time", self.point_in_time_params(shard)
        params["allow_partial_pit_creation"] = "false"  # it is by default
        answer = yield from self.request("POST", path, index=index, params=params)
        point: str = answer.body["pit_id"]
        return point

    def close_point_in_time(self, point: str) -> Steps[Answer]:
        return self.request("DELETE", "/_search/point_in_time", body={"pit_id": [point]})

    def source_of(self, fields: Sequence[str] | bool) -> Json | list[str] | bool:
        return fields if isinstance(fields, bool) else list(fields)

    def page(
        self, index: str, cursor: str | None, *, source: Sequence[str] | bool, body: Json
    ) -> Steps[tuple[Json, str]]:
        # A scroll, as 2.x has no order for search_after within a point in time that is both unique
        # over several shards and free: `_shard_doc` is unknown to it, `_id` is loaded into memory.
        if cursor is None:
            path, params = f"/{quoted(index)}/_search", {**ALL_SHARDS, "scroll": KEEP_ALIVE}
            params |= self.preference()
            body = {**body, "_source": self.source_of(source), "sort": ["_doc"]}
        else:
            path, params = _SCROLL, {}
            body = {"scroll": KEEP_ALIVE, "scroll_id": cursor}
        response = yield from self.search(path, index=index, params=params, body=body)
        return response, response["_scroll_id"]

    def close_scan(self, cursor: str) -> Steps[Answer]:
        return self.request("DELETE", _SCROLL, body={"scroll_id": [cursor]})
