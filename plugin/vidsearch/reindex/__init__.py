"""A reindex under live traffic: other settings of the index, or another model.

Importing this package loads nothing: the names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.reindex.changes import Changes
    from vidsearch.reindex.plan import Plan
    from vidsearch.reindex.run import ReindexRun, Step, Way
    from vidsearch.reindex.run_store import RunStore
    from vidsearch.reindex.runner import Reindexer

__all__ = ["Changes", "Plan", "ReindexRun", "Reindexer", "RunStore", "Step", "Way"]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "Changes": "vidsearch.reindex.changes",
        "Plan": "vidsearch.reindex.plan",
        "Reindexer": "vidsearch.reindex.runner",
        "ReindexRun": "vidsearch.reindex.run",
        "RunStore": "vidsearch.reindex.run_store",
        "Step": "vidsearch.reindex.run",
        "Way": "vidsearch.reindex.run",
    },
)
