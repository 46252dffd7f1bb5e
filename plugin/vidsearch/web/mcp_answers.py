"""What the tools of the MCP server give; a client gets the schema of it with the tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from vidsearch.config import Settings
from vidsearch.search import Hit, Moment, SearchResult, Total
from vidsearch.web.public import stored_duration

__all__ = ["MomentsFound", "VideosFound"]

_DIGITS = 4
"""Of a score or a cosine; more only cost a model's attention."""


class FoundMoment(BaseModel):
    """A part of a video."""

    start: float = Field(description="Seconds from the start of the video.")
    end: float = Field(description="Seconds from the start of the video.")
    cosine: float = Field(description="How well it fits, from -1 to 1.")

    @classmethod
    def of(cls, moment: Moment) -> FoundMoment:
        """A moment of a hit."""
        return cls(start=moment.start, end=moment.end, cosine=round(moment.cosine, _DIGITS))


class FoundVideo(BaseModel):
    """A video, and its moments that fit best."""

    id: str
    score: float = Field(description="What the videos are ordered by, unless a sort is given.")
    cosine: float | None = Field(
        description="How well its best moment fits, from -1 to 1; null where only words were "
        "compared, and below `min_cosine`."
    )
    duration: float | None = Field(description="Seconds.")
    fields: dict[str, Any] = Field(description="What is known of it: title, tags and so on.")
    moments: list[FoundMoment] = Field(description="Best first.")

    @classmethod
    def of(cls, hit: Hit, fields: Mapping[str, Any], settings: Settings) -> FoundVideo:
        """A hit, with those of its fields that clients may see."""
        own = settings.index.field
        return cls(
            id=hit.id,
            score=round(hit.score, _DIGITS),
            cosine=None if hit.cosine is None else round(hit.cosine, _DIGITS),
            duration=stored_duration(fields, settings),
            fields={name: value for name, value in fields.items() if name != own},
            moments=[*map(FoundMoment.of, hit.moments)],
        )


class VideosFound(BaseModel):
    """The videos that a search found, best first."""

    videos: list[FoundVideo]
    total: Total = Field(
        description="How many there are on all pages: `value`, at least so many where `relation` "
        "is `gte`; `reachable` of them can be asked for by `skip`."
    )
    warnings: list[str] = Field(description="What should be known of the search.")

    @classmethod
    def of(cls, result: SearchResult, shown: Mapping[str, Any], settings: Settings) -> VideosFound:
        """A result, and the same as clients may see it."""
        videos = [
            FoundVideo.of(hit, plain["fields"], settings)
            for hit, plain in zip(result.hits, shown["hits"], strict=True)
        ]
        return cls(videos=videos, total=result.total, warnings=shown["warnings"])


class MomentsFound(BaseModel):
    """The moments of one video, best first."""

    id: str = Field(description="Of the video.")
    moments: list[FoundMoment]

    @classmethod
    def of(cls, hit: Hit) -> MomentsFound:
        """Those of a hit."""
        return cls(id=hit.id, moments=[*map(FoundMoment.of, hit.moments)])
