"""Delete and purge a video: its record in the registry and its document in the index."""

from __future__ import annotations

from vidsearch.compare_and_set import until_unchanged
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import UNWANTED, VideoRecord

__all__ = ["delete_video", "purge_video", "remove_document"]


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


def purge_video(registry: Registry, index: VideosIndex, id: str) -> bool:
    """Drop record and document of a deleted, dead or failed video; ``False`` for any other.

    A tombstone whose ingest may still be running is kept; the sweep frees it.
    """
    remove_document(registry, index, id)
    return registry.purge(id)


def remove_document(registry: Registry, index: VideosIndex, id: str) -> None:
    """Remove the document of a deleted, dead or failed video, but of no other.

    In an attached index only the vidsearch object is removed from it.

    The document is read before the record, and removed only if it has not changed since: a video
    that is registered again at the same time keeps what its new ingest writes. Where it changed,
    both are read again, as it may be the user who wrote it.

    Raises:
        VersionConflictError: it keeps changing.
    """
    known = registry.find(id)
    routing = known.routing if known else None

    def remove() -> None:
        document = index.read(id, routing=routing)
        record = registry.find(id)
        if document is not None and record is not None and record.state in UNWANTED:
            index.remove(id, expect=document.revision, routing=routing)

    until_unchanged(remove, of=index.called(id))
