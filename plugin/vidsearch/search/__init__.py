"""Text-to-video search: :class:`VideoSearch`, :class:`AsyncVideoSearch` and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late
from vidsearch.search.async_video_search import AsyncVideoSearch
from vidsearch.search.facets import Facet
from vidsearch.search.filters import Filter, build_filters
from vidsearch.search.fusion import Fusion, Linear, Rrf, Scored, linear, rrf
from vidsearch.search.native import NativeFusion, NativeLinear, NativeRrf, Sum
from vidsearch.search.request import SearchRequest
from vidsearch.search.types import (
    Explanation,
    FacetCounts,
    FacetValue,
    GroupBy,
    Hit,
    LegShare,
    Level,
    Mode,
    Moment,
    SearchResult,
    Total,
)
from vidsearch.search.video_search import VideoSearch

if TYPE_CHECKING:
    from vidsearch.search.recall import Recall, RecallReport, measure_recall

__all__ = [
    "AsyncVideoSearch",
    "Explanation",
    "Facet",
    "FacetCounts",
    "FacetValue",
    "Filter",
    "Fusion",
    "GroupBy",
    "Hit",
    "LegShare",
    "Level",
    "Linear",
    "Mode",
    "Moment",
    "NativeFusion",
    "NativeLinear",
    "NativeRrf",
    "Recall",
    "RecallReport",
    "Rrf",
    "Scored",
    "SearchRequest",
    "SearchResult",
    "Sum",
    "Total",
    "VideoSearch",
    "build_filters",
    "linear",
    "measure_recall",
    "rrf",
]

# A search has no use for them.
__getattr__, _ = imported_late(
    __name__,
    dict.fromkeys(["Recall", "RecallReport", "measure_recall"], "vidsearch.search.recall"),
)
