"""vidsearch in one process, for the tests of an application: no node, no broker, no worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery

from vidsearch.config import Settings, load_settings
from vidsearch.encoders.base import Encoder
from vidsearch.index import create_videos_index
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, configure, configured

__all__ = ["videos_in_process"]


@contextmanager
def videos_in_process(
    settings: Settings | None = None, *, encoder: Encoder | None = None
) -> Iterator[Services]:
    """Replaces the services of this process, with an empty index; afterwards they are back.

    What is registered meanwhile is ingested at once, in this process (``task_always_eager``), and
    can be searched. It shows that an application calls vidsearch rightly. It does not show how a
    real engine ranks, or what happens when a worker dies; and the engine in memory maps no fields
    by itself, so that a filter knows ``title``, ``description``, ``tags`` and those of
    ``index.mapping`` only.

    Args:
        settings: by default those of the environment and of ``vidsearch.toml``, but for decoding
            in this process, which is faster, and for stores: nothing is written outside of it.
        encoder: by default one without a model, which knows eight colours and words.

    Yields:
        The services.
    """
    before = configured._current, configured._configured_in
    app = Celery("vidsearch-in-process", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    encoder = encoder or FakeEncoder()
    made = configure(settings or _settings(), app=app, encoder=encoder)
    vars(made)["engine"] = engine = MemoryEngine()  # in place of the one that would connect
    try:
        create_videos_index(engine, made.settings.index, encoder.identity)
        yield made
    finally:
        made.close()
        configured._current, configured._configured_in = before


def _settings() -> Settings:
    return load_settings(
        ingest={"isolate": False}, embeddings={"url": None}, thumbnails={"url": None}
    )
