"""Services with an engine and a broker in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from celery import Celery

from vidsearch.config import Settings
from vidsearch.engines import Engine
from vidsearch.index import VideosIndex, open_videos_index
from vidsearch.registry import NewVideo, Registry
from vidsearch_tasks import queue_depth, register_videos

__all__ = ["Stage"]


class Stage:
    """What an application registers videos with; nobody takes the messages."""

    def __init__(self, registry: Registry, engine: Engine | None = None) -> None:
        self.registry = registry
        self.engine = engine
        self.settings = Settings(broker={"queue": uuid4().hex})
        self.app = Celery("application", broker="memory://", set_as_current=False)

    def register(self, videos: Sequence[NewVideo]) -> list[Any]:
        return register_videos(videos, services=self)  # type: ignore[arg-type]

    def open_index(self) -> VideosIndex:
        assert self.engine is not None
        return open_videos_index(self.engine, self.settings.index)

    @property
    def waiting(self) -> int:
        return queue_depth(self.app, queue=self.settings.broker.queue)
