"""Delete and purge: the entry in the registry and the document in the index."""

from __future__ import annotations

from contextlib import suppress

from vidsearch.errors import VersionConflictError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry.record import State, VideoRecord
from vidsearch.registry.registry import Registry

__all__ = ["delete_video", "purge_video", "remove_document", "remove_whatever_came"]

_TRIES = 8
_UNWANTED = {State.DELETED, State.DEAD, State.FAILED}


def delete_video(registry: Registry, index: VideosIndex, id: str) -> VideoRecord:
    """Delete a video from the index and leave a tombstone in the registry.

    The tombstone comes first: an ingest that is running finds it when it completes, and takes back
    what it wrote. Safe to repeat.

    Raises:
        VideoNotRegisteredError: it was never registered.
    """
    record = registry.delete(id)
    remove_document(registry, index, id)
    return record


def purge_video(registry: Registry, index: VideosIndex, id: str) -> bool:
    """Drop all trace of a deleted, dead or failed video; ``False`` where it is none of these.

    A tombstone whose ingest may still be running is kept; the sweep frees it.
    """
    remove_document(registry, index, id)
    return registry.purge(id)


def remove_document(registry: Registry, index: VideosIndex, id: str) -> None:
    """Remove the document of a deleted, dead or failed video, but of no other.

    Where the document is the host's, only our object in it is removed.

    Read before the registry is asked, removed only if still the same: a video that is registered
    again at this very moment keeps what its new ingest writes. Where it is not the same, both are
    looked at again: it may be the host that touched a document which nobody wants.

    Raises:
        VersionConflictError: it keeps changing.
    """
    known = registry.find(id)
    routing = known.routing if known else None
    for _ in range(_TRIES):
        document = index.read(id, routing=routing)
        record = registry.find(id)
        if document is None or record is None or record.state not in _UNWANTED:
            return
        with suppress(VersionConflictError):
            index.remove(id, expect=document.revision, routing=routing)
            return
    raise _restless(id)


def remove_whatever_came(index: VideosIndex, record: VideoRecord) -> None:
    """Remove the document of a video, or our object in it, although others keep writing it.

    Raises:
        VersionConflictError: it keeps changing.
    """
    for _ in range(_TRIES):
        with suppress(VersionConflictError):
            index.remove(record.id, routing=record.routing)
            return
    raise _restless(record.id)


def _restless(id: str) -> VersionConflictError:
    return VersionConflictError(
        f"the document of video {id!r} keeps changing while it is to be removed"
    )
