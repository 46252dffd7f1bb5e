"""What both engines answer alike: documents, indices, aliases, searches."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from vidsearch.engines._bulk import bulk_error, bulk_lines
from vidsearch.engines.base import Document, EngineInfo, EngineKind, Json, Revision, Write
from vidsearch.engines.errors import error_of, reason_of
from vidsearch.errors import BackendError, BackendUnavailable, IndexMissing

__all__ = ["WHOLE", "Answer", "RestEngine", "document", "part"]

WHOLE = {"allow_partial_search_results": "false"}
"""Parameters of a search that reaches every shard, or is an error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: Any
    cause: BaseException | None = field(default=None, compare=False)
    """The client library's exception, where it made one of the status."""


class RestEngine(ABC):
    """Everything of an :class:`~vidsearch.engines.base.Engine` that is not one library's own.

    A write never creates an index, as engines do by default: an index that vanished is an
    :class:`~vidsearch.errors.IndexMissing`, not a new one with a guessed mapping. For that, every
    write asks for the name first. A search that reached only some shards is an error.
    """

    kind: ClassVar[EngineKind]

    def __init__(self, *, url: str, owned: bool) -> None:
        """
        Args:
            url: of the cluster, without credentials; for messages.
            owned: whether :meth:`close` closes the client.
        """
        self._url = url
        self._owned = owned
        self._info: EngineInfo | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    # -- what an adapter supplies

    @abstractmethod
    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str],
        body: Mapping[str, Any] | None,
        lines: Iterable[Mapping[str, Any]] | None,
    ) -> Answer:
        """One request, with one JSON body or many JSON lines. Raises only where none answers."""

    @abstractmethod
    def _version(self, root: Json) -> str:
        """The version number in the answer of ``GET /``, after a look at whose it is."""

    @abstractmethod
    def _get(self, path: str) -> Answer:
        """``GET`` of a document with everything that was stored, vectors too."""

    @abstractmethod
    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]: ...

    @abstractmethod
    def _close_client(self) -> None: ...

    def _request(
        self,
        method: str,
        path: str,
        *,
        index: str | None = None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        lines: Iterable[Mapping[str, Any]] | None = None,
        also: Collection[int] = (),
    ) -> Answer:
        """One request whose answer is a success, or a status in ``also``."""
        answer = self._send(method, path, params=params or {}, body=body, lines=lines)
        return self._checked(answer, index=index, also=also)

    def _checked(self, answer: Answer, *, index: str | None, also: Collection[int] = ()) -> Answer:
        if 200 <= answer.status < 300:
            if not isinstance(answer.body, dict):
                raise BackendError(f"{self._url} answered with what is not a search engine's JSON")
            return answer
        if answer.status in also:
            return answer
        raise error_of(answer.status, answer.body, url=self._url, index=index) from answer.cause

    # -- the cluster

    def info(self) -> EngineInfo:
        if self._info is None:
            # A node without the module for the root path refuses the method (405).
            answer = self._request("GET", "/", also=(404, 405))
            if answer.status < 300:
                version = self._version(answer.body)
            else:
                nodes = self._request("GET", "/_nodes/_local/http").body["nodes"]
                version = next(iter(nodes.values()))["version"]
            numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
            major, minor, patch = (*numbers, 0, 0, 0)[:3]
            self._info = EngineInfo(self.kind, (major, minor, patch), self._url)
        return self._info

    def close(self) -> None:
        if self._owned:
            self._close_client()

    # -- indices

    def create_index(self, name: str, body: Mapping[str, Any]) -> None:
        self._request("PUT", f"/{part(name)}", index=name, body=body)

    def delete_index(self, name: str) -> None:
        # Asked first, because the engines differ in what they do with an alias, and because
        # OpenSearch takes a `*` in the name for what it is.
        if name not in self.indices_of(name):
            raise IndexMissing(f"there is no index {name!r} at {self._url}")
        self._request("DELETE", f"/{part(name)}", index=name)

    def indices_of(self, name: str) -> tuple[str, ...]:
        try:
            found = self._request("GET", f"/{part(name)}/_alias", index=name).body
        except IndexMissing:
            return ()
        return tuple(sorted(found))

    def mapping(self, index: str) -> Json:
        found = self._request("GET", f"/{part(index)}/_mapping", index=index).body
        if len(found) != 1:
            names = ", ".join(sorted(found)) or "no index"
            raise BackendError(f"{index!r} at {self._url} stands for {names}, not for one index")
        ((_, entry),) = found.items()
        mapping: Json = entry["mappings"]
        return mapping

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        self._request("POST", "/_aliases", body={"actions": list(actions)})

    def refresh(self, index: str) -> None:
        self._request("POST", f"/{part(index)}/_refresh", index=index)

    # -- documents

    def get(self, index: str, id: str) -> Document | None:
        answer = self._get(f"/{part(index)}/_doc/{part(id)}")
        if _absent(answer):
            return None
        return document(self._checked(answer, index=index).body)

    def put(
        self,
        index: str,
        id: str,
        source: Mapping[str, Any],
        *,
        expect: Revision | Literal["absent"] | None = None,
        refresh: bool = False,
    ) -> Revision:
        endpoint = "_create" if expect == "absent" else "_doc"
        params = {**self._existing(index), **_expected(expect), **_visible(refresh)}
        path = f"/{part(index)}/{endpoint}/{part(id)}"
        body = self._request("PUT", path, index=index, params=params, body=source).body
        return Revision(body["_seq_no"], body["_primary_term"])

    def delete(
        self, index: str, id: str, *, expect: Revision | None = None, refresh: bool = False
    ) -> bool:
        params = {**_expected(expect), **_visible(refresh)}
        path = f"/{part(index)}/_doc/{part(id)}"
        answer = self._send("DELETE", path, params=params, body=None, lines=None)
        if _absent(answer):
            return False
        self._checked(answer, index=index)
        return True

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool = False) -> None:
        if not writes:
            return
        params = {**self._existing(index), **_visible(refresh)}
        path = f"/{part(index)}/_bulk"
        lines = bulk_lines(writes)
        response = self._request("POST", path, index=index, params=params, lines=lines).body
        if error := bulk_error(response, url=self._url, index=index):
            raise error

    # -- searches

    def search(self, index: str, body: Mapping[str, Any]) -> Json:
        path = f"/{part(index)}/_search"
        return self._searched(path, index=index, params=WHOLE, body=body)

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        if not bodies:
            return []
        lines = [
            line for body in bodies for line in ({"allow_partial_search_results": False}, body)
        ]
        path = f"/{part(index)}/_msearch"
        responses: list[Json] = self._request("POST", path, index=index, lines=lines).body[
            "responses"
        ]
        for response in responses:
            if "error" in response:
                raise error_of(response["status"], response, url=self._url, index=index)
            self._require_whole(response, index=index)
        return responses

    def count(self, index: str, query: Mapping[str, Any] | None = None) -> int:
        body = {"query": query or {"match_all": {}}}
        path = f"/{part(index)}/_count"
        return int(self._searched(path, index=index, params={}, body=body)["count"])

    def _searched(
        self, path: str, *, index: str, params: Mapping[str, str], body: Mapping[str, Any]
    ) -> Json:
        response: Json = self._request("POST", path, index=index, params=params, body=body).body
        self._require_whole(response, index=index)
        return response

    def _require_whole(self, response: Json, *, index: str) -> None:
        shards = response["_shards"]
        if shards["failed"]:
            failures = shards.get("failures") or [{}]
            raise BackendUnavailable(
                f"{shards['failed']} of {shards['total']} shards of index {index!r} at {self._url} "
                f"did not answer: {reason_of(failures[0].get('reason'))}"
            )

    def _existing(self, index: str) -> dict[str, str]:
        """Parameters for a write, which is let through only where there is an index for it.

        The engines create a missing index at the first write. `require_alias` forbids that where
        the name is an alias; for an index they have no such word.
        """
        names = self.indices_of(index)
        if not names:
            raise IndexMissing(f"there is no index or alias {index!r} at {self._url}")
        return {} if index in names else {"require_alias": "true"}


def document(hit: Mapping[str, Any]) -> Document:
    """From a hit or the answer of a ``GET``."""
    return Document(
        id=hit["_id"],
        source=hit.get("_source") or {},
        revision=Revision(hit["_seq_no"], hit["_primary_term"]),
    )


def _absent(answer: Answer) -> bool:
    """Whether it is the document that is not there, and not the index, or a proxy's page."""
    return answer.status == 404 and isinstance(answer.body, dict) and "_id" in answer.body


def part(name: str) -> str:
    """One part of a path. Dots alone would be resolved away, and hit another endpoint."""
    if name.strip(".") == "":
        raise BackendError(f"{name!r} is not usable as an id or the name of an index")
    return quote(name, safe="")


def _expected(expect: Revision | Literal["absent"] | None) -> dict[str, str]:
    if not isinstance(expect, Revision):
        return {}
    return {"if_seq_no": str(expect.seq_no), "if_primary_term": str(expect.primary_term)}


def _visible(refresh: bool) -> dict[str, str]:
    return {"refresh": "wait_for"} if refresh else {}
