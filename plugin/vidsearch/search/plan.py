"""The request bodies of a search, by its request and the index. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from vidsearch.config import SearchSettings
from vidsearch.engines import EngineKind, Json
from vidsearch.index.description import IndexDescription
from vidsearch.search.checked_filter import CheckedFilter
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.fusion import Scored
from vidsearch.search.keywords import Keywords
from vidsearch.search.moments import segments_needed
from vidsearch.search.native import Cluster
from vidsearch.search.past_searches import PastSearches
from vidsearch.search.query_vector import QueryVector
from vidsearch.search.request import Leg, SearchRequest
from vidsearch.search.values import Values
from vidsearch_mappings.candidates import auto_candidates, auto_oversample
from vidsearch_mappings.facets import without_hits, without_ids
from vidsearch_mappings.queries import (
    Level,
    bringing_all,
    compares_every_segment,
    documents_query,
    keyword_query,
    vector_query,
    with_candidates,
)
from vidsearch_mappings.scores import Similarity

__all__ = ["Plan", "counts_of", "page_of"]

_VIDEO_BODY = "vector_video"
"""Name of the second body of the vector leg at level ``both``: among mean vectors."""

_FEW = 2
"""Hits within the cut that a sorted page should have beyond those asked for."""
_CANDIDATES = 10
"""The fewest for each hit that are looked among for a page that likely is the right one."""
_TOLERANCE = 1e-4
"""What the engine may round; it is asked for slightly more than ``min_cosine``, and cut here."""


def counts_of(name: Leg) -> Leg:
    """Name of the body that brings the values of the window of another one."""
    return f"{name}_counts"


def page_of(name: Leg) -> Leg:
    """Name of the body that likely brings the page of a leg, beside its window."""
    return f"{name}_page"


@dataclass(frozen=True, slots=True)
class Plan:
    """A request and the index that it is run on: makes the bodies."""

    checked: CheckedRequest
    kind: EngineKind
    cluster: Cluster | None
    """What answers; there where the engine fuses."""
    index: IndexDescription
    vector: QueryVector
    settings: SearchSettings
    filter: CheckedFilter
    segment_vectors: bool = False
    """Whether the cosines of segments are computed here, as the engine's own are rough."""
    values: Values = field(default_factory=Values)
    """What is read of every candidate, to sort and to count them."""
    counts_only: bool = False
    """Whether nothing but the counts is wanted, and no hit."""
    past: PastSearches = field(default_factory=PastSearches)
    """How earlier searches went."""
    tied: bool = False
    """What they say of this sort, see :meth:`PastSearches.tied`; the same to the end of a search,
    whatever others teach meanwhile."""

    @property
    def request(self) -> SearchRequest:
        """What is asked for."""
        return self.checked.request

    @property
    def levels(self) -> dict[str, Level]:
        """Level of each body of the vector leg, by its name."""
        if self.request.level == "both":
            return {"vector": "segment", _VIDEO_BODY: "video"}
        return {"vector": self.request.level}

    @property
    def fetches_page(self) -> bool:
        """Whether the window is ranked first, and documents are fetched for the hits of the page.

        Words give many hits of the same score, so only the whole window makes pages fit together,
        unless the engine sorts them by a field, see :meth:`reads_sorted_page`.
        A sort here and hits by moment are of the whole window, too, and so are facets beside a page
        that is likely the right one, see :meth:`likely_page`.
        And where a filter asks for nested objects, Elasticsearch looks for them inside the segments
        when it collects the inner hits, of which hits by their ids have all. Seen on 9.5.3.
        """
        request = self.request
        sorts = request.sort is not None and not self.values.by_engine
        whole = request.by_moment or sorts or self._counts_beside_page
        by_words = not (request.needs_vector or self.reads_sorted_page)
        return request.fuses or by_words or self._by_nested or whole

    @property
    def reads_sorted_page(self) -> bool:
        """Whether only the page of a search by words is read, as the engine sorts all matches.

        Where hits that the sort leaves equal lie across its end, the window is read after it: which
        of them are on the page is decided by their ids. Where that is likely, as it was so before,
        the window is read at once, and so it is for ``explain``, which names ranks within it.
        """
        request = self.request
        whole = request.needs_vector or request.reorders or request.by_moment or request.explain
        return self.values.sorts_by_engine and not (whole or self.tied)

    @property
    def _counts_beside_page(self) -> bool:
        """Whether facets of a vector search are counted here, from a window with its ids.

        OpenSearch keeps an id with the document and reads all of that, vectors included: there the
        window comes without ids, beside a page that is the right one whatever the window says.
        """
        request = self.request
        counted = bool(self.values.facets) and not (self.values.by_engine or self.counts_only)
        alone = not (request.fuses or request.reorders) and len(self.levels) == 1
        return counted and alone and request.needs_vector and self.kind == "elasticsearch"

    @property
    def _by_nested(self) -> bool:
        return (
            self.kind == "elasticsearch"
            and self.request.needs_vector
            and "segment" in self.levels.values()
            and self.filter.ask_nested
        )

    def similarity(self, level: Level, *, chosen: bool = False) -> Similarity:
        """How a body of the vector leg is scored; ``chosen``: one that :meth:`page` makes.

        Raises:
            MappingConflictError: the index has no such vector, or none that can be compared.
        """
        filters, on_segments = self.filter.without_segments, self.filter.on_segments
        scripted = self._oversample is not None or (
            level == "segment"
            and (
                compares_every_segment(() if chosen else filters, on_segments)
                or (self._asks_without_duration and not chosen)
            )
        )
        by_field = self.index.similarity(level)
        return "half_inner_product" if self.kind == "opensearch" and scripted else by_field

    def bodies(self, *, content: bool = True, spare: int = 0) -> tuple[dict[Leg, Json], list[str]]:
        """The body of each leg, or the one body ``fused`` where the engine fuses; and warnings.

        At level ``both`` the vector leg has two: among segments, and among mean vectors. Where a
        vector leg by itself brings the page, and the engine cannot count the window, facets take
        its values from a body of their own, see :func:`counts_of`: both at once cost less than one
        after the other.

        Args:
            content: bring back documents and moments of the hits that are asked for; else ids and
                scores of the whole window, as engines break ties by the order of writing.
            spare: hits of a single leg beyond those asked for.

        Raises:
            QueryError: a field to highlight does not fit the index, or the cluster cannot fuse so.
        """
        request, window, fusion = self.request, self.settings.window, self.checked.engine_fusion
        # A vector leg by itself needs no window; the hits asked for are enough.
        alone = content and not request.fuses and not request.reorders
        size = min(request.last + spare, window) if alone else window
        source = request.source if content else False
        bodies: dict[Leg, Json] = {}
        warnings: list[str] = []
        with self.checked.errors_about("fusion"):
            if request.needs_vector:
                if self._lost_by_filters and not self.settings.rescore:
                    field = f"{self.index.field}.duration"
                    warnings.append(
                        f"{self._lost_by_filters} videos of the index have no {field}, and a "
                        "filter among segments passes over them, as OpenSearch finds them by "
                        f"script only (search.rescore is false): write {field} to them, or search "
                        "at level=video"
                    )
                for name, level in self.levels.items():
                    bodies[name] = self._vector_body(
                        level, size=size, content=content, source=source
                    )
            if "keyword" in request.legs:
                keywords = self._keywords()
                warnings += keywords.warnings
                body = self._keyword_body(keywords, size=size, source=source)
                bodies["keyword"] = self._with_highlights(body) if content else body
            if fusion is not None:
                assert self.cluster is not None
                size = request.last if content else window
                bodies = {"fused": fusion.body(self.cluster, **bodies, size=size)}
        return self._with_values(bodies, alone=alone), warnings

    def likely_page(self, *, spare: int) -> dict[Leg, Json]:
        """The body that likely brings the page of a leg by itself, beside its window; if any.

        It spares the request that fetches the page, but for where the window has another one: of
        equal hits an engine takes any, and of a threshold that is none of its own it knows nothing.
        Without a sort it is looked for among fewer candidates, which find nearly always the same.

        Args:
            spare: hits beyond those asked for.
        """
        request = self.request
        several = request.fuses or request.reorders or request.by_moment or self._by_nested
        if self.counts_only or several or not self.fetches_page:
            return {}
        size = min(request.last + spare, self.settings.window)
        if not request.needs_vector:
            if request.sort is None:
                return {}  # words give many hits of the same score
            body = self._keyword_body(self._keywords(), size=size, source=request.source)
            return {page_of("keyword"): self.values.sorting(self._with_highlights(body))}
        if len(self.levels) > 1 or self.kind != "elasticsearch":
            return {}  # OpenSearch would look for the nearest twice at once, and read all documents
        ((name, level),) = self.levels.items()
        if request.sort is None:  # it is nearly always the right page, and each hit costs time
            all_of_them = self._candidates(level, k=self.settings.window)
            fewer = max(all_of_them // 2, _CANDIDATES * request.last)
            body = self._page_body(level, size=request.last)
            return {page_of(name): with_candidates(body, min(fewer, all_of_them))}
        if self._is_cut_by_engine:
            return {page_of(name): self.values.sorting(self._page_body(level, size=size))}
        expected = self.past.cut_of(request)
        if expected is None:
            return {}
        if expected.good <= size:  # the nearest are all that count
            return {page_of(name): self._page_body(level, size=size)}
        enough = ceil(expected.found * (request.last + _FEW) / expected.good)
        if enough <= size:
            return {page_of(name): self.values.sorting(self._page_body(level, size=enough))}
        return {}

    def _page_body(self, level: Level, *, size: int) -> Json:
        return self._vector_body(level, size=size, content=True, source=self.request.source)

    def fuse(self, legs: Mapping[Leg, Sequence[Scored]]) -> list[Scored]:
        """One ranking of the legs."""
        if self.checked.fusion is not None:
            return self.checked.fusion(legs)
        (order,) = legs.values()
        return list(order)

    def page(self, ids: Sequence[str]) -> dict[Leg, Json]:
        """The bodies that fill the final hits; the first one, ``documents`` where there are no
        moments to read, brings the documents."""
        request = self.request
        if request.by_moment or not request.needs_vector:
            documents = documents_query(field=self.index.field, ids=ids, source=request.source)
            return {"documents": self._with_highlights(documents)}
        bodies = self.moments(ids, source=request.source)
        first = next(iter(bodies))
        return bodies | {first: self._with_highlights(bringing_all(self.kind, bodies[first], ids))}

    def moments(
        self, ids: Sequence[str], *, source: bool | Sequence[str] = False
    ) -> dict[Leg, Json]:
        """The bodies that read cosines and moments of some videos.

        Args:
            ids: of the videos.
            source: what the first body brings of the documents.
        """
        chosen: list[Json] = [{"ids": {"values": list(ids)}}]
        bodies = {}
        for name, level in self.levels.items():
            bodies[name] = self._vector_body(
                level, size=len(ids), content=True, source=source, chosen=chosen
            )
            source = False
        return bodies

    @property
    def _is_cut_by_engine(self) -> bool:
        """Whether the engine finds nothing below the thresholds."""
        request = self.request
        return request.gap is None and (request.min_cosine is None or self.index.oversample is None)

    @property
    def _asks_without_duration(self) -> bool:
        """Whether videos without a duration have a query of their own, by a script."""
        return bool(self._lost_by_filters) and self.settings.rescore

    @property
    def _lost_by_filters(self) -> int:
        """How many videos without a duration the kNN clause of OpenSearch would not find."""
        filters, size = self.filter.without_segments, self.index.size
        found = (
            self.kind == "elasticsearch"
            or "segment" not in self.levels.values()
            or compares_every_segment(filters, self.filter.on_segments)
            or all(clause.keys() == {"ids"} for clause in filters)
        )
        return 0 if found or size is None else size.without_duration

    @property
    def _oversample(self) -> float | None:
        return self.index.oversample if self.settings.rescore else None

    def _vector_body(
        self,
        level: Level,
        *,
        size: int,
        content: bool,
        source: bool | Sequence[str],
        chosen: list[Json] | None = None,
    ) -> Json:
        request, index = self.request, self.index
        by_segment = level == "segment"
        filters = self.filter.without_segments if by_segment else self.filter.on_videos
        moments = segments_needed(request.moments, merge_gap=request.merge_gap) if content else 0
        # Of shortened vectors the engine would cut by the rough cosine.
        threshold = request.min_cosine if chosen is None and index.oversample is None else None
        # The same for every page, or else pages would not fit together.
        k = size if chosen is not None else self.settings.window
        oversample = self._oversample
        if oversample is not None and chosen is None and self.settings.num_candidates == "auto":
            oversample = auto_oversample(oversample, k=k)
        return vector_query(
            self.kind,
            field=index.field,
            vector=self.vector.values,
            level=level,
            k=k,
            size=size,
            num_candidates=self._candidates(level, k=k),
            moments=moments,
            segment_vectors=self.segment_vectors,
            source=source,
            oversample=oversample,
            filters=chosen or filters,
            segment_filters=self.filter.on_segments if by_segment else (),
            similarity=None if threshold is None else max(-1.0, threshold - _TOLERANCE),
            without_duration=self._asks_without_duration and chosen is None,
        )

    def _keyword_body(self, keywords: Keywords, *, size: int, source: bool | Sequence[str]) -> Json:
        return keyword_query(
            field=self.index.field,
            text=keywords.text,
            words=keywords.words,
            fields=keywords.fields,
            size=size,
            source=source,
            filters=self.filter.on_videos,
        )

    def _with_values(self, bodies: dict[Leg, Json], *, alone: bool) -> dict[Leg, Json]:
        """The bodies, and what brings the values or the counts of the facets and of the sort."""
        values, request = self.values, self.request
        if values.by_engine or not (alone and request.needs_vector and values.facets):
            made = {leg: values.added_to(body) for leg, body in bodies.items()}
            if values.by_engine and self.counts_only:
                return {leg: without_hits(body) for leg, body in made.items()}
            return made
        size = self.settings.window
        counts = {
            counts_of(name): values.added_to(
                self._vector_body(level, size=size, content=False, source=False)
            )
            for name, level in self.levels.items()
        }
        if len(counts) == 1:  # no video is in two of them
            counts = {name: without_ids(body) for name, body in counts.items()}
        return bodies | counts

    def _candidates(self, level: Level, *, k: int) -> int:
        if self.settings.num_candidates != "auto":
            return self.settings.num_candidates
        size = self.index.size
        return auto_candidates(size.vectors(level) if size else 0, level=level, k=k)

    def _keywords(self) -> Keywords:
        return Keywords.of(self.request.text or "", self.index, self.settings)

    def _with_highlights(self, body: Json) -> Json:
        request = self.request
        if "keyword" not in request.legs or not (request.highlight or request.explain):
            return body
        return self._keywords().highlighted_in(
            body, request, self.index.properties, tags=self.settings.highlight_tags
        )
