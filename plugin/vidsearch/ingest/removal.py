"""Take a video out of the index, and settle what writes at the same time made of its document."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from vidsearch.batches import in_batches
from vidsearch.compare_and_set import until_unchanged
from vidsearch.engines import Json
from vidsearch.errors import (
    DocumentNotFoundError,
    VersionConflictError,
    VideoNotRegisteredError,
)
from vidsearch.index.targets import refuse_while_reindexed
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.mirror import mirror_to_others
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import UNWANTED, State, VideoRecord

__all__ = ["delete_video", "purge_videos", "remove_document", "settle"]

_log = logging.getLogger(__name__)


def delete_video(registry: Registry, index: VideosIndex, id: str) -> VideoRecord:
    """Delete a video from the index and leave a tombstone in the registry.

    The tombstone comes first: an ingest that is running finds it when it completes, and takes back
    what it wrote. Where the document cannot be removed, the sweep does it later. Safe to repeat.

    Raises:
        VideoNotRegisteredError: it was never registered.
        BackendError: the document is still there; the tombstone is left.
    """
    registry.delete(id)
    remove_document(registry, index, id)
    return registry.mark_removed(id)


def purge_videos(registry: Registry, index: VideosIndex, ids: Iterable[str]) -> set[str]:
    """Drop records and documents of deleted, dead or failed videos; returns the ids of those.

    A tombstone whose ingest may still be running is kept; the sweep frees it.

    Raises:
        ReindexError: the index is being reindexed, and what was read from it before could come
            back, as no record would say that it is deleted.
    """
    purged: set[str] = set()
    refuse_while_reindexed(index, "videos are purged")
    for batch in in_batches(ids):
        records = registry.find_many(batch)
        routing = {id: record.routing for id, record in records.items() if record.routing}
        mark = [f"{index.field}.fingerprint"]
        stored = index.engine.mget(index.name, batch, routing=routing, source=mark)
        for id, document in stored.items():
            if document.source.get(index.field) or not index.attached:
                remove_document(registry, index, id)
        refuse_while_reindexed(index, "videos are purged")  # it may have begun meanwhile
        purged |= registry.purge_many(batch)
    return purged


def remove_document(registry: Registry, index: VideosIndex, id: str) -> None:
    """Remove the document of a deleted, dead or failed video, but of no other.

    In an attached index only the vidsearch object is removed from it.

    The document is read before the record, and removed only if it has not changed since: a video
    that is registered again at the same time keeps what its new ingest writes. Where it changed,
    both are read again, as it may be the user who wrote it. During a reindex it is removed from
    the other index as well.

    Raises:
        VersionConflictError: it keeps changing.
    """
    known = registry.find(id)
    routing = known.routing if known else None

    def remove() -> bool:
        document = index.read(id, routing=routing)
        record = registry.find(id)
        if document is None or record is None or record.state not in UNWANTED:
            return False
        return index.remove(id, expect=document.revision, routing=routing)

    if until_unchanged(remove, of=index.called(id)):
        settle(registry, index, id)
    mirror_to_others(registry, index, [id])


def settle(registry: Registry, index: VideosIndex, id: str, *, video: Json | None = None) -> None:
    """Make an attached document agree with its record, after a write to it.

    In an attached index the version numbers of the application are compared, and not revisions: of
    two writes of vidsearch at the same moment both are taken, and the later one wins, whatever it
    had read. So every writer looks once more. Vectors that are lost, or those of another attempt,
    are written again by who has them (``video``, the vidsearch object), else the video is embedded
    again by way of the sweep. A video that is not wanted any more loses them again.

    Raises:
        VersionConflictError: document and record keep changing.
    """
    if not index.attached:
        return

    def look() -> None:
        record = registry.find(id)
        if video is not None and record is not None and record.state in UNWANTED:
            remove_document(registry, index, id)
        if record is None or record.state is not State.INDEXED:
            return  # another attempt is on its way, and looks when it has written
        found = index.fingerprint_of(id, routing=record.routing)
        if found is None or record.is_current(found, index=index.name):
            return
        if video is None or not record.is_current(video["fingerprint"], index=index.name):
            _log.warning("the vectors of video %r were overwritten, it is embedded again", id)
            with suppress(VideoNotRegisteredError):
                registry.reopen(id, forget=True)
            return
        document = index.read(id, routing=record.routing)
        if document is not None:
            _log.warning("the vectors of video %r were overwritten, they are written again", id)
            with suppress(DocumentNotFoundError):
                index.merge(video, into=document)
        raise VersionConflictError(f"{index.called(id)} was written again")

    until_unchanged(look, of=index.called(id))
