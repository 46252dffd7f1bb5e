"""Catch up with the registry: mirror every video whose record changed since a time.

It brings what a writer could not mirror itself: one that was killed, one that was told of no other
index, one of an older version. See :mod:`vidsearch.ingest.mirror` for why this is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vidsearch.batches import in_batches
from vidsearch.errors import BackendError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.mirror import mirror_videos
from vidsearch.registry import Registry
from vidsearch_mappings.registry import VideoRecord

__all__ = ["MARGIN_SECONDS", "CaughtUp", "catch_up", "catch_up_once"]

MARGIN_SECONDS = 60.0
"""By how much a change may be stamped too early: clocks differ, and a record is stamped before it
is written."""
_PASSES = 20


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was done until nothing was left."""

    looked_at: int = 0
    """Number of records that had changed."""
    written: int = 0
    """Number of documents that were not up to date."""
    removed: int = 0
    to_fill: int = 0
    """Number of documents that workers are to make, or have been asked for already."""
    refused: Mapping[str, BackendError] = field(default_factory=dict)
    """Why the index does not take a document, by id."""
    began: float = 0.0
    """When the last pass began: where to go on, less the margin."""

    @property
    def changed(self) -> int:
        """Number of documents that were written or removed."""
        return self.written + self.removed


def catch_up(
    registry: Registry,
    source: VideosIndex,
    target: VideosIndex,
    *,
    since: float,
    fill: Callable[[Sequence[VideoRecord], VideosIndex], object] = lambda records, target: None,
    progress: Callable[[int], None] = lambda done: None,
) -> CaughtUp:
    """Catch up until a pass finds nothing to change. Safe to repeat, and while others write.

    Safe in either direction: what counts is the record. So it goes from the old to the new index
    before the swap and right after it, and from the new to the old before a rollback.

    Args:
        registry: of the videos.
        source: that is gone by.
        target: that is to catch up.
        since: seconds since the epoch; of the first pass, less :data:`MARGIN_SECONDS`.
        fill: asks workers for the documents of some videos, as ``FillBoard.add`` does. They are not
            waited for.
        progress: told how many records were looked at.

    Raises:
        VersionConflictError: a document keeps changing.
        IndexNotFoundError: there is no target any more.
    """
    done, passed = 0, CaughtUp(began=since)
    written = removed = 0
    refused: dict[str, BackendError] = {}
    for _ in range(_PASSES):
        before = done

        def tell(number: int, before: int = before) -> None:
            progress(before + number)

        passed = catch_up_once(
            registry, source, target, since=passed.began, fill=fill, progress=tell
        )
        done += passed.looked_at
        written += passed.written
        removed += passed.removed
        refused |= passed.refused
        if not passed.changed:
            break
    return CaughtUp(done, written, removed, passed.to_fill, refused, passed.began)


def catch_up_once(
    registry: Registry,
    source: VideosIndex,
    target: VideosIndex,
    *,
    since: float,
    fill: Callable[[Sequence[VideoRecord], VideosIndex], object] = lambda records, target: None,
    progress: Callable[[int], None] = lambda done: None,
) -> CaughtUp:
    """One pass of :func:`catch_up`; args and errors are the same."""
    began = registry.now()
    looked_at = written = removed = to_fill = 0
    refused: dict[str, BackendError] = {}
    for batch in in_batches(registry.changed_since(since - MARGIN_SECONDS)):
        records = {record.id: record for record in batch}
        done = mirror_videos(registry, source, target, [*records])
        if done.to_fill:
            fill([*registry.find_many(done.to_fill).values()], target)
        looked_at += len(batch)
        written += len(done.written)
        removed += len(done.removed)
        to_fill += len(done.to_fill)
        refused |= done.refused
        progress(looked_at)
    return CaughtUp(looked_at, written, removed, to_fill, refused, began)
