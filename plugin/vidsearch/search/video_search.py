"""Text in, videos and their best moments out."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines.base import Engine, Json
from vidsearch.search.core import SearchCore
from vidsearch.search.once import Once
from vidsearch.search.request import Leg, SearchOptions
from vidsearch.search.types import SearchResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["VideoSearch"]


class VideoSearch:
    """Searches the videos of one index. Thread-safe; never writes.

    How a search goes is told at :class:`~vidsearch.search.core.SearchCore`;
    :class:`~vidsearch.search.AsyncVideoSearch` is its twin for an event loop.

    Args:
        engine: the cluster.
        encoder: of the model whose vectors the index holds.
        index: alias or name of the videos index.
        settings: candidates, window, fields of the keyword leg.
    """

    def __init__(
        self,
        engine: Engine,
        encoder: Encoder,
        *,
        index: str = "videos",
        settings: SearchSettings | None = None,
    ) -> None:
        self._engine = Once(lambda: engine)
        self._core = SearchCore(
            index, encoder=lambda: encoder, settings=settings or SearchSettings()
        )
        self._owns_engine = False

    @classmethod
    def from_settings(cls, settings: Settings, *, client: Any = None) -> VideoSearch:
        """Connects, and loads the model, when first needed; a keyword search loads no model.

        Args:
            settings: the sections ``engine``, ``model``, ``index``, ``search``; ``ingest.fps``.
            client: an Elasticsearch or OpenSearch client to use instead of a new one.
        """

        def connect() -> Engine:
            from vidsearch import engines

            return engines.connect(settings.engine, client=client)

        made = cls.__new__(cls)
        made._engine = Once(connect)
        made._core = SearchCore.from_settings(settings)
        made._owns_engine = True
        return made

    def search(self, text: str | None = None, **options: Unpack[SearchOptions]) -> SearchResult:
        """The ``k`` best videos for a text, or for something alike.

        Args:
            text: what is to be seen, or words of the videos' own fields. Beside one of the next
                four it is looked for in the words only.
            image: path or URL, bytes of a file, PIL image, or ``(height, width, 3)`` uint8 RGB.
            clip: path or URL; embedded as an ingested video is, its first ten minutes.
            like: id of a video of the index, which is itself left out.
            at: with ``like``: seconds into it; like the moment there, not like the whole video.
            vector: as many floats as the vectors of the index have.
            k: number of hits, from 1 to the setting ``search.window``; default 10.
            from_: hits to pass over first, for the next page; with ``k`` within ``search.window``.
            mode: ``vector`` compares with what is seen, ``keyword`` with the words; ``hybrid``
                fuses both; default: hybrid where there is a text, else vector.
            level: ``segment`` (default) scores a video by its best moment, ``video`` as a whole,
                ``both`` by the better of the two.
            filter: conditions on the videos, in both legs; see
                :func:`~vidsearch.search.filters.build_filters`.
            min_cosine: the vector leg leaves out videos and moments below it.
            gap: the vector leg leaves out what is so much below the best cosine.
            moments: most moments per hit, 0 to 100; default 3.
            merge_gap: seconds that may lie between segments of one moment; default 0, ``None``
                merges none; see :func:`~vidsearch.search.moments.merge_moments`.
            source: fields of the documents to bring; ``True`` (default) all, ``False`` none.
            highlight: bring fragments in which words were found, of all fields of the keyword leg
                or of these.
            explain: tell why each hit stands where it stands.
            fusion: how ``hybrid`` fuses: ``rrf``, ``linear``, ``sum``, ``native`` or ``native_rrf``
                with the weights, constant and window of the settings, or an object or function of
                :mod:`vidsearch.search.fusion` or :mod:`vidsearch.search.native`; default: the
                setting ``search.fusion``.
            collapse: a cosine above which videos are near-duplicates, or a field: of several hits
                that are the same in it, the best stays and names the others as ``duplicates``.
            diversity: from 0 to 1, how much hits should differ from those before them.

        Raises:
            QueryError: the call is wrong; the message says how.
            IndexNotFoundError: no such index.
            ModelMismatchError: the index holds vectors of another model.
            EncoderError: the model cannot be loaded, or failed.
            BackendError: the engine failed or refused.
        """
        asked = self._core.ask(text, **options)
        engine = self._engine()
        return engine.run(self._core.search(asked, engine.calls))

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text: ``(dims,)`` float32.

        Raises:
            QueryError: the text is empty.
            EncoderError: the model cannot be loaded, or failed.
        """
        return self._core.embed(text)

    def body(self, text: str | None = None, **options: Unpack[SearchOptions]) -> dict[Leg, Json]:
        """The request bodies by leg, vectors included, to send them oneself.

        Each goes to ``POST /<index>/_search`` and is complete in itself: it brings back documents
        and moments, which :meth:`search` in hybrid mode reads for its final hits only. Arguments
        and errors are those of :meth:`search`.
        """
        asked = self._core.ask(text, **options)
        engine = self._engine()
        return engine.run(self._core.bodies(asked, engine.calls))

    def close(self) -> None:
        """Close what :meth:`from_settings` opened; an engine that was handed in stays open."""
        if self._owns_engine and self._engine.is_built:
            self._engine().close()

    def __enter__(self) -> VideoSearch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoSearch(index={self._core.alias!r})"
