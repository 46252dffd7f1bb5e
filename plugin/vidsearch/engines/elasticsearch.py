"""Elasticsearch 8.19 and 9, over the official client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import elasticsearch
from elasticsearch import Elasticsearch

from vidsearch.engines._calls import WHOLE, Answer, Call, Calls, Request, document, part
from vidsearch.engines._rest import RestEngine
from vidsearch.engines.base import Document, EngineInfo, EngineKind, Features, Json
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.engines.features import elasticsearch_features, licence_of
from vidsearch.errors import BackendError

__all__ = ["ElasticsearchEngine", "NotElasticsearchError"]

_CLIENT_MAJOR: int = elasticsearch.__version__[0]

FAILED = (elasticsearch.ApiError, elasticsearch.TransportError)
"""What the client raises; the two have no base in common."""

_KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""


class NotElasticsearchError(BackendError):
    """Something else answers at the URL; ``root`` is what it said."""

    def __init__(self, message: str, *, root: Any = None) -> None:
        super().__init__(message)
        self.root = root


class ElasticsearchCalls(Calls):
    """What is asked of Elasticsearch.

    The client may be one major version ahead of the server. It then speaks a dialect that the
    server refuses, so from the first refusal on the requests say that they mean the older one.
    """

    kind: ClassVar[EngineKind] = "elasticsearch"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._media_type = "application/{}"  # the client makes its own major version of it
        self._vectors_in_source = {"_source_exclude_vectors": "false"}

    def ask(self, request: Request) -> Call[Answer]:
        media_type = self._media_type
        answer = yield _said_in(media_type, request)
        if answer.status == 400 and _error_type(answer) == "media_type_header_exception":
            older = f"application/vnd.elasticsearch+{{}}; compatible-with={_CLIENT_MAJOR - 1}"
            if media_type != older:
                self._media_type = older
                answer = yield _said_in(older, request)
        return answer

    def _version(self, root: Json) -> str:
        return str(root["version"]["number"])

    def _detected(self, info: EngineInfo) -> Call[Features]:
        answer = yield from self.ask(Request("GET", "/_license"))
        return elasticsearch_features(info.version, licence=licence_of(answer.status, answer.body))

    def _stored(self, path: str, params: Mapping[str, str]) -> Call[Answer]:
        # From 9.2 on vectors are left out unless asked for, in a word that older servers refuse.
        wanted = self._vectors_in_source
        answer = yield from self.ask(Request("GET", path, {**params, **wanted}))
        if answer.status == 400 and wanted and "_source_exclude_vectors" in str(answer.body):
            self._vectors_in_source = {}
            answer = yield from self.ask(Request("GET", path, params))
        return answer


class ElasticsearchEngine(RestEngine):
    """One Elasticsearch cluster, over the host's client or one of our own."""

    kind: ClassVar[EngineKind] = "elasticsearch"

    def __init__(self, client: Elasticsearch, *, url: str, owned: bool = True) -> None:
        super().__init__(ElasticsearchCalls(url), owned=owned)
        self._client = client

    def _send(self, request: Request) -> Answer:
        try:
            response = self._client.perform_request(
                request.method, request.path, **arguments(request)
            )
        except FAILED as error:
            return answer_of(error, url=self._calls.url)
        return Answer(response.meta.status, response.body)

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        calls, keep_alive = self._calls, {"keep_alive": _KEEP_ALIVE}
        opened = calls.request("POST", f"/{part(index)}/_pit", index=index, params=keep_alive)
        pit = self._run(opened).body["id"]
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
                body["pit"] = {"id": pit, **keep_alive}
                response = self._run(
                    calls.searched("/_search", index=index, params=WHOLE, body=body)
                )
                pit = response["pit_id"]  # it may change from page to page
                hits = response["hits"]["hits"]
                yield from map(document, hits)
                if len(hits) < page_size:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            # Left open, it would run out by itself.
            with contextlib.suppress(BackendError):
                self._run(calls.request("DELETE", "/_pit", body={"id": pit}))

    def _close_client(self) -> None:
        self._client.close()


def _said_in(media_type: str, request: Request) -> Request:
    if request.body is None and request.lines is None:
        return request  # without a body there is no dialect to agree on
    headers = {
        "accept": media_type.format("json"),
        "content-type": media_type.format("json" if request.lines is None else "x-ndjson"),
    }
    return replace(request, headers=headers)


def arguments(request: Request) -> Json:
    """Of the client's ``perform_request``, behind method and path."""
    content = request.body if request.lines is None else request.lines
    return {"params": request.params, "headers": request.headers, "body": content}


def answer_of(error: Exception, *, url: str) -> Answer:
    """What a failed request says; raises where no engine of this kind answered."""
    if isinstance(error, elasticsearch.UnsupportedProductError):
        raise _not_elasticsearch(error, url=url) from error
    if isinstance(error, elasticsearch.ApiError):
        # The dialect itself is unheard of.
        if error.meta.status == 406 and "x-elastic-product" not in error.meta.headers:
            raise _not_elasticsearch(error, url=url) from error
        return Answer(error.meta.status, error.body, error)
    if isinstance(error, elasticsearch.ConnectionTimeout):
        raise timed_out(url=url) from error
    if isinstance(error, elasticsearch.SerializationError):
        raise unreadable(error, url=url) from error
    raise unreachable(error, url=url) from error


def _not_elasticsearch(error: elasticsearch.ApiError, *, url: str) -> NotElasticsearchError:
    return NotElasticsearchError(
        f"{url} is not Elasticsearch; set engine.kind to what it is, or to auto", root=error.body
    )


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
