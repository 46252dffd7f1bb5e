"""From the engine's answers to the hits of one search. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vidsearch.engines import Json
from vidsearch.search.diversity import Compared, compared_fields, reorder
from vidsearch.search.fusion import Scored
from vidsearch.search.keywords import scored_by_whole_index
from vidsearch.search.legs import (
    LegHit,
    above_threshold,
    best_of_levels,
    ids_of,
    nearest_first,
    read_keyword_hits,
    read_vector_hits,
    threshold_of,
    without_unscored,
)
from vidsearch.search.moment_hits import legs_of_moments, video_id
from vidsearch.search.moments import merge_moments
from vidsearch.search.past_searches import CutSize
from vidsearch.search.plan import Plan, counts_of, page_of
from vidsearch.search.request import Leg
from vidsearch.search.types import Explanation, FacetCounts, Hit, LegShare, Total
from vidsearch.search.values import VideoValues
from vidsearch_mappings.queries import fields_query

__all__ = ["Ranking"]

_ROUNDING = 1e-9
_TIES = 8
"""Equal videos (copies of one) that may lie at the end of a page: engines break ties by the order
of writing, and vidsearch by the ids."""


class Ranking:
    """The videos of one search, from the bodies that find them to the hits of the page.

    Each method that takes an answer takes that of the bodies before it, by the same names.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._request = plan.request
        self._window = plan.settings.window
        self._legs: dict[Leg, list[LegHit]] = {}
        """The ranked videos of each leg; none where the engine fuses."""
        self._threshold: float | None = None
        """The least cosine that counts."""
        self._order: list[Scored] = []
        """The candidates, and after :meth:`reorder` the hits within the relevance cut; by the ids
        of videos, or of moments where those are the hits."""
        self._sizes: dict[str, int] = {}
        """How many hits each body asks for."""
        self._values: VideoValues = {}
        """What the candidates are sorted and counted by."""
        self._is_whole = True
        """Whether nothing counts beyond the candidates."""
        self._total: Total | None = None
        self._facets: dict[str, FacetCounts] | None = None
        """Both where more is counted than the candidates."""
        self._page_hits: dict[str, LegHit] = {}
        """What the engine has taken for the page, documents and moments included, by id."""
        self._needs_window = False
        """Whether the page by words was read alone and may lack hits equal to its last one."""
        self._compared = Compared()
        self._duplicates: dict[str, tuple[str, ...]] = {}
        self.warnings = list(plan.vector.warnings)
        """What the user should know."""

    def first_bodies(self) -> dict[str, Json]:
        """What finds the videos: see :meth:`~vidsearch.search.plan.Plan.bodies`."""
        plan = self._plan
        content = not (plan.fetches_page or plan.counts_only)
        bodies, warnings = plan.bodies(content=content, spare=_TIES)
        self.warnings += warnings
        bodies |= plan.likely_page(spare=_TIES)
        self._sizes = {leg: body["size"] for leg, body in bodies.items()}
        if self._counts_nearest:
            bodies["vector"] = {**bodies["vector"], "track_total_hits": True}
        return {leg: scored_by_whole_index(leg, body) for leg, body in bodies.items()}

    def rank(self, answer: Mapping[str, Json]) -> None:
        """Put the videos in order."""
        request, plan = self._request, self._plan
        self._values = plan.values.read(answer)
        if plan.checked.engine_fusion is not None and plan.cluster is not None:
            response = answer["fused"]
            self._order = _scores(read_keyword_hits(response))
            self._is_whole = len(self._order) < self._sizes["fused"]
            shards = response["_shards"]["total"]
            warning = plan.checked.engine_fusion.warning(plan.cluster, shards=shards)
            self.warnings += [warning] if warning else []
            return
        if plan.counts_only and plan.values.by_engine:
            (counted,) = answer.values()
            self._facets = self._counted(counted)
            return
        if request.needs_vector:
            levels = self._levels(answer)
            hits = _of_all_levels(levels)
            least = threshold_of(hits, min_cosine=request.min_cosine, gap=request.gap)
            self._threshold = least
            self._legs["vector"] = good = above_threshold(hits, least)
            self._is_whole = self._holds_all(levels)
            if least is not None and plan.fetches_page:
                plan.past.remember_cut(request, CutSize(len(good), len(hits)))
        if "keyword" in answer:
            self._legs["keyword"] = read_keyword_hits(answer["keyword"])
            self._is_whole &= len(self._legs["keyword"]) < self._sizes["keyword"]
            if plan.values.sorts_by_engine:
                self._learn_of_ties(answer["keyword"])
        scores = {leg: _scores(hits) for leg, hits in self._legs.items()}
        self._order = plan.fuse(scores)
        self._is_whole &= len(self._order) <= self._window
        self._read_counts(answer)
        self._read_page(answer)

    def _read_counts(self, answer: Mapping[str, Json]) -> None:
        """Take over what was counted beyond the candidates."""
        if any(counts_of(name) in answer for name in self._plan.levels):
            found = self._levels({name: answer[counts_of(name)] for name in self._plan.levels})
            levels = {counts_of(name): hits for name, hits in found.items()}
            counted = above_threshold(_of_all_levels(levels), self._threshold)
            videos = [hit.id for hit in counted[: self._window]]
            is_whole = self._holds_all(levels) and len(counted) <= self._window
            self._total = self._total_of(len(videos), is_whole=is_whole)
            self._facets = self._plan.values.counts(videos, self._values)
        elif self._plan.values.by_engine:
            self._facets = self._counted(answer.get("keyword") or answer["vector"])
            if self._request.needs_vector:
                self._total = self._total_of_nearest(answer["vector"])
            else:
                total = answer["keyword"]["hits"]["total"]
                self._total = self._total_of(total["value"], is_whole=total["relation"] == "eq")
        elif self._counts_nearest:
            self._total = self._total_of_nearest(answer["vector"])

    def _counted(self, response: Json) -> dict[str, FacetCounts]:
        with self._plan.checked.errors_about("facets"):
            return self._plan.values.counted(response)

    def _read_page(self, answer: Mapping[str, Json]) -> None:
        """Take over the page that came beside the window, where it was asked for."""
        if page_of("vector") in answer:
            found = self._vector_hits({"vector": answer[page_of("vector")]})
            self._page_hits = _by_id(above_threshold(found, self._threshold, again=True))
        elif page_of("keyword") in answer:
            self._page_hits = _by_id(read_keyword_hits(answer[page_of("keyword")]))

    def _learn_of_ties(self, response: Json) -> None:
        """Look whether the hits equal to the last one of the page go on behind the spare ones."""
        plan, ids, last = self._plan, ids_of(response), self._request.last
        read, total = min(last + _TIES, self._window), response["hits"]["total"]
        every_match = total["relation"] == "eq" and total["value"] <= len(ids)
        if read == self._window or len(ids) < read or (every_match and len(ids) == read):
            return  # nothing lies behind them
        tied = self._values[ids[last - 1]] == self._values[ids[read - 1]]
        plan.past.remember_tie(self._request, tied)
        self._needs_window = tied and plan.reads_sorted_page

    def candidates(self) -> dict[str, Json]:
        """What reads of the candidates what ``collapse`` and ``diversity`` compare, and their
        moments where those are the hits; or the window of a page that ends in a tie; if anything.

        Raises:
            QueryError: ``collapse`` names a field that has no values.
        """
        with self._plan.checked.errors_about("collapse"):
            self._compared = compared_fields(self._request, self._plan.index)
        ids = [id for id, _ in self._order[: self._window]]
        if not ids:
            return {}
        if self._needs_window:
            plan = self._plan  # what it counts is counted already
            without = replace(plan, values=replace(plan.values, facets=()))
            window, _ = without.bodies(content=False)
            return {leg: scored_by_whole_index(leg, body) for leg, body in window.items()}
        fields = self._compared.names
        bodies = {"candidates": fields_query(ids=ids, fields=fields)} if fields else {}
        return bodies | (self._plan.moments(ids) if self._request.by_moment else {})

    def reorder(self, answer: Mapping[str, Json]) -> None:
        """Collapse, make the hits differ, make moments the hits, sort: as far as it is asked."""
        if self._needs_window:
            self._page_hits = _by_id(self._legs["keyword"])
            self._values = self._plan.values.read(answer)
            self._legs["keyword"] = read_keyword_hits(answer["keyword"])
            self._order = _scores(self._legs["keyword"])
        self._order = self._order[: self._window]
        if "candidates" in answer:
            hits = answer["candidates"]["hits"]["hits"]
            values = {hit["_id"]: hit.get("fields", {}) for hit in hits}
            kind, compared = self._plan.kind, self._compared
            reordered = reorder(self._request, self._order, values, kind=kind, compared=compared)
            self._order, self._duplicates = reordered.kept, reordered.duplicates
        if self._request.by_moment and self._order:
            found = self._vector_hits(answer, chosen=True)
            found = above_threshold(found, self._threshold, again=True)
            videos = [id for id, _ in self._order]
            self._legs = legs_of_moments(self._request, self._legs, videos, _by_id(found))
            order = self._plan.fuse({leg: _scores(hits) for leg, hits in self._legs.items()})
            longest = max(len(order), *map(len, self._legs.values()))
            self._is_whole &= longest <= self._window
            self._order = order[: self._window]
        videos = self._videos_of(self._order)
        self._order = self._plan.values.ordered(self._order, self._values, videos)

    @property
    def total(self) -> Total:
        """How many hits there are within the relevance cut."""
        return self._total or self._total_of(len(self._order), is_whole=self._is_whole)

    def facets(self) -> dict[str, FacetCounts]:
        """The counts of each facet over the videos within the relevance cut."""
        if self._facets is not None:
            return self._facets
        videos = dict.fromkeys(self._videos_of(self._order))
        return self._plan.values.counts(videos, self._values)

    def page(self) -> dict[str, Json]:
        """What reads documents, cosines and moments of the page, unless they are there already."""
        if self._plan.counts_only or not (self._plan.fetches_page or self._needs_window):
            return {}
        ids = list(dict.fromkeys(self._videos_of(self._page)))
        if self._page_hits.keys() >= {*ids}:
            return {}
        with self._plan.checked.errors_about("highlight"):
            return self._plan.page(ids)

    def hits(self, answer: Mapping[str, Json]) -> tuple[Hit, ...]:
        """The hits of the page; without the videos that were deleted meanwhile."""
        vector_hits = _by_id(self._legs.get("vector", ()))
        if answer:
            response = answer.get("documents") or answer["vector"]
            documents = _by_id(read_keyword_hits(response))
            if "documents" not in answer:
                scored = {**answer, "vector": without_unscored(response)}
                found = self._vector_hits(scored, chosen=True)
                vector_hits |= _by_id(above_threshold(found, self._threshold, again=True))
        else:
            if self._request.needs_vector:
                vector_hits |= self._page_hits
            documents = self._page_hits or vector_hits or _by_id(self._legs.get("keyword", ()))
        if self._is_of_window_alone:
            self._correct_page(vector_hits)
        request, legs = self._request, self._legs
        ranks = {leg: {hit.id: at for at, hit in enumerate(hits, 1)} for leg, hits in legs.items()}
        if self._plan.values.sorts_by_engine and not request.explain:
            ranks = {}  # known only where the window was read, and that depends on ties
        keyword_hits = _by_id(legs.get("keyword", ()))
        explanations = self._explanations(ranks) if request.explain else {}
        hits = []
        page = [] if self._plan.counts_only else self._page
        for (id, score), video in zip(page, self._videos_of(page), strict=True):
            if video not in documents:
                continue
            document, by_vector = documents[video], vector_hits.get(id)
            highlights = document.highlights if id in keyword_hits or not keyword_hits else {}
            explanation = None
            if request.explain:
                explanation = Explanation(explanations[id], tuple(sorted(highlights)))
                highlights = _requested(highlights, request.highlight)
            hits.append(
                Hit(
                    id=video,
                    score=score,
                    cosine=by_vector.score if by_vector else None,
                    bm25=keyword_hits[id].score if id in keyword_hits else None,
                    rank_per_leg={leg: ranked.get(id) for leg, ranked in ranks.items()},
                    fields=document.fields,
                    moments=merge_moments(
                        by_vector.moments if by_vector else (),
                        merge_gap=request.merge_gap,
                        limit=request.moments,
                    ),
                    highlights=highlights,
                    explanation=explanation,
                    duplicates=self._duplicates.get(video, ()),
                )
            )
        return tuple(hits)

    @property
    def _is_of_window_alone(self) -> bool:
        """Whether the page is a part of the window of the vector leg, as that was ranked."""
        request = self._request
        others = request.fuses or request.reorders or request.by_moment or request.sort is not None
        return self._plan.fetches_page and request.needs_vector and not others

    def _correct_page(self, found: Mapping[str, LegHit]) -> None:
        """Put the page in the order of the cosines that came with it.

        Of shortened vectors, those of the window are now and then of another segment than the best.
        A page that is read without its window has the order of its own cosines, too.
        """
        page = slice(self._request.from_, self._request.last)
        ranked = nearest_first([found[id] for id, _ in self._order[page]])
        self._legs["vector"][page] = ranked
        self._order[page] = _scores(ranked)

    @property
    def _page(self) -> list[Scored]:
        return self._order[self._request.from_ : self._request.last]

    @property
    def _counts_nearest(self) -> bool:
        """Whether only the page is read, and the engine says how many nearest videos it has."""
        request, plan = self._request, self._plan
        thresholds = request.min_cosine is not None or request.gap is not None
        is_page = not (plan.fetches_page or request.reorders or request.facets)
        return request.needs_vector and is_page and not thresholds and len(plan.levels) == 1

    def _holds_all(self, levels: Mapping[str, Sequence[LegHit]]) -> bool:
        """Whether nothing good lies beyond these hits of the vector leg."""
        least = self._threshold
        return all(
            len(found) < self._sizes[name] or (least is not None and found[-1].score < least)
            for name, found in levels.items()
        )

    def _total_of_nearest(self, response: Json) -> Total:
        # Of several shards, some engines count the nearest of each.
        number = min(response["hits"]["total"]["value"], self._window)
        return self._total_of(number, is_whole=number < self._window)

    def _total_of(self, value: int, *, is_whole: bool) -> Total:
        return Total(value, "eq" if is_whole else "gte", min(value, self._window))

    def _videos_of(self, hits: Sequence[Scored]) -> list[str]:
        ids = [hit.id for hit in hits]
        return [*map(video_id, ids)] if self._request.by_moment else ids

    def _vector_hits(self, answer: Mapping[str, Json], *, chosen: bool = False) -> list[LegHit]:
        return _of_all_levels(self._levels(answer, chosen=chosen))

    def _levels(
        self, answer: Mapping[str, Json], *, chosen: bool = False
    ) -> dict[str, list[LegHit]]:
        """The hits in the answer to each body of the vector leg."""
        plan = self._plan
        return {
            name: read_vector_hits(
                answer[name],
                field=plan.index.field,
                similarity=plan.similarity(level, chosen=chosen),
                vector=plan.vector.values if plan.segment_vectors else None,
            )
            for name, level in plan.levels.items()
        }

    def _explanations(
        self, ranks: Mapping[Leg, Mapping[str, int]]
    ) -> dict[str, dict[Leg, LegShare]]:
        """What each leg says of the hits of the page, by their ids."""
        scores = {leg: dict(_scores(hits)) for leg, hits in self._legs.items()}
        # What each video would score if the other legs had found nothing.
        alone = {
            leg: dict(self._plan.fuse({**{name: [] for name in scores}, leg: _scores(hits)}))
            for leg, hits in self._legs.items()
        }
        explanations = {}
        for id, score in self._page:
            known = {leg: shares[id] for leg, shares in alone.items() if id in shares}
            # What is left is what the video lost by not being found in the other leg.
            rest = score - sum(known.values())
            rest = rest if abs(rest) > _ROUNDING else 0.0
            explanations[id] = {
                leg: LegShare(ranks[leg].get(id), scores[leg].get(id), known.get(leg, rest))
                for leg in self._legs
            }
        return explanations


def _requested(
    highlights: Mapping[str, tuple[str, ...]], highlight: bool | Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    """Without the highlights that were read for the explanation only."""
    if isinstance(highlight, bool):
        return highlights if highlight else {}
    return {name: parts for name, parts in highlights.items() if name in highlight}


def _of_all_levels(levels: Mapping[str, list[LegHit]]) -> list[LegHit]:
    first, *others = levels.values()
    return best_of_levels([first, *others]) if others else first


def _scores(hits: Sequence[LegHit]) -> list[Scored]:
    return [Scored(hit.id, hit.score) for hit in hits]


def _by_id(hits: Sequence[LegHit]) -> dict[str, LegHit]:
    return {hit.id: hit for hit in hits}
