"""Elasticsearch 8.19 and 9, over the official client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import elasticsearch
from elasticsearch import Elasticsearch

from vidsearch.engines._rest import WHOLE, Answer, RestEngine, document, part
from vidsearch.engines.base import Document, EngineKind, Json
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.errors import BackendError

__all__ = ["ElasticsearchEngine", "NotElasticsearch"]

_CLIENT_MAJOR: int = elasticsearch.__version__[0]

_KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""


class NotElasticsearch(BackendError):
    """Something else answers at the URL; ``root`` is what it said."""

    def __init__(self, message: str, *, root: Any = None) -> None:
        super().__init__(message)
        self.root = root


class ElasticsearchEngine(RestEngine):
    """One Elasticsearch cluster.

    The client may be one major version ahead of the server. It then speaks a dialect that the
    server refuses, so from the first refusal on the requests say that they mean the older one.
    """

    kind: ClassVar[EngineKind] = "elasticsearch"

    def __init__(self, client: Elasticsearch, *, url: str, owned: bool = True) -> None:
        super().__init__(url=url, owned=owned)
        self._client = client
        self._media_type = "application/{}"  # the client makes its own major version of it
        self._vectors_in_source = {"_source_exclude_vectors": "false"}

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        body: Mapping[str, Any] | None,
        lines: Iterable[Mapping[str, Any]] | None,
    ) -> Answer:
        content: Any = body if lines is None else list(lines)
        media_type = self._media_type
        answer = self._ask(method, path, params, content, media_type, many=lines is not None)
        if answer.status == 400 and _error_type(answer) == "media_type_header_exception":
            older = f"application/vnd.elasticsearch+{{}}; compatible-with={_CLIENT_MAJOR - 1}"
            if media_type != older:
                self._media_type = older
                answer = self._ask(method, path, params, content, older, many=lines is not None)
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        content: Any,
        media_type: str,
        *,
        many: bool,
    ) -> Answer:
        headers = {}  # without a body there is no dialect to agree on
        if content is not None:
            headers["accept"] = media_type.format("json")
            headers["content-type"] = media_type.format("x-ndjson" if many else "json")
        try:
            response = self._client.perform_request(
                method, path, params=params, headers=headers, body=content
            )
        except elasticsearch.UnsupportedProductError as error:
            raise self._not_elasticsearch(error) from error
        except elasticsearch.ApiError as error:
            # The dialect itself is unheard of.
            if error.meta.status == 406 and "x-elastic-product" not in error.meta.headers:
                raise self._not_elasticsearch(error) from error
            return Answer(error.meta.status, error.body, error)
        except elasticsearch.ConnectionTimeout as error:
            raise timed_out(url=self._url) from error
        except elasticsearch.SerializationError as error:
            raise unreadable(error, url=self._url) from error
        except elasticsearch.TransportError as error:
            raise unreachable(error, url=self._url) from error
        return Answer(response.meta.status, response.body)

    def _not_elasticsearch(self, error: elasticsearch.ApiError) -> NotElasticsearch:
        return NotElasticsearch(
            f"{self._url} is not Elasticsearch; set engine.kind to what it is, or to auto",
            root=error.body,
        )

    def _version(self, root: Json) -> str:
        return str(root["version"]["number"])

    def _get(self, path: str) -> Answer:
        # From 9.2 on vectors are left out unless asked for, in a word that older servers refuse.
        params = self._vectors_in_source
        answer = self._send("GET", path, params=params, body=None, lines=None)
        if answer.status == 400 and params and "_source_exclude_vectors" in str(answer.body):
            self._vectors_in_source = {}
            answer = self._send("GET", path, params={}, body=None, lines=None)
        return answer

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        opened = self._request(
            "POST", f"/{part(index)}/_pit", index=index, params={"keep_alive": _KEEP_ALIVE}
        )
        pit = opened.body["id"]
        body: Json = {
            "size": page_size,
            "query": query or {"match_all": {}},
            "_source": _with_vectors(source),
            "sort": [{"_shard_doc": "asc"}],
            "seq_no_primary_term": True,
            "track_total_hits": False,
        }
        try:
            while True:
                body["pit"] = {"id": pit, "keep_alive": _KEEP_ALIVE}
                response = self._searched("/_search", index=index, params=WHOLE, body=body)
                pit = response["pit_id"]  # it may change from page to page
                hits = response["hits"]["hits"]
                yield from map(document, hits)
                if len(hits) < page_size:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            # Left open, it would run out by itself.
            with contextlib.suppress(BackendError):
                self._request("DELETE", "/_pit", body={"id": pit})

    def _close_client(self) -> None:
        self._client.close()


def _with_vectors(source: Sequence[str] | bool) -> Json | bool:
    if source is False:
        return False
    wanted: Json = {"exclude_vectors": False}
    if source is not True:
        wanted["includes"] = list(source)
    return wanted


def _error_type(answer: Answer) -> str | None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return error.get("type") if isinstance(error, dict) else None
