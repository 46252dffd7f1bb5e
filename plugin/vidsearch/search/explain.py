"""Why a hit stands where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vidsearch.search.fusion import Scored
from vidsearch.search.legs import Found
from vidsearch.search.request import Leg
from vidsearch.search.types import Explanation, Hit, LegShare

__all__ = ["explained"]

_ROUNDING = 1e-9


def explained(
    hits: Sequence[Hit],
    legs: Mapping[Leg, Sequence[Found]],
    *,
    fusion: Any,
    highlight: bool | Sequence[str] = False,
) -> tuple[Hit, ...]:
    """The hits with their explanation.

    Args:
        hits: as they are shown; their highlights tell in which fields words were found.
        legs: the ranked videos of each leg; none where the engine fused them.
        fusion: what fused them.
        highlight: what highlights the caller asked for; all others are taken off.
    """
    shares = {leg: _shares(leg, legs, fusion) for leg in legs}
    ranks = {leg: {one.id: at for at, one in enumerate(found, 1)} for leg, found in legs.items()}
    scores = {leg: {one.id: one.score for one in found} for leg, found in legs.items()}
    made = []
    for hit in hits:
        known = {leg: shares[leg][hit.id] for leg in legs if hit.id in shares[leg]}
        # What is left is what the video lost by not being found in the other leg.
        left = hit.score - sum(known.values())
        of_legs = {
            leg: LegShare(
                rank=ranks[leg].get(hit.id),
                score=scores[leg].get(hit.id),
                contribution=known.get(leg, left if abs(left) > _ROUNDING else 0.0),
            )
            for leg in legs
        }
        explanation = Explanation(of_legs, tuple(sorted(hit.highlights)))
        made.append(
            replace(hit, explanation=explanation, highlights=_wanted(hit.highlights, highlight))
        )
    return tuple(made)


def _shares(leg: Leg, legs: Mapping[Leg, Sequence[Found]], fusion: Any) -> dict[str, float]:
    """What each video of a leg would score if the other legs had found nothing."""
    if len(legs) == 1:
        return {one.id: one.score for one in legs[leg]}
    alone = {
        name: [Scored(one.id, one.score) for one in found] if name == leg else []
        for name, found in legs.items()
    }
    return {hit.id: hit.score for hit in fusion(alone)}


def _wanted(
    highlights: Mapping[str, tuple[str, ...]], highlight: bool | Sequence[str]
) -> Mapping[str, tuple[str, ...]]:
    if isinstance(highlight, bool):
        return highlights if highlight else {}
    return {name: parts for name, parts in highlights.items() if name in highlight}
