"""Finds thumbnails that no document refers to any more."""

from __future__ import annotations

from collections.abc import Iterable

from vidsearch.engines import Engine
from vidsearch.index.description import describe_index
from vidsearch.media import ThumbnailStore
from vidsearch.media.file_store import StoredFile

__all__ = ["remove_thumbnails", "unused_thumbnails"]


def unused_thumbnails(
    store: ThumbnailStore, engine: Engine, aliases: Iterable[str]
) -> list[StoredFile]:
    """Pictures of which no segment is left, as a video was deleted or replaced.

    The same picture may belong to many videos, and the mapping does not index its key: every
    document is read, page by page, but for its vectors. A new picture that is found may belong to a
    document that is still to be written.

    Args:
        store: where the pictures are.
        engine: the cluster.
        aliases: of all the indices whose videos have their pictures there.

    Raises:
        IndexNotFoundError, MappingConflictError: an alias names no videos index.
    """
    # Listed before the documents are read: what is written in between is no candidate.
    unused = {picture.key: picture for picture in store.pictures()}
    for alias in aliases:
        index = engine.run(describe_index(engine.calls, alias))
        engine.refresh(index.name)
        source = [f"{index.field}.segments.thumbnail"]
        for document in engine.scan(index.name, source=source):
            for segment in (document.source.get(index.field) or {}).get("segments") or ():
                unused.pop(segment.get("thumbnail"), None)
    return list(unused.values())


def remove_thumbnails(store: ThumbnailStore, keys: Iterable[str], *, written_before: float) -> None:
    """Remove pictures that were unused when they were looked for, and have not been put since.

    All documents were read in between, and somebody was asked: a worker that began meanwhile may
    have put the same picture for a document of its own.

    Args:
        store: where the pictures are.
        keys: of the pictures.
        written_before: seconds since the epoch; newer pictures stay.
    """
    wanted = set(keys)
    store.remove(
        picture.key
        for picture in list(store.pictures())
        if picture.key in wanted and picture.is_older(written_before)
    )
