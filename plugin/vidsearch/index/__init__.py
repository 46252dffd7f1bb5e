"""The index that holds the videos: create, open, attach, detach, compare, copy."""

from __future__ import annotations

from vidsearch.index.attach import Attached, attach_index, detach_index
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch.index.manage import (
    create_videos_index,
    drop_videos_index,
    show_videos_index,
    videos_index_body,
)
from vidsearch.index.videos_index import VideosIndex, open_videos_index

__all__ = [
    "Attached",
    "VideosIndex",
    "apply_changes",
    "attach_index",
    "create_videos_index",
    "detach_index",
    "diff_videos_index",
    "drop_videos_index",
    "open_videos_index",
    "show_videos_index",
    "videos_index_body",
]
