"""Finds videos whose vectors are missing or outdated in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Json
from vidsearch.errors import (
    DocumentNotFoundError,
    MappingConflictError,
    RegistryError,
    VideoNotRegisteredError,
)
from vidsearch.index.health import lost_vectors
from vidsearch.index.uri_field import uri_in
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.document import model_name
from vidsearch.ingest.removal import remove_document
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch.registry.validation import NewVideo, check_id, check_uri
from vidsearch.signed_urls import same_file
from vidsearch_mappings.attached import has_uri, has_vidsearch_object, lacks_vectors
from vidsearch_mappings.registry import GIVEN_UP, IN_PROGRESS, ErrorRecord, State, VideoRecord

__all__ = ["Finding", "count_waiting", "missing_videos", "scan_index"]

Reason = Literal["new", "other model", "other uri", "check", "gone", "no uri", "unusable uri"]
Action = Literal["enqueue", "delete", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A document without current vectors, or a video without a document; and what is done."""

    id: str
    reason: Reason
    """``new``: no vectors. ``check``: its vectors seem current, and everything is to be checked.
    ``gone``: the user deleted the document. ``no uri``: the user took the URI out of it.
    ``unusable uri``: an empty one, several, or one that cannot be registered."""
    action: Action
    why: str = ""
    """Where it is skipped: its state in the registry, or what is wrong with it."""

    def to_json(self) -> Json:
        """For people and their scripts."""
        return {"id": self.id, "reason": self.reason, "action": self.action, "why": self.why}


_Candidate = tuple[Finding, NewVideo | None]
"""A finding, with the video where it is to be enqueued."""


def scan_index(
    registry: Registry,
    index: VideosIndex,
    *,
    enqueue: Callable[[Sequence[Registration]], Iterable[Registration]],
    quick: bool = False,
    everything: bool = False,
    retry: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
) -> Iterator[Finding]:
    """Register and enqueue documents of an attached index that need vectors. Safe to repeat.

    Args:
        registry: of the videos.
        index: an attached one.
        enqueue: sends the messages for a batch of registered videos and marks them queued.
        quick: look only for documents without vectors or with another model's, one query that
            costs nothing for the others. Otherwise URIs are compared as well, registered videos
            whose document is gone are marked deleted, and those whose document has no URI any more
            are deleted.
        everything: enqueue documents with current vectors, too; workers embed those whose file
            has changed.
        retry: enqueue failed and dead videos as well.
        dry_run: change nothing, only yield.
        limit: enqueue at most so many.

    Raises:
        MappingConflictError: the index is not attached.
        BackendUnavailableError: the engine or the broker is away; what was yielded is done.
    """
    if index.uri_field is None:
        raise MappingConflictError(
            f"index {index.name!r} is not attached, there is nothing to scan for: "
            "register videos with `vidsearch ingest`"
        )
    candidates = _candidates(registry, index, quick=quick, everything=everything, retry=retry)
    for batch in in_batches(_up_to(limit, candidates)):
        if not dry_run:
            _enqueue(registry, batch, enqueue)
        yield from (finding for finding, _ in batch)
    if not quick:
        yield from _vanished(registry, index, dry_run=dry_run)
        yield from _without_uri(registry, index, dry_run=dry_run)


def count_waiting(index: VideosIndex) -> int:
    """Number of documents of an attached index that have a video's URI, and no vector of it."""
    return index.engine.count(index.name, _lacking(index))


def missing_videos(registry: Registry, index: VideosIndex) -> Iterator[VideoRecord]:
    """Videos that are indexed by their record, but whose vectors the index does not hold.

    They were lost with an index that was dropped or restored, or overwritten by the user: with
    another document, or with the one that he had read, from which engines leave vectors out. Videos
    in progress are left to the sweep, failed ones to ``retry``.
    """
    documents = index.engine.scan(index.name, source=[f"{index.field}.fingerprint"])
    stored = {d.id: (d.source.get(index.field) or {}).get("fingerprint") for d in documents}
    lost = lost_vectors(index.field)
    for document in index.engine.scan(index.name, query=lost, source=False):
        stored.pop(document.id, None)
    for record in registry.scan(State.INDEXED):
        if not record.is_current(stored.get(record.id), index=index.name):
            yield record


def _up_to(limit: int | None, candidates: Iterator[_Candidate]) -> Iterator[_Candidate]:
    enqueued = 0
    for candidate in candidates:
        enqueued += candidate[1] is not None
        if limit is not None and enqueued > limit:
            return
        yield candidate


def _enqueue(
    registry: Registry,
    batch: Sequence[_Candidate],
    enqueue: Callable[[Sequence[Registration]], Iterable[Registration]],
) -> None:
    # Of documents with the same id and other routings, the last one counts.
    found = {video.id: (finding, video) for finding, video in batch if video}
    registered = registry.register_many([video for _, video in found.values()])
    indexed = [one.id for one in registered if one.record and one.record.state is State.INDEXED]
    checked = [id for id in indexed if found[id][0].reason == "check"]
    reopened = registry.reopen_many(id for id in indexed if id not in set(checked))
    now = {one.id: one for one in (*registered, *reopened)}
    now |= {one.id: one for one in registry.reopen_many(checked, ask=True)}
    for one in enqueue(list(now.values())):
        one.require()


