"""A retriever of LangChain: a ``Document`` per moment. Needs the extra ``langchain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, PrivateAttr

from vidsearch.contrib.passages import TEXT_FIELDS, Passage, PassageSearch, videos_of_settings
from vidsearch.errors import MissingExtraError
from vidsearch.once import Once
from vidsearch.search import AsyncVideoSearch, VideoSearch

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise MissingExtraError.of("langchain", needed_for="the retriever of LangChain") from error

__all__ = ["VideoRetriever"]


class VideoRetriever(BaseRetriever):
    """The best moments for a text, as documents.

    ``page_content`` is the text of ``text_fields``; ``metadata`` is that of
    :class:`~vidsearch.contrib.passages.Passage`, so ``start`` and ``end`` are seconds.
    Errors are those of a search; see :meth:`vidsearch.search.VideoSearch.search`.

    ``invoke(text, k=3, mode="vector")`` overrides ``k`` and ``search_options`` for one call, option
    by option, but for ``filter``: that of the retriever and that of the call both hold. Pass no
    inputs of users through as they are.
    """

    k: int = 10
    """Maximum number of documents."""
    moments: int = 3
    """Maximum number of documents per video."""
    text_fields: Sequence[str] = TEXT_FIELDS
    """Fields of the video's document that make the text."""
    search_options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of a search: ``filter``, ``mode``, ``min_cosine``, …"""
    videos: VideoSearch | None = None
    """What to search with; by default made of the settings in force when first needed. Give it
    with ``configurable_fields``: LangChain makes a new retriever for each call then."""
    async_videos: AsyncVideoSearch | None = None
    """For ``ainvoke``; by default searches run in threads."""

    _opened: Once[VideoSearch] = PrivateAttr(default_factory=lambda: Once(videos_of_settings))
    """What is searched with without ``videos``; copies of the retriever share it."""

    def model_post_init(self, context: Any) -> None:
        """Check the options at once."""
        self._search()

    def _search(self) -> PassageSearch:
        """Made anew for each search: a field, the filter among them, may have been set since."""
        return PassageSearch(
            self.videos or self._opened,
            self.async_videos,
            moments=self.moments,
            text_fields=self.text_fields,
            options=self.search_options,
        )

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        **options: Any,
    ) -> list[Document]:
        k = self.k if k is None else k
        return _documents(self._search().find(query, k=k, options=options))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        **options: Any,
    ) -> list[Document]:
        k = self.k if k is None else k
        return _documents(await self._search().afind(query, k=k, options=options))


def _documents(passages: Sequence[Passage]) -> list[Document]:
    return [Document(id=one.id, page_content=one.text, metadata=one.metadata) for one in passages]
