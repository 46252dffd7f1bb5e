"""The result of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vidsearch.json_values import to_json_value

__all__ = [
    "Explanation",
    "FacetCounts",
    "FacetValue",
    "GroupBy",
    "Hit",
    "LegShare",
    "Level",
    "Mode",
    "Moment",
    "SearchResult",
    "Total",
]

Mode = Literal["hybrid", "vector", "keyword"]
Level = Literal["segment", "video", "both"]
"""Which cosine a video has: of its best segment, of its mean vector, or the better of both."""
GroupBy = Literal["video", "moment"]
"""What a hit is: a video with its moments, or a single moment."""


@dataclass(frozen=True, slots=True, repr=False)
class Moment:
    """A part of a video, in seconds from its start."""

    start: float
    end: float
    cosine: float
    """Between the query and the segment's vector."""
    thumbnail: str | None = None
    """URI of a picture of it, where one was stored."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, which ``json.dumps`` takes."""
        plain: dict[str, Any] = to_json_value(self)
        return plain

    def __repr__(self) -> str:
        return f"Moment({self.start:g}-{self.end:g} s, cosine={self.cosine:.3f})"


@dataclass(frozen=True, slots=True)
class LegShare:
    """Rank and score of a hit in one leg, and what they add to its score."""

    rank: int | None
    """From 1; ``None`` where the leg lacks the video."""
    score: float | None
    """Cosine, or BM25."""
    contribution: float
    """What the fusion gives for this leg alone; with the built-in fusions the sum is the score.
    With ``z_score`` it is negative for a leg that lacks the video."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit has its rank."""

    legs: Mapping[str, LegShare]
    """By leg; empty where the engine fused, which does not return the legs."""
    matched_fields: tuple[str, ...] = ()
    """Fields in which words of the text were found."""

    def __str__(self) -> str:
        parts = [] if self.legs else ["fused by the engine"]
        for leg, share in self.legs.items():
            if share.rank is None or share.score is None:
                contribution = f" -> {share.contribution:.4f}" if share.contribution else ""
                parts.append(f"{leg}: not found{contribution}")
                continue
            name = "cosine" if leg == "vector" else "bm25"
            parts.append(
                f"{leg}: #{share.rank}, {name} {share.score:.3f} -> {share.contribution:.4f}"
            )
        if self.matched_fields:
            parts.append(f"words in {', '.join(self.matched_fields)}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, repr=False)
class Hit:
    """One video that was found; with ``group_by=moment`` one moment, and the video that it is of.

    Several hits may then have one id; the id and the start of the moment tell them apart.
    """

    id: str
    """Of the video."""
    score: float
    """What the hits are ordered by, but for ``sort``: the fused score (hybrid), the cosine or the
    BM25 score."""
    cosine: float | None
    """Raw cosine of the best segment, of the video, or of the one moment; ``None`` in mode
    ``keyword``, below a threshold, and where there are no vectors. A hit that only the words found
    has one, too."""
    bm25: float | None
    """Score of the keyword leg; ``None`` where that leg lacks the video, or the engine fused."""
    rank_per_leg: Mapping[str, int | None]
    """Rank from 1 in each leg that was asked, ``None`` where the leg lacks the video; empty where
    the engine fused, and may be where a ``sort`` orders them."""
    fields: Mapping[str, Any]
    """The document without its vectors and segments."""
    moments: tuple[Moment, ...] = ()
    """Best segments, neighbours merged, best first; empty where there is no cosine. With
    ``group_by=moment`` the one that is the hit."""
    highlights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Fragments by field, HTML with all but the tags escaped; of hits of the keyword leg."""
    explanation: Explanation | None = None
    """With ``explain`` only."""
    duplicates: tuple[str, ...] = ()
    """Ids that ``collapse`` folded into this hit, best first."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, which ``json.dumps`` takes."""
        plain: dict[str, Any] = to_json_value(self)
        return plain

    def __repr__(self) -> str:
        parts = [repr(self.id), f"score={self.score:.4f}"]
        if self.cosine is not None:
            parts.append(f"cosine={self.cosine:.3f}")
        parts += [f"{leg}=#{rank}" for leg, rank in self.rank_per_leg.items() if rank is not None]
        if self.moments:
            parts.append(f"{len(self.moments)} moments from {self.moments[0].start:g} s")
        return f"Hit({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Total:
    """How many hits there are within the relevance cut of a search."""

    value: int
    """Videos, or moments with ``group_by=moment``."""
    relation: Literal["eq", "gte"] = "eq"
    """``gte``: at least so many, as the window or the engine's count ends there."""
    reachable: int = 0
    """So many of them can be shown page by page: those within ``search.window``."""

    def __str__(self) -> str:
        return f"{self.value}" if self.relation == "eq" else f"at least {self.value}"


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a field, or one bucket of values."""

    value: str | int | float | bool
    """The value; of a bucket of numbers its lower bound, of dates ``2024``, ``2024-03``,
    ``2024-03-01`` or ``2024-03-01T14:00Z``."""
    count: int
    """Videos that have it; a video with several values counts once for each."""
    filter: Mapping[str, Any]
    """The condition that narrows a search to these videos, as ``filter`` takes it."""


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """How often the values of a field occur in the videos of the relevance cut."""

    field: str
    values: tuple[FacetValue, ...] = ()
    """In the order that the facet asks for."""
    other: int = 0
    """Sum of the counts of the values that are not listed."""
    missing: int = 0
    """Videos without a value."""


@dataclass(frozen=True, slots=True, repr=False)
class SearchResult:
    """The hits of one search, best first. Iterates over its hits."""

    hits: tuple[Hit, ...]
    mode: Mode
    level: Level
    index: str
    """The concrete index that answered."""
    took: float
    """Milliseconds from the call to the answer; embedding included, loading the model not."""
    warnings: tuple[str, ...] = field(default=())
    """What the user should know: a text that was cut off, no field to search."""
    total: Total = field(default_factory=lambda: Total(0))
    """How many hits there are within the relevance cut, on all pages together."""
    facets: Mapping[str, FacetCounts] = field(default_factory=dict)
    """The counts of each facet by the name of its field, in the order that was asked for."""
    group_by: GroupBy = "video"
    """What a hit is."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, which ``json.dumps`` takes."""
        plain: dict[str, Any] = to_json_value(self)
        return plain

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __repr__(self) -> str:
        warnings = f", warnings={list(self.warnings)}" if self.warnings else ""
        return (
            f"SearchResult({len(self.hits)} hits, {self.mode}, {self.level} level, "
            f"{self.took:.0f} ms{warnings})"
        )
