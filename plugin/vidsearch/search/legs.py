"""From the engine's responses to the ranked videos of each leg, and to the hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vidsearch.search.fusion import Scored
from vidsearch.search.moments import merge_moments
from vidsearch.search.request import Leg
from vidsearch.search.types import Hit, Moment
from vidsearch_mappings.queries import MOMENT_FIELDS, MOMENTS, moment_path
from vidsearch_mappings.scores import Similarity, cosine_from_score

__all__ = [
    "Found",
    "assemble",
    "better_of",
    "cut",
    "floor_of",
    "index_of",
    "read_near",
    "read_words",
]


_ROUNDING = 1e-6
"""Cosines closer than that are the same; engines differ by up to 2e-7 in those of two vectors."""


class Found(NamedTuple):
    """A video in one response; a tuple, as a search makes hundreds of them."""

    id: str
    score: float
    """Cosine where the response is about vectors, else the engine's score."""
    fields: Mapping[str, Any]
    moments: tuple[Moment, ...]
    """Segments that were found, best first, not merged yet."""
    highlights: Mapping[str, tuple[str, ...]]


def read_words(response: Mapping[str, Any]) -> list[Found]:
    """The videos of a response about words, best first; equal scores in the order of their ids."""
    return _ranked(
        [
            Found(
                hit["_id"],
                float(hit["_score"]),
                hit.get("_source", {}),
                (),
                {name: tuple(parts) for name, parts in hit.get("highlight", {}).items()},
            )
            for hit in response["hits"]["hits"]
        ]
    )


def read_near(
    response: Mapping[str, Any],
    *,
    field: str,
    similarity: Similarity,
) -> list[Found]:
    """The videos of a response about vectors, best first; equal cosines in the order of their ids.

    Args:
        field: the object that holds our data.
        similarity: how the engine scored.
    """
    found = []
    path = moment_path(field)
    for hit in response["hits"]["hits"]:
        moments = _moments(hit, path=path, similarity=similarity)
        # A walk through the graph may pass over a video's best segment; the inner hits never do.
        scored = cosine_from_score(float(hit["_score"]), similarity=similarity)
        cosine = max(scored, moments[0].cosine) if moments else scored
        found.append(Found(hit["_id"], cosine, hit.get("_source", {}), moments, {}))
    return _ranked(_settled(found))


def better_of(responses: Sequence[Sequence[Found]]) -> list[Found]:
    """One ranking of several: each video by its best cosine, with all its moments.

    Of the ``k`` best in each, the ``k`` best of the union are right: what is missing from a ranking
    is beaten by ``k`` videos of it.
    """
    best: dict[str, Found] = {}
    for one in (one for found in responses for one in found):
        known = best.get(one.id)
        if known is not None:
            fields, moments = known.fields or one.fields, known.moments or one.moments
            score = max(known.score, one.score)
            one = known._replace(score=score, fields=fields, moments=moments)
        best[one.id] = one
    return _ranked(_settled(list(best.values())))


def floor_of(
    found: Sequence[Found], *, min_cosine: float | None, gap: float | None
) -> float | None:
    """The least cosine that counts: ``min_cosine``, and at most ``gap`` below the best."""
    floors = [] if min_cosine is None else [min_cosine]
    if gap is not None and found:
        floors.append(found[0].score - gap)
    return max(floors, default=None)


def cut(found: Sequence[Found], floor: float | None) -> list[Found]:
    """Without the videos and the moments below the floor."""
    if floor is None:
        return list(found)
    return [
        one._replace(moments=tuple(m for m in one.moments if m.cosine >= floor))
        for one in found
        if one.score >= floor
    ]


def assemble(
    order: Sequence[Scored],
    legs: Mapping[Leg, Sequence[Found]],
    *,
    near: Sequence[Found],
    documents: Sequence[Found],
    duplicates: Mapping[str, tuple[str, ...]] | None = None,
    merge_gap: float | None = None,
    moments: int = 3,
) -> tuple[Hit, ...]:
    """The hits in the given order.

    Args:
        order: ids with the score they are ordered by.
        legs: the ranked videos of each leg that was asked.
        near: where cosines and moments come from; a later mention of a video goes first.
        documents: where the fields come from; a video that is not there was deleted meanwhile and
            is left out.
        duplicates: what was folded into a hit, by its id.
        merge_gap: see :func:`~vidsearch.search.moments.merge_moments`.
        moments: most of them per hit.
    """
    ranks = {leg: {one.id: at for at, one in enumerate(found, 1)} for leg, found in legs.items()}
    words, seen, stored = _by_id(legs.get("keyword", ())), _by_id(near), _by_id(documents)
    return tuple(
        Hit(
            id=id,
            score=score,
            cosine=seen[id].score if id in seen else None,
            bm25=words[id].score if id in words else None,
            rank_per_leg={leg: ranked.get(id) for leg, ranked in ranks.items()},
            fields=stored[id].fields,
            moments=(
                merge_moments(seen[id].moments, merge_gap=merge_gap, limit=moments)
                if id in seen
                else ()
            ),
            highlights=stored[id].highlights if id in words or not words else {},
            duplicates=(duplicates or {}).get(id, ()),
        )
        for id, score in order
        if id in stored
    )


def index_of(response: Mapping[str, Any]) -> str | None:
    """The concrete index that gave the first hit; ``None`` without hits."""
    hits = response["hits"]["hits"]
    return str(hits[0]["_index"]) if hits else None


def _by_id(found: Sequence[Found]) -> dict[str, Found]:
    return {one.id: one for one in found}


def _settled(found: list[Found]) -> list[Found]:
    """With one cosine for all that differ by rounding only.

    The same two vectors have cosines that differ in the last bits, by engine and even by how many
    documents are compared at once; without this, copies of a video stand in any order.
    """
    settled: list[Found] = []
    for one in sorted(found, key=lambda one: -one.score):
        # Against the first of them, so that many small steps do not become one.
        same = bool(settled) and settled[-1].score - one.score < _ROUNDING
        settled.append(one._replace(score=settled[-1].score) if same else one)
    return settled


def _ranked(found: list[Found]) -> list[Found]:
    # Engines break ties by the order of writing, which no two indices share.
    return sorted(found, key=lambda one: (-one.score, one.id))


def _moments(hit: Mapping[str, Any], *, path: str, similarity: Similarity) -> tuple[Moment, ...]:
    if MOMENTS not in hit.get("inner_hits", {}):
        return ()
    found = []
    for segment in hit["inner_hits"][MOMENTS]["hits"]["hits"]:
        values = _segment_fields(segment["fields"], path)
        start, end, thumbnail = (values.get(name, [None])[0] for name in MOMENT_FIELDS)
        cosine = cosine_from_score(float(segment["_score"]), similarity=similarity)
        found.append(Moment(float(start), float(end), cosine, thumbnail))
    return tuple(sorted(found, key=lambda moment: (-moment.cosine, moment.start)))


def _segment_fields(fields: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    # Elasticsearch groups them, {"video.segments": [{"start": [0.0]}]}; OpenSearch does not,
    # {"video.segments.start": [0.0]}.
    grouped = fields.get(path)
    if grouped is not None:
        values: Mapping[str, Any] = grouped[0]
        return values
    return {name.removeprefix(f"{path}."): value for name, value in fields.items()}
