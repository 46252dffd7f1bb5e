"""One document: read, written, changed in part, deleted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

from vidsearch.engines._bulk import action_of
from vidsearch.engines._calls.asking import Answer, Call, Request, part
from vidsearch.engines._calls.cluster import ClusterCalls
from vidsearch.engines._calls.indices import IndexCalls
from vidsearch.engines._vectors import to_json
from vidsearch.engines.base import Document, Json, Revision, Write
from vidsearch.engines.errors import error_of

__all__ = ["DocumentCalls", "document", "visible"]


class DocumentCalls(ClusterCalls, IndexCalls):
    """Reads in real time, and writes by compare-and-set."""

    @abstractmethod
    def _stored(self, path: str, params: Mapping[str, str]) -> Call[Answer]:
        """``GET`` of a document with everything that was stored, vectors too."""

    def get(self, index: str, id: str, *, routing: str | None) -> Call[Document | None]:
        answer = yield from self._stored(f"/{part(index)}/_doc/{part(id)}", _routed(routing))
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
        params = {**existing, **_expected(expect), **_routed(routing), **visible(refresh)}
        if not pipeline:
            params["pipeline"] = "_none"
        path = f"/{part(index)}/{endpoint}/{part(id)}"
        body = self._json(source, (yield from self._order(source)))
        with self._asking_anew_if_missing(index):
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
        params = {**(yield from self._existing(index)), **visible(refresh)}
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
        with self._asking_anew_if_missing(index):
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
        params = {**_expected(expect), **_routed(routing), **visible(refresh)}
        path = f"/{part(index)}/_doc/{part(id)}"
        answer = yield from self.ask(Request("DELETE", path, params))
        if _absent(answer):
            return False
        self._checked(answer, index=index)
        return True


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


def _routed(routing: str | None) -> dict[str, str]:
    """Parameters that lead to the shard."""
    return {} if routing is None else {"routing": routing}


def _expected(expect: Revision | Literal["absent"] | None) -> dict[str, str]:
    if not isinstance(expect, Revision):
        return {}
    return {"if_seq_no": str(expect.seq_no), "if_primary_term": str(expect.primary_term)}


def visible(refresh: bool) -> dict[str, str]:
    """Parameters that wait until a write is seen by searches, where that is wanted."""
    return {"refresh": "wait_for"} if refresh else {}
