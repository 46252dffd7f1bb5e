"""The index that holds the videos: create, open, attach, detach, compare, copy.

Importing this package loads nothing: the names below are imported when first used, so that a search
loads the description of an index alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.index.attach import attach_index, detach_index
    from vidsearch.index.attachment import AttachPlan, plan_attachment
    from vidsearch.index.diff import apply_changes, diff_videos_index
    from vidsearch.index.health import cluster_blocks, require_vectors, write_blocks
    from vidsearch.index.manage import (
        create_videos_index,
        drop_videos_index,
        show_videos_index,
        videos_index_body,
    )
    from vidsearch.index.replacement import open_or_attach
    from vidsearch.index.videos_index import VideosIndex, open_videos_index

__all__ = [
    "AttachPlan",
    "VideosIndex",
    "apply_changes",
    "attach_index",
    "cluster_blocks",
    "create_videos_index",
    "detach_index",
    "diff_videos_index",
    "drop_videos_index",
    "open_or_attach",
    "open_videos_index",
    "plan_attachment",
    "require_vectors",
    "show_videos_index",
    "videos_index_body",
    "write_blocks",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "AttachPlan": "vidsearch.index.attachment",
        "VideosIndex": "vidsearch.index.videos_index",
        "apply_changes": "vidsearch.index.diff",
        "attach_index": "vidsearch.index.attach",
        "cluster_blocks": "vidsearch.index.health",
        "create_videos_index": "vidsearch.index.manage",
        "detach_index": "vidsearch.index.attach",
        "diff_videos_index": "vidsearch.index.diff",
        "drop_videos_index": "vidsearch.index.manage",
        "open_or_attach": "vidsearch.index.replacement",
        "open_videos_index": "vidsearch.index.videos_index",
        "plan_attachment": "vidsearch.index.attachment",
        "require_vectors": "vidsearch.index.health",
        "show_videos_index": "vidsearch.index.manage",
        "videos_index_body": "vidsearch.index.manage",
        "write_blocks": "vidsearch.index.health",
    },
)
