"""The index that holds the videos: create, open, attach, detach, compare, copy."""

from __future__ import annotations

from vidsearch.index.attach import Attached, attach_index, detach_index
from vidsearch.index.videos_index import (
    VideosIndex,
    create_videos_index,
    drop_videos_index,
    open_videos_index,
    show_videos_index,
)

__all__ = [
    "Attached",
    "VideosIndex",
    "attach_index",
    "create_videos_index",
    "detach_index",
    "drop_videos_index",
    "open_videos_index",
    "show_videos_index",
]
