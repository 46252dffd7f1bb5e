"""Text-to-video search for the Elasticsearch or OpenSearch you already run.

Importing this package loads neither torch, transformers, cv2, av, celery nor a search client:
the names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vidsearch.config import Settings, load_settings
    from vidsearch.errors import VidsearchError
    from vidsearch.search import AsyncVideoSearch, Hit, Moment, SearchResult, VideoSearch

__all__ = [
    "AsyncVideoSearch",
    "Hit",
    "Moment",
    "SearchResult",
    "Settings",
    "VideoSearch",
    "VidsearchError",
    "__version__",
    "load_settings",
]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "Settings": "vidsearch.config",
        "load_settings": "vidsearch.config",
        "VidsearchError": "vidsearch.errors",
        "Hit": "vidsearch.search",
        "Moment": "vidsearch.search",
        "SearchResult": "vidsearch.search",
        "AsyncVideoSearch": "vidsearch.search",
        "VideoSearch": "vidsearch.search",
    },
    present=("__version__",),
)
