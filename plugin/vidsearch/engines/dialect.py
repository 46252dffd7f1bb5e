"""How one cluster is asked through a client, and what differs between the two engines."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from vidsearch import backoff
from vidsearch.engines.errors import error_of, no_json, reason_of, sizes
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.engines.types import Document, EngineInfo, EngineKind, Features, Json, Revision
from vidsearch.engines.vectors import ByteOrder, to_json
from vidsearch.errors import BackendError, BackendUnavailableError

__all__ = [
    "ALL_SHARDS",
    "FIRST_PAUSE",
    "KEEP_ALIVE",
    "LONGEST_PAUSE",
    "Dialect",
    "document_of",
    "quoted",
]

ALL_SHARDS = {"allow_partial_search_results": "false"}
"""Parameters of a search that fails unless every shard answers."""
KEEP_ALIVE = "5m"
"""How long a scan may work on one page."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds until what was turned away is sent again."""


class Dialect(ABC):
    """One cluster of one kind: requests and JSON as it takes them, errors from what it refuses."""

    kind: ClassVar[EngineKind]
    failures: ClassVar[tuple[type[Exception], ...]]
    """What a client raises for an answer that is no success, or for none."""
    refreshed: ClassVar[str | None] = None
    """The preference of a search that is to see all that was written before a refresh, where not
    every copy of a shard shows it."""

    tries = 1
    """How often a request is sent at most where it is turned away for load (429)."""

    def __init__(self, url: str) -> None:
        self.url = url  # without credentials; for messages
        self._once = 0
        self._counting = threading.Lock()

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
    def version_of(self, root: Json) -> str | None:
        """The version in the answer of ``GET /``; ``None`` where that names one of another engine.

        Raises:
            BackendError: it is another engine.
        """

    @abstractmethod
    def detect_features(self, info: EngineInfo) -> Steps[Features]:
        """What the cluster can do; a missing right or endpoint is no error."""

    @abstractmethod
    def page(
        self, index: str, cursor: str | None, *, source: Sequence[str] | bool, body: Json
    ) -> Steps[tuple[Json, str]]:
        """One page of a scan, and the cursor of the next.

        Args:
            index: index or alias.
            cursor: ``None`` for the first page, unless :meth:`open_scan` gave one.
            source: fields to bring.
            body: query, size, ``slice`` where it is a part of a scan, and ``search_after`` from the
                second page on.
        """

    @abstractmethod
    def close_scan(self, cursor: str) -> Steps[Answer]:
        """Free what the cluster holds for a scan; left open, it expires after ``KEEP_ALIVE``."""

    @abstractmethod
    def open_point_in_time(self, index: str, *, shard: int | None = None) -> Steps[str]:
        """See :meth:`vidsearch.engines.base.Engine.open_point_in_time`."""

    @abstractmethod
    def close_point_in_time(self, point: str) -> Steps[Answer]:
        """See :meth:`vidsearch.engines.base.Engine.close_point_in_time`."""

    @abstractmethod
    def source_of(self, fields: Sequence[str] | bool) -> Json | list[str] | bool:
        """``_source`` of a search that brings these fields, vectors included."""

    def point_in_time_params(self, shard: int | None) -> dict[str, str]:
        """Parameters of the request that opens one."""
        return {"keep_alive": KEEP_ALIVE, **self.preference(shard)}

    def preference(self, shard: int | None = None) -> dict[str, str]:
        """Parameters of a search of refreshed copies; ``shard``: of that one alone."""
        one = None if shard is None else f"_shards:{shard}"
        wanted = [each for each in (one, self.refreshed) if each is not None]
        return {"preference": "|".join(wanted)} if wanted else {}

    def open_scan(self, index: str) -> Steps[str | None]:
        """The cursor of the first page, where the engine needs one."""
        yield from ()
        return None

    def send(self, request: Request) -> Steps[Answer]:
        """Send one request with the headers that this engine wants; an answer of any status."""
        return self.sent(request)

    def sent(self, request: Request) -> Steps[Answer]:
        """Send one request as it is, and again where it is turned away and may be repeated."""
        answer: Answer = yield request
        for attempt in range(1, self.tries if self.is_patient else 1):
            if answer.status != 429 or not self.may_repeat(request):
                break
            pause = backoff.delay(attempt, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
            answer = yield replace(request, pause=pause)
        return answer

    @contextmanager
    def sending_once(self) -> Iterator[None]:
        """Within, nothing is sent again, whichever thread asks: the work of one is done by several.
        Threads that do something else through the same engine then fail where they are turned
        away, and have to try again themselves. Blocks may overlap."""
        with self._counting:
            self._once += 1
        try:
            yield
        finally:
            with self._counting:
                self._once -= 1

    @property
    def is_patient(self) -> bool:
        """Whether anything is sent again."""
        return not self._once

    def may_repeat(self, request: Request) -> bool:
        """Whether a request that was turned away has moved nothing on, and nobody else sends it
        again: bulks have tries of their own."""
        return not request.path.endswith("/_bulk")

    def read_with_vectors(self, request: Request) -> Steps[Answer]:
        """Send a request for stored documents that brings their vectors, too."""
        return self.send(request)

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
        pause: float = 0.0,
    ) -> Steps[Answer]:
        """One request whose answer is a success."""
        content = body if isinstance(body, bytes | None) else self.json(body)
        answer = yield from self.send(
            Request(method, path, params or {}, content, lines, pause=pause)
        )
        # One document, alone or in a bulk of one, which cannot be halved.
        is_one = method == "PUT" or (path.endswith("/_bulk") and (lines or b"").count(b"\n") <= 2)
        if answer.status == 413 and is_one:
            answer = yield from self._with_sizes(answer, len(content or lines or b""))
        return self.require_success(answer, index=index)

    def _with_sizes(self, refused: Answer, size: int) -> Steps[Answer]:
        """The answer to a request that was too large, with its size and the limit as the reason."""
        names = {"filter_path": "nodes.*.http.max_content_length_in_bytes"}
        asked = yield from self.send(Request("GET", "/_nodes/_local/http", names))
        reason = reason_of(refused.body).rstrip(".")
        return replace(refused, body=f"{reason}. {sizes(size, asked.status, asked.body)}")

    def require_success(self, answer: Answer, *, index: str | None = None) -> Answer:
        """The answer. Raises the error that its status stands for."""
        if not 200 <= answer.status < 300:
            raise error_of(answer.status, answer.body, url=self.url, index=index) from answer.cause
        if not isinstance(answer.body, dict):
            raise BackendError(
                f"{self.url} answered with something other than the JSON of a search engine: "
                "is engine.url right?"
            )
        return answer

    def search(
        self, path: str, *, index: str, params: Mapping[str, str], body: Mapping[str, Any]
    ) -> Steps[Json]:
        """The response to a search or count that every shard has answered."""
        answer = yield from self.request("POST", path, index=index, params=params, body=body)
        response: Json = answer.body
        self.require_all_shards(response, index=index)
        return response

    def msearch(
        self, index: str, searches: Iterable[tuple[Json, Mapping[str, Any]]]
    ) -> Steps[list[Json]]:
        """The responses to several searches, each a header and a body, in one round trip."""
        # Written here, as the clients' own serializers take ten times as long for a vector.
        lines = b"".join(
            b"%b\n%b\n"
            % (self.json({"allow_partial_search_results": False, **header}), self.json(body))
            for header, body in searches
        )
        path = f"/{quoted(index)}/_msearch"
        answer = yield from self.request("POST", path, index=index, lines=lines)
        responses: list[Json] = answer.body["responses"]
        for response in responses:
            if "error" in response:
                raise error_of(response["status"], response, url=self.url, index=index)
            self.require_all_shards(response, index=index)
        return responses

    def require_all_shards(self, response: Json, *, index: str) -> None:
        """Raises BackendUnavailableError where a shard did not answer."""
        shards = response["_shards"]
        if shards["failed"]:
            failures = shards.get("failures") or [{}]
            raise BackendUnavailableError(
                f"{shards['failed']} of {shards['total']} shards of index {index!r} at {self.url} "
                f"did not answer: {reason_of(failures[0].get('reason'))}"
            )

    def json(self, source: Mapping[str, Any], order: ByteOrder | None = None) -> bytes:
        """JSON of a body or document. Raises BackendError where a value has none."""
        try:
            return to_json(source, order)
        except TypeError as error:
            raise no_json(error, f"a request to {self.url}") from error


def document_of(hit: Mapping[str, Any]) -> Document:
    """The document in a hit, or in the answer to a ``GET``."""
    return Document(
        id=hit["_id"],
        source=hit.get("_source") or {},
        revision=Revision(hit["_seq_no"], hit["_primary_term"]),
        routing=hit.get("_routing"),
        version=hit.get("_version"),
    )


def quoted(name: str) -> str:
    """A name or id as one part of a path.

    Raises:
        BackendError: dots alone, which clients resolve away so that another endpoint is reached.
    """
    if name.strip(".") == "":
        raise BackendError(f"{name!r} cannot be an id or the name of an index")
    return quote(name, safe="")
