"""Text-to-video search: :class:`VideoSearch` and what it gives back."""

from __future__ import annotations

from vidsearch.search.filters import Filter, build_filters
from vidsearch.search.fusion import Fusion, Scored, rrf
from vidsearch.search.types import Hit, Level, Mode, Moment, SearchResult
from vidsearch.search.video_search import VideoSearch

__all__ = [
    "Filter",
    "Fusion",
    "Hit",
    "Level",
    "Mode",
    "Moment",
    "Scored",
    "SearchResult",
    "VideoSearch",
    "build_filters",
    "rrf",
]