def _candidates(
    registry: Registry, index: VideosIndex, *, quick: bool, everything: bool, retry: bool
) -> Iterator[_Candidate]:
    for batch in in_batches(_found(index, quick=quick, everything=everything)):
        known = {record.id: record for record in registry.among(d.id for d, _ in batch)}
        for document, reason in batch:
            uri = uri_in(document.source, str(index.uri_field))
            try:
                check_id(document.id)
                if uri is None:
                    raise RegistryError(
                        f"its field {index.uri_field!r} holds no URI, or several: a document has "
                        "one video"
                    )
                check_uri(uri, id=document.id, allow_credentials=registry.allow_credentials)
            except RegistryError as error:
                yield Finding(document.id, "unusable uri", "skip", str(error)), None
                continue
            record = known.get(document.id)
            if reason == "new" and _was_just_indexed(record, uri, index):
                continue
            if why := _why_skipped(record, uri, retry=retry):
                yield Finding(document.id, reason, "skip", why), None
            else:
                # Fields that it was registered with, by mistake, would keep it from being embedded.
                video = NewVideo(document.id, uri, fields={}, routing=document.routing)
                yield Finding(document.id, reason, "enqueue"), video


def _found(
    index: VideosIndex, *, quick: bool, everything: bool
) -> Iterator[tuple[Document, Reason]]:
    uri_field, model = str(index.uri_field), model_name(index.identity)
    field, lacking = index.field, _lacking(index)
    source = [uri_field, f"{field}.uri", f"{field}.model"]
    for document in index.engine.scan(index.name, query=lacking, source=source):
        stored = document.source.get(field) or {}
        other = stored.get("model") not in {None, model}
        yield document, "other model" if other else "new"
    if quick and not everything:
        return
    done = {"bool": {"filter": [has_uri(uri_field)], "must_not": [lacking]}}
    for document in index.engine.scan(index.name, query=done, source=source):
        stored = document.source.get(field) or {}
        if stored.get("uri") != uri_in(document.source, uri_field):
            yield document, "other uri"
        elif everything:
            yield document, "check"


def _lacking(index: VideosIndex) -> Json:
    model = model_name(index.identity)
    return lacks_vectors(index.field, uri_field=str(index.uri_field), model=model)


def _was_just_indexed(record: VideoRecord | None, uri: str, index: VideosIndex) -> bool:
    """Whether a worker wrote the vectors after the last refresh, so that searches miss them."""
    if record is None or record.state is not State.INDEXED or record.uri != uri:
        return False
    document = index.read(record.id, routing=record.routing)
    stored = (document.source.get(index.field) or {}) if document else {}
    return "vector" in stored and stored.get("model") == model_name(index.identity)


def _why_skipped(record: VideoRecord | None, uri: str, *, retry: bool) -> str:
    """Why a document is not enqueued; empty where it is."""
    if record is None or not same_file(record.uri, uri):
        return ""
    # What a user deleted stays deleted until it is purged. What was marked deleted with an error,
    # because its document was missing, has its document again.
    if record.state is State.DELETED and record.error is None:
        return str(record.state)
    if record.uri != uri:  # a new signature may be what it needs
        return ""
    if record.state in IN_PROGRESS or (record.state in GIVEN_UP and not retry):
        return str(record.state)
    return ""


def _vanished(registry: Registry, index: VideosIndex, *, dry_run: bool) -> Iterator[Finding]:
    for batch in in_batches(registry.scan()):
        # With whichever routing: a document may have been written anew with another one. A query
        # `ids` takes no more of them than the index gives at once.
        query = {"terms": {"_id": [record.id for record in batch]}}
        found = {one.id for one in index.engine.scan(index.name, query=query, source=False)}
        for record in batch:
            if record.id in found:
                continue
            try:  # in real time: a document may be newer than what searches see
                if index.read(record.id, routing=record.routing) is not None:
                    continue
            except MappingConflictError as why:  # it takes a routing, and the record has none
                yield Finding(record.id, "gone", "skip", str(why))
                continue
            if not dry_run:
                error = ErrorRecord.of(index.gone(record.id), stage="scan")
                registry.delete(record.id, error=error)
            yield Finding(record.id, "gone", "delete")


def _without_uri(registry: Registry, index: VideosIndex, *, dry_run: bool) -> Iterator[Finding]:
    """Documents that hold vectors, but whose URI the user took away by an update in part."""
    uri_field, found = str(index.uri_field), has_vidsearch_object(index.field)
    query = {"bool": {"filter": [found], "must_not": [has_uri(uri_field)]}}
    for document in index.engine.scan(index.name, query=query, source=False):
        stored = index.read(document.id, routing=document.routing)
        if stored is None or index.field not in stored.source or uri_in(stored.source, uri_field):
            continue  # searches see what was there before
        if not dry_run:
            # With an error, as a document that gets a URI again is to be embedded again.
            gone = DocumentNotFoundError(
                f"{index.called(document.id)} has no {uri_field!r} any more"
            )
            with suppress(VideoNotRegisteredError):
                registry.delete(document.id, error=ErrorRecord.of(gone, stage="scan"))
            if registry.find(document.id) is None:
                index.remove(document.id, routing=document.routing)
            else:
                remove_document(registry, index, document.id)
                registry.mark_removed(document.id)
        yield Finding(document.id, "no uri", "delete")
