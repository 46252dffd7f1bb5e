"""Records of reindex runs."""

from __future__ import annotations

from typing import Any

from vidsearch.reindex.run import ReindexRun

__all__ = ["reindex_run"]


def reindex_run(id: str = "3", now: float = 0.0, **others: Any) -> ReindexRun:
    """One that began at ``now``: a copy of videos-000001, unless ``others`` say otherwise."""
    values: dict[str, Any] = {
        "alias": "videos",
        "source": "videos-000001",
        "target": "videos-000002",
        "way": "copy",
        "changes": {"shards": 2},
        "by": "me@here",
    }
    return ReindexRun(id=id, **{**values, "started_at": now, "updated_at": now, **others})
