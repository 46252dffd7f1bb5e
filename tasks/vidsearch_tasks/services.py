"""The services that tasks work with: each is built once per process, on first use.

Workers fork. Nothing is built in the parent process, so no connection and no model is shared by
accident. What an application builds there and hands in must work after a fork; a client that has
not been used yet does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from vidsearch.once import build_once, forget_built
from vidsearch_tasks.process_limits import limit_threads, quieten_clients
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings
    from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
    from vidsearch.encoders import Encoder, EncoderPool
    from vidsearch.engines import Engine
    from vidsearch.index import VideosIndex
    from vidsearch.ingest import (
        FillBoard,
        Filler,
        Indexer,
        SliceBoard,
        SliceWorker,
        SourceCircuit,
    )
    from vidsearch.ingest.board import Board
    from vidsearch.media import MediaReader, ThumbnailStore
    from vidsearch.registry import EngineClock, Notes, Operations, Registry
    from vidsearch_tasks.model_probe import ModelProbe

__all__ = ["Services"]

_Board = TypeVar("_Board", bound="Board")


class Services:
    """The settings and what is built from them: engine, registry, encoder, indexer, …

    A context manager that closes what it built.

    Args:
        settings: ``None`` reads them from the environment when they are first needed.
        client: a client of the search engine; ``None`` connects to ``engine.url``.
        encoder: ``None`` loads the model that the settings name.
        app: a Celery app that includes ``vidsearch_tasks.tasks``; ``None`` makes one.
        tries: of requests to the search engine: see :func:`vidsearch.engines.connect`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: Any = None,
        encoder: Encoder | None = None,
        app: Celery | None = None,
        tries: int = 1,
    ) -> None:
        self._tries = tries
        self._given_settings = settings
        self._given_encoder = encoder
        self._given_app = app
        self._client = client

    @build_once
    def settings(self) -> Settings:
        """The settings in force."""
        if self._given_settings is not None:
            return self._given_settings
        from vidsearch.config import load_settings

        return load_settings()

    @build_once
    def app(self) -> Celery:
        """The Celery app that messages are sent with."""
        if self._given_app is not None:
            return self._given_app
        from vidsearch_tasks.celery_app import make_app

        return make_app(self.settings)

    @build_once
    def engine(self) -> Engine:
        """The cluster.

        Raises:
            BackendUnavailableError: ``engine.kind`` is ``auto``, and the cluster does not answer.
        """
        from vidsearch.engines import connect

        return connect(self.settings.engine, client=self._client, tries=self._tries)

    @build_once
    def registry(self) -> Registry:
        """Where the videos are registered."""
        from vidsearch.registry import Registry

        return Registry(
            self.engine,
            index=self.settings.index.registry,
            lease_seconds=self.settings.ingest.lease_seconds,
            max_attempts=self.settings.ingest.max_attempts,
            reserved=self.settings.index.field,
            allow_credentials=self.settings.sources.allow_credentials,
            clock=self.clock,
        )

    @build_once
    def notes(self) -> Notes:
        """What processes leave each other: of the work, and of reindexes."""
        from vidsearch.registry import Notes

        index = self.settings.index
        return Notes(
            self.engine,
            index=index.operations,
            replicas=index.replicas,
            advice=index.side_advice,
        )

    @build_once
    def operations(self) -> Operations:
        """When the last sweep was, and what is paused."""
        from vidsearch.registry import Operations

        return Operations(self.notes, clock=self.clock)

    @build_once
    def clock(self) -> EngineClock:
        """The time by which leases go."""
        from vidsearch.registry import EngineClock

        return EngineClock(self.engine, index=self.settings.index.registry)

    @build_once
    def source_circuit(self) -> SourceCircuit:
        """Keeps this worker from hosts of videos that do not answer."""
        from vidsearch.ingest import SourceCircuit

        return SourceCircuit(self.operations, clock=self.clock)

    @build_once
    def encoder(self) -> Encoder:
        """Frames and text to vectors; reads its model on first use."""
        if self._given_encoder is not None:
            return self._given_encoder
        from vidsearch.encoders import load_encoder

        return load_encoder(self.settings.model, self.settings.ingest)

    @build_once
    def encoders(self) -> EncoderPool:
        """That encoder, and the one of another index while the model is changed."""
        from vidsearch.encoders import EncoderPool

        return EncoderPool(lambda: self.encoder, self.settings.model, self.settings.ingest)

    def encoder_for(self, index: VideosIndex) -> Encoder:
        """The encoder of an index: the configured one where that has its model.

        Raises:
            ModelMismatchError: neither that nor one that can be found; the message shows both.
        """
        return self.encoders.encoder_for(index.identity, where=f"index {index.alias!r}")

    @build_once
    def reader(self) -> MediaReader:
        """Files to frames, cuts and subtitles."""
        from vidsearch.media import MediaLimits, open_reader

        return open_reader(self.settings.ingest, limits=MediaLimits.of(self.settings.sources))

    @build_once
    def thumbnails(self) -> ThumbnailStore | None:
        """Where thumbnails are put; ``None`` where the settings name no place."""
        from vidsearch.media import ThumbnailStore

        return ThumbnailStore.of(self.settings.thumbnails)

    @build_once
    def embeddings(self) -> EmbeddingStore | None:
        """Where vectors of frames are kept; ``None`` where the settings keep none."""
        from vidsearch.embeddings import EmbeddingStore

        return EmbeddingStore.of(self.settings, self.engine)

    @build_once
    def board(self) -> SliceBoard:
        """The slices of long videos."""
        from vidsearch.ingest import SliceBoard

        return self._board(SliceBoard)

    @build_once
    def fills(self) -> FillBoard:
        """The documents that a reindex has workers make."""
        from vidsearch.ingest import FillBoard

        return self._board(FillBoard)

    def _board(self, kind: type[_Board]) -> _Board:
        return kind(
            self.engine,
            self.settings.index,
            lease_seconds=self.settings.ingest.lease_seconds,
            max_attempts=self.settings.ingest.max_attempts,
            clock=self.clock,
        )

    @build_once
    def frame_embedder(self) -> FrameEmbedder:
        """Files to the vectors of their frames."""
        from vidsearch.embeddings import FrameEmbedder

        return FrameEmbedder.of(
            self.settings.ingest,
            reader=self.reader,
            encoder=self.encoder,
            batch_size=self.settings.model.batch_size,
        )

    @build_once
    def slice_worker(self) -> SliceWorker:
        """Embeds one slice after the other.

        Raises:
            ConfigError: ``embeddings.keep`` is false.
        """
        from vidsearch.errors import ConfigError
        from vidsearch.ingest import SliceWorker

        if self.embeddings is None:
            raise ConfigError(
                "a slice of a video is to be embedded, but the setting embeddings.keep is false "
                "here: give all workers the same settings"
            )
        return SliceWorker(
            self.registry,
            self.board,
            self.embeddings,
            embedder=self._embedder_of,
            settings=self.settings.ingest,
            sources=self.settings.sources,
            thumbnails=self.thumbnails,
            circuit=self.source_circuit,
            stop=STOP,
        )

    def _embedder_of(self, index: str | None) -> FrameEmbedder:
        """What makes the vectors of a concrete index; ``None``: of the one that is read."""
        from vidsearch.index.targets import open_concrete
        from vidsearch.ingest import Embedders

        alias = self.settings.index.name
        opened = open_concrete(self.engine, index, alias=alias) if index else self.open_index()
        return Embedders(self.frame_embedder, self.encoder_for).of(opened)

    @build_once
    def indexer(self) -> Indexer:
        """Ingests one video after the other."""
        from vidsearch.ingest import Indexer

        return Indexer(
            self.engine,
            self.registry,
            embedder=self.frame_embedder,
            encoder_for=self.encoder_for,
            index=self.settings.index,
            settings=self.settings.ingest,
            sources=self.settings.sources,
            thumbnails=self.thumbnails,
            embeddings=self.embeddings,
            circuit=self.source_circuit,
            board=self.board,
            fills=self.fills,
            stop=STOP,
        )

    @build_once
    def filler(self) -> Filler:
        """Makes one document after the other, during a reindex."""
        from vidsearch.ingest import Filler, VideoOpener

        return Filler(
            self.engine,
            self.registry,
            self.fills,
            embedder=self.frame_embedder,
            encoder_for=self.encoder_for,
            alias=self.settings.index.name,
            opener=VideoOpener(
                index=self.settings.index,
                settings=self.settings.ingest,
                sources=self.settings.sources,
                thumbnails=self.thumbnails,
                embeddings=self.embeddings,
                circuit=self.source_circuit,
            ),
            slices=self.board,
            stop=STOP,
        )

    def open_index(self, *, replacement: bool = False) -> VideosIndex:
        """The videos index as it is now; read anew each time, as an alias can move.

        ``replacement``: see :func:`~vidsearch.index.videos_index.open_videos_index`.
        """
        from vidsearch.index import open_videos_index

        return open_videos_index(self.engine, self.settings.index, replacement=replacement)

    def worker_info(self) -> dict[str, str | None]:
        """``index``, ``engine`` and ``model`` of a worker with these services.

        Only settings are read: a worker answers in its parent process, which builds nothing.
        ``engine`` is ``None`` where a client was handed in, as it is not known what it connects to.
        """
        settings, encoder = self.settings, self._given_encoder
        return {
            "index": settings.index.name,
            "engine": None if self._client is not None else settings.engine.url,
            "model": settings.model.name if encoder is None else encoder.identity.name,
        }

    def model_info(self) -> dict[str, Any]:
        """``encoder``, ``identity``, ``precision`` and ``problem`` of what this worker embeds with.

        Found out in another process, in which the first call begins: until it has ended, all are
        ``None``. ``problem`` says why nothing can be embedded.
        """
        if self._given_encoder is not None:
            from vidsearch_tasks.model_probe import encoder_facts

            return encoder_facts(self._given_encoder)
        return self._probe.facts()

    @build_once
    def _probe(self) -> ModelProbe:
        from vidsearch_tasks.model_probe import ModelProbe

        return ModelProbe(self.settings)

    def after_fork(self) -> None:
        """Forget what the parent process built, and limit threads and log lines.

        An application with its own Celery app keeps all its log levels.
        """
        forget_built(self, forked=True)
        limit_threads(self.settings.model.threads)
        if self._given_app is None:
            quieten_clients()

    def close(self) -> None:
        """Close connections; what was handed in stays open."""
        values = forget_built(self)
        if "slice_worker" in values:
            values["slice_worker"].let_go()
        for name in ("reader", "engine"):
            if name in values:
                values[name].close()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
