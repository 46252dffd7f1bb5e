"""Text in, videos and their best moments out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines import Engine, Json
from vidsearch.once import Once
from vidsearch.search.core import SearchCore
from vidsearch.search.facets import Facet
from vidsearch.search.filters import Filter
from vidsearch.search.models import pool_of
from vidsearch.search.native import AnyFusion
from vidsearch.search.request import Leg, SearchRequest, require_text
from vidsearch.search.signature import refuses_unknown, same_arguments_as, same_options_as
from vidsearch.search.types import GroupBy, Level, Mode, SearchResult

if TYPE_CHECKING:
    from vidsearch.encoders.pool import EncoderPool
    from vidsearch.index.description import IndexDescription

__all__ = ["VideoSearch"]


class VideoSearch:
    """Searches the videos of one index. Thread-safe; never writes.

    How a search works is described at :class:`~vidsearch.search.core.SearchCore`;
    :class:`~vidsearch.search.AsyncVideoSearch` is the same for an event loop.

    Args:
        engine: the cluster.
        encoder: of the model whose vectors the index holds; an
            :class:`~vidsearch.encoders.EncoderPool` where that may change.
        index: alias or name of the videos index.
        settings: candidates, window, fields of the keyword leg.
    """

    def __init__(
        self,
        engine: Engine,
        encoder: Encoder | EncoderPool,
        *,
        index: str = "videos",
        settings: SearchSettings | None = None,
    ) -> None:
        self._engine = Once(lambda: engine)
        self._core = SearchCore(
            index, encoders=pool_of(encoder), settings=settings or SearchSettings()
        )
        self._owns_engine = False

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        client: Any = None,
        engine: Engine | None = None,
        encoder: Encoder | EncoderPool | None = None,
    ) -> VideoSearch:
        """Connects, and loads the model, when first needed; a keyword search loads no model.

        Args:
            settings: the sections ``engine``, ``model``, ``index``, ``search``; ``ingest.fps``.
            client: an Elasticsearch or OpenSearch client to use instead of a new one.
            engine: an engine to use instead, which stays open.
            encoder: an encoder or pool to use instead of what the settings name.
        """

        def connect() -> Engine:
            from vidsearch import engines

            return engine or engines.connect(settings.engine, client=client)

        made = cls.__new__(cls)
        made._engine = Once(connect)
        made._core = SearchCore.from_settings(settings, encoder=encoder)
        made._owns_engine = engine is None
        return made

    @refuses_unknown
    def search(
        self,
        text: str | SearchRequest | None = None,
        *,
        image: Any = None,
        clip: Any = None,
        like: str | None = None,
        vector: Sequence[float] | NDArray[Any] | None = None,
        at: float | None = None,
        k: int = 10,
        from_: int = 0,
        mode: Mode | None = None,
        level: Level = "segment",
        filter: Filter | None = None,
        min_cosine: float | None = None,
        gap: float | None = None,
        moments: int = 3,
        merge_gap: float | None = 0.0,
        source: bool | Sequence[str] = True,
        highlight: bool | Sequence[str] = False,
        explain: bool = False,
        fusion: AnyFusion | None = None,
        collapse: str | float | None = None,
        diversity: float | None = None,
        group_by: GroupBy = "video",
        sort: str | None = None,
        facets: Sequence[Facet | str] = (),
    ) -> SearchResult:
        """The ``k`` best videos for a text, or for something alike.

        A :class:`~vidsearch.search.SearchRequest` in place of the text holds all the arguments.

        Args:
            text: what is to be seen, or words of the videos' own fields. Beside one of the next
                four it is looked for in the words only.
            image: path or URL, bytes of a file, PIL image, or ``(height, width, 3)`` uint8 RGB.
            clip: path or URL; embedded as an ingested video is, its first ten minutes.
            like: id of a video of the index, which is itself left out.
            vector: as many floats as the vectors of the index have.
            at: with ``like``: seconds into it; like the segment there, not the whole video.
            k: number of hits, from 1 to the setting ``search.window``.
            from_: hits to pass over first, for the next page; with ``k`` within ``search.window``.
            mode: ``vector`` compares with what is seen, ``keyword`` with the words, ``hybrid``
                fuses both; default: hybrid where there is a text, else vector.
            level: ``segment`` scores a video by its best segment, ``video`` as a whole, ``both`` by
                the better of the two.
            filter: conditions on the videos, in both legs; see
                :func:`~vidsearch.search.filters.build_filters`.
            min_cosine: the vector leg leaves out videos and moments below it.
            gap: the vector leg leaves out what is so much below the best cosine.
            moments: maximum number of moments per hit.
            merge_gap: seconds that may lie between segments of one moment; ``None`` merges none;
                see :func:`~vidsearch.search.moments.merge_moments`.
            source: fields of the documents to bring; ``True`` all, ``False`` none.
            highlight: bring fragments in which words were found, of all fields of the keyword leg
                or of these.
            explain: explain the rank of each hit.
            fusion: how ``hybrid`` fuses: ``rrf``, ``linear``, ``sum``, ``native`` or ``native_rrf``
                with the weights, constant and window of the settings, or an object or function of
                :mod:`vidsearch.search.fusion` or :mod:`vidsearch.search.native`; default: the
                setting ``search.fusion``.
            collapse: A cosine above which videos are near-duplicates, or a field: of several hits
                that are the same in it, the best stays and names the others as ``duplicates``.
            diversity: how much hits should differ from those before them.
            group_by: ``video``: a hit is a video with its moments; ``moment``: a hit is one moment,
                at most ``moments`` of a video, and ``k`` and ``from_`` count moments.
            sort: order the hits within the relevance cut by a field, as in ``-recorded``, the
                newest first; what lacks it is last.
            facets: fields whose values are counted over the videos within the relevance cut: names,
                or :class:`~vidsearch.search.Facet` objects.

        Raises:
            QueryError: an argument is wrong; the message says how, ``argument`` names it.
            IndexNotFoundError: no such index.
            ModelMismatchError: the index holds vectors of another model.
            EncoderError: the model cannot be loaded, or failed.
            BackendError: the engine failed or refused.
        """
        # Each of them is a field of the request; a test holds the two to each other.
        options = {name: value for name, value in locals().items() if name not in {"self", "text"}}
        request = self._core.request(text, options)
        engine = self._engine()
        return engine.run(self._core.search(request, engine.calls))

    @same_options_as(search)
    def search_many(
        self, texts: Sequence[str | SearchRequest], **options: Any
    ) -> list[SearchResult]:
        """The results of several searches, in the order of the texts.

        The same hits as one search after the other, of one batch for the model and one ``_msearch``
        for all legs (and one for the pages of hybrid searches). Some hundred texts at a time are a
        good number: all answers are held in memory.

        Args:
            texts: as in :meth:`search`.
            **options: those of :meth:`search`, for every text; a request brings its own.

        Raises:
            QueryError: as in :meth:`search`; of a text or a request the message says which one is
                wrong (``texts[3]``), of an option of all it does not.
        """
        requests = self._core.requests(texts, options)
        if not requests:
            return []
        engine = self._engine()
        return engine.run(self._core.search_many(requests, engine.calls))

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text, of the model of the index: ``(dims,)`` float32.

        Which model that is, is asked anew every ten seconds; :meth:`body` gives a vector with the
        rest of the query. Where there is no index, or the engine was away ever since, the vector is
        of the configured model.

        Raises:
            QueryError: the text is empty.
            ModelMismatchError: the index holds vectors of another model.
            EncoderError: the model cannot be loaded, or failed.
            BackendError: the engine failed or refused.
        """
        asked = require_text(text)
        engine = self._engine()
        return engine.run(self._core.embed(asked, engine.calls))

    def embed_image(
        self, image: Any, *, index: IndexDescription | None = None
    ) -> NDArray[np.float32]:
        """The unit vector of an image, of the model of the index: ``(dims,)`` float32.

        As ``vector`` of a search it finds what the image itself would.

        Args:
            image: path or URL, bytes of a file, PIL image, or ``(height, width, 3)`` uint8 RGB.
            index: the one whose model makes the vector, as :meth:`describe_index` gave it; ``None``
                asks for it. So it is known which model that was.

        Raises:
            QueryError: it cannot be read as an image.
            IndexNotFoundError: no such index.
            ModelMismatchError: the index holds vectors of another model.
            EncoderError: the model cannot be loaded, or failed.
            BackendError: the engine failed or refused.
        """
        engine = self._engine()
        return engine.run(self._core.embed_image(image, engine.calls, index))

    def describe_index(self) -> IndexDescription:
        """The index behind the alias: its model, its fields. At most ten seconds old.

        Raises:
            IndexNotFoundError: no such index.
            BackendError: the engine failed or refused.
        """
        engine = self._engine()
        return engine.run(self._core.index.describe(engine.calls))

    @same_arguments_as(search)
    def body(self, text: str | SearchRequest | None = None, **options: Any) -> dict[Leg, Json]:
        """The request bodies by leg, vectors included, to send them oneself.

        Each goes to ``POST /<index>/_search`` and is complete in itself: it brings back documents
        and moments, which :meth:`search` in hybrid mode reads for its final hits only. Arguments
        and errors are those of :meth:`search`.
        """
        request = self._core.request(text, options)
        engine = self._engine()
        return engine.run(self._core.bodies(request, engine.calls))

    def close(self) -> None:
        """Close what :meth:`from_settings` opened; an engine that was handed in stays open."""
        if self._owns_engine and self._engine.is_built:
            self._engine().close()

    def __enter__(self) -> VideoSearch:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoSearch(index={self._core.alias!r})"
