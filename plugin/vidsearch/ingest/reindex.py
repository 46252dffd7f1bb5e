"""Which videos to ingest again."""

from __future__ import annotations

from collections.abc import Iterator

from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry.record import State, VideoRecord
from vidsearch.registry.registry import Registry

__all__ = ["missing_videos"]


def missing_videos(registry: Registry, index: VideosIndex) -> Iterator[VideoRecord]:
    """Videos that the registry says are indexed, but whose vectors the index does not hold.

    They were lost with an index that was dropped or restored, or overwritten by something else.
    What is on its way is left to the sweep, what failed to ``retry``.
    """
    stored = dict(index.fingerprints())
    for record in registry.scan(State.INDEXED):
        if record.fingerprint is None or stored.get(record.id) != record.fingerprint:
            yield record
