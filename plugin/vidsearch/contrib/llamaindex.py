"""A retriever of LlamaIndex: a node per moment. Needs the extra ``llamaindex``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch.contrib.passages import TEXT_FIELDS, Passage, PassageSearch
from vidsearch.errors import MissingExtraError
from vidsearch.search import AsyncVideoSearch, VideoSearch

try:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise MissingExtraError.of("llamaindex", needed_for="the retriever of LlamaIndex") from error

__all__ = ["VideoRetriever"]

_FOR_PROGRAMS = ("passage_id", "uri", "thumbnail")
"""Metadata that prompts do without: LlamaIndex writes all other into them, and a URI may be a path
of your machines."""


class VideoRetriever(BaseRetriever):
    """The best moments for a text, as nodes with the score of their video.

    The text of a node is that of ``text_fields``; its metadata is that of
    :class:`~vidsearch.contrib.passages.Passage`, so ``start`` and ``end`` are seconds.
    Errors are those of a search; see :meth:`vidsearch.search.VideoSearch.search`.

    The ``image_path`` of a ``QueryBundle`` (path or URL) is what is to be seen; its text is then
    looked for in the words only. Its ``embedding``, which is of another model, is not used.

    Args:
        videos: what to search with; by default made of the settings in force when first needed.
        async_videos: for ``aretrieve``; by default searches run in threads.
        k: maximum number of nodes.
        moments: maximum number of nodes per video.
        text_fields: fields of the video's document that make the text.
        search_options: further arguments of a search: ``filter``, ``mode``, ``min_cosine``, …
        callback_manager: of LlamaIndex.

    Raises:
        QueryError: an option that the retriever sets by itself.
    """

    def __init__(
        self,
        videos: VideoSearch | None = None,
        async_videos: AsyncVideoSearch | None = None,
        *,
        k: int = 10,
        moments: int = 3,
        text_fields: Sequence[str] = TEXT_FIELDS,
        search_options: Mapping[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._k = k
        self._search = PassageSearch(
            videos,
            async_videos,
            moments=moments,
            text_fields=text_fields,
            options=search_options,
        )
        super().__init__(callback_manager=callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(self._search.find(**self._asked(query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(await self._search.afind(**self._asked(query_bundle)))

    def _asked(self, query: QueryBundle) -> dict[str, Any]:
        if not query.image_path:
            return {"text": query.query_str, "k": self._k}
        text = query.query_str or None
        return {"text": text, "k": self._k, "options": {"image": query.image_path}}


def _nodes(passages: Sequence[Passage]) -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=TextNode(
                id_=one.id,
                text=one.text,
                metadata=one.metadata,
                excluded_llm_metadata_keys=[*_FOR_PROGRAMS],
                excluded_embed_metadata_keys=[*_FOR_PROGRAMS],
            ),
            score=one.score,
        )
        for one in passages
    ]
