"""Moments as texts with metadata, which is what the retrievers of frameworks return."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.config import load_settings
from vidsearch.errors import QueryError
from vidsearch.json_values import to_json_value
from vidsearch.once import Once
from vidsearch.search import AsyncVideoSearch, Hit, Moment, SearchResult, VideoSearch
from vidsearch.search.joined_filters import all_filters

__all__ = ["TEXT_FIELDS", "Passage", "PassageSearch", "passages_of"]

TEXT_FIELDS = ("title", "description")
_OWN = frozenset({"text", "k", "moments"})
"""Arguments of a search that a retriever sets by itself."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One moment of a video; or the whole video, where only its words were found."""

    id: str
    """Of the video, with the seconds of the moment: ``clip-42#t=12.0,20.0``."""
    text: str
    score: float
    """Of the video, the same for all its moments."""
    metadata: dict[str, Any]
    """Plain JSON values: ``video_id``, ``passage_id`` (``id``, for what looks at metadata only),
    ``uri``, ``start``, ``end`` (seconds), ``cosine``, ``score``, ``thumbnail``, and the document's
    own fields. ``start`` and ``end`` are ``None`` where the passage is a whole video."""


class PassageSearch:
    """Searches moments, for the retriever of a framework. Thread-safe.

    Args:
        videos: what to search with, or what makes it when first needed; ``None``: made of the
            settings in force then.
        async_videos: the same for an event loop; ``None``: searches run in threads.
        moments: maximum number of moments per video, at least 1.
        text_fields: fields of the documents that make the text, in this order.
        options: further arguments of :meth:`vidsearch.search.VideoSearch.search`.

    Raises:
        QueryError: an option that a retriever sets by itself, no moments, or a single text for
            ``text_fields``.
    """

    def __init__(
        self,
        videos: VideoSearch | Once[VideoSearch] | None = None,
        async_videos: AsyncVideoSearch | None = None,
        *,
        moments: int = 3,
        text_fields: Sequence[str] = TEXT_FIELDS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._options = _checked(options or {})
        if moments < 1:
            raise QueryError(
                f"a retriever needs at least 1 moment per video, not {moments}", argument="moments"
            )
        if isinstance(text_fields, str):
            raise QueryError(
                f"text_fields must be a list of names, such as [{text_fields!r}]",
                argument="text_fields",
            )
        if not isinstance(videos, Once):
            given = videos
            videos = Once(lambda: given or videos_of_settings())
        self._videos = videos
        self._async_videos = async_videos
        self._moments = moments
        self._text_fields = tuple(text_fields)

    def find(
        self, text: str | None, *, k: int, options: Mapping[str, Any] | None = None
    ) -> list[Passage]:
        """The ``k`` best passages: the moments of the best video, then those of the next one.

        Args:
            text: what is to be seen, or words of the videos' own fields; ``None`` where the options
                hold an image, a clip or the like.
            k: maximum number of passages.
            options: of this search; each takes the place of the retriever's option of that name,
                but for ``filter``: both hold.

        Raises:
            QueryError, ModelMismatchError, EncoderError, BackendError: as a search does.
        """
        result = self._videos().search(text, k=k, **self._arguments(options))
        return passages_of(result, text_fields=self._text_fields)[:k]

    async def afind(
        self, text: str | None, *, k: int, options: Mapping[str, Any] | None = None
    ) -> list[Passage]:
        """As :meth:`find`, for an event loop."""
        if self._async_videos is None:
            return await asyncio.to_thread(self.find, text, k=k, options=options)
        result = await self._async_videos.search(text, k=k, **self._arguments(options))
        return passages_of(result, text_fields=self._text_fields)[:k]

    def _arguments(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        own = _checked(options or {})
        if (filter := all_filters(self._options.get("filter"), own.get("filter"))) is not None:
            own["filter"] = filter
        return {**self._options, **own, "moments": self._moments}


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    if taken := sorted(_OWN & options.keys()):
        raise QueryError(
            f"the search option {taken[0]!r} is set by the retriever: give it to the "
            "retriever itself",
            argument=taken[0],
        )
    return dict(options)


def videos_of_settings() -> VideoSearch:
    """A search with the settings in force."""
    return VideoSearch.from_settings(load_settings())


def passages_of(result: SearchResult, *, text_fields: Sequence[str] = TEXT_FIELDS) -> list[Passage]:
    """The moments of all hits, those of the best hit first; a hit without moments is one passage.

    The text is that of ``text_fields``, a line each; where they are empty, it is the video's id.
    """
    return [passage for hit in result for passage in _of_hit(hit, text_fields)]


def _of_hit(hit: Hit, text_fields: Sequence[str]) -> Iterator[Passage]:
    video = _object_of(hit.fields)
    own = {name: value for name, value in hit.fields.items() if value is not video}
    text = "\n".join(filter(None, (_text(own.get(name)) for name in text_fields))) or hit.id
    for moment in hit.moments or (None,):
        id = f"{hit.id}#t={moment.start:.1f},{moment.end:.1f}" if moment else hit.id
        about = _about(hit, moment) | {"passage_id": id, "uri": video.get("uri")}
        yield Passage(
            id=id,
            text=text,
            score=hit.score,
            metadata=to_json_value({**own, **about}),
        )


def _about(hit: Hit, moment: Moment | None) -> dict[str, Any]:
    return {
        "video_id": hit.id,
        "start": moment.start if moment else None,
        "end": moment.end if moment else None,
        "cosine": moment.cosine if moment else hit.cosine,
        "score": hit.score,
        "thumbnail": moment.thumbnail if moment else None,
    }


def _object_of(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that vidsearch writes; its name is a setting, which a result does not tell."""
    for value in fields.values():
        if isinstance(value, Mapping) and {"uri", "fingerprint"} <= value.keys():
            return value
    return {}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(_text, value)))
    return value if isinstance(value, str) else ""
