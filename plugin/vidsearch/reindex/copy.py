"""The documents of a run's source index copied to its target, but for those of deleted videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vidsearch.engines import Engine
from vidsearch.index.copy_documents import SLICES, Copied, copy_documents
from vidsearch.registry import Registry, State

__all__ = ["copy_videos"]


def copy_videos(
    engine: Engine,
    registry: Registry,
    source: str,
    target: str,
    *,
    slices: int = SLICES,
    throttle: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Copied:
    """Copy the documents of a managed index that the target lacks, while writers write to both.

    Safe to repeat: a later run goes on where an earlier one ended.
    What a writer has put into the target stays: it is fresher. No deleted video comes back: its
    tombstone is written before its document is removed, and is looked for after each bulk. A writer
    that removes a document later removes it from the target as well.

    Args:
        engine: the cluster.
        registry: of the videos.
        source, target: concrete indices, both behind the write alias.
        slices, throttle, progress: see
            :func:`~vidsearch.index.copy_documents.copy_documents`.

    Raises:
        BulkError: the target rejected documents for what they are.
    """

    def deleted(ids: Sequence[str]) -> list[str]:
        records = registry.find_many(ids)
        return [id for id, record in records.items() if record.state is State.DELETED]

    return copy_documents(
        engine,
        source,
        target,
        unwanted=deleted,
        slices=slices,
        throttle=throttle,
        progress=progress,
    )
