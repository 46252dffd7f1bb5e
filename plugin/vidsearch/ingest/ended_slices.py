"""Long videos whose slices have all ended, and that no worker has gone on with.

The worker that ends the last slice takes the video's lease, and makes the document. Where it is
lost in between, and its message with it, or where the last slice ended before the video was handed
over, nobody does so, and the lease that the slices have is a long one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vidsearch.batches import in_batches
from vidsearch.ingest.slices import Slice, SliceBoard, are_waiting
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import VideoRecord

__all__ = ["recover_ended"]


def recover_ended(
    entries: Registry,
    board: SliceBoard,
    *,
    slices_of: Callable[[VideoRecord], Sequence[Slice]] = Slice.of_video,
) -> tuple[str, ...]:
    """Make those due again whose slices ended longer ago than a worker may be silent.

    Safe in several places at once: one of them gets each.

    Args:
        entries: the registry that has the lease: of the videos, or of the documents to fill.
        board: of the slices.
        slices_of: of one of ``entries``.

    Returns:
        Their ids; no message is sent yet.
    """
    before = entries.now() - entries.lease_seconds
    found: list[str] = []
    for batch in in_batches(entries.handed_over(before=before)):
        seen = {record.id: record for record in batch}
        ended = _ended({id: slices_of(record) for id, record in seen.items()}, board, before=before)
        recovered = entries.recover_many(ended, is_forgotten=partial(_is_as_in, seen))
        found += [one.id for one in recovered if one.changed]
    return tuple(found)


def _is_as_in(seen: Mapping[str, VideoRecord], record: VideoRecord) -> bool:
    return record == seen[record.id]


def _ended(slices: Mapping[str, Sequence[Slice]], board: SliceBoard, *, before: float) -> list[str]:
    """Those of some videos whose slices have ended, the last one before a time."""
    of_all = [part for parts in slices.values() for part in parts]
    entries = {entry.id: entry for entry in board.of(of_all)}
    ended: list[str] = []
    for id, parts in slices.items():
        of_video = [entries[part.id] for part in parts if part.id in entries]
        is_quiet = all(entry.updated_at < before for entry in of_video)
        if parts and is_quiet and not are_waiting(of_video):
            ended.append(id)
    return ended
