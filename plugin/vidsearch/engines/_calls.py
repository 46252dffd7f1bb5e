"""Every call of an engine as pure steps: what is asked, and what the answer means.

A call is a generator. It yields a :class:`Request`, is given the :class:`Answer`, and returns what
the caller wants to know; nothing in here waits or has a client. Who carries it out waits for the
``pause`` of a request, and throws into the call the error of one that had no answer:

    def mapping(self, index):
        answer = yield from self.request("GET", f"/{part(index)}/_mapping", index=index)
        return answer.body[…]["mappings"]

:class:`~vidsearch.engines._rest.RestEngine` carries calls out in the caller's thread,
:class:`~vidsearch.engines.aio.AsyncRestEngine` in an event loop.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import quote

from vidsearch.engines._bulk import Backoff, Item, Tally, action_of, chunks, encoded, same, take
from vidsearch.engines._vectors import ByteOrder, holds_arrays, to_json
from vidsearch.engines.base import (
    BulkResult,
    Document,
    EngineInfo,
    EngineKind,
    Features,
    Json,
    Revision,
    Write,
)
from vidsearch.engines.errors import error_of, reason_of, unreadable
from vidsearch.errors import BackendError, BackendUnavailable, IndexMissing

__all__ = ["WHOLE", "Answer", "Call", "Calls", "Request", "document", "part"]

_T = TypeVar("_T")

_OLDEST: dict[EngineKind, tuple[int, int, int]] = {
    "elasticsearch": (8, 19, 0),
    "opensearch": (2, 19, 0),
}
"""The oldest versions that are supported."""

WHOLE = {"allow_partial_search_results": "false"}
"""Parameters of a search that reaches every shard, or is an error."""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, with one JSON body, many JSON lines, or neither; bytes are JSON already."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | bytes | None = None
    lines: Sequence[Mapping[str, Any]] | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds to wait before it is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: Any
    cause: BaseException | None = field(default=None, compare=False)
    """The client library's exception, where it made one of the status."""


Call = Generator[Request, Answer, _T]


