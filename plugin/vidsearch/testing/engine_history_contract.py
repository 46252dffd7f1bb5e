"""What every engine must tell of earlier writes; see :mod:`.engine_contract`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vidsearch.engines import Engine, Write
from vidsearch.errors import BackendAccessDeniedError

__all__ = ["EngineHistoryContract"]


class EngineHistoryContract:
    """Changes since a point, points in time, and an index that refuses writes."""

    def test_changes_are_those_between_two_checkpoints(self, engine: Engine, index: str) -> None:
        vector = {"vector": [0.0, 1.0, 0.0, 0.0]}
        names = [f"{n:02}" for n in range(12)]
        engine.bulk(index, [Write("index", id, {"n": 1}, "r" + id) for id in names])
        before = engine.checkpoints(index)
        assert sum(number + 1 for number in before.values()) >= 12 - len(before)
        engine.bulk(index, [Write("index", id, {"n": 2, "video": vector}, "r" + id) for id in "ab"])
        engine.bulk(index, [Write("update", id, {"n": 2}, "r" + id) for id in names[:6]])
        engine.put(index, "versioned", {"n": 2}, version=9, routing="rversioned")
        engine.delete(index, names[5], routing="r" + names[5])
        after = engine.checkpoints(index)
        engine.put(index, names[0], {"n": 3}, routing="r" + names[0])
        engine.put(index, "later", {"n": 3}, routing="rlater")
        engine.refresh(index)
        for page_size in (1, 2, 3, 50):
            found = {
                one.id: one
                for one in engine.changes(index, after=before, until=after, page_size=page_size)
            }
            assert sorted(found) == [*names[1:5], "a", "b", "versioned"]
            assert {one.source["n"] for one in found.values()} == {2}
            assert found["a"].source["video"] == vector
            assert all(one.routing == f"r{one.id}" for one in found.values())
            assert [found[id].version for id in (names[1], "a", "versioned")] == [2, 1, 9]
        assert list(engine.changes(index, after=after, until=after)) == []
        assert sum(engine.checkpoints(index).values()) == sum(after.values()) + 2
        every = engine.changes(index, after={}, until=engine.checkpoints(index))
        assert len(list(every)) == engine.count(index) == 15

    def test_a_point_in_time_keeps_what_searches_saw(self, engine: Engine, index: str) -> None:
        engine.bulk(index, [Write("index", f"{n}", {"n": n}) for n in range(8)], refresh=True)
        engine.refresh(index)
        before = engine.open_point_in_time(index)
        engine.bulk(index, [Write("delete", "1"), Write("index", "2", {"n": 9})])
        engine.put(index, "new", {"n": 9})
        engine.refresh(index)
        after = engine.open_point_in_time(index)
        everything = [f"{n}" for n in range(8)]
        assert self._ids(engine, before, {"match_all": {}}) == everything
        assert self._ids(engine, before, {"ids": {"values": ["1", "new"]}}) == ["1"]
        assert self._ids(engine, after, {"ids": {"values": ["1", "2", "new"]}}) == ["2", "new"]
        counts = self._counts(engine, before, width=1)
        assert sum(counts.values()) == 8
        assert sum(self._counts(engine, after, width=1000).values()) == 8
        (first, *_) = counts
        upwards = {"range": {"_seq_no": {"gte": first, "lt": first + 1}}}
        assert len(self._ids(engine, before, upwards)) == counts[first]
        shards = [engine.open_point_in_time(index, shard=n) for n in engine.checkpoints(index)]
        parts = [self._ids(engine, point, {"match_all": {}}) for point in shards]
        assert sorted(id for part in parts for id in part) == [*"0234567", "new"]
        everything_now = {"query": {"match_all": {}}, "size": 100, "_source": False}
        for number, part in zip(engine.checkpoints(index), parts, strict=True):
            hits = engine.search_shard(index, number, everything_now)["hits"]["hits"]
            assert sorted(hit["_id"] for hit in hits) == part
        for point in (before, after, *shards):
            engine.close_point_in_time(point)

    def test_shards_are_read_in_one_round_trip(self, engine: Engine, index: str) -> None:
        vector = {"vector": [0.0, 1.0, 0.0, 0.0]}
        engine.bulk(index, [Write("index", f"{n}", {"n": 0}) for n in range(8)])
        before = engine.checkpoints(index)
        written = [Write("index", f"{n}", {"n": 1, "video": vector}, version=9) for n in range(6)]
        assert engine.bulk(index, written, is_there=True).written == 6
        engine.delete(index, "0")
        engine.refresh(index)
        unchanged = {"query": {"term": {"n": 0}}, "size": 100, "_source": False}
        bodies = [(shard, unchanged) for shard in before]
        read = engine.read_shards(index, before, size=100, bodies=bodies)
        found = {one.id: one for some in read.changes.values() for one in some}
        assert sorted(found) == [*"12345"]
        assert all(one.source["video"] == vector for one in found.values())
        assert {one.version for one in found.values()} == {9}
        for some in read.changes.values():
            assert list(some) == sorted(some, key=lambda one: one.revision.seq_no)
        hits = [hit["_id"] for answer in read.answers for hit in answer["hits"]["hits"]]
        assert sorted(hits) == ["6", "7"]
        assert read.count == 7
        few = engine.read_shards(index, before, size=1)
        assert {shard: list(some) for shard, some in few.changes.items()} == {
            shard: list(some[:1]) for shard, some in read.changes.items()
        }
        assert not few.answers
        assert engine.merging([index]) >= 0

    @staticmethod
    def _ids(engine: Engine, point: str, query: Any) -> list[str]:
        body = {"query": query, "size": 100, "_source": False}
        hits = engine.search_point_in_time(point, body)["hits"]["hits"]
        return sorted(hit["_id"] for hit in hits)

    @staticmethod
    def _counts(engine: Engine, point: str, *, width: int) -> dict[int, int]:
        histogram = {"field": "_seq_no", "interval": width, "min_doc_count": 1}
        body = {"size": 0, "aggs": {"counts": {"histogram": histogram}}}
        buckets = engine.search_point_in_time(point, body)["aggregations"]["counts"]["buckets"]
        return {int(one["key"]): one["doc_count"] for one in buckets}

    def test_an_index_whose_writes_are_blocked_is_read_only(
        self, engine: Engine, index: str
    ) -> None:
        engine.put(index, "a", {"n": 1})
        engine.block_writes(index)
        for write in (
            lambda: engine.put(index, "a", {"n": 2}),
            lambda: engine.delete(index, "a"),
        ):
            with pytest.raises(BackendAccessDeniedError, match="block"):
                write()
        found = engine.get(index, "a")
        assert found is not None
        assert found.source == {"n": 1}
        engine.put_settings(index, {"blocks.write": None})
        engine.put(index, "a", {"n": 2})

    def test_no_write_comes_after_writes_were_blocked(self, engine: Engine, index: str) -> None:
        taken: list[int] = []
        ended = threading.Event()  # else a test that fails would never end

        def write(number: int) -> bool:
            while not ended.is_set():
                try:
                    engine.put(index, f"{number}", {"n": number})
                except BackendAccessDeniedError:
                    return True
                taken.append(number)
            return False

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, number) for number in range(4)]
            try:
                while len(taken) < 20:
                    assert not any(one.done() for one in writing)
                engine.block_writes(index)
                numbers = engine.checkpoints(index)
                assert all(one.result(timeout=30) for one in writing)
            finally:
                ended.set()
        assert engine.checkpoints(index) == numbers
        assert sum(number + 1 for number in numbers.values()) == len(taken)
        engine.put_settings(index, {"blocks.write": None})

    def test_a_bulk_passes_the_default_pipeline_by(self, engine: Engine, index: str) -> None:
        # There is no such pipeline: a write that ran it would fail.
        engine.put_settings(index, {"default_pipeline": "absent"})
        assert engine.bulk(index, [Write("index", "a", {"n": 1})], pipeline=False).written == 1
