"""From the engine's answers to the hits of one search. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidsearch.engines import Json
from vidsearch.search.diversity import fields_to_compare, reorder
from vidsearch.search.fusion import Scored
from vidsearch.search.legs import (
    LegHit,
    above_threshold,
    best_of_levels,
    read_keyword_hits,
    read_vector_hits,
    threshold_of,
)
from vidsearch.search.moments import merge_moments
from vidsearch.search.plan import Plan
from vidsearch.search.request import Leg
from vidsearch.search.types import Explanation, Hit, LegShare
from vidsearch_mappings.queries import fields_query, vector_path

__all__ = ["Ranking"]

_ROUNDING = 1e-9
_TIES = 8
"""Videos of the same cosine (copies of one) that may lie at the end of a page of a vector search:
engines break ties by the order of writing, and vidsearch by the ids."""


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
        self._duplicates: dict[str, tuple[str, ...]] = {}
        self.warnings = list(plan.vector.warnings)
        """What the user should know."""

    def first_bodies(self) -> dict[str, Json]:
        """What finds the videos: see :meth:`~vidsearch.search.plan.Plan.bodies`."""
        bodies, warnings = self._plan.bodies(content=not self._plan.fetches_page, spare=_TIES)
        self.warnings += warnings
        return {leg: _scored_by_whole_index(leg, body) for leg, body in bodies.items()}

    def rank(self, answer: Mapping[str, Json]) -> None:
        """Put the videos in order."""
        request, plan = self._request, self._plan
        if plan.checked.engine_fusion is not None and plan.cluster is not None:
            response = answer["fused"]
            self._order = _scores(read_keyword_hits(response))
            shards = response["_shards"]["total"]
            warning = plan.checked.engine_fusion.warning(plan.cluster, shards=shards)
            self.warnings += [warning] if warning else []
            return
        if request.needs_vector:
            hits = self._vector_hits(answer)
            self._threshold = threshold_of(hits, min_cosine=request.min_cosine, gap=request.gap)
            self._legs["vector"] = above_threshold(hits, self._threshold)
        if "keyword" in answer:
            self._legs["keyword"] = read_keyword_hits(answer["keyword"])
        scores = {leg: _scores(hits) for leg, hits in self._legs.items()}
        self._order = plan.fuse(scores)

    def candidates(self) -> dict[str, Json]:
        """What reads of the candidates what ``collapse`` and ``diversity`` compare, if anything.

        Raises:
            QueryError: ``collapse`` names a field that has no values.
        """
        with self._plan.checked.errors_about("collapse"):
            fields = fields_to_compare(self._request, self._plan.index)
        ids = [id for id, _ in self._order[: self._window]]
        return {"candidates": fields_query(ids=ids, fields=fields)} if fields and ids else {}

    def reorder(self, answer: Mapping[str, Json]) -> None:
        """Collapse, and make the hits differ; as they are without an answer."""
        if not answer:
            return
        hits = answer["candidates"]["hits"]["hits"]
        values = {hit["_id"]: hit.get("fields", {}) for hit in hits}
        vector_field = vector_path(self._plan.index.field, level="video")
        candidates = self._order[: self._window]
        reordered = reorder(self._request, candidates, values, vector_field=vector_field)
        self._order, self._duplicates = reordered.kept, reordered.duplicates

    def page(self) -> dict[str, Json]:
        """What reads documents, cosines and moments of the page, unless they are there already."""
        ids = [id for id, _ in self._page]
        with self._plan.checked.errors_about("highlight"):
            return self._plan.page(ids) if ids and self._plan.fetches_page else {}

    def hits(self, answer: Mapping[str, Json]) -> tuple[Hit, ...]:
        """The hits of the page; without the videos that were deleted meanwhile."""
        vector_hits = _by_id(self._legs.get("vector", ()))
        if answer:
            documents = _by_id(read_keyword_hits(answer["documents"]))
            if self._request.needs_vector:
                vector_hits |= _by_id(
                    above_threshold(self._vector_hits(answer, chosen=True), self._threshold)
                )
        else:
            documents = vector_hits
        request, legs = self._request, self._legs
        ranks = {leg: {hit.id: at for at, hit in enumerate(hits, 1)} for leg, hits in legs.items()}
        keyword_hits = _by_id(legs.get("keyword", ()))
        explanations = self._explanations(ranks) if request.explain else {}
        hits = []
        for id, score in self._page:
            if id not in documents:
                continue
            by_vector = vector_hits.get(id)
            highlights = documents[id].highlights if id in keyword_hits or not keyword_hits else {}
            explanation = None
            if request.explain:
                explanation = Explanation(explanations[id], tuple(sorted(highlights)))
                highlights = _requested(highlights, request.highlight)
            hits.append(
                Hit(
                    id=id,
                    score=score,
                    cosine=by_vector.score if by_vector else None,
                    bm25=keyword_hits[id].score if id in keyword_hits else None,
                    rank_per_leg={leg: ranked.get(id) for leg, ranked in ranks.items()},
                    fields=documents[id].fields,
                    moments=merge_moments(
                        by_vector.moments if by_vector else (),
                        merge_gap=request.merge_gap,
                        limit=request.moments,
                    ),
                    highlights=highlights,
                    explanation=explanation,
                    duplicates=self._duplicates.get(id, ()),
                )
            )
        return tuple(hits)

    @property
    def _page(self) -> list[Scored]:
        return self._order[self._request.from_ : self._request.last]

    def _vector_hits(self, answer: Mapping[str, Json], *, chosen: bool = False) -> list[LegHit]:
        plan = self._plan
        levels = [
            read_vector_hits(
                answer[name],
                field=plan.index.field,
                similarity=plan.similarity(level, chosen=chosen),
                vector=plan.vector.values if plan.segment_vectors else None,
            )
            for name, level in plan.levels.items()
        ]
        return levels[0] if len(levels) == 1 else best_of_levels(levels)

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


def _scores(hits: Sequence[LegHit]) -> list[Scored]:
    return [Scored(hit.id, hit.score) for hit in hits]


def _by_id(hits: Sequence[LegHit]) -> dict[str, LegHit]:
    return {hit.id: hit for hit in hits}


def _scored_by_whole_index(leg: Leg, body: Json) -> Json:
    """The body, with words scored by the whole index.

    By itself each shard counts how rare a word is among its own documents, and the engines deal
    ids out to shards differently: BM25 would depend on the neighbours of a document. Of an index
    with one shard the engines ask nothing more. OpenSearch's hybrid query cannot do it.
    """
    if leg.startswith("vector") or "retriever" in body or "hybrid" in body.get("query", {}):
        return body
    return {**body, "search_type": "dfs_query_then_fetch"}
