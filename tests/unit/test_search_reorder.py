"""Fusions and what makes hits differ, through the search, over the engine in memory."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.config import SearchSettings
from vidsearch.engines import Write
from vidsearch.errors import QueryError
from vidsearch.search import Linear, Sum, VideoSearch
from vidsearch.search.legs import read_vector_hits
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(20)


class RecordingEngine(MemoryEngine):
    """Keeps the bodies that it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def msearch(self, index: str, bodies: Any) -> Any:
        self.sent += bodies
        return super().msearch(index, bodies)


@pytest.fixture
def engine() -> RecordingEngine:
    engine = RecordingEngine()
    create_index(engine, "videos", VIDEOS)
    copies = [Write("index", f"{video.id}-copy", video.document("video")) for video in VIDEOS[:5]]
    engine.bulk("videos", copies)
    return engine


@pytest.fixture
def search(engine: RecordingEngine) -> VideoSearch:
    return VideoSearch(engine, TableEncoder())


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_copies_are_collapsed_in_every_mode(search: VideoSearch, mode: Any) -> None:
    result = search.search("red", k=50, mode=mode, collapse=0.999)
    folded = {hit.id: hit.duplicates for hit in result if hit.duplicates}
    found = {hit.id for hit in search.search("red", k=50, mode=mode)}
    assert folded == {
        id: (f"{id}-copy",) for id in ("v00", "v01", "v02", "v03", "v04") if f"{id}-copy" in found
    }
    assert folded


def test_hits_are_collapsed_by_the_keyword_of_a_keyword_as_by_the_field(
    search: VideoSearch,
) -> None:
    plain, other = (search.search("red", k=50, collapse=n) for n in ("tags", "tags.keyword"))
    assert any(hit.duplicates for hit in plain)
    assert other.hits == plain.hits


def test_pages_of_collapsed_hits_neither_overlap_nor_have_gaps(search: VideoSearch) -> None:
    options: dict[str, Any] = {"collapse": 0.999, "diversity": 0.4}
    whole = [hit.id for hit in search.search("red circle", k=12, **options)]
    pages = [
        hit.id
        for start in (0, 4, 8)
        for hit in search.search("red circle", k=4, from_=start, **options)
    ]
    assert pages == whole


def test_vectors_are_read_for_collapse_and_diversity_only(
    search: VideoSearch, engine: RecordingEngine
) -> None:
    search.search("red circle")
    search.search("red circle", diversity=0.0)
    assert not any("video.vector" in body.get("fields", []) for body in engine.sent)
    search.search("red circle", diversity=0.1)
    assert sum("video.vector" in body.get("fields", []) for body in engine.sent) == 1


def test_the_keyword_leg_is_scored_by_the_whole_index(
    search: VideoSearch, engine: RecordingEngine
) -> None:
    search.search("red circle")
    near, words, *page = engine.sent
    assert words["search_type"] == "dfs_query_then_fetch"
    assert not any("search_type" in body for body in (near, *page))
    assert not any("search_type" in body for body in search.body("red circle").values())


def test_sum_sends_one_body_and_then_the_page(search: VideoSearch, engine: RecordingEngine) -> None:
    result = search.search("red circle", k=3, fusion=Sum({"vector": 9.0}))
    assert len(result) == 3
    fused, *page = engine.sent
    assert (fused["knn"]["boost"], fused["size"], len(page)) == (9.0, 100, 1)
    assert search.body("red circle", k=3, fusion="sum")["fused"]["size"] == 3


def test_the_settings_choose_the_fusion(engine: RecordingEngine) -> None:
    settings = SearchSettings(fusion="linear", keyword_weight=0.25)
    by_settings = VideoSearch(engine, TableEncoder(), settings=settings).search("red circle")
    by_hand = VideoSearch(engine, TableEncoder()).search(
        "red circle", fusion=Linear(weights={"keyword": 0.25})
    )
    assert by_settings.hits == by_hand.hits
    assert by_settings.hits != VideoSearch(engine, TableEncoder()).search("red circle").hits


def test_cosines_that_differ_by_rounding_become_equal() -> None:
    cosines = {"z": 0.5000003, "c": 0.5, "b": 0.5000002, "a": 0.499998, "y": 0.9}
    hits = [{"_id": id, "_score": (1 + cosine) / 2} for id, cosine in cosines.items()]
    found = read_vector_hits({"hits": {"hits": hits}}, field="video", similarity="cosine")
    assert [one.id for one in found] == ["y", "b", "c", "z", "a"]
    assert len({one.score for one in found}) == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fusion": "borda"}, "fusion must be rrf, linear"),
        ({"fusion": "native"}, "no retriever 'linear'"),
        ({"fusion": "sum", "min_cosine": 0.2}, "min_cosine cuts the vector leg"),
        ({"fusion": "sum", "gap": 0.2}, "gap cuts the vector leg"),
        ({"collapse": 0}, "collapse must be a cosine above 0"),
        ({"collapse": True}, "collapse must be a cosine above 0"),
        ({"collapse": 1.01}, "collapse must be a cosine above 0"),
        ({"collapse": ""}, "collapse must be a cosine above 0"),
        ({"collapse": "colour"}, "collapse: there is no field 'colour'"),
        ({"collapse": "video.segments.start"}, "collapse: field 'video.segments.start' is"),
        ({"diversity": 1.5}, "diversity must be a number between 0 and 1"),
    ],
)
def test_a_wrong_argument_is_named(search: VideoSearch, options: Any, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        search.search("red circle", **options)
