"""OpenSearch 2.19 and 3, over the official client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import opensearchpy
from opensearchpy import OpenSearch

from vidsearch.engines._calls import WHOLE, Answer, Call, Calls, Request, document, part
from vidsearch.engines._rest import RestEngine
from vidsearch.engines.base import Document, EngineInfo, EngineKind, Features, Json
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.engines.features import opensearch_features, plugins_of
from vidsearch.errors import BackendError

__all__ = ["OpenSearchEngine"]

_KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""


class OpenSearchCalls(Calls):
    """What is asked of OpenSearch."""

    kind: ClassVar[EngineKind] = "opensearch"

    def ask(self, request: Request) -> Call[Answer]:
        return (yield request)

    def _version(self, root: Json) -> str:
        version = root.get("version")
        if not isinstance(version, dict) or version.get("distribution") != self.kind:
            raise BackendError(
                f"{self.url} is not OpenSearch; set engine.kind to what it is, or to auto"
            )
        return str(version["number"])

    def _detected(self, info: EngineInfo) -> Call[Features]:
        answer = yield from self.ask(Request("GET", "/_nodes/plugins"))
        return opensearch_features(info.version, plugins=plugins_of(answer.status, answer.body))

    def _stored(self, path: str, params: Mapping[str, str]) -> Call[Answer]:
        return (yield from self.ask(Request("GET", path, params)))


class OpenSearchEngine(RestEngine):
    """One OpenSearch cluster, over the host's client or one of our own."""

    kind: ClassVar[EngineKind] = "opensearch"

    def __init__(self, client: OpenSearch, *, url: str, owned: bool = True) -> None:
        super().__init__(OpenSearchCalls(url), owned=owned)
        self._client = client

    def _send(self, request: Request) -> Answer:
        transport = self._client.transport
        try:
            body = transport.perform_request(
                request.method, request.path, **arguments(request, transport.serializer)
            )
        except opensearchpy.OpenSearchException as error:
            return answer_of(error, url=self._calls.url)
        return Answer(200, body)

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        # A scroll, as 2.x has no order for search_after within a point in time that is both unique
        # over several shards and free: `_shard_doc` is unknown to it, `_id` is loaded into memory.
        body: Json = {
            "size": page_size,
            "query": query or {"match_all": {}},
            "_source": source if isinstance(source, bool) else list(source),
            "sort": ["_doc"],
            "seq_no_primary_term": True,
        }
        params = {**WHOLE, "scroll": _KEEP_ALIVE}
        calls = self._calls
        path = f"/{part(index)}/_search"
        response = self._run(calls.searched(path, index=index, params=params, body=body))
        try:
            while True:
                hits = response["hits"]["hits"]
                yield from map(document, hits)
                if len(hits) < page_size:
                    return
                body = {"scroll": _KEEP_ALIVE, "scroll_id": response["_scroll_id"]}
                response = self._run(
                    calls.searched("/_search/scroll", index=index, params={}, body=body)
                )
        finally:
            # Left open, it would run out by itself.
            with contextlib.suppress(BackendError):
                used = {"scroll_id": [response["_scroll_id"]]}
                self._run(calls.request("DELETE", "/_search/scroll", body=used))

    def _close_client(self) -> None:
        self._client.close()


def arguments(request: Request, serializer: Any) -> Json:
    """Of the transport's ``perform_request``, behind method and path."""
    content: Any = request.body
    media_type = "application/json"
    if request.lines is not None:
        content = request.lines
        if not isinstance(content, bytes):
            content = "".join(f"{serializer.dumps(line)}\n" for line in content)
        media_type = "application/x-ndjson"
    headers = {"content-type": media_type}
    return {"params": dict(request.params), "headers": headers, "body": content}


def answer_of(error: Exception, *, url: str) -> Answer:
    """What a failed request says; raises where none answered."""
    if isinstance(error, opensearchpy.ConnectionTimeout):
        raise timed_out(url=url) from error
    if isinstance(error, opensearchpy.ConnectionError):
        raise unreachable(error, url=url) from error
    if isinstance(error, opensearchpy.TransportError):
        # Where the body is no JSON, a proxy's page for one, only the other attribute has it.
        body_or_text = error.info if error.info is not None else error.error
        return Answer(int(error.status_code), body_or_text, error)
    if isinstance(error, opensearchpy.SerializationError):
        raise unreadable(error, url=url) from error
    raise error
