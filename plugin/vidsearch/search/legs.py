"""From the engine's responses to the ranked videos of each leg, and to the hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.search.fusion import Fusion, Scored
from vidsearch.search.plan import Leg
from vidsearch.search.types import Hit, Moment
from vidsearch_mappings.queries import MOMENT_FIELDS, MOMENTS, moment_path
from vidsearch_mappings.scores import Similarity, cosine_from_score

__all__ = ["Found", "combine", "index_of", "read_leg", "shard_warning"]


@dataclass(frozen=True, slots=True)
class Found:
    """A video as one leg found it."""

    id: str
    score: float
    """Cosine in the vector leg, BM25 in the keyword leg."""
    fields: Mapping[str, Any]
    moments: tuple[Moment, ...] = ()


def read_leg(
    leg: Leg,
    response: Mapping[str, Any],
    *,
    field: str,
    similarity: Similarity,
    min_cosine: float | None = None,
) -> list[Found]:
    """The videos of a leg, best first; equal scores in the order of their ids.

    Args:
        field: the object that holds our data.
        similarity: how the engine scored the vectors.
        min_cosine: the vector leg leaves out videos and moments below it.
    """
    floor = -1.0 if min_cosine is None or leg == "keyword" else min_cosine
    found = []
    for hit in response["hits"]["hits"]:
        score = float(hit["_score"])
        moments: tuple[Moment, ...] = ()
        if leg == "vector":
            moments = _moments(hit, path=moment_path(field), similarity=similarity)
            # Inner hits are scored with the exact vectors, the hit itself by the quantised ones.
            score = (
                moments[0].cosine if moments else cosine_from_score(score, similarity=similarity)
            )
        if leg == "keyword" or score >= floor:
            kept = tuple(moment for moment in moments if moment.cosine >= floor)
            found.append(Found(hit["_id"], score, hit.get("_source", {}), kept))
    # Engines break ties by the order of writing, which no two indices share.
    return sorted(found, key=lambda one: (-one.score, one.id))


def combine(legs: Mapping[Leg, Sequence[Found]], *, fusion: Fusion) -> tuple[Hit, ...]:
    """All hits of the legs, best first. A single leg keeps its own scores and order."""
    scored = {leg: [Scored(one.id, one.score) for one in found] for leg, found in legs.items()}
    order = fusion(scored) if len(scored) > 1 else next(iter(scored.values()))
    ranks = {
        leg: {one.id: rank for rank, one in enumerate(found, 1)} for leg, found in legs.items()
    }
    by_id = {leg: {one.id: one for one in found} for leg, found in legs.items()}
    vector, keyword = by_id.get("vector", {}), by_id.get("keyword", {})
    return tuple(
        Hit(
            id=id,
            score=score,
            cosine=vector[id].score if id in vector else None,
            bm25=keyword[id].score if id in keyword else None,
            rank_per_leg={leg: ranked.get(id) for leg, ranked in ranks.items()},
            fields=(vector.get(id) or keyword[id]).fields,
            moments=vector[id].moments if id in vector else (),
        )
        for id, score in order
    )


def index_of(response: Mapping[str, Any]) -> str | None:
    """The concrete index that gave the first hit; ``None`` without hits."""
    hits = response["hits"]["hits"]
    return str(hits[0]["_index"]) if hits else None


def shard_warning(response: Mapping[str, Any]) -> str | None:
    """What to tell the user where the engine answered only in part."""
    shards = response.get("_shards", {})
    if shards.get("failed"):
        return f"{shards['failed']} of {shards['total']} shards failed: hits may be missing"
    if response.get("timed_out"):
        return "the engine ran out of time: hits may be missing"
    return None


def _moments(hit: Mapping[str, Any], *, path: str, similarity: Similarity) -> tuple[Moment, ...]:
    found = []
    for segment in hit.get("inner_hits", {}).get(MOMENTS, {"hits": {"hits": []}})["hits"]["hits"]:
        # Grouped under the nested object: {"video.segments": [{"start": [0.0], …}]}
        values = segment["fields"][path][0]
        start, end, thumbnail = (values.get(name, [None])[0] for name in MOMENT_FIELDS)
        cosine = cosine_from_score(float(segment["_score"]), similarity=similarity)
        found.append(Moment(float(start), float(end), cosine, thumbnail))
    return tuple(sorted(found, key=lambda moment: (-moment.cosine, moment.start)))
