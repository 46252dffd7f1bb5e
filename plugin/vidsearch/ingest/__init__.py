"""From a registered video to its vectors in the index.

Importing this package loads nothing: the names below are imported when first used, so that who asks
how ingestion is doing loads nothing that does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.ingest.attempt import Outcome
    from vidsearch.ingest.embedders import Embedders
    from vidsearch.ingest.ended_slices import recover_ended
    from vidsearch.ingest.field_update import lack_fields, update_fields, write_fields
    from vidsearch.ingest.fill_board import Fill, FillBoard
    from vidsearch.ingest.filler import Filler
    from vidsearch.ingest.indexer import Indexer
    from vidsearch.ingest.mirror import Mirrored, mirror_to_others, mirror_videos
    from vidsearch.ingest.opened_video import VideoOpener
    from vidsearch.ingest.removal import delete_video, purge_videos, remove_document
    from vidsearch.ingest.scan import Finding, count_waiting, missing_videos, scan_index
    from vidsearch.ingest.slice_worker import SliceWorker
    from vidsearch.ingest.slices import Slice, SliceBoard
    from vidsearch.ingest.source_circuit import SourceCircuit

__all__ = [
    "Embedders",
    "Fill",
    "FillBoard",
    "Filler",
    "Finding",
    "Indexer",
    "Mirrored",
    "Outcome",
    "Slice",
    "SliceBoard",
    "SliceWorker",
    "SourceCircuit",
    "VideoOpener",
    "count_waiting",
    "delete_video",
    "lack_fields",
    "mirror_to_others",
    "mirror_videos",
    "missing_videos",
    "purge_videos",
    "recover_ended",
    "remove_document",
    "scan_index",
    "update_fields",
    "write_fields",
]

_HOMES = {
    "vidsearch.ingest.attempt": ("Outcome",),
    "vidsearch.ingest.embedders": ("Embedders",),
    "vidsearch.ingest.ended_slices": ("recover_ended",),
    "vidsearch.ingest.field_update": ("lack_fields", "update_fields", "write_fields"),
    "vidsearch.ingest.fill_board": ("Fill", "FillBoard"),
    "vidsearch.ingest.filler": ("Filler",),
    "vidsearch.ingest.indexer": ("Indexer",),
    "vidsearch.ingest.mirror": ("Mirrored", "mirror_to_others", "mirror_videos"),
    "vidsearch.ingest.opened_video": ("VideoOpener",),
    "vidsearch.ingest.removal": ("delete_video", "purge_videos", "remove_document"),
    "vidsearch.ingest.scan": ("Finding", "count_waiting", "missing_videos", "scan_index"),
    "vidsearch.ingest.slice_worker": ("SliceWorker",),
    "vidsearch.ingest.slices": ("Slice", "SliceBoard"),
    "vidsearch.ingest.source_circuit": ("SourceCircuit",),
}
_MOVED = {
    "vidsearch.embeddings": ("Segment", "VideoEmbedding", "embed_video"),
    "vidsearch.index": (
        *("VideosIndex", "attach_index", "create_videos_index", "detach_index"),
        *("drop_videos_index", "open_videos_index", "show_videos_index"),
    ),
    "vidsearch.registry": (
        *("ErrorRecord", "Lease", "Registry", "State", "SweepReport", "VideoRecord", "sweep"),
    ),
}
"""Names that were in this package before it was split. Scripts of users still import them here."""

if not TYPE_CHECKING:
    __getattr__, _ = imported_late(
        __name__,
        {name: home for home, names in (*_HOMES.items(), *_MOVED.items()) for name in names},
    )


def __dir__() -> list[str]:
    return __all__
