"""What a search gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vidsearch_mappings.queries import Level

__all__ = ["Hit", "Level", "Mode", "Moment", "SearchResult"]

Mode = Literal["hybrid", "vector", "keyword"]


@dataclass(frozen=True, slots=True, repr=False)
class Moment:
    """A part of a video, in seconds from its start."""

    start: float
    end: float
    cosine: float
    """Between the query and the segment's vector."""
    thumbnail: str | None = None
    """URI of a picture of it, where one was stored."""

    def __repr__(self) -> str:
        return f"Moment({self.start:g}-{self.end:g} s, cosine={self.cosine:.3f})"


@dataclass(frozen=True, slots=True, repr=False)
class Hit:
    """One video that was found."""

    id: str
    score: float
    """What the hits are ordered by: the fused score (hybrid), the cosine or the BM25 score."""
    cosine: float | None
    """Raw cosine of the best segment or of the video; ``None`` where the vector leg lacks it."""
    bm25: float | None
    """Score of the keyword leg; ``None`` where that leg lacks the video."""
    rank_per_leg: Mapping[str, int | None]
    """Rank from 1 in each leg that was asked; ``None`` where the leg lacks the video."""
    fields: Mapping[str, Any]
    """The document without our vectors and segments."""
    moments: tuple[Moment, ...] = ()
    """Best segments, best first; empty where the vector leg lacks the video."""
    duplicates: tuple[str, ...] = ()
    """Ids that ``collapse`` folded into this hit, best first."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        parts = [repr(self.id), f"score={self.score:.4f}"]
        if self.cosine is not None:
            parts.append(f"cosine={self.cosine:.3f}")
        parts += [f"{leg}=#{rank}" for leg, rank in self.rank_per_leg.items() if rank is not None]
        if self.moments:
            parts.append(f"{len(self.moments)} moments from {self.moments[0].start:g} s")
        return f"Hit({', '.join(parts)})"


@dataclass(frozen=True, slots=True, repr=False)
class SearchResult:
    """The hits of one search, best first. Iterates over its hits."""

    hits: tuple[Hit, ...]
    mode: Mode
    level: Level
    index: str
    """The concrete index that answered."""
    took: float
    """Milliseconds from the call to the answer, embedding included."""
    warnings: tuple[str, ...] = field(default=())
    """What the caller should tell its user: text that was cut off, no field to look in."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __repr__(self) -> str:
        said = f", warnings={list(self.warnings)}" if self.warnings else ""
        return (
            f"SearchResult({len(self.hits)} hits, {self.mode}, {self.level} level, "
            f"{self.took:.0f} ms{said})"
        )
