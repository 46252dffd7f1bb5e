"""What vanished between two points in time is found by counting ranges of write numbers."""

from __future__ import annotations

from random import Random

import pytest

from vidsearch.engines import Write
from vidsearch.index import point_in_time
from vidsearch.index.point_in_time import Counted, PointInTime, vanished
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    engine.create_index("shop", {})
    engine.bulk("shop", [Write("index", f"{n}", {"n": n}, f"r{n}") for n in range(150)])
    return engine


def point(engine: MemoryEngine) -> PointInTime:
    return PointInTime.of(engine, "shop", 0)


@pytest.mark.parametrize(
    ("buckets", "ranges", "few"), [(4000, 100, 1000), (40, 4, 3), (8, 2, 1), (300, 3, 50)]
)
def test_what_was_deleted_is_found_among_what_was_written(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, buckets: int, ranges: int, few: int
) -> None:
    monkeypatch.setattr(point_in_time, "_BUCKETS", buckets)
    monkeypatch.setattr(point_in_time, "_RANGES", ranges)
    monkeypatch.setattr(point_in_time, "_FEW", few)
    random = Random(buckets)
    before, upto = point(engine), engine.checkpoints("shop")[0]
    gone: set[str] = set()
    for _ in range(60):
        id = f"{random.randrange(150)}"
        if random.random() < 0.5:
            engine.delete("shop", id, routing=f"r{id}")
            gone.add(id)
        else:
            engine.put("shop", id, {"n": 0}, routing=f"r{id}")
            gone.discard(id)
    engine.put("shop", "new", {"n": 0})
    found = list(vanished(Counted(before, upto), point(engine)))
    assert sorted(one.id for one in found) == sorted(gone)
    assert all(one.routing == f"r{one.id}" for one in found)


def test_where_nothing_was_deleted_nothing_is_found(engine: MemoryEngine) -> None:
    before = point(engine)
    engine.put("shop", "1", {"n": 0}, routing="r1")
    assert list(vanished(Counted(before, 149), point(engine))) == []


def test_what_was_written_anew_with_another_routing_is_gone_from_where_it_was(
    engine: MemoryEngine,
) -> None:
    before = point(engine)
    engine.delete("shop", "1", routing="r1")
    engine.put("shop", "1", {"n": 0}, routing="other")
    found = vanished(Counted(before, 149), point(engine))
    assert [(one.id, one.routing) for one in found] == [("1", "r1")]


def test_a_write_that_was_under_way_does_not_hide_a_delete(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_in_time, "_BUCKETS", 8)
    monkeypatch.setattr(point_in_time, "_RANGES", 2)
    for id in ("short", "late", "quick"):
        engine.put("shop", id, {"n": 0})
    before = point(engine)
    # Numbered 151, but not yet seen by searches, as 152 is.
    engine._points[before.point] = [
        (name, one) for name, one in engine._points[before.point] if one.id != "late"
    ]
    engine.delete("shop", "short")
    # There are as many as before between 128 and 192.
    assert [one.id for one in vanished(Counted(before, 150), point(engine))] == ["short"]
    engine.delete("shop", "quick")
    found = {one.id for one in vanished(Counted(before, 150), point(engine))}
    assert found == {"quick", "short"}


def test_an_index_that_was_empty_has_lost_nothing() -> None:
    engine = MemoryEngine()
    engine.create_index("shop", {})
    before = point(engine)
    engine.put("shop", "1", {"n": 0})
    assert list(vanished(Counted(before, -1), point(engine))) == []
