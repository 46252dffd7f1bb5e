"""What a measurement of recall counts, advises and refuses; the measuring is tested on nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors

from vidsearch.config import IndexSettings, Settings
from vidsearch.errors import QueryError
from vidsearch.index import open_videos_index
from vidsearch.search import Level, Recall, measure_recall
from vidsearch.search.nearest import Nearest, Wanted
from vidsearch.search.recall_advice import advice
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def settings(name: str = "videos") -> Settings:
    return Settings(index=IndexSettings(name=name))


# -- the nearest


def test_nearest_of_batches_are_those_of_all() -> None:
    queries, corpus = unit_vectors("queries", 7), unit_vectors("corpus", 500)
    ids = [f"v{n}" for n in range(len(corpus))]
    nearest = Nearest(len(queries), keep=9)
    for start in range(0, len(corpus), 64):
        batch = slice(start, start + 64)
        nearest.show(ids[batch], queries @ corpus[batch].T)
    for query, best in zip(queries, nearest.best(), strict=True):
        expected = np.argsort(-(corpus @ query))[:9]
        assert [id for id, _ in best] == [ids[n] for n in expected]
        assert [cosine for _, cosine in best] == pytest.approx(list(corpus[expected] @ query))


def test_fewer_than_are_kept_are_all_there() -> None:
    nearest = Nearest(1, keep=5)
    nearest.show(["a", "b"], np.array([[0.1, 0.2]], np.float32))
    assert [id for id, _ in nearest.best()[0]] == ["b", "a"]


def test_video_itself_does_not_count_and_ties_of_the_last_one_do() -> None:
    best = [("me", 1.0), ("a", 0.9), ("b", 0.8), ("copy of b", 0.8), ("c", 0.7)]
    wanted = Wanted.of(best, "me", 2)
    assert wanted.ids == {"a", "b", "copy of b"}
    assert wanted.share([("me", 1.0), ("a", 0.9), ("copy of b", 0.8), ("b", 0.8)]) == 1.0
    assert wanted.share([("me", 1.0), ("c", 0.7), ("a", 0.9)]) == 0.5
    assert Wanted.of(best, "other", 1).ids == {"me"}
    alone = Wanted.of(best[:2], "me", 10)
    assert (alone.ids, alone.number) == ({"a"}, 1)


def test_ties_beyond_the_nearest_that_were_read_count_by_their_cosine() -> None:
    copies = [(f"copy {at}", 0.9) for at in range(5)]
    wanted = Wanted.of([("me", 1.0), *copies[:4]], "me", 2)
    assert wanted.share([copies[4], copies[0]]) == 1.0
    assert wanted.share([copies[4], ("far", 0.8)]) == 0.5
    assert wanted.is_tied
    all_known = Wanted.of([("me", 1.0), *copies[:2], ("b", 0.8), ("c", 0.7)], "me", 2)
    assert all_known.share([("wrong", 0.95), copies[0]]) == 0.5


def test_equal_vectors_beyond_those_that_are_looked_for_are_told() -> None:
    near = [("me", 1.0), ("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6), ("e", 0.5)]
    assert not Wanted.of(near, "me", 2).is_tied
    assert not Wanted.of([("me", 1.0), ("a", 0.9), ("b", 0.9), *near[3:]], "me", 2).is_tied
    assert Wanted.of([("me", 1.0), ("a", 0.9), ("b", 0.9), ("c", 0.9), *near[4:]], "me", 2).is_tied


# -- the advice


def tried(level: Level, *points: tuple[int, float], present: int) -> list[Recall]:
    return [
        Recall(level, number, number == present, recall, p50=5.0, p95=9.0)
        for number, recall in points
    ]


def advised(engine: MemoryEngine, measured: list[Recall], preset: Any = "int8") -> list[str]:
    create_index(engine, "videos", make_videos(3), quantization=preset)
    index = open_videos_index(engine, settings().index)
    return list(advice(engine, index, measured, target=0.98, k=10))


def test_enough_recall_needs_no_change(engine: MemoryEngine) -> None:
    measured = tried("segment", (100, 0.9), (200, 0.98), (400, 1.0), present=200)
    assert advised(engine, measured) == [
        "segment: recall@10 is 0.980, at least 0.98: nothing to change"
    ]


def test_smallest_number_that_is_enough_is_advised_by_level(engine: MemoryEngine) -> None:
    measured = [
        *tried("segment", (100, 0.8), (200, 0.9), (400, 0.985), (800, 1.0), present=200),
        *tried("video", (100, 1.0), (200, 1.0), present=200),
    ]
    by_segment, by_video = advised(engine, measured)
    assert "set search.num_candidates to 400 (recall 0.985, p95 9.0 ms)" in by_segment
    assert by_video.endswith("nothing to change")


def test_equal_vectors_are_named_where_no_number_is_enough(engine: MemoryEngine) -> None:
    measured = [replace(each, tied=0.1) for each in tried("segment", (200, 0.7), present=200)]
    _, equal, *_ = advised(engine, measured, "float")
    assert "10% of the vectors searched for have more equal ones" in equal
    assert "index.quantization to flat" in equal


def test_index_is_to_change_where_no_number_is_enough(engine: MemoryEngine) -> None:
    measured = tried("segment", (200, 0.9), (400, 0.95), present=200)
    first, *others = advised(engine, measured, "int8")
    assert "0.950 with 400 candidates: more candidates are not enough" in first
    text = " ".join(others)
    assert "index.m" in text
    assert "index.ef_construction" in text
    assert "index.quantization is int8" in text
    assert "hnsw_enable_early_termination" in text or engine.info().version < (9, 3, 0)


# -- what cannot be measured


@pytest.mark.parametrize(
    ("name", "value"), [("queries", 0), ("queries", 1_001), ("k", 0), ("k", 101), ("target", 1.5)]
)
def test_number_out_of_range_is_refused_by_its_name(
    engine: MemoryEngine, name: str, value: Any
) -> None:
    with pytest.raises(QueryError, match=f"^{name} must be from .*, not {value}") as caught:
        measure_recall(engine, settings(), **{name: value})
    assert caught.value.argument == name


def test_index_without_vectors_is_refused_with_what_to_do(engine: MemoryEngine) -> None:
    create_index(engine, "videos", [])
    engine.put("videos", "plain", {"title": "a document without vectors"})
    with pytest.raises(QueryError, match=r"holds no vectors.*ingest videos first"):
        measure_recall(engine, settings())


def test_index_of_no_more_videos_than_k_is_refused(engine: MemoryEngine) -> None:
    create_index(engine, "videos", make_videos(10), identity=TableEncoder().identity)
    with pytest.raises(QueryError, match=r"holds 10 videos.*recall@10 needs more than 10"):
        measure_recall(engine, settings())
