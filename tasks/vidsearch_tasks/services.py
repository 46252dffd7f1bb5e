"""The parts that tasks work with: built once per process, on first use.

Workers fork. Nothing is built in the parent, so no connection and no model is shared by accident;
what a host builds there itself and hands in must be fit to be used after a fork (a client that has
not been used yet is).
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from celery.signals import worker_process_init

from vidsearch.once import build_once, forget_built

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.config import Settings
    from vidsearch.encoders import Encoder
    from vidsearch.engines import Engine
    from vidsearch.index import VideosIndex
    from vidsearch.ingest import Indexer
    from vidsearch.media import MediaReader, ThumbnailStore
    from vidsearch.registry import Registry

__all__ = ["Services", "configure", "current_services"]

_QUIET = {
    # A line per request; and to opensearch-py, a document that is not there yet is a warning.
    "elastic_transport": logging.WARNING,
    "opensearch": logging.ERROR,
}


class Services:
    """Settings and the parts built from them.

    Args:
        settings: ``None`` reads them from the environment when they are first needed.
        client: a search client of the host; ``None`` connects to ``engine.url``.
        encoder: ``None`` loads the model that the settings name.
        app: a Celery app of the host, which has our tasks; ``None`` makes one.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: Any = None,
        encoder: Encoder | None = None,
        app: Celery | None = None,
    ) -> None:
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
        """The cluster; ``BackendUnavailableError`` where it must be asked for its kind and is
        away."""
        from vidsearch.engines import connect

        return connect(self.settings.engine, client=self._client)

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
        )

    @build_once
    def encoder(self) -> Encoder:
        """Frames and text to vectors; reads its model on first use."""
        if self._given_encoder is not None:
            return self._given_encoder
        from vidsearch.encoders import load_encoder

        return load_encoder(self.settings.model, self.settings.ingest)

    @build_once
    def reader(self) -> MediaReader:
        """Files to frames, cuts and subtitles."""
        from vidsearch.media import MediaLimits, open_reader

        return open_reader(self.settings.ingest, limits=MediaLimits.of(self.settings.sources))

    @build_once
    def thumbnails(self) -> ThumbnailStore | None:
        """Where a picture of every moment is put, if anywhere."""
        from vidsearch.media import ThumbnailStore

        return ThumbnailStore.of(self.settings.thumbnails)

    @build_once
    def indexer(self) -> Indexer:
        """What ingests."""
        from vidsearch.ingest import Indexer

        return Indexer(
            self.engine,
            self.registry,
            encoder=self.encoder,
            reader=self.reader,
            index=self.settings.index,
            settings=self.settings.ingest,
            sources=self.settings.sources,
            thumbnails=self.thumbnails,
            batch_size=self.settings.model.batch_size,
        )

    def open_index(self) -> VideosIndex:
        """The videos index as it stands now; it is read anew each time, as an alias can move."""
        from vidsearch.index import open_videos_index

        return open_videos_index(self.engine, self.settings.index)

    def serves(self) -> dict[str, str | None]:
        """Whom a worker with these parts works for: ``index``, ``engine``, ``model``.

        Only settings are read: a worker is asked in its parent process, which builds nothing.
        ``engine`` is ``None`` where the host handed in a client, which goes where it goes.
        """
        settings, encoder = self.settings, self._given_encoder
        return {
            "index": settings.index.name,
            "engine": None if self._client is not None else settings.engine.url,
            "model": settings.model.name if encoder is None else encoder.identity.name,
        }

    def after_fork(self) -> None:
        """Forget what a parent process built; keep threads and log lines down.

        As many workers as cores, each with as many threads as cores, would spend their time
        waiting for each other. A thread count that the operator set stays, and so does any level
        of a logger. A host that brings its own app has its own mind about logs.
        """
        forget_built(self, forked=True)
        threads = str(self.settings.model.threads)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, threads)
        if self._given_app is None:
            for name, level in _QUIET.items():
                logger = logging.getLogger(name)
                if logger.level == logging.NOTSET:
                    logger.setLevel(level)

    def close(self) -> None:
        """Close connections; what was handed in stays open."""
        values = forget_built(self)
        for name in ("reader", "engine"):
            if name in values:
                values[name].close()


_current = Services()


def current_services() -> Services:
    """The parts of this process."""
    return _current


def configure(
    settings: Settings | None = None,
    *,
    client: Any = None,
    encoder: Encoder | None = None,
    app: Celery | None = None,
) -> Services:
    """Hand in what the host application has already; see :class:`Services`.

    Call it where the host's Celery app is made, so that the workers see it as well.
    """
    global _current
    _current = Services(settings, client=client, encoder=encoder, app=app)
    return _current


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _start_process(**_: Any) -> None:
    _current.after_fork()
