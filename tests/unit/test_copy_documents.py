"""Copies between indices in memory: what is kept, what is dropped, how a copy ends and goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest

from vidsearch.config import IndexSettings
from vidsearch.engines import Write
from vidsearch.errors import BulkError
from vidsearch.index.copy_documents import Copied, Pace, StoppedError, copy_documents
from vidsearch.registry import Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.reindex.copy import copy_videos
from vidsearch.testing.memory_engine import MemoryEngine

IDS = [f"{n:02}" for n in range(30)]
REGISTRY = IndexSettings(name="videos").registry


class Between(MemoryEngine):
    """Something happens just before a bulk write to the target, and once more just after."""

    before: Any = staticmethod(lambda: None)
    after: Any = staticmethod(lambda: None)
    read: list[str]

    def bulk(self, index: str, writes: Sequence[Write], **options: Any) -> Any:
        if index != "new" or writes[0].op == "delete":
            return super().bulk(index, writes, **options)
        self.before()
        result = super().bulk(index, writes, **options)
        self.after()
        return result

    def mget(self, index: str, ids: Sequence[str], **options: Any) -> Any:
        if index == "old" and options.get("source") is not False:
            self.read = [*getattr(self, "read", []), *ids]
        return super().mget(index, ids, **options)


@pytest.fixture
def engine() -> Between:
    engine = Between()
    for name in ("old", "new"):
        engine.create_index(name, {})
    engine.bulk("old", [Write("index", id, {"n": id}, f"r{id}") for id in IDS])
    create_registry_index(engine, IndexSettings(name="videos"))
    return engine


@pytest.fixture
def registry(engine: Between) -> Registry:
    return Registry(engine, index=REGISTRY)


def copied(engine: MemoryEngine, **options: Any) -> Copied:
    return copy_documents(engine, "old", "new", throttle=math.inf, **options)


def ids_in(engine: MemoryEngine, index: str = "new") -> list[str]:
    return sorted(one.id for one in engine.scan(index))


@pytest.mark.parametrize("slices", [1, 2, 4])
def test_copy_brings_every_document_with_its_routing(engine: Between, slices: int) -> None:
    told: list[tuple[int, int]] = []
    end = copied(engine, slices=slices, progress=lambda done, total: told.append((done, total)))
    assert end == Copied(written=30)
    assert told[-1] == (30, 30)
    assert {one.id: (one.source, one.routing) for one in engine.scan("new")} == {
        id: ({"n": id}, f"r{id}") for id in IDS
    }


def test_what_the_target_has_already_is_kept_and_not_read_again(engine: Between) -> None:
    engine.bulk("new", [Write("index", id, {"n": "fresher"}, f"r{id}") for id in IDS[:25]])
    assert copied(engine) == Copied(written=5, kept=25)
    assert sorted(engine.read) == IDS[25:]
    assert engine.get("new", "00", routing="r00").source == {"n": "fresher"}  # type: ignore[union-attr]
    assert copied(engine) == Copied(kept=30)
    assert sorted(engine.read) == IDS[25:]


@pytest.mark.parametrize(
    ("throttle", "there", "most", "read"),
    [
        (4.0, 0, 4, 4),
        (0.5, 0, 1, 1),
        (math.inf, 0, 30, 1000),
        (0.2, 5, 1, 12),  # of ids alone, which are written in bulks of one
    ],
)
def test_a_limit_makes_bulks_and_pages_so_small_that_no_page_takes_minutes(
    engine: Between,
    monkeypatch: pytest.MonkeyPatch,
    throttle: float,
    there: int,
    most: int,
    read: int,
) -> None:
    bulks: list[int] = []
    pages: list[int] = []
    scan_slices = engine.scan_slices

    def scanned(index: str, slices: int, *, page_size: int, **options: Any) -> Any:
        pages.append(page_size)
        return scan_slices(index, slices, page_size=page_size, **options)

    def at_once(pace: Pace, documents: int, work: Any) -> Any:
        bulks.append(documents)
        return work()

    monkeypatch.setattr(engine, "scan_slices", scanned)
    monkeypatch.setattr(Pace, "run", at_once)
    for id in IDS[:there]:
        engine.put("new", id, {"n": id}, routing=f"r{id}")
    copied = copy_documents(engine, "old", "new", slices=1, throttle=throttle)
    assert (copied.written, copied.kept) == (30 - there, there)
    assert (max(bulks), pages[-1]) == (most, read)


def test_few_documents_in_the_target_are_kept_as_well(engine: Between) -> None:
    engine.put("new", "00", {"n": "fresher"}, routing="r00")
    assert copied(engine) == Copied(written=29, kept=1)
    assert engine.get("new", "00", routing="r00").source == {"n": "fresher"}  # type: ignore[union-attr]


def test_versions_are_kept_and_a_greater_one_stays(engine: Between) -> None:
    engine.put("old", "00", {"n": "seven"}, version=7, routing="r00")
    engine.put("new", "01", {"n": "fresher"}, version=3, routing="r01")
    assert copied(engine, keep_versions=True) == Copied(written=29, kept=1)
    found = {one.id: (one.source["n"], one.version) for one in engine.scan("new")}
    assert (found["00"], found["01"], found["02"]) == (("seven", 7), ("fresher", 3), ("02", 1))


def test_a_document_deleted_between_its_read_and_its_write_does_not_come_back(
    engine: Between,
) -> None:
    engine.before = lambda: engine.delete("old", "03", routing="r03")
    assert copied(engine) == Copied(written=29, dropped=1)
    assert ids_in(engine) == [id for id in IDS if id != "03"]


def test_a_document_deleted_before_a_copy_goes_on_does_not_stay(engine: Between) -> None:
    def delete_and_die() -> None:
        engine.delete("old", "03", routing="r03")
        raise KeyboardInterrupt

    engine.after = delete_and_die
    with pytest.raises(KeyboardInterrupt):
        copied(engine, slices=1)
    assert "03" in ids_in(engine)
    engine.after = lambda: None
    assert copied(engine) == Copied(kept=29)
    assert ids_in(engine) == [id for id in IDS if id != "03"]


def test_the_document_of_a_deleted_video_is_not_copied(engine: Between, registry: Registry) -> None:
    for id in IDS[:3]:
        registry.register(id, uri=f"/{id}.mp4")
    registry.delete("00")  # its document is still there
    end = copy_videos(engine, registry, "old", "new", throttle=math.inf)
    assert end == Copied(written=29, dropped=1)
    assert ids_in(engine) == IDS[1:]


def test_what_a_writer_put_over_the_copy_of_a_deleted_video_stays(
    engine: Between, registry: Registry
) -> None:
    registry.register("00", uri="/00.mp4")
    registry.delete("00")
    engine.after = lambda: engine.put("new", "00", {"n": "registered again"}, routing="r00")
    end = copy_videos(engine, registry, "old", "new", throttle=math.inf, slices=1)
    assert end == Copied(written=30)
    assert ids_in(engine) == IDS


def test_a_document_of_a_deleted_video_in_the_target_is_dropped_when_the_copy_goes_on(
    engine: Between, registry: Registry
) -> None:
    copied(engine)  # killed before it asked for tombstones
    registry.register("00", uri="/00.mp4")
    registry.delete("00")
    end = copy_videos(engine, registry, "old", "new", throttle=math.inf)
    assert end == Copied(kept=29, dropped=1)
    assert ids_in(engine) == IDS[1:]


def test_an_error_in_one_slice_ends_the_copy(engine: Between) -> None:
    engine.put_mapping("new", {"dynamic": "strict"})
    with pytest.raises(BulkError, match="'n' is not declared"):
        copied(engine, slices=3)


def test_what_the_progress_raises_ends_the_copy(engine: Between) -> None:
    def lost(done: int, total: int) -> None:
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="lease"):
        copied(engine, progress=lost)


class Waits(Event):
    """Counts the seconds that were waited for, and waits for none."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += max(0.0, timeout or 0.0)
        return False


