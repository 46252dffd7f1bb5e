"""Finds what in an attached index is to be embedded, without any word from the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

from vidsearch.engines.base import Document, Json
from vidsearch.errors import MappingConflictError, RegistryError
from vidsearch.index.uri_field import uri_in
from vidsearch.index.videos_index import VideosIndex, gone
from vidsearch.ingest.document import model_name
from vidsearch.registry.record import ErrorRecord, State, VideoRecord
from vidsearch.registry.registry import Registry
from vidsearch.registry.validation import check_id, check_uri
from vidsearch_mappings.attached import has_uri, lacks_vectors

__all__ = ["Finding", "scan_index"]

_T = TypeVar("_T")
_PAGE = 500
_ON_ITS_WAY = {State.REGISTERED, State.QUEUED, State.PROCESSING}
_GIVEN_UP = {State.FAILED, State.DEAD}

Reason = Literal["new", "other model", "other uri", "check", "gone", "unusable uri"]
Action = Literal["enqueue", "delete", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A document that is not as it should be, and what is done about it."""

    id: str
    reason: Reason
    """``new``: no vectors. ``check``: done, but everything is to be checked. ``gone``: the host
    deleted it. ``unusable uri``: none, several, or one that cannot be registered."""
    action: Action
    why: str = ""
    """Where it is skipped: the state that the registry has it in, or what is wrong."""

    def to_json(self) -> Json:
        """For people and their scripts."""
        return {"id": self.id, "reason": self.reason, "action": self.action, "why": self.why}


def scan_index(
    registry: Registry,
    index: VideosIndex,
    *,
    enqueue: Callable[[str], object],
    quick: bool = False,
    everything: bool = False,
    retry: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
) -> Iterator[Finding]:
    """Register and enqueue documents of the host that need (other) vectors. Safe to repeat.

    Args:
        registry: of the videos.
        index: an attached one.
        enqueue: sends the message for one registered video and marks it queued.
        quick: look only for documents without vectors or with another model's, which the engine
            answers at no cost for those that are done; else URIs are compared, and registered
            videos whose document is gone are marked deleted.
        everything: enqueue what is done as well; workers embed it where the file has changed.
        retry: enqueue failed and dead videos as well.
        dry_run: only tell.
        limit: enqueue at most so many.

    Raises:
        MappingConflictError: the index is not attached.
        BackendUnavailableError: the engine or the broker is away; what was found before is done.
    """
    if index.uri_field is None:
        raise MappingConflictError(
            f"index {index.name!r} is vidsearch's own, there is nothing to scan for: "
            "`vidsearch ingest` registers videos"
        )
    enqueued = 0
    for finding, document, uri in _candidates(
        registry, index, quick=quick, everything=everything, retry=retry
    ):
        if finding.action == "enqueue":
            if limit is not None and enqueued >= limit:
                break
            enqueued += 1
            if not dry_run:
                _enqueue(registry, document, uri, enqueue)
        yield finding
    if not quick:
        yield from _vanished(registry, index, dry_run=dry_run)


def _enqueue(
    registry: Registry, document: Document, uri: str, enqueue: Callable[[str], object]
) -> None:
    record = registry.register(document.id, uri=uri, routing=document.routing)
    if record.state is State.INDEXED:
        record = registry.reopen(document.id)
    if record.state is State.REGISTERED:
        enqueue(document.id)


def _candidates(
    registry: Registry, index: VideosIndex, *, quick: bool, everything: bool, retry: bool
) -> Iterator[tuple[Finding, Document, str]]:
    for batch in _batches(_found(index, quick=quick, everything=everything)):
        known = {record.id: record for record in registry.among([d.id for d, _ in batch])}
        for document, reason in batch:
            uri = uri_in(document.source, str(index.uri_field))
            try:
                check_id(document.id)
                check_uri(uri or "", id=document.id)
            except RegistryError as error:
                yield Finding(document.id, "unusable uri", "skip", str(error)), document, ""
                continue
            assert uri is not None
            record = known.get(document.id)
            if reason == "new" and _is_done_by_now(record, uri, index):
                continue
            why = _skipped(record, uri, retry=retry)
            action: Action = "skip" if why else "enqueue"
            yield Finding(document.id, reason, action, why), document, uri


def _found(
    index: VideosIndex, *, quick: bool, everything: bool
) -> Iterator[tuple[Document, Reason]]:
    uri_field, model = str(index.uri_field), model_name(index.identity)
    ours = index.field
    brought = [uri_field, f"{ours}.uri", f"{ours}.model"]
    lacking = lacks_vectors(ours, uri_field=uri_field, model=model)
    for document in index.engine.scan(index.name, query=lacking, source=brought):
        stored = document.source.get(ours) or {}
        other = stored.get("model") not in {None, model}
        yield document, "other model" if other else "new"
    if quick and not everything:
        return
    done = {"bool": {"filter": [has_uri(uri_field)], "must_not": [lacking]}}
    for document in index.engine.scan(index.name, query=done, source=brought):
        stored = document.source.get(ours) or {}
        if stored.get("uri") != uri_in(document.source, uri_field):
            yield document, "other uri"
        elif everything:
            yield document, "check"


def _is_done_by_now(record: VideoRecord | None, uri: str, index: VideosIndex) -> bool:
    """Searches lag behind: a worker may have written the vectors a second ago."""
    if record is None or record.state is not State.INDEXED or record.uri != uri:
        return False
    document = index.read(record.id, routing=record.routing)
    stored = (document.source.get(index.field) or {}) if document else {}
    return "vector" in stored and stored.get("model") == model_name(index.identity)


def _skipped(record: VideoRecord | None, uri: str, *, retry: bool) -> str:
    """Why a document is left alone, empty where it is not."""
    if record is None or record.uri != uri:
        return ""
    if record.state in _ON_ITS_WAY:
        return str(record.state)
    if record.state in _GIVEN_UP and not retry:
        return str(record.state)
    # Deleted by a person it stays so, until it is purged; deleted for want of a document it is back
    if record.state is State.DELETED and record.error is None:
        return str(record.state)
    return ""


def _vanished(registry: Registry, index: VideosIndex, *, dry_run: bool) -> Iterator[Finding]:
    for batch in _batches(registry.scan()):
        query = {"ids": {"values": [record.id for record in batch]}}
        body = {"query": query, "size": len(batch), "_source": False}
        hits = index.engine.search(index.name, body)["hits"]["hits"]
        there = {hit["_id"] for hit in hits}
        for record in batch:
            # Asked again, in real time: a document may be newer than what searches see, or one of
            # the same id but another routing may have taken its place in the answer.
            if record.id in there or index.read(record.id, routing=record.routing) is not None:
                continue
            if not dry_run:
                error = ErrorRecord.of(gone(index, record.id), stage="scan")
                registry.delete(record.id, error=error)
            yield Finding(record.id, "gone", "delete")


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _PAGE)):
        yield batch
