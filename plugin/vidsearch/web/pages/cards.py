"""Hits as cards: what the template of a result shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from vidsearch.config import Settings
from vidsearch.search import Hit, Moment
from vidsearch.search.timecode import seconds_text, timecode
from vidsearch.web.media import thumbnail_path
from vidsearch.web.pages.query import LONGEST_LABEL, PageQuery
from vidsearch.web.public import stored_duration

__all__ = ["CARD_FIELDS", "Card", "card_of", "video_url"]

_TRACK = 1000.0
"""Width of the strip, in its own units."""
_NARROWEST = 12.0
"""Of a moment on the strip, so that one second of an hour can be seen."""
_STEPS = 5
_TITLES = ("title", "name", "headline")
_TEXTS = ("description", "summary", "caption", "text")
CARD_FIELDS = (*_TITLES, *_TEXTS)
"""Fields of documents that cards show."""
_LONGEST = 240
"""Characters of a text on a card."""


@dataclass(frozen=True, slots=True)
class MomentView:
    """A moment that can be played."""

    start: str
    """Seconds, for scripts."""
    time: str
    span: str
    cosine: str
    play: str
    thumbnail: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A moment on the strip."""

    x: str
    width: str
    step: int
    """How near its cosine is to the best one, from 1 to 5."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A near-duplicate that was folded away."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """One video that was found."""

    id: str
    title: str
    text: str
    play: str
    source: str
    """URL of the file."""
    start: str
    thumbnail: str | None
    best: MomentView | None
    moments: tuple[MomentView, ...]
    """In the order of time."""
    track: tuple[Part, ...]
    cosine: str | None
    by_words: str
    length: str
    like: str
    like_moment: str | None
    twins: tuple[Twin, ...]


def video_url(root: str, id: str, *, start: float | None = None) -> str:
    """The URL of a video's file, which players begin at a second."""
    url = f"{root}/video/{quote(id, safe='')}"
    return url if start is None else f"{url}#t={seconds_text(start)}"


def card_of(
    hit: Hit, *, fields: Mapping[str, Any], query: PageQuery, root: str, settings: Settings
) -> Card:
    """The card of a hit.

    Args:
        hit: of the search.
        fields: of its document, as far as clients may see them.
        query: the search.
        root: where the app is mounted.
        settings: of index and thumbnails.
    """
    moments = [_moment_view(hit.id, moment, root, settings) for moment in hit.moments]
    best = moments[0] if moments else None
    duration = _duration(hit, stored_duration(fields, settings))
    start = hit.moments[0].start if hit.moments else None
    title = _first_text(fields, _TITLES)
    like = partial(_like, query, root, hit.id, title=title)
    return Card(
        id=hit.id,
        title=title or hit.id,
        text=_shortened(_first_text(fields, _TEXTS)),
        play=video_url(root, hit.id, start=start),
        source=video_url(root, hit.id),
        start="0" if start is None else seconds_text(start),
        thumbnail=best.thumbnail if best else None,
        best=best,
        moments=tuple(
            view for _, view in sorted(zip(hit.moments, moments, strict=True), key=_by_time)
        ),
        track=_track(hit.moments, duration),
        cosine=None if hit.cosine is None else f"{hit.cosine:.3f}",
        by_words="found by its words" if hit.cosine is None and hit.bm25 is not None else "",
        length="" if duration is None else timecode(duration),
        like=like(),
        like_moment=None if start is None else like(at=start),
        twins=tuple(Twin(id, _like(query, root, id)) for id in hit.duplicates),
    )


def _by_time(pair: tuple[Moment, MomentView]) -> float:
    return pair[0].start


def _moment_view(id: str, moment: Moment, root: str, settings: Settings) -> MomentView:
    path = thumbnail_path(settings, moment.thumbnail)
    return MomentView(
        start=seconds_text(moment.start),
        time=timecode(moment.start),
        span=f"{timecode(moment.start)}–{timecode(moment.end)}",
        cosine=f"{moment.cosine:.2f}",
        play=video_url(root, id, start=moment.start),
        thumbnail=f"{root}{path}" if path else None,
    )


def _like(query: PageQuery, root: str, id: str, *, at: float | None = None, title: str = "") -> str:
    """Videos like this one: the text is left out, as it would be looked for in words."""
    mode = "" if query.by_words else query.mode
    pic = title[:LONGEST_LABEL]
    return query.url(root, q="", like=id, at=at, v="", pic=pic, mode=mode)


def _duration(hit: Hit, stored: float | None) -> float | None:
    if stored is not None and stored > 0:
        return stored
    return max((moment.end for moment in hit.moments), default=None)


def _track(moments: tuple[Moment, ...], duration: float | None) -> tuple[Part, ...]:
    """Where the moments lie, the best one on top."""
    if not moments or not duration:
        return ()
    cosines = [moment.cosine for moment in moments]
    least, spread = min(cosines), max(cosines) - min(cosines)
    parts = []
    for moment in reversed(moments):
        share = (moment.cosine - least) / spread if spread else 1.0
        width = max(_TRACK * (moment.end - moment.start) / duration, _NARROWEST)
        x = max(min(_TRACK * moment.start / duration, _TRACK - width), 0.0)
        parts.append(Part(f"{x:.1f}", f"{min(width, _TRACK):.1f}", 1 + round(share * (_STEPS - 1))))
    return tuple(parts)


def _first_text(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