class Calls(ABC):
    """The calls of one cluster, the same for both engines but for the abstract methods.

    A write never creates an index, as engines do by default: an index that vanished is an
    :class:`~vidsearch.errors.IndexMissing`, not a new one with a guessed mapping. For that, every
    write asks for the name first. A search that reached only some shards is an error.
    """

    kind: ClassVar[EngineKind]

    def __init__(self, url: str) -> None:
        """
        Args:
            url: of the cluster, without credentials; for messages.
        """
        self.url = url
        self.backoff = Backoff()
        self._info: EngineInfo | None = None
        self._features: Features | None = None

    # -- where the engines differ

    @abstractmethod
    def ask(self, request: Request) -> Call[Answer]:
        """Send one request as this engine wants it; an answer of any status."""

    @abstractmethod
    def _version(self, root: Json) -> str:
        """The version number in the answer of ``GET /``, after a look at whose it is."""

    @abstractmethod
    def _detected(self, info: EngineInfo) -> Call[Features]:
        """What the cluster can do, asked in a way that survives a missing right or endpoint."""

    @abstractmethod
    def _stored(self, path: str, params: Mapping[str, str]) -> Call[Answer]:
        """``GET`` of a document with everything that was stored, vectors too."""

    # -- one request

    def request(
        self,
        method: str,
        path: str,
        *,
        index: str | None = None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        lines: Sequence[Mapping[str, Any]] | bytes | None = None,
        also: Collection[int] = (),
        pause: float = 0.0,
    ) -> Call[Answer]:
        """One request whose answer is a success, or a status in ``also``."""
        asked = Request(method, path, params or {}, body, lines, pause=pause)
        answer = yield from self.ask(asked)
        return self._checked(answer, index=index, also=also)

    def _checked(self, answer: Answer, *, index: str | None, also: Collection[int] = ()) -> Answer:
        if 200 <= answer.status < 300:
            if not isinstance(answer.body, dict):
                raise BackendError(f"{self.url} answered with what is not a search engine's JSON")
            return answer
        if answer.status in also:
            return answer
        raise error_of(answer.status, answer.body, url=self.url, index=index) from answer.cause

    # -- the cluster

    def info(self) -> Call[EngineInfo]:
        if self._info is None:
            # A node without the module for the root path refuses the method (405).
            answer = yield from self.request("GET", "/", also=(404, 405))
            if answer.status < 300:
                version = self._version(answer.body)
            else:
                nodes = (yield from self.request("GET", "/_nodes/_local/http")).body["nodes"]
                version = next(iter(nodes.values()))["version"]
            numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
            major, minor, patch = (*numbers, 0, 0, 0)[:3]
            self._info = EngineInfo(self.kind, (major, minor, patch), self.url)
        return self._info

    def features(self) -> Call[Features]:
        if self._features is None:
            try:
                info = yield from self.info()
            except BackendUnavailable:
                raise
            except BackendError:  # no right to ask: nothing is sent that the oldest cannot read
                info = EngineInfo(self.kind, _OLDEST[self.kind], self.url)
            self._features = yield from self._detected(info)
        return self._features

    def _order(self, *sources: Any) -> Call[ByteOrder | None]:
        """Byte order of the vectors in them; the cluster is asked only where they are arrays."""
        if not any(map(holds_arrays, sources)):
            return None
        return (yield from self.features()).base64_vectors

    def _json(self, source: Mapping[str, Any], order: ByteOrder | None) -> bytes:
        try:
            return to_json(source, order)
        except TypeError as error:
            raise unreadable(error, url=self.url) from error

    # -- indices

    def create_index(self, name: str, body: Mapping[str, Any]) -> Call[None]:
        yield from self.request("PUT", f"/{part(name)}", index=name, body=body)

    def delete_index(self, name: str) -> Call[None]:
        # Asked first, because the engines differ in what they do with an alias, and because
        # OpenSearch takes a `*` in the name for what it is.
        if name not in (yield from self.indices_of(name)):
            raise IndexMissing(f"there is no index {name!r} at {self.url}")
        yield from self.request("DELETE", f"/{part(name)}", index=name)

    def indices_of(self, name: str) -> Call[tuple[str, ...]]:
        try:
            answer = yield from self.request("GET", f"/{part(name)}/_alias", index=name)
        except IndexMissing:
            return ()
        return tuple(sorted(answer.body))

    def mapping(self, index: str) -> Call[Json]:
        found = (yield from self.request("GET", f"/{part(index)}/_mapping", index=index)).body
        if len(found) != 1:
            names = ", ".join(sorted(found)) or "no index"
            raise BackendError(f"{index!r} at {self.url} stands for {names}, not for one index")
        ((_, entry),) = found.items()
        mapping: Json = entry["mappings"]
        return mapping

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> Call[None]:
        yield from self.request("PUT", f"/{part(index)}/_mapping", index=index, body=body)

    def settings(self, index: str) -> Call[Json]:
        settings: Json = (yield from self._described(index))["settings"]["index"]
        return settings

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> Call[None]:
        body = {"index": dict(settings)}
        yield from self.request("PUT", f"/{part(index)}/_settings", index=index, body=body)

    def aliases(self, index: str) -> Call[Json]:
        aliases: Json = (yield from self._described(index))["aliases"]
        return aliases

    def _described(self, index: str) -> Call[Json]:
        found = (yield from self.request("GET", f"/{part(index)}", index=index)).body
        ((_, entry),) = found.items()
        described: Json = entry
        return described

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> Call[None]:
        yield from self.request("POST", "/_aliases", body={"actions": list(actions)})

    def refresh(self, index: str) -> Call[None]:
        yield from self.request("POST", f"/{part(index)}/_refresh", index=index)

    # -- documents

    def get(self, index: str, id: str, *, routing: str | None) -> Call[Document | None]:
        answer = yield from self._stored(f"/{part(index)}/_doc/{part(id)}", routed(routing))
        if _absent(answer):
            return None
        return document(self._checked(answer, index=index).body)

    def put(
        self,
        index: str,
        id: str,
        source: Mapping[str, Any],
        *,
        expect: Revision | Literal["absent"] | None,
        routing: str | None,
        pipeline: bool,
        refresh: bool,
    ) -> Call[Revision]:
        endpoint = "_create" if expect == "absent" else "_doc"
        existing = yield from self._existing(index)
        params = {**existing, **_expected(expect), **routed(routing), **_visible(refresh)}
        if not pipeline:
            params["pipeline"] = "_none"
        path = f"/{part(index)}/{endpoint}/{part(id)}"
        body = self._json(source, (yield from self._order(source)))
        answer = yield from self.request("PUT", path, index=index, params=params, body=body)
        return Revision(answer.body["_seq_no"], answer.body["_primary_term"])

    def update(
        self,
        index: str,
        id: str,
        partial: Mapping[str, Any],
        *,
        expect: Revision | None,
        routing: str | None,
        refresh: bool,
    ) -> Call[Revision | None]:
        # As a bulk of one: `_update` would send the merged document through the default pipeline
        # of the index once more.
        params = {**(yield from self._existing(index)), **_visible(refresh)}
        action = action_of(Write("update", id, routing=routing))
        if expect is not None:
            del action["update"]["retry_on_conflict"]
            action["update"] |= {
                "if_seq_no": expect.seq_no,
                "if_primary_term": expect.primary_term,
            }
        path = f"/{part(index)}/_bulk"
        order = yield from self._order(partial)
        lines = b"%b\n%b\n" % (to_json(action), self._json({"doc": partial}, order))
        answer = yield from self.request("POST", path, index=index, params=params, lines=lines)
        item: Json = answer.body["items"][0]["update"]
        if item["status"] == 404 and item["error"]["type"] == "document_missing_exception":
            return None
        if item["status"] >= 300:
            raise error_of(item["status"], item, url=self.url, index=index)
        return Revision(item["_seq_no"], item["_primary_term"])

    def delete(
        self,
        index: str,
        id: str,
        *,
        expect: Revision | None,
        routing: str | None,
        refresh: bool,
    ) -> Call[bool]:
        params = {**_expected(expect), **routed(routing), **_visible(refresh)}
        path = f"/{part(index)}/_doc/{part(id)}"
        answer = yield from self.ask(Request("DELETE", path, params))
        if _absent(answer):
            return False
        self._checked(answer, index=index)
        return True

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool) -> Call[BulkResult]:
        tally = Tally(len(writes))
        if writes:
            params = {**(yield from self._existing(index)), **_visible(refresh)}
            order = yield from self._order(*(write.source for write in writes))
            for chunk in chunks(encoded(writes, tally, order=order)):
                yield from self._written(chunk, tally, index=index, params=params)
            if error := tally.error(url=self.url, index=index):
                raise error
        return BulkResult(tally.written, tally.retried, tally.requests)

    def _written(
        self, chunk: list[Item], tally: Tally, *, index: str, params: Mapping[str, str]
    ) -> Call[None]:
        """Send a chunk, and what of it was not taken again, until it is or patience ends."""
        path = f"/{part(index)}/_bulk"
        doubtful = False
        for attempt in range(self.backoff.attempts):
            if attempt:
                tally.retried += len(chunk)
            tally.requests += 1
            cause: BackendUnavailable | None = None
            try:
                answer = yield from self.request(
                    "POST",
                    path,
                    index=index,
                    params=params,
                    lines=b"".join(item.lines for item in chunk),
                    pause=self.backoff.pause(attempt) if attempt else 0.0,
                )
            except BackendUnavailable as error:
                # It may have been written all the same: by what no answer came from, or by the
                # node behind a proxy that gave up.
                cause, why, doubtful = error, str(error), True
                continue_with = chunk
            else:
                continue_with, existing, why = take(
                    chunk, answer.body, tally, doubtful=doubtful, url=self.url, index=index
                )
                for item in existing:
                    yield from self._created(item, tally, index=index)
            chunk = continue_with
            if not chunk:
                return
        raise tally.unavailable(why, url=self.url, index=index) from cause

    def _created(self, item: Item, tally: Tally, *, index: str) -> Call[None]:
        """Whether what stands in the way of a repeated ``create`` is its own first attempt."""
        write = item.write
        found = yield from self.get(index, write.id, routing=write.routing)
        if found is not None and same(write.source or {}, found.source):
            tally.written += 1
        else:
            tally.fail(write.id, "it exists already, with another content")

    # -- searches

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
            raise BackendUnavailable(
                f"{shards['failed']} of {shards['total']} shards of index {index!r} at {self.url} "
                f"did not answer: {reason_of(failures[0].get('reason'))}"
            )

    def _existing(self, index: str) -> Call[dict[str, str]]:
        """Parameters for a write, which is let through only where there is an index for it.

        The engines create a missing index at the first write. `require_alias` forbids that where
        the name is an alias; for an index they have no such word.
        """
        names = yield from self.indices_of(index)
        if not names:
            raise IndexMissing(f"there is no index or alias {index!r} at {self.url}")
        return {} if index in names else {"require_alias": "true"}


