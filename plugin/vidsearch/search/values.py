"""What a search reads of the videos that it finds, to sort and to count them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.engines import Json
from vidsearch.index.description import IndexDescription
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.counting import FacetField
from vidsearch.search.fusion import Scored
from vidsearch.search.types import FacetCounts
from vidsearch.search.value_fields import ValueField, value_field
from vidsearch_mappings.facets import sorted_by, with_doc_values

__all__ = ["Values", "VideoValues"]

VideoValues = Mapping[str, Mapping[str, Sequence[Any]]]
"""The values of videos by id and by the path of the field."""

_COUNTED = 10_000
"""Matches that an engine counts of itself, too; more cost time that nobody may want to spend."""


@dataclass(frozen=True, slots=True)
class Values:
    """The facets and the sort of a search.

    A search by words alone has no window that cuts off what is not good: every match counts. So the
    engine counts and sorts all of them, in the same request. Any other search has its candidates in
    hand anyway: their values come with them, without their documents, and are counted and sorted
    here, after thresholds, fusion and ``collapse``, of which no aggregation knows.
    """

    facets: tuple[FacetField, ...] = ()
    sort: ValueField | None = None
    descending: bool = False
    by_engine: bool = False
    """Whether the engine counts and sorts all that it finds."""

    @classmethod
    def of(cls, checked: CheckedRequest, index: IndexDescription) -> Values:
        """Those of a request.

        Raises:
            QueryError: a field has no values to count or to sort by.
        """
        request, sort, descending = checked.request, None, False
        by_engine = not request.needs_vector and request.collapse is None
        with checked.errors_about("facets"):
            facets = tuple(FacetField.of(facet, index) for facet in request.counted)
        if request.sort_key is not None:
            name, descending = request.sort_key
            with checked.errors_about("sort"):
                sort = value_field(index, name, argument="sort")
        return cls(facets, sort, descending, by_engine)

    def added_to(self, body: Json) -> Json:
        """The body of a leg, which brings the values as well."""
        read = [facet.field for facet in self.facets if not self.by_engine]
        read += [self.sort] if self.sort else []
        if read:
            by_path = {field.path: field.doc_value for field in read}
            body = with_doc_values(body, list(by_path.values()))
        if not self.by_engine:
            return body
        body = {**body, "track_total_hits": True if self.facets else _COUNTED}
        if self.facets:
            aggs = [facet.aggs(str(at)) for at, facet in enumerate(self.facets)]
            body["aggs"] = {name: agg for each in aggs for name, agg in each.items()}
        if self.sort:
            body = sorted_by(body, path=self.sort.path, descending=self.descending)
        return body

    def read(self, answer: Mapping[str, Json]) -> VideoValues:
        """The values in the responses to the legs."""
        if self.sort is None and (self.by_engine or not self.facets):
            return {}
        hits = (hit for response in answer.values() for hit in response["hits"]["hits"])
        return {hit["_id"]: hit["fields"] for hit in hits if "fields" in hit}

    def ordered(
        self, order: list[Scored], values: VideoValues, video_of: Callable[[str], str]
    ) -> list[Scored]:
        """The hits by the field, as they were where equal, and what lacks it last.

        Of several values of a video the least counts, or the greatest where it goes down.
        """
        if self.sort is None:
            return order
        field, choose = self.sort, max if self.descending else min
        found: list[tuple[list[Any], Scored]]
        found = [
            ([*map(field.rank, field.values(values.get(video_of(hit.id), {})))], hit)
            for hit in order
        ]
        present = [(choose(each), hit) for each, hit in found if each]
        present.sort(key=lambda pair: pair[0], reverse=self.descending)
        return [hit for _, hit in present] + [hit for each, hit in found if not each]

    def counts(self, videos: Iterable[str], values: VideoValues) -> dict[str, FacetCounts]:
        """The counts of each facet by the name of its field.

        Args:
            videos: ids of those within the relevance cut, each once.
            values: from :meth:`read`.
        """
        rows = [values.get(id, {}) for id in videos]
        return {facet.facet.field: facet.counts(rows) for facet in self.facets}

    def counted(self, response: Json) -> dict[str, FacetCounts]:
        """The same, by the engine, of all that it found."""
        return {
            facet.facet.field: facet.read(str(at), response["aggregations"])
            for at, facet in enumerate(self.facets)
        }
