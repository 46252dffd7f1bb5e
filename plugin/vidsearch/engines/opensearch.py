"""OpenSearch 2.19 and 3, over the official client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import opensearchpy
from opensearchpy import OpenSearch

from vidsearch.engines._rest import WHOLE, Answer, RestEngine, document, part
from vidsearch.engines.base import Document, EngineKind, Json
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.errors import BackendError

__all__ = ["OpenSearchEngine"]

_KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""


class OpenSearchEngine(RestEngine):
    """One OpenSearch cluster."""

    kind: ClassVar[EngineKind] = "opensearch"

    def __init__(self, client: OpenSearch, *, url: str, owned: bool = True) -> None:
        super().__init__(url=url, owned=owned)
        self._client = client

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        body: Mapping[str, Any] | None,
        lines: Iterable[Mapping[str, Any]] | None,
    ) -> Answer:
        transport = self._client.transport
        try:
            content: Any = body
            media_type = "application/json"
            if lines is not None:
                content = "".join(f"{transport.serializer.dumps(line)}\n" for line in lines)
                media_type = "application/x-ndjson"
            answer = transport.perform_request(
                method,
                path,
                params=dict(params),
                body=content,
                headers={"content-type": media_type},
            )
        except opensearchpy.ConnectionTimeout as error:
            raise timed_out(url=self._url) from error
        except opensearchpy.ConnectionError as error:
            raise unreachable(error, url=self._url) from error
        except opensearchpy.TransportError as error:
            # Where the body is no JSON, a proxy's page for one, only the other attribute has it.
            body_or_text = error.info if error.info is not None else error.error
            return Answer(int(error.status_code), body_or_text, error)
        except opensearchpy.SerializationError as error:
            raise unreadable(error, url=self._url) from error
        return Answer(200, answer)

    def _version(self, root: Json) -> str:
        version = root.get("version")
        if not isinstance(version, dict) or version.get("distribution") != self.kind:
            raise BackendError(
                f"{self._url} is not OpenSearch; set engine.kind to what it is, or to auto"
            )
        return str(version["number"])

    def _get(self, path: str) -> Answer:
        return self._send("GET", path, params={}, body=None, lines=None)

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
        response = self._searched(f"/{part(index)}/_search", index=index, params=params, body=body)
        try:
            while True:
                hits = response["hits"]["hits"]
                yield from map(document, hits)
                if len(hits) < page_size:
                    return
                body = {"scroll": _KEEP_ALIVE, "scroll_id": response["_scroll_id"]}
                response = self._searched("/_search/scroll", index=index, params={}, body=body)
        finally:
            # Left open, it would run out by itself.
            with contextlib.suppress(BackendError):
                used = {"scroll_id": [response["_scroll_id"]]}
                self._request("DELETE", "/_search/scroll", body=used)

    def _close_client(self) -> None:
        self._client.close()