def test_pace_keeps_to_a_rate_of_documents() -> None:
    stop = Waits()
    pace = Pace(10, clock=lambda: stop.now, stop=stop)
    began = [pace.run(5, lambda: stop.now) for _ in range(4)]
    assert began == [0.0, 0.5, 1.0, 1.5]


def test_pace_without_a_rate_pauses_as_long_as_the_work_took() -> None:
    stop = Waits()
    pace = Pace(None, clock=lambda: stop.now, stop=stop)

    def work() -> None:
        stop.now += 3.0

    pace.run(5, work)
    assert stop.now == 6.0


def test_pace_without_a_rate_lets_one_thread_work_at_a_time() -> None:
    pace = Pace(None)
    at_work = Lock()
    met: list[int] = []

    def work() -> None:
        if not at_work.acquire(blocking=False):
            met.append(1)
            return
        time.sleep(0.005)
        at_work.release()

    with ThreadPoolExecutor(4) as threads:
        for turn in [threads.submit(pace.run, 1, work) for _ in range(8)]:
            turn.result()
    assert met == []


def test_pace_begins_no_work_after_other_work_has_failed() -> None:
    pace = Pace(None)
    with pytest.raises(ZeroDivisionError):
        pace.run(1, lambda: 1 // 0)
    with pytest.raises(StoppedError):
        pace.run(1, lambda: 1)


def test_pace_without_a_limit_never_waits() -> None:
    stop = Waits()
    pace = Pace(math.inf, clock=lambda: stop.now, stop=stop)
    for _ in range(3):
        pace.run(1000, lambda: None)
    assert stop.now == 0.0
