"""Every call of an engine as steps: what is asked, and what the answer means.

Both engines create a missing index at the first write, with a mapping that they guess: for an
update, too, and where a compare-and-set is lost or nothing is written at all (tried on
Elasticsearch 8.19.21 and 9.5.3 and on OpenSearch 2.19.1). ``require_alias`` forbids it, at no cost,
where the name is an alias; so the registry, which is written most, stands behind one. For the name
of an index there is no such parameter, and the cluster setting ``action.auto_create_index`` belongs
to the cluster's administrators: every write first asks whether the index exists. The documents of
videos are written to an index and not to its alias, as a revision means nothing in the index that
the alias may be moved to meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from vidsearch.engines import bulk
from vidsearch.engines.dialect import ALL_SHARDS, Dialect, document_of, quoted
from vidsearch.engines.errors import error_of, no_json
from vidsearch.engines.history import HistoryCalls
from vidsearch.engines.index_calls import IndexCalls
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import (
    BulkResult,
    Document,
    EngineInfo,
    EngineKind,
    Features,
    Json,
    Revision,
    Write,
)
from vidsearch.engines.vectors import ByteOrder, holds_arrays
from vidsearch.errors import BackendError, BackendUnavailableError, IndexNotFoundError

__all__ = ["Calls"]

_OLDEST: dict[EngineKind, tuple[int, int, int]] = {
    "elasticsearch": (8, 19, 0),
    "opensearch": (2, 19, 0),
}
"""The oldest versions that are supported."""
_MGET_IDS = 1000
"""Documents of one request."""
_MGET_STATUS = {
    "index_not_found_exception": 404,
    "illegal_argument_exception": 400,
    "routing_missing_exception": 400,
    "security_exception": 403,
}
"""HTTP status of what may be wrong with one of them, which the engines do not say; else 503."""


class Calls(IndexCalls, HistoryCalls):
    """The calls of :class:`~vidsearch.engines.base.Engine`, which documents them, as steps."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._aliases: set[str] = set()  # names that were aliases when they were last asked for
        self._info: EngineInfo | None = None
        self._features: Features | None = None

    @property
    def kind(self) -> EngineKind:
        return self.dialect.kind

    @property
    def url(self) -> str:
        return self.dialect.url

    def info(self) -> Steps[EngineInfo]:
        if self._info is None:
            answer, version = (yield from self.dialect.send(Request("GET", "/"))), None
            # A node without the module for the root path refuses the method (405).
            if answer.status not in {404, 405}:
                version = self.dialect.version_of(self.dialect.require_success(answer).body)
            if version is None:
                local = yield from self.dialect.request("GET", "/_nodes/_local/http")
                version = str(next(iter(local.body["nodes"].values()))["version"])
            numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
            major, minor, patch = (*numbers, 0, 0, 0)[:3]
            self._info = EngineInfo(self.kind, (major, minor, patch), self.url)
        return self._info

    def features(self) -> Steps[Features]:
        if self._features is None:
            guessed = False
            try:
                info = yield from self.info()
            except BackendUnavailableError:
                raise
            except BackendError:  # no right to ask: assume the oldest version
                info = EngineInfo(self.kind, _OLDEST[self.kind], self.url)
                guessed = True
            features = yield from self.dialect.detect_features(info)
            if guessed and self.kind == "elasticsearch":
                # It may be one of those between; not to rely on its scores is right with all.
                features = replace(features, exact_inner_hits=False)
            self._features = features
        return self._features

    def _byte_order(self, *sources: Any) -> Steps[ByteOrder | None]:
        """Byte order for the vectors in them; asks the cluster only where they are arrays."""
        if not any(map(holds_arrays, sources)):
            return None
        return (yield from self.features()).base64_vectors

    # -- documents

    def get(self, index: str, id: str, *, routing: str | None = None) -> Steps[Document | None]:
        path, params = f"/{quoted(index)}/_doc/{quoted(id)}", _options(routing=routing)
        answer = yield from self.dialect.read_with_vectors(Request("GET", path, params))
        if _is_missing_document(answer):
            return None
        return document_of(self.dialect.require_success(answer, index=index).body)

    def mget(
        self,
        index: str,
        ids: Sequence[str],
        *,
        routing: Mapping[str, str] | None = None,
        source: Sequence[str] | bool = True,
    ) -> Steps[dict[str, Document]]:
        by_id, found = dict(routing or {}), {}
        params = {}
        if isinstance(source, bool):
            params["_source"] = str(source).lower()
        else:
            params["_source_includes"] = ",".join(source)
        if source is False:  # else the engines leave out the routing as well
            params["stored_fields"] = "_routing"
        for start in range(0, len(ids), _MGET_IDS):
            docs = [
                {"_id": id, "routing": by_id[id]} if id in by_id else {"_id": id}
                for id in ids[start : start + _MGET_IDS]
            ]
            body = self.dialect.json({"docs": docs})
            request = Request("POST", f"/{quoted(index)}/_mget", params, body)
            answer = yield from self.dialect.read_with_vectors(request)
            for item in self.dialect.require_success(answer, index=index).body["docs"]:
                if "error" in item:
                    status = _MGET_STATUS.get(item["error"]["type"], 503)
                    raise error_of(status, item, url=self.url, index=index, id=item["_id"])
                if item["found"]:
                    found[item["_id"]] = document_of(item)
        return found

    def put(
        self,
        index: str,
        id: str,
        source: Mapping[str, Any],
        *,
        expect: Revision | Literal["absent"] | None = None,
        version: int | None = None,
        routing: str | None = None,
        pipeline: bool = True,
        refresh: bool = False,
    ) -> Steps[Revision]:
        params = yield from self._write_params(index, routing=routing, refresh=refresh)
        params |= _expected(expect)
        if version is not None:
            params |= {"version": str(version), "version_type": "external_gte"}
        if not pipeline:
            params["pipeline"] = "_none"
        endpoint = "_create" if expect == "absent" else "_doc"
        path = f"/{quoted(index)}/{endpoint}/{quoted(id)}"
        body = self.dialect.json(source, (yield from self._byte_order(source)))
        with self._alias_forgotten_if_missing(index):
            answer = yield from self.dialect.request(
                "PUT", path, index=index, params=params, body=body
            )
        return Revision(answer.body["_seq_no"], answer.body["_primary_term"])

    def update(
        self,
        index: str,
        id: str,
        partial: Mapping[str, Any],
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> Steps[Revision | None]:
        # As a bulk of one: `_update` would send the merged document through the default pipeline
        # of the index once more.
        params = yield from self._write_params(index, refresh=refresh)
        order = yield from self._byte_order(partial)
        path = f"/{quoted(index)}/_bulk"
        try:
            lines = bulk.lines_of(Write("update", id, partial, routing, expect), order)
        except TypeError as error:
            raise no_json(error, f"document {id!r}") from error
        with self._alias_forgotten_if_missing(index):
            answer = yield from self.dialect.request(
                "POST", path, index=index, params=params, lines=lines
            )
            item: Json = answer.body["items"][0]["update"]
            if item["status"] == 404 and item["error"]["type"] == "document_missing_exception":
                return None
            if item["status"] >= 300:
                raise error_of(item["status"], item, url=self.url, index=index, id=id)
        return Revision(item["_seq_no"], item["_primary_term"])

    def delete(
        self,
        index: str,
        id: str,
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> Steps[bool]:
        params = {**_expected(expect), **_options(routing=routing, refresh=refresh)}
        path = f"/{quoted(index)}/_doc/{quoted(id)}"
        answer = yield from self.dialect.send(Request("DELETE", path, params))
        if _is_missing_document(answer):
            return False
        self.dialect.require_success(answer, index=index)
        return True

    def bulk(
        self,
        index: str,
        writes: Sequence[Write],
        *,
        pipeline: bool = True,
        refresh: bool = False,
        is_there: bool = False,
    ) -> Steps[BulkResult]:
        if not writes:
            return BulkResult(0)
        if is_there:
            params = _options(refresh=refresh)
        else:
            params = yield from self._write_params(index, refresh=refresh)
        if not pipeline:
            params["pipeline"] = "_none"
        order = yield from self._byte_order(*(write.source for write in writes))
        path = f"/{quoted(index)}/_bulk"

        def send(lines: bytes, pause: float) -> Steps[Answer]:
            return self.dialect.request(
                "POST", path, index=index, params=params, lines=lines, pause=pause
            )

        tries = bulk.ATTEMPTS if self.dialect.is_patient else 1
        progress = bulk.Progress(index, self.url, len(writes), tries=tries)
        with self._alias_forgotten_if_missing(index):
            return (yield from bulk.bulk(writes, progress, order=order, send=send, read=self.mget))

    def _write_params(
        self, index: str, *, routing: str | None = None, refresh: bool
    ) -> Steps[dict[str, str]]:
        """Parameters of a write that creates no index. Raises IndexNotFoundError."""
        params = _options(routing=routing, refresh=refresh)
        if index not in self._aliases:
            names = yield from self.indices_of(index)
            if not names:
                raise IndexNotFoundError(f"there is no index or alias {index!r} at {self.url}")
            if index in names:
                return params
            self._aliases.add(index)
        return {**params, "require_alias": "true"}

    @contextmanager
    def _alias_forgotten_if_missing(self, index: str) -> Iterator[None]:
        """Around a write: an alias that vanished may come back as an index."""
        try:
            yield
        except IndexNotFoundError:
            self._aliases.discard(index)
            raise

    # -- searches

    def search(self, index: str, body: Mapping[str, Any], *, refreshed: bool = True) -> Steps[Json]:
        path = f"/{quoted(index)}/_search"
        params = {**ALL_SHARDS, **(self.dialect.preference() if refreshed else {})}
        return self.dialect.search(path, index=index, params=params, body=body)

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> Steps[list[Json]]:
        if not bodies:
            return []
        return (yield from self.dialect.msearch(index, map(_header_and_body, bodies)))

    def count(
        self, index: str, query: Mapping[str, Any] | None = None, *, refreshed: bool = True
    ) -> Steps[int]:
        path, body = f"/{quoted(index)}/_count", {"query": query or {"match_all": {}}}
        params = self.dialect.preference() if refreshed else {}
        response = yield from self.dialect.search(path, index=index, params=params, body=body)
        return int(response["count"])


def _is_missing_document(answer: Answer) -> bool:
    """Whether the document is missing, not the index; a proxy's page is neither."""
    return answer.status == 404 and isinstance(answer.body, dict) and "_id" in answer.body


def _options(*, routing: str | None = None, refresh: bool = False) -> dict[str, str]:
    params = {} if routing is None else {"routing": routing}
    return {**params, "refresh": "wait_for"} if refresh else params


def _expected(expect: Revision | Literal["absent"] | None) -> dict[str, str]:
    if not isinstance(expect, Revision):
        return {}
    return {"if_seq_no": str(expect.seq_no), "if_primary_term": str(expect.primary_term)}


def _header_and_body(body: Mapping[str, Any]) -> tuple[Json, Json]:
    """The two lines of one search; ``search_type`` stands in the first."""
    header = {name: value for name, value in body.items() if name == "search_type"}
    return header, {name: value for name, value in body.items() if name not in header}
