"""What every engine must do with many documents at once; see :mod:`.engine_contract`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pytest

from vidsearch.engines import BulkResult, Engine, Json, Revision, Write
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.errors import BulkError, DocumentNotFoundError, VersionConflictError
from vidsearch.testing.small_index import small_index

__all__ = ["EngineBulkContract", "together"]

T = TypeVar("T")


def together(work: Callable[[int], T], *, threads: int) -> list[T]:
    """Run ``work`` in that many threads, which all start at once."""
    gate = threading.Barrier(threads)

    def run(number: int) -> T:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


class EngineBulkContract:
    """Bulk writes, compare-and-set in them, reads of many ids."""

    # -- mget

    def test_many_ids_are_read_at_once_and_whole(self, engine: Engine, index: str) -> None:
        video = {"vector": [0.0, 1.0, 0.0, 0.0], "segments": [{"vector": [1.0, 0.0, 0.0, 0.0]}]}
        engine.put(index, "a", {"n": 1, "video": video})
        engine.put(index, "b/c", {"n": 2}, routing="r")
        engine.put(index, "deleted", {"n": 3})
        engine.delete(index, "deleted")
        found = engine.mget(index, ["b/c", "absent", "a", "deleted", "a"], routing={"b/c": "r"})
        assert found == {
            "a": engine.get(index, "a"),
            "b/c": engine.get(index, "b/c", routing="r"),
        }
        assert found["a"].source == {"n": 1, "video": video}
        assert engine.mget(index, []) == {}

    def test_of_many_ids_some_fields_are_read(self, engine: Engine, index: str) -> None:
        source = {"n": 1, "title": "x", "video": {"vector": [0.0, 1.0, 0.0, 0.0]}}
        revision = engine.put(index, "a", source)
        some = engine.mget(index, ["a"], source=["n", "video.vector"])["a"]
        assert some.source == {"n": 1, "video": source["video"]}
        none = engine.mget(index, ["a"], source=False)["a"]
        assert (none.source, none.revision) == ({}, revision)

    def test_more_ids_than_one_request_takes_are_read(self, engine: Engine, index: str) -> None:
        written = engine.bulk(index, [Write("index", f"{n}", {"n": n}) for n in range(1200)])
        found = engine.mget(index, [f"{n}" for n in range(1300)])
        assert {id: one.source["n"] for id, one in found.items()} == {
            f"{n}": n for n in range(1200)
        }
        assert {id: one.revision for id, one in found.items()} == written.revisions

    # -- compare-and-set

    def test_bulk_writes_what_is_as_expected(self, engine: Engine, index: str) -> None:
        revisions = {id: engine.put(index, id, {"n": 1, "m": 1}) for id in ("a", "b", "c")}
        done = engine.bulk(
            index,
            [
                Write("index", "a", {"n": 2}, expect=revisions["a"]),
                Write("update", "b", {"n": 2}, expect=revisions["b"]),
                Write("delete", "c", expect=revisions["c"]),
                Write("index", "d", {"n": 2}, expect="absent"),
            ],
        )
        assert (done.written, done.conflicts) == (4, ())
        assert (done.created, done.deleted) == (1, 1)
        again = engine.bulk(index, [Write("delete", "c"), Write("create", "e", {"n": 2})])
        assert (again.written, again.created, again.deleted) == (2, 1, 0)
        stored = engine.mget(index, ["a", "b", "c", "d"])
        assert {id: one.source for id, one in stored.items()} == {
            "a": {"n": 2},
            "b": {"n": 2, "m": 1},
            "d": {"n": 2},
        }
        assert done.revisions == {id: one.revision for id, one in stored.items()}

    def test_bulk_reports_what_is_not_as_expected_and_does_the_rest(
        self, engine: Engine, index: str
    ) -> None:
        stale = {id: engine.put(index, id, {"n": 1}) for id in ("index", "update", "delete")}
        for id in stale:
            engine.put(index, id, {"n": 2})
        before = engine.mget(index, [*stale, "new"])
        gone = Revision(0, 1)
        done = engine.bulk(
            index,
            [
                Write("index", "index", {"n": 3}, expect=stale["index"]),
                Write("update", "update", {"n": 3}, expect=stale["update"]),
                Write("delete", "delete", expect=stale["delete"]),
                Write("index", "new", {"n": 3}, expect="absent"),
                Write("index", "new", {"n": 4}, expect="absent"),
                Write("index", "absent 1", {"n": 3}, expect=gone),
                Write("update", "absent 2", {"n": 3}, expect=gone),
                Write("delete", "absent 3", expect=gone),
            ],
        )
        assert done.written == 1
        assert sorted(done.conflicts) == [
            *("absent 1", "absent 2", "absent 3", "delete", "index", "new", "update"),
        ]
        after = engine.mget(index, [*stale, "new", "absent 1", "absent 2", "absent 3"])
        assert after.pop("new").source == {"n": 3}
        assert after == before

    def test_conflicts_are_told_beside_rejections(self, engine: Engine, index: str) -> None:
        engine.put(index, "there", {"n": 1})
        with pytest.raises(BulkError, match="1 of 3") as raised:
            engine.bulk(
                index,
                [
                    Write("index", "there", {"n": 2}, expect="absent"),
                    Write("index", "bad", {"video": {"vector": [1.0]}}, expect="absent"),
                    Write("index", "good", {"n": 2}, expect="absent"),
                ],
            )
        assert raised.value.failures.keys() == {"bad"}
        assert raised.value.conflicts == ("there",)
        stored = engine.mget(index, ["there", "bad", "good"])
        assert stored.keys() == {"there", "good"}
        assert raised.value.revisions == {"good": stored["good"].revision}

    def test_one_of_many_bulk_writers_wins_each_document(self, engine: Engine, index: str) -> None:
        ids = [f"{n}" for n in range(20)]

        def create(number: int) -> BulkResult:
            writes = [Write("index", id, {"n": number}, expect="absent") for id in ids]
            return engine.bulk(index, writes)

        results = together(create, threads=6)
        winners = {id: n for n, one in enumerate(results) for id in one.revisions}
        assert sum(one.written for one in results) == len(ids)
        assert all({*one.revisions, *one.conflicts} == {*ids} for one in results)
        stored = engine.mget(index, ids)
        assert {id: one.source["n"] for id, one in stored.items()} == winners

    def test_bulk_writes_with_versions_keep_the_greatest(self, engine: Engine, index: str) -> None:
        engine.put(index, "older", {"n": 1}, version=4)
        engine.put(index, "same", {"n": 1}, version=5)
        newer = engine.put(index, "newer", {"n": 1}, version=6)
        ids = ["older", "same", "newer", "absent"]
        done = engine.bulk(index, [Write("index", id, {"n": 2}, version=5) for id in ids])
        assert (done.written, done.conflicts) == (3, ("newer",))
        found = engine.mget(index, ids)
        assert {id: (one.source["n"], one.version) for id, one in found.items()} == {
            **dict.fromkeys(("older", "same", "absent"), (2, 5)),
            "newer": (1, 6),
        }
        assert found["newer"].revision == newer
        engine.bulk(index, [Write("update", "same", {"n": 3})])
        same = engine.get(index, "same")
        assert same is not None
        assert (same.source["n"], same.version) == (3, 6)

    def test_an_expectation_that_makes_no_sense_is_refused(self) -> None:
        with pytest.raises(ValueError, match="op index"):
            Write("create", "a", {}, version=1)
        with pytest.raises(ValueError, match="op index"):
            Write("index", "a", {}, expect=Revision(0, 1), version=1)
        with pytest.raises(ValueError, match="use op index"):
            Write("create", "a", {}, expect=Revision(0, 1))
        for op in ("update", "delete"):
            with pytest.raises(ValueError, match=op):
                Write(op, "a", {}, expect="absent")

    # -- bulk

    def test_bulk_runs_every_kind_of_write(self, engine: Engine, index: str) -> None:
        engine.put(index, "old", {"n": 1, "deep": {"a": 1, "b": 1}, "tags": ["x", "y"]})
        engine.put(index, "gone", {"n": 1})
        engine.bulk(
            index,
            [
                Write("index", "new", {"n": 2}),
                Write("create", "made", {"n": 3}),
                Write("update", "old", {"deep": {"b": 2}, "tags": ["z"]}),
                Write("delete", "gone"),
                Write("delete", "never was"),
            ],
        )
        sources = {}
        for id in ("new", "made", "old", "gone"):
            found = engine.get(index, id)
            sources[id] = found.source if found else None
        assert sources == {
            "new": {"n": 2},
            "made": {"n": 3},
            "old": {"n": 1, "deep": {"a": 1, "b": 2}, "tags": ["z"]},
            "gone": None,
        }

    def test_an_update_keeps_the_vectors(self, engine: Engine, index: str) -> None:
        video = {"vector": [0.0, 1.0, 0.0, 0.0], "segments": [{"vector": [1.0, 0.0, 0.0, 0.0]}]}
        engine.put(index, "a", {"title": "old", "video": video})
        engine.bulk(index, [Write("update", "a", {"title": "new", "video": {"uri": "a.mp4"}})])
        found = engine.get(index, "a")
        assert found is not None
        assert found.source == {"title": "new", "video": {**video, "uri": "a.mp4"}}

    def test_bulk_of_nothing_writes_nothing(self, engine: Engine, index: str) -> None:
        assert engine.bulk(index, []) == BulkResult(0)
        assert engine.count(index) == 0

    def test_writes_of_one_document_keep_their_order(self, engine: Engine, index: str) -> None:
        done = engine.bulk(
            index,
            [
                Write("create", "a", {"n": 1}),
                Write("update", "a", {"m": 2}),
                Write("delete", "b"),
                Write("index", "b", {"n": 3}),
                Write("delete", "a"),
                Write("create", "a", {"n": 4}),
            ],
        )
        assert (done.written, done.retried) == (6, 0)
        found = [engine.get(index, id) for id in ("a", "b")]
        assert [one and one.source for one in found] == [{"n": 4}, {"n": 3}]

    def test_vectors_are_taken_as_arrays_and_read_back_bit_for_bit(
        self, engine: Engine, index_name: str
    ) -> None:
        engine.create_index(index_name, small_index(engine, dims=512))
        vectors = np.random.default_rng(7).standard_normal((12, 512)).astype(np.float32)
        vectors[:, :4] = np.array([-0.0, 1e-30, 1.2e-38, -1.7e-12], np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

        def video(number: int) -> Json:
            segments = [{"start": 0.0, "vector": vectors[number + 6]}]
            return {"video": {"vector": vectors[number], "segments": segments}}

        engine.bulk(index_name, [Write("index", f"{n}", video(n)) for n in range(2)])
        engine.bulk(index_name, [Write("create", f"{n}", video(n)) for n in range(2, 4)])
        engine.put(index_name, "4", video(4))
        engine.put(index_name, "5", {"title": "later"})
        engine.update(index_name, "5", video(5))
        engine.refresh(index_name)
        stored = {document.id: document.source for document in engine.scan(index_name)}
        for number in range(6):
            found = engine.get(index_name, f"{number}")
            assert found is not None
            ours: Json
            for source in (found.source, stored[f"{number}"]):
                ours = source["video"]
                for vector, expected in (
                    (ours["vector"], vectors[number]),
                    (ours["segments"][0]["vector"], vectors[number + 6]),
                ):
                    assert np.asarray(vector, np.float32).tobytes() == expected.tobytes()

    def test_bulk_says_what_failed_and_does_the_rest(self, engine: Engine, index: str) -> None:
        engine.put(index, "there", {"n": 1})
        with pytest.raises(BulkError, match=f"3 of 5 .*{index}") as raised:
            engine.bulk(
                index,
                [
                    Write("index", "good", {"n": 2}),
                    Write("create", "there", {"n": 3}),
                    Write("index", "bad", {"video": {"vector": [1.0]}}),
                    Write("update", "absent", {"n": 4}),
                    Write("delete", "absent too"),
                ],
            )
        failures = raised.value.failures
        assert {id: type(error) for id, error in failures.items()} == {
            "there": VersionConflictError,
            "bad": RequestRejectedError,
            "absent": DocumentNotFoundError,
        }
        assert all(index in str(error) and id in str(error) for id, error in failures.items())
        good, there = engine.get(index, "good"), engine.get(index, "there")
        assert good is not None
        assert there is not None
        assert (good.source, there.source) == ({"n": 2}, {"n": 1})
        assert raised.value.revisions == {"good": good.revision}
