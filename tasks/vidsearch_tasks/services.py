"""The services that tasks work with: each is built once per process, on first use.

Workers fork. Nothing is built in the parent process, so no connection and no model is shared by
accident. What an application builds there and hands in must work after a fork; a client that has
not been used yet does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from celery.signals import worker_process_init

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

_T = TypeVar("_T")

_LOG_LEVELS = {
    # They log a line per request, and opensearch-py a warning per document that is not there yet.
    "elastic_transport": logging.WARNING,
    "opensearch": logging.ERROR,
}


class Services:
    """The settings and what is built from them: engine, registry, encoder, indexer, …

    Args:
        settings: ``None`` reads them from the environment when they are first needed.
        client: a client of the search engine; ``None`` connects to ``engine.url``.
        encoder: ``None`` loads the model that the settings name.
        app: a Celery app that includes ``vidsearch_tasks.tasks``; ``None`` makes one.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        client: Any = None,
        encoder: Encoder | None = None,
        app: Celery | None = None,
    ) -> None:
        self._given: dict[str, Any] = {"settings": settings, "encoder": encoder, "app": app}
        self._client = client
        self._built: dict[str, Any] = {}
        self._lock = threading.RLock()

    @property
    def settings(self) -> Settings:
        """The settings in force."""

        def load() -> Settings:
            from vidsearch.config import load_settings

            return load_settings()

        return self._build_once("settings", load)

    @property
    def app(self) -> Celery:
        """The Celery app that messages are sent with."""

        def make() -> Celery:
            from vidsearch_tasks.celery_app import make_app

            return make_app(self.settings)

        return self._build_once("app", make)

    @property
    def engine(self) -> Engine:
        """The cluster.

        Raises:
            BackendUnavailableError: ``engine.kind`` is ``auto``, and the cluster does not answer.
        """

        def build() -> Engine:
            from vidsearch.engines import connect

            return connect(self.settings.engine, client=self._client)

        return self._build_once("engine", build)

    @property
    def registry(self) -> Registry:
        """Where the videos are registered."""

        def build() -> Registry:
            from vidsearch.registry import Registry

            return Registry(
                self.engine,
                index=self.settings.index.registry,
                lease_seconds=self.settings.ingest.lease_seconds,
                max_attempts=self.settings.ingest.max_attempts,
                reserved=self.settings.index.field,
            )

        return self._build_once("registry", build)

    @property
    def encoder(self) -> Encoder:
        """Frames and text to vectors; reads its model on first use."""

        def build() -> Encoder:
            from vidsearch.encoders import load_encoder

            return load_encoder(self.settings.model, self.settings.ingest)

        return self._build_once("encoder", build)

    @property
    def reader(self) -> MediaReader:
        """Files to frames, cuts and subtitles."""

        def build() -> MediaReader:
            from vidsearch.media import MediaLimits, open_reader

            return open_reader(self.settings.ingest, limits=MediaLimits.of(self.settings.sources))

        return self._build_once("reader", build)

    @property
    def thumbnails(self) -> ThumbnailStore | None:
        """Where thumbnails are put; ``None`` where the settings name no place."""

        def build() -> ThumbnailStore | None:
            from vidsearch.media import ThumbnailStore

            return ThumbnailStore.of(self.settings.thumbnails)

        return self._build_once("thumbnails", build)

    @property
    def indexer(self) -> Indexer:
        """Ingests one video after the other."""

        def build() -> Indexer:
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

        return self._build_once("indexer", build)

    def open_index(self) -> VideosIndex:
        """The videos index as it is now; read anew each time, as an alias can move."""
        from vidsearch.index import open_videos_index

        return open_videos_index(self.engine, self.settings.index)

    def worker_info(self) -> dict[str, str | None]:
        """``index``, ``engine`` and ``model`` of a worker with these services.

        Only settings are read: a worker answers in its parent process, which builds nothing.
        ``engine`` is ``None`` where a client was handed in, as it is not known what it connects to.
        """
        settings, encoder = self.settings, self._given["encoder"]
        return {
            "index": settings.index.name,
            "engine": None if self._client is not None else settings.engine.url,
            "model": settings.model.name if encoder is None else encoder.identity.name,
        }

    def after_fork(self) -> None:
        """Forget what the parent process built, and limit threads and log lines.

        As many workers as cores, each with as many threads as cores, would spend their time
        waiting for each other. Thread counts and log levels that are set already stay, and an
        application with its own Celery app keeps all its log levels.
        """
        self._lock = threading.RLock()
        self._built.clear()
        threads = str(self.settings.model.threads)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, threads)
        if self._given["app"] is None:
            for name, level in _LOG_LEVELS.items():
                logger = logging.getLogger(name)
                if logger.level == logging.NOTSET:
                    logger.setLevel(level)

    def close(self) -> None:
        """Close connections; what was handed in stays open."""
        with self._lock:
            closable = [self._built.get(name) for name in ("reader", "engine")]
            self._built.clear()
        for service in closable:
            if service is not None:
                service.close()

    def _build_once(self, name: str, build: Callable[[], _T]) -> _T:
        given = self._given.get(name)
        if given is not None:
            return cast(_T, given)
        with self._lock:
            if name not in self._built:
                self._built[name] = build()
            return cast(_T, self._built[name])


_current = Services()


def current_services() -> Services:
    """The services of this process; see :func:`configure`."""
    return _current


def configure(
    settings: Settings | None = None,
    *,
    client: Any = None,
    encoder: Encoder | None = None,
    app: Celery | None = None,
) -> Services:
    """Hand in what the application has already; see :class:`Services`.

    Call it where the application's Celery app is made, so that its workers run it, too.
    """
    global _current
    _current = Services(settings, client=client, encoder=encoder, app=app)
    return _current


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _start_process(**_: Any) -> None:
    _current.after_fork()
