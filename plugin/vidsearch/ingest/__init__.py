"""From a registered video to its vectors in the index."""

from __future__ import annotations

from vidsearch.ingest.attached import Attached, attach_index, detach_index
from vidsearch.ingest.embedding import Segment, VideoEmbedding, embed_video
from vidsearch.ingest.indexer import Indexer, Outcome
from vidsearch.ingest.record import ErrorRecord, State, VideoRecord
from vidsearch.ingest.registry import Registry
from vidsearch.ingest.reindex import missing_videos
from vidsearch.ingest.removal import delete_video, purge_video, remove_document
from vidsearch.ingest.scanning import Finding, scan_index
from vidsearch.ingest.sweeping import SweepReport, sweep
from vidsearch.ingest.transition import Lease
from vidsearch.ingest.videos_index import (
    VideosIndex,
    create_videos_index,
    drop_videos_index,
    open_videos_index,
    show_videos_index,
)

__all__ = [
    "Attached",
    "ErrorRecord",
    "Finding",
    "Indexer",
    "Lease",
    "Outcome",
    "Registry",
    "Segment",
    "State",
    "SweepReport",
    "VideoEmbedding",
    "VideoRecord",
    "VideosIndex",
    "attach_index",
    "create_videos_index",
    "delete_video",
    "detach_index",
    "drop_videos_index",
    "embed_video",
    "missing_videos",
    "open_videos_index",
    "purge_video",
    "remove_document",
    "scan_index",
    "show_videos_index",
    "sweep",
]
