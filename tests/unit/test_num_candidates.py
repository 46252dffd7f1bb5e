"""How many candidates a search asks for: a number that is set, or one that grows with the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.search_index import TableEncoder, Video, create_index, make_videos, unit_vectors

from vidsearch.config import SearchSettings, load_settings
from vidsearch.engines import Json
from vidsearch.errors import ConfigError
from vidsearch.index.size import IndexSize
from vidsearch.search import VideoSearch
from vidsearch.search.index_cache import IndexCache
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.candidates import auto_candidates
from vidsearch_mappings.types import Level

VIDEOS = make_videos(12)


class CountingEngine(MemoryEngine):
    """Remembers the bodies of searches by themselves, which count vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: list[Json] = []

    def search(self, index: str, body: Mapping[str, Any], **options: Any) -> Json:
        self.counted.append(dict(body))
        return super().search(index, body, **options)


@pytest.fixture
def engine() -> CountingEngine:
    engine = CountingEngine()
    create_index(engine, "videos-1", VIDEOS, alias="videos")
    return engine


def candidates_of(engine: MemoryEngine, settings: SearchSettings, **options: Any) -> int:
    search = VideoSearch(engine, TableEncoder(), settings=settings)
    body = search.body(vector=unit_vectors("query", 1)[0], **options)["vector"]
    number: int = body["knn"]["num_candidates"]
    return number


# -- the rule


@pytest.mark.parametrize(("level", "least"), [("segment", 200), ("video", 400)])
def test_candidates_grow_with_the_vectors_and_with_k(level: Level, least: int) -> None:
    def candidates(vectors: int, k: int = 100) -> int:
        return auto_candidates(vectors, level=level, k=k)

    sizes = (0, 1, 10_000, 100_000, 300_000, 1_500_000, 10_000_000, 10**17)
    numbers = [candidates(size) for size in sizes]
    assert numbers == sorted(numbers)
    assert numbers[0] == numbers[3] == least < numbers[4]
    assert numbers[-1] == 10_000
    for size in sizes:
        assert candidates(size, k=1_000) >= max(candidates(size), 1_000)
        assert candidates(size, k=10_000) == 10_000


def test_enough_candidates_are_rescored_whatever_the_window(engine: CountingEngine) -> None:
    create_index(engine, "short", VIDEOS, quantization="int8")

    def rescored(**settings: Any) -> float:
        search = VideoSearch(
            engine, TableEncoder(), index="short", settings=SearchSettings(**settings)
        )
        clause = search.body(vector=unit_vectors("query", 1)[0], k=1)["vector"]["knn"]
        return float(clause["rescore_vector"]["oversample"] * clause["k"])

    assert rescored(window=100) == rescored(window=50) == 100
    assert rescored(window=10) == pytest.approx(99)  # the engine takes no factor of 10
    assert rescored(window=1_000) == 1_000
    assert rescored(window=10, num_candidates=200) == 10


def test_vectors_are_counted_by_level_and_divided_among_the_shards() -> None:
    size = IndexSize(videos=1_001, segments=15_000, shards=2)
    assert size.vectors("video") == 501
    assert size.vectors("segment") == 7_500


# -- in a search


def test_search_of_a_large_index_asks_for_more_candidates(
    engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = sum(len(video.segments) for video in VIDEOS)
    assert candidates_of(engine, SearchSettings()) == 200
    assert candidates_of(engine, SearchSettings(), level="video") == 400
    monkeypatch.setattr("vidsearch_mappings.candidates._SMALL", 2)
    by_segment = candidates_of(engine, SearchSettings())
    by_video = candidates_of(engine, SearchSettings(), level="video")
    assert by_segment == auto_candidates(segments, level="segment", k=100) > 200
    assert by_video == auto_candidates(len(VIDEOS), level="video", k=100) > 400


def test_number_that_is_set_is_asked_for_and_nothing_is_counted(engine: CountingEngine) -> None:
    assert candidates_of(engine, SearchSettings(num_candidates=321)) == 321
    assert engine.counted == []


def test_keyword_search_counts_nothing(engine: CountingEngine) -> None:
    VideoSearch(engine, TableEncoder()).search("red", mode="keyword")
    assert engine.counted == []


def test_vectors_are_counted_once_for_many_searches(engine: CountingEngine) -> None:
    search = VideoSearch(engine, TableEncoder())
    for _ in range(5):
        search.search("red circle")
    assert len(engine.counted) == 1


def test_vectors_are_counted_again_after_a_minute_or_behind_another_index(
    engine: CountingEngine,
) -> None:
    now = 0.0
    cache = IndexCache("videos", clock=lambda: now)

    def segments() -> int:
        size = engine.run(cache.describe(engine.calls, sized=True)).size
        assert size is not None
        return size.segments

    whole = segments()
    extra = Video("extra", {}, unit_vectors("extra", 3))
    engine.put("videos-1", extra.id, extra.document("video"))
    now = 59.0
    assert segments() == whole
    now = 61.0
    assert segments() == whole + 3
    create_index(engine, "videos-2", VIDEOS[:1])
    engine.update_aliases(
        [
            {"remove": {"index": "videos-1", "alias": "videos"}},
            {"add": {"index": "videos-2", "alias": "videos"}},
        ]
    )
    now = 72.0
    assert segments() == len(VIDEOS[0].segments)


def test_index_that_grew_is_not_taken_for_another_one(engine: CountingEngine) -> None:
    cache = IndexCache("videos")
    before = engine.run(cache.describe(engine.calls, fresh=True))
    assert before == engine.run(cache.describe(engine.calls, fresh=True, sized=True))


# -- the setting


@pytest.mark.parametrize(("given", "meant"), [("auto", "auto"), ("1", 1), ("10000", 10_000)])
def test_setting_takes_a_number_or_auto(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: object
) -> None:
    assert load_settings().search.num_candidates == "auto"
    monkeypatch.setenv("VIDSEARCH_SEARCH__NUM_CANDIDATES", given)
    assert load_settings().search.num_candidates == meant


@pytest.mark.parametrize("given", [0, 10_001, -5, 2.5, True, "many", "", None])
def test_other_values_of_the_setting_are_refused_with_what_it_takes(given: object) -> None:
    with pytest.raises(ConfigError, match=r"search.num_candidates: must be a number from 1 to 10"):
        load_settings(search={"num_candidates": given})
