"""Filters on nested objects of the application, and on texts, on real engines at every level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.search_index import (
    TableEncoder,
    Video,
    create_index,
    make_videos,
    nearest,
    unit_vectors,
)

from vidsearch.engines import Engine, Write
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

VIDEOS = make_videos(40)
QUERY = unit_vectors("query", 1)[0]
PLACE = {video.id: at for at, video in enumerate(VIDEOS)}
FIELDS = {
    "cast": {
        "type": "nested",
        "properties": {
            "name": {"type": "keyword"},
            "said": {"type": "text"},
            "age": {"type": "integer"},
            "roles": {"type": "nested", "properties": {"title": {"type": "keyword"}}},
        },
    },
    "awards": {
        "type": "nested",
        "properties": {"title": {"type": "keyword"}, "year": {"type": "integer"}},
    },
    "note": {"type": "text"},
}
AWARDS = [[{"title": "best"}, {"year": 2000}], [], [{"year": 2000}, {"year": 2001}]]
"""In turn: those of a video, none, and without titles."""


def _own(at: int) -> dict[str, Any]:
    first = {"name": "ann" if at % 3 == 0 else "bob", "said": "storm warning at sea", "age": at}
    second = {"name": "cid", "age": 50, "roles": [{"title": "cook" if at % 4 else "captain"}]}
    return {
        "cast": [first, second],
        "awards": AWARDS[at % 3],
        "note": "warning of a storm" if at % 2 else "storm",
    }


def _is_ann(video: Video) -> bool:
    return PLACE[video.id] % 3 == 0


def _is_odd(video: Video) -> bool:
    return "odd" in video.fields["tags"]


ANN = {"nested": {"path": "cast", "query": {"term": {"cast.name": "ann"}}}}
CONDITIONS: list[tuple[Any, Callable[[Video], bool]]] = [
    ({"cast.name": "ann"}, _is_ann),
    ({"cast.name": "ann", "tags": "odd"}, lambda v: _is_ann(v) and _is_odd(v)),
    ({"cast.name": "ann", "cast.age": {"lt": 20}}, lambda v: _is_ann(v) and PLACE[v.id] < 20),
    ({"cast.name": "ann", "cast.age": 50}, lambda v: False),  # of no one item
    ({"cast.said": "warning storm"}, lambda v: True),
    ({"cast.said": ["sunny", "sea storm"], "tags": "odd"}, _is_odd),
    ({"cast.roles.title": "captain"}, lambda v: PLACE[v.id] % 4 == 0),
    ({"awards.title": {"exists": True}}, _is_ann),
    ({"awards.title": {"exists": False}}, lambda v: not _is_ann(v)),
    ({"awards.title": {"exists": False}, "tags": "odd"}, lambda v: not _is_ann(v) and _is_odd(v)),
    # With another condition, of the same item.
    ({"awards.title": {"exists": False}, "awards.year": 2001}, lambda v: PLACE[v.id] % 3 == 2),
    ({"bool": {"must_not": [ANN]}}, lambda v: not _is_ann(v)),
    ({"bool": {"should": [ANN, {"term": {"tags": "odd"}}]}}, lambda v: _is_ann(v) or _is_odd(v)),
    ([{"prefix": {"tags": "re"}}, ANN], lambda v: _is_ann(v) and "red" in v.fields["tags"]),
    ({"note": "storm warning"}, _is_odd),
    ({"note": ["warning", "calm"]}, _is_odd),
    ({"title": "storm"}, lambda v: False),  # with a keyword subfield: the whole text
]


@pytest.fixture(params=["flat", "int8"])
def search(request: pytest.FixtureRequest, engine: Engine, index_name: str) -> VideoSearch:
    create_index(engine, index_name, VIDEOS, quantization=request.param)
    engine.put_mapping(index_name, {"properties": FIELDS})
    own = [Write("update", video.id, _own(at)) for at, video in enumerate(VIDEOS)]
    engine.bulk(index_name, own, refresh=True)
    return VideoSearch(engine, TableEncoder(), index=index_name)


def test_nested_fields_of_the_application_filter_at_every_level(search: VideoSearch) -> None:
    for filter, where in CONDITIONS:
        for level in ("segment", "video", "both"):
            expected = dict(nearest(VIDEOS, QUERY, level="segment", where=where))
            result = search.search(
                vector=QUERY, k=40, filter=filter, level=level, moments=9, merge_gap=None
            )
            assert {hit.id for hit in result} == set(expected), (filter, level)
            for hit in result if level != "video" else ():
                segments = sorted(VIDEOS[PLACE[hit.id]].segments @ QUERY, reverse=True)
                assert [m.cosine for m in hit.moments] == pytest.approx(segments, abs=1e-4)
                best = max(segments[0], float(VIDEOS[PLACE[hit.id]].mean @ QUERY))
                assert hit.cosine == pytest.approx(
                    segments[0] if level == "segment" else best, abs=1e-4
                )
        for fusion in ("rrf", "sum"):
            fused = search.search("circle", vector=QUERY, k=40, filter=filter, fusion=fusion)
            assert {hit.id for hit in fused} == set(expected), (filter, fusion)
            assert all(hit.moments for hit in fused)
        words = search.search("circle dog house river", mode="keyword", k=40, filter=filter)
        assert {hit.id for hit in words} == set(expected), filter


def test_nested_fields_and_conditions_on_segments_hold_together(
    search: VideoSearch, engine: Engine
) -> None:
    if not engine.features().nested_filters:
        pytest.skip("this version cannot filter moments")
    filter = {"cast.name": "ann", "video.segments.start": {"gte": 20}, "tags": "odd"}
    result = search.search(vector=QUERY, k=40, filter=filter, moments=9, merge_gap=None)
    matching = [v for v in VIDEOS if _is_ann(v) and _is_odd(v) and len(v.segments) > 2]
    assert {hit.id for hit in result} == {video.id for video in matching}
    for hit in result:
        segments = sorted(VIDEOS[PLACE[hit.id]].segments[2:] @ QUERY, reverse=True)
        assert [m.cosine for m in hit.moments] == pytest.approx(segments, abs=1e-4)


def test_text_of_segments_is_found_by_the_same_words_at_both_levels(
    search: VideoSearch, engine: Engine
) -> None:
    several = {video.id for video in VIDEOS if len(video.segments) > 1}
    levels = ["video", *(["segment"] if engine.features().nested_filters else [])]
    for level in levels:
        for words, expected in (
            ("words spoken", several),
            (["silent", "spoken"], several),
            ("spoken silent", set()),
        ):
            found = search.search(
                vector=QUERY, k=40, filter={"video.segments.text": words}, level=level
            )
            assert {hit.id for hit in found} == expected, (words, level)
