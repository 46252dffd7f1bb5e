"""Many writers at the same few videos on each real node, while an index is filled and swapped.

They are held up at random between their requests. What counts in the end is the registry: each
index has to agree with it, video by video.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.reindex_stage import TwoIndices, video_of
from tests.waiting import until

from vidsearch.batches import in_batches
from vidsearch.config import IngestSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.embeddings.index_files import IndexFiles
from vidsearch.engines import Engine, Json, Write
from vidsearch.errors import RegistryError, VersionConflictError
from vidsearch.index.targets import other_indices
from vidsearch.ingest import (
    Indexer,
    delete_video,
    lack_fields,
    mirror_to_others,
    update_fields,
    write_fields,
)
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry, State, VideoRecord
from vidsearch.reindex.copy import copy_videos
from vidsearch.reindex.registry_changes import catch_up
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration

_LOST = (RegistryError, VersionConflictError)
"""Another writer was faster, as it may be."""
_HOT = 12
_COLD = 1000
_WORKS = 15
"""Of all writers together, between two changes of the aliases."""
_COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0)}


class Slow:
    """An engine that holds up one call in so many for a moment, as a busy machine does."""

    def __init__(self, engine: Any, *, seed: int, every: int = 6, seconds: float = 0.03) -> None:
        self._engine = engine
        self._random = random.Random(seed)
        self._every, self._seconds = every, seconds

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name not in {"mget", "get", "put", "bulk", "delete", "indices_behind"}:
            return found

        def call(*args: Any, **options: Any) -> Any:
            if self._random.randrange(self._every) == 0:
                time.sleep(self._random.random() * self._seconds)
            return found(*args, **options)

        return call


class Fleet:
    """Writers at the same videos, each in its own thread and with an engine that is held up."""

    def __init__(self, two: TwoIndices, clips: Sequence[str], ids: Sequence[str]) -> None:
        self.two, self.clips, self.ids = two, clips, ids
        self.done: dict[str, int] = {}
        self._stop = threading.Event()

    @contextmanager
    def at_work(self, writers: int, *, mirrors: bool = True) -> Iterator[None]:
        """Writers until the end of the block; what went wrong in a thread is raised there."""
        self._stop.clear()
        with ThreadPoolExecutor(writers) as pool:
            works = [pool.submit(self._work, seed, mirrors=mirrors) for seed in range(writers)]
            try:
                yield
            finally:
                self._stop.set()
        for work in works:
            work.result()

    def wait(self, works: int) -> None:
        """Until so many more things were done, and each kind of them at least once."""
        least = sum([*self.done.values()]) + works
        until(
            lambda: sum([*self.done.values()]) >= least and len(self.done) == 3,
            what="the writers have done so much",
        )

    def _work(self, seed: int, *, mirrors: bool) -> None:
        chance = random.Random(seed)
        engine = Slow(self.two.engine, seed=seed)
        if not mirrors:
            engine.indices_behind = lambda names: dict.fromkeys(names, ())
        registry = Registry(
            engine, index=self.two.settings.registry, lease_seconds=30, max_attempts=2
        )
        indexer = Indexer(
            engine,
            registry,
            embedder=FrameEmbedder(
                DirectReader("pyav", limits=MediaLimits()), FakeEncoder(), batch_size=8
            ),
            index=self.two.settings,
            settings=IngestSettings(),
            embeddings=EmbeddingStore(IndexFiles(engine, self.two.settings)),
        )
        works: list[Callable[[str], Any]] = [
            lambda id: update_fields(
                registry, self.two.read(engine), id, {"number": chance.random()}
            ),
            lambda id: delete_video(registry, self.two.read(engine), id),
            lambda id: self._ingest(indexer, registry, id, chance, seed),
            lambda id: self._ingest(indexer, registry, id, chance, seed),
        ]
        while not self._stop.is_set():
            number = chance.randrange(len(works))
            with suppress(*_LOST):
                works[number](chance.choice(self.ids))
                name = ("fields", "delete", "ingest", "ingest")[number]
                self.done[name] = self.done.get(name, 0) + 1

    def _ingest(
        self, indexer: Indexer, registry: Registry, id: str, chance: random.Random, seed: int
    ) -> None:
        fields = {"number": chance.random(), "title": id}
        if lack_fields(registry.register(id, uri=chance.choice(self.clips), fields=fields)):
            write_fields(registry, self.two.read(self.two.engine), [id])
        indexer.ingest(id, owner=f"w{seed}-{chance.random()}")


@pytest.fixture
def two(engine: Engine, index_name: str) -> TwoIndices:
    return TwoIndices(engine, name=index_name, prefix=f"{index_name}-side-")


@pytest.fixture
def fleet(two: TwoIndices, tmp_path: Path) -> Fleet:
    clips = [
        str(write_clip(tmp_path / f"{name}.mp4", [0.0, 0.5, 1.0, 1.5], picture=solid(colour)))
        for name, colour in _COLOURS.items()
    ]
    return Fleet(two, clips, [f"hot-{number}" for number in range(_HOT)])


def fill(two: TwoIndices, number: int) -> None:
    """Videos that nobody writes, for the copy to take its time."""
    now = two.registry.now()
    for batch in in_batches(range(number), 500):
        documents, records = [], []
        for each in batch:
            id = f"cold-{each}"
            record = VideoRecord(
                id=id,
                uri=f"/{id}.mp4",
                fields={"number": each, "title": id},
                state=State.INDEXED,
                fingerprint=f"f{each}",
                registered_at=now - 3600,
                updated_at=now - 3600,
            )
            video = video_of(f"f{each}", record.uri)
            documents.append(Write("index", id, {**record.fields, "video": video}))
            records.append(Write("index", id, record.to_source()))
        two.engine.bulk(two.old, documents)
        two.engine.bulk(two.settings.registry, records)


def disagreements(two: TwoIndices, name: str) -> dict[str, str]:
    """What is wrong with an index, by the id of the video.

    Of a writer that gave up among so many, the sweep does the rest; that is done here.
    """
    lacking = [record.id for record in two.registry.scan(State.INDEXED) if lack_fields(record)]
    write_fields(two.registry, two.read(), lacking)
    two.engine.refresh(name)
    found: dict[str, Json] = {one.id: one.source for one in two.engine.scan(name)}
    wrong: dict[str, str] = {}
    for record in two.registry.scan(*State):
        source = found.pop(record.id, None)
        if record.state is State.DELETED and source is not None:
            wrong[record.id] = "deleted, and there"
        if record.state is not State.INDEXED:
            continue
        if source is None:
            wrong[record.id] = "lost"
        elif not record.is_current(source["video"]["fingerprint"], index=name):
            wrong[record.id] = "has the vectors of another content"
        elif {**source, "video": None} != {**record.fields, "video": None}:
            wrong[record.id] = f"has {source['number']}, not {record.fields['number']}"
        elif source["video"]["uri"] != record.uri:
            wrong[record.id] = "has another uri"
    return {**wrong, **dict.fromkeys(found, "without a record")}


def copied(two: TwoIndices) -> None:
    """The new index filled as a run does."""
    began = two.registry.now()
    two.begin()
    copy_videos(two.engine, two.registry, two.old, two.new, throttle=math.inf)
    catch_up(two.registry, two.opened(two.old), two.opened(two.new), since=began)


@pytest.mark.newest_nodes  # each write is held to all three by the contract of engines
def test_hot_videos_agree_in_both_indices_over_swap_and_way_back(
    two: TwoIndices, fleet: Fleet
) -> None:
    fill(two, _COLD)
    with fleet.at_work(4):
        fleet.wait(_WORKS)
        copied(two)
        fleet.wait(_WORKS)
        two.swap()
        fleet.wait(_WORKS)
        two.old, two.new = two.new, two.old
        two.swap()
        fleet.wait(_WORKS)
    for name in (two.old, two.new):
        assert disagreements(two, name) == {}


@pytest.mark.newest_nodes  # each write is held to all three by the contract of engines
def test_what_writers_do_not_mirror_is_caught_up_with(two: TwoIndices, fleet: Fleet) -> None:
    began = two.registry.now()
    with fleet.at_work(3, mirrors=False):
        copied(two)
        fleet.wait(_WORKS)
        two.swap()  # these go on with the old one for a while, each until its next video
    ends = two.opened(two.old), two.opened(two.new)
    catch_up(two.registry, *ends, since=began)
    assert disagreements(two, two.new) == {}
    catch_up(two.registry, *reversed(ends), since=began)
    assert disagreements(two, two.old) == {}
    assert catch_up(two.registry, *ends, since=began).changed == 0


def test_a_document_comes_over_as_it_is(two: TwoIndices) -> None:
    two.begin(quantization="flat", shards=2)
    index = two.add("a", "f1", title="A", tags=["x", "y"], year=2.5)
    mirror_to_others(two.registry, index, ["a"])
    old, new = (two.opened(name).read("a") for name in (two.old, two.new))
    assert old is not None
    assert new is not None
    assert new.source == old.source
    assert other_indices(two.opened(two.new))[0].name == two.old
