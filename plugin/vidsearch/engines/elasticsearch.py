"""Elasticsearch 8.19 and 9, over the official client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import elasticsearch

from vidsearch.engines.dialect import ALL_SHARDS, KEEP_ALIVE, Dialect, quoted
from vidsearch.engines.errors import timed_out, unreachable, unreadable
from vidsearch.engines.features import elasticsearch_features, licence_of
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import EngineInfo, EngineKind, Features, Json
from vidsearch.errors import BackendError

__all__ = ["ElasticsearchDialect", "NotElasticsearchError"]

_CLIENT_MAJOR: int = elasticsearch.__version__[0]


class NotElasticsearchError(BackendError):
    """Something else answers at the URL; ``root`` is what it said."""

    def __init__(self, message: str, *, root: Any = None) -> None:
        super().__init__(message)
        self.root = root


class ElasticsearchDialect(Dialect):
    """What is asked of Elasticsearch.

    The client may be one major version ahead of the server. The server then refuses the client's
    media type; from the first refusal on, requests name the older one.
    """

    kind: ClassVar[EngineKind] = "elasticsearch"
    # The two have no base class in common.
    failures = (elasticsearch.ApiError, elasticsearch.TransportError)

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._media_type = "application/{}"  # the client makes its own major version of it
        self._vectors_in_source = {"_source_exclude_vectors": "false"}

    def perform(self, client: Any) -> Callable[..., Any]:
        perform: Callable[..., Any] = client.perform_request
        return perform

    def arguments(self, request: Request) -> Json:
        content = request.body if request.lines is None else request.lines
        return {"params": request.params, "headers": request.headers, "body": content}

    def answer(self, response: Any) -> Answer:
        return Answer(response.meta.status, response.body)

    def answer_of(self, error: Exception) -> Answer:
        if isinstance(error, elasticsearch.ApiError):
            # Another server, or one to which the media type is unknown.
            unknown = error.meta.status == 406 and "x-elastic-product" not in error.meta.headers
            if unknown or isinstance(error, elasticsearch.UnsupportedProductError):
                raise NotElasticsearchError(
                    f"{self.url} is not Elasticsearch; set engine.kind to what it is, or to auto",
                    root=error.body,
                ) from error
            return Answer(error.meta.status, error.body, error)
        if isinstance(error, elasticsearch.ConnectionTimeout):
            raise timed_out(url=self.url) from error
        if isinstance(error, elasticsearch.SerializationError):
            raise unreadable(error, url=self.url) from error
        raise unreachable(error, url=self.url) from error

    def send(self, request: Request) -> Steps[Answer]:
        media_type = self._media_type
        answer = yield from self.sent(_with_media_type(media_type, request))
        if answer.status == 400 and _error_type(answer) == "media_type_header_exception":
            older = f"application/vnd.elasticsearch+{{}}; compatible-with={_CLIENT_MAJOR - 1}"
            if media_type != older:
                self._media_type = older
                answer = yield from self.sent(_with_media_type(older, request))
        return answer

    def read_with_vectors(self, request: Request) -> Steps[Answer]:
        # From 9.2 on vectors are left out unless asked for, by a parameter that 8.19 refuses.
        wanted = self._vectors_in_source
        answer = yield from self.send(replace(request, params={**request.params, **wanted}))
        if answer.status == 400 and wanted and "_source_exclude_vectors" in str(answer.body):
            self._vectors_in_source = {}
            answer = yield from self.send(request)
        return answer

    def version_of(self, root: Json) -> str:
        return str(root["version"]["number"])

    def detect_features(self, info: EngineInfo) -> Steps[Features]:
        answer = yield from self.send(Request("GET", "/_license"))
        return elasticsearch_features(info.version, licence=licence_of(answer.status, answer.body))

    def open_point_in_time(self, index: str, *, shard: int | None = None) -> Steps[str]:
        path, params = f"/{quoted(index)}/_pit", self.point_in_time_params(shard)
        answer = yield from self.request("POST", path, index=index, params=params)
        point: str = answer.body["id"]
        return point

    def close_point_in_time(self, point: str) -> Steps[Answer]:
        return self.request("DELETE", "/_pit", body={"id": point})

    def source_of(self, fields: Sequence[str] | bool) -> Json | list[str] | bool:
        if fields is False:
            return False
        wanted: Json = {"exclude_vectors": False}
        if fields is not True:
            wanted["includes"] = list(fields)
        return wanted

    def open_scan(self, index: str) -> Steps[str | None]:
        return (yield from self.open_point_in_time(index))

    def page(
        self, index: str, cursor: str | None, *, source: Sequence[str] | bool, body: Json
    ) -> Steps[tuple[Json, str]]:
        body = {
            **body,
            "pit": {"id": cursor, "keep_alive": KEEP_ALIVE},
            "_source": self.source_of(source),
            "sort": [{"_shard_doc": "asc"}],
            "track_total_hits": False,
        }
        response = yield from self.search("/_search", index=index, params=ALL_SHARDS, body=body)
        return response, response["pit_id"]

    def close_scan(self, cursor: str) -> Steps[Answer]:
        return self.close_point_in_time(cursor)


def _with_media_type(media_type: str, request: Request) -> Request:
    if request.body is None and request.lines is None:
        return request
    headers = {
        "accept": media_type.format("json"),
        "content-type": media_type.format("json" if request.lines is None else "x-ndjson"),
    }
    return replace(request, headers=headers)


def _error_type(answer: Answer) -> str | None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    return error.get("type") if isinstance(error, dict) else None
