"""What a search reads of the videos that it finds, to sort and to count them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

from vidsearch.engines import Json
from vidsearch.index.description import IndexDescription
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.counting import FacetField
from vidsearch.search.fusion import Scored
from vidsearch.search.legs import ids_of
from vidsearch.search.request import SearchRequest
from vidsearch.search.types import FacetCounts
from vidsearch.search.value_fields import ValueField, value_field
from vidsearch_mappings.facets import counted, sorted_by, with_doc_values

__all__ = ["Values", "VideoValues"]

VideoValues = Mapping[str, Mapping[str, Sequence[Any]]]
"""The values of videos by id and by the path of the field."""

_PLACE = "_place"
"""What stands among the values of a video that the engine sorted."""
_ROUNDING = 5e-7
"""Scores of the same two vectors differ by less."""
_COUNTED = 10_000
"""Matches that an engine counts of itself, too; more cost time that nobody may want to spend."""


@dataclass(frozen=True, slots=True)
class Values:
    """The facets and the sort of a search.

    A search by words alone has no window that cuts off what is not good: every match counts. So the
    engine counts and sorts all of them, in the same request; and the nearest of a vector search
    where it knows which count. Any other search has its candidates in hand anyway: their values
    come with them, without their documents, and are counted and sorted here, after thresholds,
    fusion and ``collapse``, of which no aggregation knows.
    """

    facets: tuple[FacetField, ...] = ()
    sort: ValueField | None = None
    descending: bool = False
    by_engine: bool = False
    """Whether the engine counts and sorts all that it finds."""

    @classmethod
    def of(cls, checked: CheckedRequest, index: IndexDescription, *, exact: bool) -> Values:
        """Those of a request.

        Args:
            checked: the request.
            index: has the fields.
            exact: see :meth:`~vidsearch.search.checked_filter.CheckedFilter.exact_nearest`.

        Raises:
            QueryError: a field has no values to count or to sort by.
        """
        request, sort, descending = checked.request, None, False
        by_engine = request.collapse is None and (
            not request.needs_vector or (exact and _counts_nearest(request))
        )
        with checked.errors_about("facets"):
            facets = tuple(FacetField.of(facet, index) for facet in request.counted)
        if request.sort_key is not None:
            name, descending = request.sort_key
            with checked.errors_about("sort"):
                sort = value_field(index, name, argument="sort")
        return cls(facets, sort, descending, by_engine)

    @property
    def sorts_by_engine(self) -> bool:
        """Whether the engine sorts all that it finds."""
        return self.by_engine and self.sort is not None

    def added_to(self, body: Json) -> Json:
        """The body of a leg, which brings the values of its hits; or counts, and sorts them."""
        if not self.by_engine:
            read = [facet.field for facet in self.facets] + ([self.sort] if self.sort else [])
            by_path = {field.path: field.doc_value for field in read}
            return with_doc_values(body, list(by_path.values())) if read else body
        body = {**body, "track_total_hits": _COUNTED}
        if self.facets:
            aggs = [facet.aggs(str(at)) for at, facet in enumerate(self.facets)]
            body = counted(body, {name: agg for each in aggs for name, agg in each.items()})
        return self.sorting(body)

    def sorting(self, body: Json) -> Json:
        """A body whose hits the engine sorts, where they are to be sorted."""
        if self.sort is None:
            return body
        return sorted_by(body, path=self.sort.path, descending=self.descending)

    def read(self, answer: Mapping[str, Json]) -> VideoValues:
        """The values in the responses to the legs; of hits that the engine sorted their places."""
        if self.sort is None and (self.by_engine or not self.facets):
            return {}
        if self.by_engine:
            (response,) = (answer[leg] for leg in ("vector", "keyword") if leg in answer)
            return _places(response["hits"]["hits"])
        return {
            id: hit["fields"]
            for response in answer.values()
            for id, hit in zip(ids_of(response), response["hits"]["hits"], strict=True)
            if "fields" in hit
        }

    def ordered(
        self, order: list[Scored], values: VideoValues, videos: Sequence[str]
    ) -> list[Scored]:
        """The hits by the field, as they were where equal, and what lacks it last.

        Of several values of a video the least counts, or the greatest where it goes down.

        Args:
            order: the hits.
            values: from :meth:`read`.
            videos: the video of each hit.
        """
        if self.sort is None:
            return order
        if self.by_engine:
            return sorted(order, key=lambda hit: values[hit.id][_PLACE][0])
        field, choose = self.sort, max if self.descending else min
        nothing: Mapping[str, Sequence[Any]] = {}
        raws = [values.get(id, nothing).get(field.path, ()) for id in videos]
        different = list(dict.fromkeys(chain.from_iterable(raws)))
        ranks = dict(zip(different, field.raw_ranks(different), strict=True))
        pairs = list(zip(raws, order, strict=True))
        present = [
            (ranks[each[0]] if len(each) == 1 else choose([ranks[raw] for raw in each]), hit)
            for each, hit in pairs
            if each
        ]
        present.sort(key=itemgetter(0), reverse=self.descending)
        return [hit for _, hit in present] + [hit for each, hit in pairs if not each]

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


def _counts_nearest(request: SearchRequest) -> bool:
    """Whether the nearest videos that an engine finds are those that a search counts.

    It knows of no threshold, and of the ranks that an explanation names only those of the hits.
    """
    cut = request.min_cosine is not None or request.gap is not None or request.level == "both"
    here = request.fuses or request.reorders or request.by_moment
    wanted = request.facets or request.sort is not None
    return bool(wanted) and not (cut or here or (request.sort is not None and request.explain))


def _places(hits: Sequence[Json]) -> VideoValues:
    """The places of hits as they are sorted; one for all that are equal in value and score.

    The values themselves are not compared: an engine has a way of its own to order some, and to
    write them. And scores are the engine's, as those of a page may be corrected, of others not.
    """
    places: dict[str, Mapping[str, Sequence[int]]] = {}
    place = -1
    first: tuple[Any, float] | None = None
    for hit in hits:
        value, score = hit["sort"]
        if first is None or value != first[0] or first[1] - score >= _ROUNDING:
            place, first = place + 1, (value, score)
        places[hit["_id"]] = {_PLACE: [place]}
    return places
