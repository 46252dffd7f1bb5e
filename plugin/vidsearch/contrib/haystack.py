"""A component of Haystack: a ``Document`` per moment. Needs the extra ``haystack``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from vidsearch.contrib.passages import TEXT_FIELDS, Passage, PassageSearch
from vidsearch.errors import MissingExtraError
from vidsearch.search import AsyncVideoSearch, VideoSearch

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise MissingExtraError.of("haystack", needed_for="the component of Haystack") from error

__all__ = ["VideoRetriever"]


@component
class VideoRetriever:
    """The best moments for a text, as documents with the score of their video.

    The content of a document is the text of ``text_fields``; its ``meta`` is the metadata of
    :class:`~vidsearch.contrib.passages.Passage`, so ``start`` and ``end`` are seconds.
    Errors are those of a search; see :meth:`vidsearch.search.VideoSearch.search`.

    A saved pipeline holds no URL and no password: ``videos`` and ``async_videos`` are not saved,
    and a loaded component searches with the settings in force where it runs.

    Args:
        videos: what to search with; by default made of the settings in force when first needed.
        async_videos: for ``run_async``; by default searches run in threads.
        top_k: maximum number of documents.
        moments: maximum number of documents per video.
        text_fields: fields of the video's document that make the text.
        search_options: further arguments of a search, as plain JSON values: ``filter``, ``mode``,
            ``min_cosine``, … The filter is one of vidsearch, not one of Haystack.

    Raises:
        QueryError: an option that the component sets by itself.
    """

    def __init__(
        self,
        videos: VideoSearch | None = None,
        async_videos: AsyncVideoSearch | None = None,
        top_k: int = 10,
        moments: int = 3,
        text_fields: Sequence[str] = TEXT_FIELDS,
        search_options: dict[str, Any] | None = None,
    ) -> None:
        self._top_k = top_k
        # Copies, here and below: what is saved is what is searched with, whatever others change.
        options = copy.deepcopy(search_options)
        self._saved = {
            "top_k": top_k,
            "moments": moments,
            "text_fields": list(text_fields),
            "search_options": options,
        }
        self._search = PassageSearch(
            videos,
            async_videos,
            moments=moments,
            text_fields=text_fields,
            options=options,
        )

    def to_dict(self) -> dict[str, Any]:
        """What a saved pipeline holds of it."""
        saved: dict[str, Any] = default_to_dict(self, **copy.deepcopy(self._saved))
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> VideoRetriever:
        """The inverse of :meth:`to_dict`."""
        made: VideoRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, top_k: int | None = None, search_options: dict[str, Any] | None = None
    ) -> dict[str, list[Document]]:
        """Search.

        Args:
            query: what is to be seen, or words of the videos' own fields.
            top_k: overrides that of the component.
            search_options: each takes the place of the component's option of that name, but for
                ``filter``: both hold. Pass no inputs of users through as they are.

        Returns:
            ``documents``, best first.
        """
        k = self._top_k if top_k is None else top_k
        return _output(self._search.find(query, k=k, options=search_options))

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, top_k: int | None = None, search_options: dict[str, Any] | None = None
    ) -> dict[str, list[Document]]:
        """As :meth:`run`, for an event loop."""
        k = self._top_k if top_k is None else top_k
        return _output(await self._search.afind(query, k=k, options=search_options))


def _output(passages: Sequence[Passage]) -> dict[str, list[Document]]:
    return {
        "documents": [
            Document(id=one.id, content=one.text, meta=one.metadata, score=one.score)
            for one in passages
        ]
    }
