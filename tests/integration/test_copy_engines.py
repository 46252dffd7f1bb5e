"""Documents copied between indices of real nodes, while others write both of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from tests.waiting import until

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine, Json, Revision, Write
from vidsearch.index.copy_documents import Copied, copy_documents
from vidsearch.registry import Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.reindex.copy import copy_videos
from vidsearch.testing.small_index import small_index

pytestmark = pytest.mark.integration

DIMS = 8
_VECTORS = np.random.default_rng(3).standard_normal((700, DIMS)).astype(np.float32)
# Elasticsearch keeps the direction and the length of others apart, and rounds when it multiplies.
_VECTORS /= np.linalg.norm(_VECTORS, axis=1, keepdims=True)


def video(number: int, *, n: int = 0) -> Json:
    vector = _VECTORS[number % len(_VECTORS)]
    return {"n": n, "video": {"vector": vector, "segments": [{"start": 0.0, "vector": -vector}]}}


@pytest.fixture
def pair(engine: Engine, index_name: str) -> tuple[str, str]:
    """600 videos in the first index, every third with a routing, and an empty one."""
    old, new = f"{index_name}-1", f"{index_name}-2"
    for name, quantization in ((old, "float"), (new, "int8")):
        engine.create_index(name, small_index(engine, quantization=quantization, dims=DIMS))
    engine.bulk(old, [Write("index", f"{n}", video(n), routing(n)) for n in range(600)])
    return old, new


def routing(number: int) -> str | None:
    return None if number % 3 else f"r{number % 7}"


def test_copy_is_equal_bit_for_bit_and_a_second_one_does_nothing(
    engine: Engine, pair: tuple[str, str]
) -> None:
    old, new = pair
    assert copy_documents(engine, old, new, throttle=math.inf) == Copied(written=600)
    engine.refresh(new)
    found = {one.id: one for one in engine.scan(new)}
    assert len(found) == 600
    for number in range(600):
        one, made = found[f"{number}"], video(number)
        assert one.routing == routing(number)
        ours = one.source["video"]
        assert np.asarray(ours["vector"], np.float32).tobytes() == made["video"]["vector"].tobytes()
        segment = np.asarray(ours["segments"][0]["vector"], np.float32)
        assert segment.tobytes() == made["video"]["segments"][0]["vector"].tobytes()
    for id in ("3", "4"):
        engine.delete(new, id, routing=routing(int(id)))
    assert copy_documents(engine, old, new, throttle=math.inf) == Copied(written=2, kept=598)


class _Writers:
    """Write the source, then bring the target up to date, as all writers do during a run."""

    def __init__(self, engine: Engine, registry: Registry, pair: tuple[str, str]) -> None:
        self.engine, self.registry, (self.old, self.new) = engine, registry, pair
        self.stop = threading.Event()
        self.expected: dict[str, int | None] = {}
        self.works: set[int] = set()
        """The numbers of those that have done something."""
        self.errors: list[Exception] = []

    def run(self, *works: Callable[[Random], None]) -> list[threading.Thread]:
        def forever(work: Callable[[Random], None], seed: int) -> None:
            random = Random(seed)
            try:
                while not self.stop.is_set():
                    work(random)
                    self.works.add(seed)
            except Exception as error:
                self.errors.append(error)

        threads = [
            threading.Thread(target=forever, args=(work, seed)) for seed, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        return threads

    def update(self, random: Random) -> None:
        number = random.randrange(0, 300)
        count = (self.expected.get(f"{number}") or 0) + 1
        self.engine.put(self.old, f"{number}", video(number, n=count), routing=routing(number))
        self.expected[f"{number}"] = count
        self.mirror(number)

    def delete(self, random: Random) -> None:
        number = random.randrange(300, 600)
        self.registry.delete(f"{number}")
        self.engine.delete(self.old, f"{number}", routing=routing(number))
        self.expected[f"{number}"] = None
        self.mirror(number)

    def mirror(self, number: int) -> None:
        id = f"{number}"
        there = self.engine.get(self.new, id, routing=routing(number))
        expect: Revision | None = there.revision if there else None
        now = self.engine.get(self.old, id, routing=routing(number))
        if now is not None:
            write = Write("index", id, now.source, routing(number), expect or "absent")
        elif expect is None:
            return
        else:
            write = Write("delete", id, None, routing(number), expect)
        if self.engine.bulk(self.new, [write]).conflicts:
            self.mirror(number)


def test_copy_under_writers_loses_no_update_and_brings_no_deleted_video_back(
    engine: Engine, index_name: str, pair: tuple[str, str]
) -> None:
    old, new = pair
    settings = IndexSettings(name=index_name, replicas=0)
    create_registry_index(engine, settings)
    registry = Registry(engine, index=settings.registry)
    registry.register_many([{"id": f"{n}", "uri": f"/{n}.mp4"} for n in range(600)])
    writers = _Writers(engine, registry, pair)
    threads = writers.run(writers.update, writers.delete)
    try:
        until(lambda: writers.works == {*range(len(threads))}, what="both of them write")
        end = copy_videos(engine, registry, old, new, throttle=1000)
    finally:
        writers.stop.set()
        for thread in threads:
            thread.join()
    assert writers.errors == []
    assert end.done > 0
    for name in pair:
        engine.refresh(name)
    stored = {one.id: one.source["n"] for one in engine.scan(new, source=["n"])}
    assert stored == {one.id: one.source["n"] for one in engine.scan(old, source=["n"])}
    for id, count in writers.expected.items():
        assert stored.get(id) == count
    assert any(count is None for count in writers.expected.values())
    assert any(count for count in writers.expected.values())
