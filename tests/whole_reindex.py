"""Videos that are ingested and reindexed in memory: copied, made from kept frames, embedded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from vidsearch.config import Settings
from vidsearch.encoders import ModelIdentity
from vidsearch.index import create_videos_index
from vidsearch.ingest import Outcome, missing_videos
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.reindex import Changes, Reindexer, ReindexRun
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, reindexer, reindexing

__all__ = ["COLOURS", "NEW", "OLD", "WholeStage", "whole_stage"]

OLD, NEW = "videos-000001", "videos-000002"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class TwoEncoders:
    """A pool of the fake encoder in two revisions."""

    def __init__(self) -> None:
        self.of = {made.identity: made for made in map(revision, "12")}

    def encoder_for(self, identity: ModelIdentity, *, where: str) -> FakeEncoder:
        return self.of[identity]


def revision(number: str) -> FakeEncoder:
    return FakeEncoder(revision=number)


class WholeStage:
    """Three indexed videos, and a worker that makes documents while it runs.

    Args:
        folder: made, the only root of files, which workers may lack.
        node: with the index; ``None``: in memory.
        name: of the index.
    """

    def __init__(
        self, folder: Path, *, node: SearchNode | None = None, name: str = "videos"
    ) -> None:
        folder.mkdir()
        settings = Settings(
            engine={} if node is None else {"url": node.url, "kind": node.kind},
            index={"name": name, "segment_seconds": 2, "replicas": 0},
            broker={"queue": uuid4().hex},
            ingest={"isolate": False},
            sources={"roots": (folder,)},
        )
        app = Celery("application", broker="memory://", set_as_current=False)
        self.services = Services(settings, encoder=revision("1"), app=app)
        vars(self.services)["encoders"] = TwoEncoders()
        if node is None:
            vars(self.services)["engine"] = MemoryEngine()
        self.engine = self.services.engine
        create_videos_index(self.engine, settings.index, revision("1").identity)
        self.folder = folder
        self.clips = {name: self.ingest(name, colour) for name, colour in COLOURS.items()}

    def clip(self, name: str, colour: tuple[int, int, int]) -> Path:
        times = [number / 5 for number in range(30)]
        return write_clip(self.folder / f"{name}.mp4", times, picture=solid(colour), rate=5)

    def ingest(self, name: str, colour: tuple[int, int, int]) -> Path:
        path = self.clip(name, colour)
        self.services.registry.register(name, uri=str(path), fields={"title": name})
        assert self.again(name).status == "indexed"
        return path

    def again(self, name: str) -> Outcome:
        """What a worker does with a video that waits for it."""
        return self.services.indexer.ingest(name, owner="w")

    @contextmanager
    def worker(self) -> Iterator[None]:
        """What workers and sweeps do with the documents that are asked for."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.02):
                if not self.services.fills.exists:
                    continue
                for entry in self.services.fills.entries.scan(State.REGISTERED, State.QUEUED):
                    self.services.filler.fill(entry.id, owner="w")

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def reindexer(self, **options: Any) -> Reindexer:
        """Nobody searches who would have to load another model."""
        return reindexer(self.services, notice_seconds=0, **options)

    def start(self, changes: Changes, **options: Any) -> ReindexRun:
        with self.worker():
            return self.reindexer(**options).start(changes)

    def roll_back(self) -> ReindexRun:
        with self.worker():
            return self.reindexer().roll_back()

    def documents(self, name: str) -> dict[str, Any]:
        self.engine.refresh(name)
        return {document.id: document.source for document in self.engine.scan(name)}

    def missing(self) -> list[str]:
        index = self.services.open_index()
        return [record.id for record in missing_videos(self.services.registry, index)]


@contextmanager
def whole_stage(folder: Path, **options: Any) -> Iterator[WholeStage]:
    """A stage in which nobody waits for long; see :class:`WholeStage` for the arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidsearch.reindex.steps._LOOK_SECONDS", 0.02)
        patch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
        patch.setattr(reindexing, "_identity_of", lambda services, name: revision(name).identity)
        stage = WholeStage(folder, **options)
        try:
            yield stage
        finally:
            stage.services.close()
