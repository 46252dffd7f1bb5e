"""The filter of a search as each of its bodies takes it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.engines import EngineKind, Json
from vidsearch.index.description import IndexDescription
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.filters import build_filters
from vidsearch.search.mapping_fields import with_runtime
from vidsearch.search.segment_filters import split_segment_filters
from vidsearch_mappings.queries import has_nested, segments_path

__all__ = ["CheckedFilter"]


@dataclass(frozen=True, slots=True)
class CheckedFilter:
    """The filter of a search as each body takes it."""

    on_videos: list[Json]
    """For a search among mean vectors, and for the keyword leg."""
    without_segments: list[Json]
    """The same without the conditions on segments; for a search among segments, beside …"""
    on_segments: list[Json]
    """… those on segments, which decide what moments there can be."""

    @property
    def ask_nested(self) -> bool:
        """Whether those for a search among segments ask for nested objects."""
        return any(map(has_nested, self.without_segments))

    def exact_nearest(self, kind: EngineKind) -> bool:
        """Whether an engine sorts and counts the nearest videos of a search, and none besides.

        OpenSearch finds the nearest of each shard, and of each Lucene segment in it; and more where
        it is to compare by a script.
        """
        return kind == "elasticsearch" and not self.ask_nested

    @classmethod
    def of(cls, checked: CheckedRequest, index: IndexDescription) -> CheckedFilter:
        """The checked conditions of a search.

        Raises:
            QueryError: the filter does not fit the index, or an engine would misread it.
        """
        request, path = checked.request, segments_path(index.field)
        on_segments: list[Json] = []
        with checked.errors_about("filter"):
            fields = with_runtime(index.properties, index.runtime)
            on_videos = build_filters(request.filter, properties=fields, segments=path)
            without_segments = on_videos
            if request.needs_vector and request.level != "video":
                without_segments, on_segments = split_segment_filters(on_videos, path=path)
        nested: list[Json] = []
        if on_segments:
            nested = [{"nested": {"path": path, "query": {"bool": {"filter": on_segments}}}}]
        itself: list[Json] = []
        if request.like is not None:
            itself = [{"bool": {"must_not": [{"ids": {"values": [request.like]}}]}}]
        return cls(
            on_videos=without_segments + nested + itself,
            without_segments=without_segments + itself,
            on_segments=on_segments,
        )
