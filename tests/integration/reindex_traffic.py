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
from tests.integration.answers import Answers
from tests.integration.stage import Node

from vidsearch.batches import in_batches
from vidsearch.config import Settings
from vidsearch.engines import Write
from vidsearch.index import create_videos_index
from vidsearch.registry import State, VideoRecord
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, delete_video, update_fields

__all__ = ["Traffic", "fill_index", "traffic_on"]

WORD = "everywhere"
_K = 20
_EVERY = {"fields": 0.02, "deletes": 0.05, "videos": 0.1, "searches": 0.05}
"""Seconds from one to the next, of each kind. What takes longer is followed by the next at once."""


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


@contextmanager
def traffic_on(node: Node, name: str, clip: Path, *, videos: int) -> Iterator[Traffic]:
    """An index of so many videos on a node, for traffic."""
    settings = Settings(
        engine={"url": node.url, "kind": node.kind},
        index={"name": name, "replicas": 0, "quantization": "float", "segment_seconds": 2},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        yield Traffic(services, fill_index(services, videos), clip)


@dataclass
class Traffic:
    """Writers and searchers that go on at a steady rate until they are stopped."""

    services: Services
    ids: Sequence[str]
    clip: Path
    numbers: dict[str, int] = field(default_factory=dict)
    """The last number that was written to each video."""
    deleted: set[str] = field(default_factory=set)
    deleting: str = ""
    """The one that is next among them."""
    added: set[str] = field(default_factory=set)
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_EVERY, 0))
    """How often each kind was done."""
    seconds: float = 0.0
    """For which there was traffic."""
    answered: set[str] = field(default_factory=set)
    """Indices that answered searches."""
    mixed: list[tuple[str, set[str]]] = field(default_factory=list)
    """Searches whose hits were of other indices than the one that the result names."""
    errors: list[BaseException] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Traffic until the end of the block; what went wrong in a thread is raised there."""
        left = [id for id in self.ids if id not in self.deleted]
        # What is deleted is not changed, so that each has one number to be compared with.
        changed, to_delete = left[: len(left) // 2], left[len(left) // 2 :]
        works = {
            "fields": self._change_fields(random.Random(len(left)), changed),
            "deletes": self._delete(iter(to_delete)),
            "videos": self._add,
            "searches": self._search(),
        }
        stop, began = threading.Event(), time.monotonic()
        threads = [
            threading.Thread(target=self._until, args=(stop, kind, work))
            for kind, work in works.items()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            self.seconds += time.monotonic() - began
        if self.errors:
            raise self.errors[0]

    def _until(self, stop: threading.Event, kind: str, work: Callable[[], None]) -> None:
        following = time.monotonic()
        try:
            while not stop.wait(max(0.0, following - time.monotonic())):
                following = max(following + _EVERY[kind], time.monotonic())
                work()
                self.done[kind] += 1
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
                self.deleting = id
                delete_video(id, services=self.services)
                self.deleted.add(id)

        return delete

    def _add(self) -> None:
        """A video that a worker ingests; all have the same content, so one is embedded."""
        id = f"added-{len(self.added)}"
        self.services.registry.register(
            id, uri=str(self.clip), fields={"title": f"{WORD} {id}", "number": 0}
        )
        outcome = self.services.indexer.ingest(id, owner="worker")
        assert outcome.status == "indexed", outcome
        self.added.add(id)

    def _search(self) -> Callable[[], None]:
        """By a client that stays open as long as there is traffic."""
        answers = Answers(self.services.settings.engine)
        name = self.services.settings.index.name
        search = VideoSearch(answers.engine, FakeEncoder(), index=name)
        search.search(text=f"{WORD} red", k=_K)
        whole = len(answers.taken())

        def look() -> None:
            result = search.search(text=f"{WORD} red", k=_K)
            self.answered.add(result.index)
            # Where the alias moved meanwhile, it began anew, and what came before does not count.
            found = [hit for answer in answers.taken()[-whole:] for hit in answer]
            if (indices := {index for index, _ in found}) != {result.index}:
                self.mixed.append((result.index, indices))
            # A video that was ranked and is deleted when its document is read is no hit.
            deleted = {id for _, id in found} & {*self.deleted, self.deleting}
            assert _K - len(deleted) <= len(result.hits) <= _K, (len(result.hits), deleted)

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
        for batch in in_batches(self.deleted):
            states = {r.state for r in self.services.registry.find_many(batch).values()}
            assert states <= {State.DELETED}
        assert self.mixed == [], "searches of two indices"
