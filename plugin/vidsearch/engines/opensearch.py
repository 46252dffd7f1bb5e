"""OpenSearch 2.19 and 3, over the official client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import opensearchpy

from vidsearch.engines.dialect import ALL_SHARDS, Dialect, Run, document_of, quoted
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.engines.features import opensearch_features, plugins_of
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import Document, EngineInfo, EngineKind, Features, Json
from vidsearch.errors import BackendError

__all__ = ["OpenSearchDialect"]

_KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""


class OpenSearchDialect(Dialect):
    """What is asked of OpenSearch."""

    kind: ClassVar[EngineKind] = "opensearch"
    failures = (opensearchpy.OpenSearchException,)

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

    def send(self, request: Request) -> Steps[Answer]:
        answer: Answer = yield request
        return answer

    def read_with_vectors(self, request: Request) -> Steps[Answer]:
        return self.send(request)

    def version_of(self, root: Json) -> str:
        version = root.get("version")
        if not isinstance(version, dict) or version.get("distribution") != self.kind:
            raise BackendError(
                f"{self.url} is not OpenSearch; set engine.kind to what it is, or to auto"
            )
        return str(version["number"])

    def detect_features(self, info: EngineInfo) -> Steps[Features]:
        answer = yield from self.send(Request("GET", "/_nodes/plugins"))
        return opensearch_features(info.version, plugins=plugins_of(answer.status, answer.body))

    def scan(
        self,
        run: Run[Any],
        index: str,
        *,
        query: Json,
        source: Sequence[str] | bool,
        page_size: int,
    ) -> Iterator[Document]:
        # A scroll, as 2.x has no order for search_after within a point in time that is both unique
        # over several shards and free: `_shard_doc` is unknown to it, `_id` is loaded into memory.
        body: Json = {
            "size": page_size,
            "query": query,
            "_source": source if isinstance(source, bool) else list(source),
            "sort": ["_doc"],
            "seq_no_primary_term": True,
        }
        params = {**ALL_SHARDS, "scroll": _KEEP_ALIVE}
        path = f"/{quoted(index)}/_search"
        response = run(self.search(path, index=index, params=params, body=body))
        try:
            while True:
                hits = response["hits"]["hits"]
                yield from map(document_of, hits)
                if len(hits) < page_size:
                    return
                body = {"scroll": _KEEP_ALIVE, "scroll_id": response["_scroll_id"]}
                response = run(self.search("/_search/scroll", index=index, params={}, body=body))
        finally:
            # Left open, it would run out by itself.
            with contextlib.suppress(BackendError):
                used = {"scroll_id": [response["_scroll_id"]]}
                run(self.request("DELETE", "/_search/scroll", body=used))
