"""An index under live traffic: what writers did and searches saw, to be compared afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidsearch.batches import in_batches
from vidsearch.engines import Write
from vidsearch.errors import VideoNotRegisteredError
from vidsearch.registry import State, VideoRecord
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, delete_video, update_fields

__all__ = ["Traffic", "fill_index"]

WORD = "everywhere"


def fill_index(services: Services, number: int) -> list[str]:
    """Put so many indexed videos into the index and the registry; returns their ids."""
    index = services.open_index()
    encoder = FakeEncoder()
    vectors = np.random.default_rng(7).standard_normal((number, encoder.identity.dims))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = [f"video-{number}" for number in range(number)]
    now = services.clock()
    for batch in in_batches(zip(ids, vectors, strict=True), 500):
        documents, records = [], []
        for id, vector in batch:
            fields = {"title": f"{WORD} {id}", "number": 0}
            video = {
                "uri": f"/videos/{id}.mp4",
                "model": "fake@1",
                "fingerprint": f"of {id}",
                "duration": 4.0,
                "vector": vector,
                "segments": [{"start": 0.0, "end": 4.0, "vector": vector}],
            }
            documents.append(Write("index", id, {**fields, index.field: video}))
            record = VideoRecord(
                id=id,
                uri=str(video["uri"]),
                fields=fields,
                state=State.INDEXED,
                fingerprint=f"of {id}",
                registered_at=now - 3600,
                updated_at=now - 3600,
                indexed_at=now - 3600,
            )
            records.append(Write("index", id, record.to_source()))
        services.engine.bulk(index.name, documents)
        services.engine.bulk(services.settings.index.registry, records)
    services.engine.refresh(index.name)
    services.engine.refresh(services.settings.index.registry)
    return ids


@dataclass
class Traffic:
    """Writers and searchers that go on until they are stopped; each does a thing at a time."""

    services: Services
    ids: Sequence[str]
    clip: Path
    numbers: dict[str, int] = field(default_factory=dict)
    """The last number that was written to each video."""
    deleted: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    searches: int = 0
    seen: set[str] = field(default_factory=set)
    """Indices that hits came from."""
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Traffic until the end of the block; what went wrong in a thread is raised there."""
        halves = self.ids[: len(self.ids) // 2], self.ids[len(self.ids) // 2 :]
        works: list[Callable[[], None]] = [
            self._change_fields(random.Random(1), halves[0]),
            self._delete(iter(halves[1])),
            self._add(),
            self._search(),
        ]
        threads = [threading.Thread(target=self._until_stopped, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]

    def _until_stopped(self, work: Callable[[], None]) -> None:
        try:
            while not self._stop.wait(0.02):
                work()
        except BaseException as error:
            self.errors.append(error)

    def _change_fields(self, chance: random.Random, ids: Sequence[str]) -> Callable[[], None]:
        def change() -> None:
            id = chance.choice(ids)
            number = self.numbers.get(id, 0) + 1
            update_fields(id, {"number": number}, services=self.services)
            self.numbers[id] = number

        return change

    def _delete(self, ids: Iterator[str]) -> Callable[[], None]:
        def delete() -> None:
            if (id := next(ids, None)) is not None:
                delete_video(id, services=self.services)
                self.deleted.add(id)

        return delete

    def _add(self) -> Callable[[], None]:
        """Videos that a worker ingests; all have the same content, so one is embedded."""

        def add() -> None:
            id = f"added-{len(self.added)}"
            self.services.registry.register(
                id, uri=str(self.clip), fields={"title": f"{WORD} {id}", "number": 0}
            )
            outcome = self.services.indexer.ingest(id, owner="worker")
            assert outcome.status == "indexed", outcome
            self.added.add(id)

        return add

    def _search(self) -> Callable[[], None]:
        search = VideoSearch(
            self.services.engine, FakeEncoder(), index=self.services.settings.index.name
        )

        def look() -> None:
            before = len(self.deleted)
            result = search.search(text=f"{WORD} red", k=20)
            # A video that is deleted between the ranking and the reading of its document is no hit.
            most_deleted = len(self.deleted) - before + 1
            assert 20 - most_deleted <= len(result.hits) <= 20
            self.searches += 1
            time.sleep(0.01)

        return look

    def check(self, name: str) -> None:
        """What was written is in a concrete index, and nothing else."""
        engine = self.services.engine
        engine.refresh(name)
        found = {document.id: document.source for document in engine.scan(name)}
        wanted = {*self.ids, *self.added} - self.deleted
        assert found.keys() - wanted == set(), "deleted videos that came back"
        assert wanted - found.keys() == set(), "videos that were lost"
        numbers = {id: found[id]["number"] for id in wanted}
        assert numbers == {id: self.numbers.get(id, 0) for id in wanted}, "updates that were lost"
        for id, source in found.items():
            video: dict[str, Any] = source["video"]
            assert {"vector", "segments", "fingerprint"} <= video.keys(), id
        for id in self.deleted:
            try:
                assert self.services.registry.get(id).state is State.DELETED
            except VideoNotRegisteredError:
                continue
