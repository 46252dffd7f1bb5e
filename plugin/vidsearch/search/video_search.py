"""Text in, videos and their best moments out."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines.base import Engine, Json
from vidsearch.errors import MappingConflict, QueryError
from vidsearch.search.filters import Filter
from vidsearch.search.fusion import Fusion, Scored, rrf
from vidsearch.search.legs import Found, assemble, index_of, read_near, read_words
from vidsearch.search.live_index import IndexMoved, IndexView, LiveIndex
from vidsearch.search.once import Once
from vidsearch.search.plan import Asked, Leg, Plan, ask, require_text
from vidsearch.search.types import Hit, Level, Mode, SearchResult

__all__ = ["VideoSearch"]


class VideoSearch:
    """Searches the videos of one index. Thread-safe; never writes.

    A hybrid search is one ``_msearch`` of a vector leg and a keyword leg that brings back ids and
    scores only, fused here: right on every licence and the same on both engines. A second one
    reads documents, cosines and moments of the final hits, those that only the keyword leg found
    included. Reading every document of both windows in the first would cost several times as much,
    as older engines must parse all vectors of a document to leave them out.

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
        self._set_up(lambda: engine, lambda: encoder, index=index, settings=settings)

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

        def load() -> Encoder:
            from vidsearch import encoders

            return encoders.load_encoder(settings.model, settings.ingest)

        made = cls.__new__(cls)
        made._set_up(connect, load, index=settings.index.name, settings=settings.search)
        made._owns_engine = True
        return made

    def _set_up(
        self,
        engine: Callable[[], Engine],
        encoder: Callable[[], Encoder],
        *,
        index: str,
        settings: SearchSettings | None,
    ) -> None:
        self._engine = Once(engine)
        self._encoder = Once(encoder)
        self._alias = index
        self._settings = settings or SearchSettings()
        self._index = LiveIndex(self._engine, index)
        self._owns_engine = False

    def search(
        self,
        text: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        level: Level = "segment",
        filter: Filter | None = None,
        min_cosine: float | None = None,
        moments: int = 3,
        fusion: Fusion | None = None,
    ) -> SearchResult:
        """The ``k`` best videos for a text.

        Args:
            text: what is to be seen, or words of the videos' own fields.
            k: number of hits, from 1 to the setting ``search.window``.
            mode: ``vector`` compares with what is seen, ``keyword`` with the words; ``hybrid``
                fuses both.
            level: ``segment`` scores a video by its best moment, ``video`` as a whole.
            filter: conditions on the videos, in both legs; see
                :func:`~vidsearch.search.filters.build_filters`.
            min_cosine: the vector leg leaves out videos and moments below it.
            moments: most moments per hit, 0 to 100.
            fusion: how ``hybrid`` fuses; default: :func:`~vidsearch.search.fusion.rrf` with the
                settings' constant and window.

        Raises:
            QueryError: the call is wrong; the message says how.
            IndexMissing: no such index.
            ModelMismatch: the index holds vectors of another model.
            EncoderError: the model cannot be loaded, or failed.
            BackendError: the engine failed or refused.
        """
        started = time.perf_counter()
        asked = ask(
            text,
            k=k,
            mode=mode,
            level=level,
            filter=filter,
            min_cosine=min_cosine,
            moments=moments,
            window=self._settings.window,
        )
        fusion = fusion or partial(
            rrf, constant=self._settings.rank_constant, window=self._settings.window
        )

        vector = Once(lambda: self.embed(asked.text).tolist())

        def run(view: IndexView) -> tuple[tuple[Hit, ...], str, list[str]]:
            hits, said = self._answer(self._plan(asked, view, vector), fusion)
            return hits, view.name, said

        hits, name, said = self._index.run(run)
        took = 1000 * (time.perf_counter() - started)
        return SearchResult(hits, mode, level, name, took, (*self._truncation(asked), *said))

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text: ``(dims,)`` float32.

        Raises:
            QueryError: the text is empty.
            EncoderError: the model cannot be loaded, or failed.
        """
        vector: NDArray[np.float32] = self._encoder().encode_text([require_text(text)])[0]
        return vector

    def body(
        self,
        text: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        level: Level = "segment",
        filter: Filter | None = None,
        moments: int = 3,
    ) -> dict[Leg, Json]:
        """The request bodies by leg, vectors included, to send them oneself.

        Each goes to ``POST /<index>/_search`` and is complete in itself: it brings back documents
        and moments, which :meth:`search` in hybrid mode reads for its final hits only. Arguments
        and errors are those of :meth:`search`.
        """
        asked = ask(
            text,
            k=k,
            mode=mode,
            level=level,
            filter=filter,
            min_cosine=None,
            moments=moments,
            window=self._settings.window,
        )
        vector = Once(lambda: self.embed(asked.text).tolist())
        return self._index.run(lambda view: self._plan(asked, view, vector).legs()[0])

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
        return f"VideoSearch(index={self._alias!r})"

    def _plan(self, asked: Asked, view: IndexView, vector: Once[list[float]]) -> Plan:
        kind = self._engine().kind
        if not asked.needs_vector:
            return Plan(asked, kind, view, (), self._settings)
        self._encoder().identity.require(view.identity, where=f"index {view.name!r}")
        return Plan(asked, kind, view, vector(), self._settings)

    def _answer(self, plan: Plan, fusion: Fusion) -> tuple[tuple[Hit, ...], list[str]]:
        asked, view = plan.asked, plan.view
        bodies, said = plan.legs(content=not asked.fuses)
        responses = self._send(asked, view, bodies)
        legs: dict[Leg, list[Found]] = {}
        if "vector" in responses:
            near = partial(
                read_near,
                field=view.field,
                similarity=view.similarity(asked.level),
                min_cosine=asked.min_cosine,
            )
            legs["vector"] = near(responses["vector"])
        if "keyword" in responses:
            legs["keyword"] = read_words(responses["keyword"])
        if not asked.fuses:
            (found,) = legs.values()
            order = [Scored(one.id, one.score) for one in found[: asked.k]]
            return assemble(order, legs, near=legs.get("vector", []), documents=found), said

        scored = {leg: [Scored(one.id, one.score) for one in legs[leg]] for leg in legs}
        order = fusion(scored)[: asked.k]
        if not order:
            return (), said
        # The concrete index: the ids are its own, whatever the alias does meanwhile.
        moments, documents = self._engine().msearch(view.name, plan.page([hit.id for hit in order]))
        seen = [*legs["vector"], *near(moments)]
        return assemble(order, legs, near=seen, documents=read_words(documents)), said

    def _send(self, asked: Asked, view: IndexView, bodies: dict[Leg, Json]) -> dict[Leg, Json]:
        try:
            responses = self._engine().msearch(self._alias, list(bodies.values()))
        except MappingConflict as error:
            if not asked.filter:
                raise
            raise QueryError(f"the engine refused the query, see its filter: {error}") from error
        # Every hit names its index. Without a hit there is nothing to tell by, so it is asked.
        seen = {name for response in responses if (name := index_of(response))}
        if (seen or {self._index.view(fresh=True).name}) != {view.name}:
            raise IndexMoved
        return dict(zip(bodies, responses, strict=True))

    def _truncation(self, asked: Asked) -> list[str]:
        if not asked.needs_vector:
            return []
        tokens, length = self._encoder().count_tokens(asked.text), self._encoder().context_length
        if tokens <= length:
            return []
        return [f"the text has {tokens} tokens, the model reads the first {length} only"]
