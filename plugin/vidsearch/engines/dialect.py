"""How one cluster is asked through a client, and what differs between the two engines."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from vidsearch.engines.errors import error_of, reason_of, unreadable
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import Document, EngineInfo, EngineKind, Features, Json, Revision
from vidsearch.engines.vectors import ByteOrder, holds_arrays, to_json
from vidsearch.errors import BackendError, BackendUnavailableError

__all__ = ["ALL_SHARDS", "Dialect", "Run", "document_of", "is_missing_document", "quoted"]

_T = TypeVar("_T")
Run = Callable[[Steps[_T]], _T]

_OLDEST: dict[EngineKind, tuple[int, int, int]] = {
    "elasticsearch": (8, 19, 0),
    "opensearch": (2, 19, 0),
}
"""The oldest versions that are supported."""

ALL_SHARDS = {"allow_partial_search_results": "false"}
"""Parameters of a search that fails unless every shard answers."""


class Dialect(ABC):
    """One cluster of one kind: requests and JSON as it takes them, errors from what it refuses.

    Args:
        url: of the cluster, without credentials; for messages.
    """

    kind: ClassVar[EngineKind]
    failures: ClassVar[tuple[type[Exception], ...]]
    """What a client raises for an answer that is no success, or for none."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._info: EngineInfo | None = None
        self._features: Features | None = None

    # -- what differs between the client libraries, sync and async

    @abstractmethod
    def perform(self, client: Any) -> Callable[..., Any]:
        """The function of the client that sends a request: ``(method, path, **arguments)``."""

    @abstractmethod
    def arguments(self, request: Request) -> Json:
        """Arguments of that function."""

    @abstractmethod
    def answer(self, response: Any) -> Answer:
        """What it returned."""

    @abstractmethod
    def answer_of(self, error: Exception) -> Answer:
        """What it raised, one of ``failures``. Raises BackendError where that is no answer."""

    # -- what differs between the engines

    @abstractmethod
    def send(self, request: Request) -> Steps[Answer]:
        """Send one request with the headers that this engine wants; an answer of any status."""

    @abstractmethod
    def read_with_vectors(self, request: Request) -> Steps[Answer]:
        """Send a request for stored documents that brings their vectors, too."""

    @abstractmethod
    def version_of(self, root: Json) -> str:
        """The version in the answer of ``GET /``. Raises BackendError if it is another engine."""

    @abstractmethod
    def detect_features(self, info: EngineInfo) -> Steps[Features]:
        """What the cluster can do; a missing right or endpoint is no error."""

    @abstractmethod
    def scan(
        self,
        run: Run[Any],
        index: str,
        *,
        query: Json,
        source: Sequence[str] | bool,
        page_size: int,
    ) -> Iterator[Document]:
        """All matching documents of one point in time; see :meth:`.base.Engine.scan`."""

    # -- what they have in common

    def request(
        self,
        method: str,
        path: str,
        *,
        index: str | None = None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        lines: bytes | None = None,
        also: Collection[int] = (),
        pause: float = 0.0,
    ) -> Steps[Answer]:
        """One request whose answer is a success, or has a status in ``also``."""
        content = body if isinstance(body, bytes | None) else self.json(body)
        answer = yield from self.send(
            Request(method, path, params or {}, content, lines, pause=pause)
        )
        return self.require_success(answer, index=index, also=also)

    def require_success(
        self, answer: Answer, *, index: str | None, also: Collection[int] = ()
    ) -> Answer:
        """The answer. Raises the error that its status stands for."""
        if 200 <= answer.status < 300:
            if not isinstance(answer.body, dict):
                raise BackendError(f"{self.url} answered with what is not a search engine's JSON")
            return answer
        if answer.status in also:
            return answer
        raise error_of(answer.status, answer.body, url=self.url, index=index) from answer.cause

    def search(
        self, path: str, *, index: str, params: Mapping[str, str], body: Mapping[str, Any]
    ) -> Steps[Json]:
        """The response to a search or count that every shard has answered."""
        answer = yield from self.request("POST", path, index=index, params=params, body=body)
        response: Json = answer.body
        self.require_all_shards(response, index=index)
        return response

    def require_all_shards(self, response: Json, *, index: str) -> None:
        """Raises BackendUnavailableError where a shard did not answer."""
        shards = response["_shards"]
        if shards["failed"]:
            failures = shards.get("failures") or [{}]
            raise BackendUnavailableError(
                f"{shards['failed']} of {shards['total']} shards of index {index!r} at {self.url} "
                f"did not answer: {reason_of(failures[0].get('reason'))}"
            )

    def get(self, index: str, id: str, *, routing: str | None = None) -> Steps[Document | None]:
        """See :meth:`.base.Engine.get`."""
        params = {} if routing is None else {"routing": routing}
        request = Request("GET", f"/{quoted(index)}/_doc/{quoted(id)}", params)
        answer = yield from self.read_with_vectors(request)
        if is_missing_document(answer):
            return None
        return document_of(self.require_success(answer, index=index).body)

    def info(self) -> Steps[EngineInfo]:
        """See :meth:`.base.Engine.info`."""
        if self._info is None:
            # A node without the module for the root path refuses the method (405).
            answer = yield from self.request("GET", "/", also=(404, 405))
            if answer.status < 300:
                version = self.version_of(answer.body)
            else:
                nodes = (yield from self.request("GET", "/_nodes/_local/http")).body["nodes"]
                version = next(iter(nodes.values()))["version"]
            numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
            major, minor, patch = (*numbers, 0, 0, 0)[:3]
            self._info = EngineInfo(self.kind, (major, minor, patch), self.url)
        return self._info

    def features(self) -> Steps[Features]:
        """See :meth:`.base.Engine.features`."""
        if self._features is None:
            try:
                info = yield from self.info()
            except BackendUnavailableError:
                raise
            except BackendError:  # no right to ask: assume the oldest version
                info = EngineInfo(self.kind, _OLDEST[self.kind], self.url)
            self._features = yield from self.detect_features(info)
        return self._features

    def byte_order(self, *sources: Any) -> Steps[ByteOrder | None]:
        """Byte order for the vectors in them; asks the cluster only where they are arrays."""
        if not any(map(holds_arrays, sources)):
            return None
        return (yield from self.features()).base64_vectors

    def json(self, source: Mapping[str, Any], order: ByteOrder | None = None) -> bytes:
        """JSON of a body or document. Raises BackendError where a value has none."""
        try:
            return to_json(source, order)
        except TypeError as error:
            raise unreadable(error, url=self.url) from error


def document_of(hit: Mapping[str, Any]) -> Document:
    """The document in a hit, or in the answer to a ``GET``."""
    return Document(
        id=hit["_id"],
        source=hit.get("_source") or {},
        revision=Revision(hit["_seq_no"], hit["_primary_term"]),
        routing=hit.get("_routing"),
    )


def is_missing_document(answer: Answer) -> bool:
    """Whether the document is missing, not the index; a proxy's page is neither."""
    return answer.status == 404 and isinstance(answer.body, dict) and "_id" in answer.body


def quoted(name: str) -> str:
    """A name or id as one part of a path.

    Raises:
        BackendError: dots alone, which clients resolve away so that another endpoint is reached.
    """
    if name.strip(".") == "":
        raise BackendError(f"{name!r} is not usable as an id or the name of an index")
    return quote(name, safe="")