def _header_and_body(body: Mapping[str, Any]) -> tuple[Json, Json]:
    """The two lines of one search; ``search_type`` stands in the first."""
    header: Json = {"allow_partial_search_results": False}
    kept = dict(body)
    if "search_type" in kept:
        header["search_type"] = kept.pop("search_type")
    return header, kept


def document(hit: Mapping[str, Any]) -> Document:
    """From a hit or the answer of a ``GET``."""
    return Document(
        id=hit["_id"],
        source=hit.get("_source") or {},
        revision=Revision(hit["_seq_no"], hit["_primary_term"]),
        routing=hit.get("_routing"),
    )


def _absent(answer: Answer) -> bool:
    """Whether it is the document that is not there, and not the index, or a proxy's page."""
    return answer.status == 404 and isinstance(answer.body, dict) and "_id" in answer.body


def part(name: str) -> str:
    """One part of a path. Dots alone would be resolved away, and hit another endpoint."""
    if name.strip(".") == "":
        raise BackendError(f"{name!r} is not usable as an id or the name of an index")
    return quote(name, safe="")


def routed(routing: str | None) -> dict[str, str]:
    """Parameters that lead to the shard."""
    return {} if routing is None else {"routing": routing}


def _expected(expect: Revision | Literal["absent"] | None) -> dict[str, str]:
    if not isinstance(expect, Revision):
        return {}
    return {"if_seq_no": str(expect.seq_no), "if_primary_term": str(expect.primary_term)}


def _visible(refresh: bool) -> dict[str, str]:
    return {"refresh": "wait_for"} if refresh else {}
