"""Documents that another program wrote, without all that vidsearch writes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, nearest, unit_vectors

from vidsearch.config import SearchSettings
from vidsearch.engines import Engine, Write
from vidsearch.errors import QueryError
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

VIDEOS = make_videos(40)
QUERY = unit_vectors("query", 1)[0]
CONDITIONS: list[tuple[Any, Any]] = [
    ({"tags": "odd"}, lambda v: "odd" in v.fields["tags"]),
    ({"licence": {"exists": True}}, lambda v: "licence" in v.fields),
    ({"licence": {"exists": False}}, lambda v: "licence" not in v.fields),
    ({"prefix": {"tags": "re"}}, lambda v: v.fields["tags"][0] == "red"),
    ([{"ids": {"values": ["v03", "v04"]}}], lambda v: v.id in {"v03", "v04"}),
    (
        [{"ids": {"values": ["v03", "v04"]}}, {"tags": "odd"}],
        lambda v: v.id == "v03",
    ),
]


BARE = {video.id for video in VIDEOS[::3]}
"""Those whose documents another program wrote."""


def _write_without_duration(engine: Engine, index: str) -> None:
    bare = []
    for video in VIDEOS:
        document = video.document("video")
        kept = {name: document["video"][name] for name in ("uri", "vector", "segments")}
        if video.id in BARE:
            bare.append(Write("index", video.id, {**document, "video": kept}))
    engine.bulk(index, bare, refresh=True)


@pytest.mark.parametrize("quantization", ["int8", "flat"])
def test_videos_without_a_duration_are_found_by_filtered_searches(
    engine: Engine, index_name: str, quantization: Any
) -> None:
    create_index(engine, index_name, VIDEOS, quantization=quantization)
    _write_without_duration(engine, index_name)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    for filter, where in CONDITIONS:
        expected = nearest(VIDEOS, QUERY, where=where)
        for text in (None, "nothing"):
            found = search.search(
                text, vector=QUERY, k=40, filter=filter, moments=9, merge_gap=None
            )
            assert {hit.id for hit in found} == {id for id, _ in expected}, filter
            if quantization == "flat":
                assert [hit.id for hit in found] == [id for id, _ in expected], filter
            cosines = [cosine for _, cosine in expected]
            assert sorted((hit.cosine for hit in found), reverse=True) == pytest.approx(
                cosines, abs=1e-4
            )
            for hit in found:
                segments = sorted(VIDEOS[int(hit.id[1:])].segments @ QUERY, reverse=True)
                assert [m.cosine for m in hit.moments] == pytest.approx(segments, abs=1e-4)


@pytest.mark.parametrize("quantization", ["int8", "flat"])
def test_fusions_of_the_engine_find_videos_without_a_duration(
    engine: Engine, index_name: str, quantization: Any
) -> None:
    create_index(engine, index_name, VIDEOS, quantization=quantization)
    _write_without_duration(engine, index_name)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    names = ["native", "native_rrf"] if engine.features().hybrid else []
    for fusion in ("sum", *names):
        for filter, where in CONDITIONS:
            found = search.search(
                "circle", vector=QUERY, k=40, filter=filter, fusion=fusion, moments=9
            )
            assert {hit.id for hit in found} == {v.id for v in VIDEOS if where(v)}, (fusion, filter)
            assert all(hit.moments for hit in found)
            assert found.warnings == ()


def test_segments_are_scored_by_script_only_where_a_video_lacks_a_duration(
    engine: Engine, index_name: str
) -> None:
    create_index(engine, index_name, VIDEOS, quantization="flat")
    for expected in (False, engine.kind == "opensearch"):
        search = VideoSearch(engine, TableEncoder(), index=index_name)
        body = search.body(vector=QUERY, filter={"tags": "odd"})["vector"]
        assert ("script_score" in str(body)) == expected
        assert "script_score" not in str(search.body(vector=QUERY)["vector"])
        _write_without_duration(engine, index_name)


def test_videos_lost_without_scripts_are_counted_in_a_warning(
    engine: Engine, index_name: str
) -> None:
    create_index(engine, index_name, VIDEOS, quantization="int8")
    _write_without_duration(engine, index_name)
    settings = SearchSettings(rescore=False)
    search = VideoSearch(engine, TableEncoder(), index=index_name, settings=settings)
    odd = {video.id for video in VIDEOS if "odd" in video.fields["tags"]}
    for text in (None, "circle"):
        found = search.search(text, vector=QUERY, k=40, filter={"tags": "odd"})
        if engine.kind == "elasticsearch":
            assert ({hit.id for hit in found}, found.warnings) == (odd, ())
        else:
            assert {hit.id for hit in found} >= odd - BARE
            assert f"{len(BARE)} videos of the index have no video.duration" in found.warnings[0]
            assert "level=video" in found.warnings[0]
        whole = search.search(text, vector=QUERY, k=40, filter={"tags": "odd"}, level="video")
        assert ({hit.id for hit in whole}, whole.warnings) == (odd, ())
    assert search.search(vector=QUERY, k=40).warnings == ()


@pytest.mark.parametrize("number", ["auto", 200])
@pytest.mark.parametrize("quantization", ["int8", "flat"])
def test_like_finds_videos_without_a_duration(
    engine: Engine, index_name: str, quantization: Any, number: Any
) -> None:
    create_index(engine, index_name, VIDEOS, quantization=quantization)
    _write_without_duration(engine, index_name)
    settings = SearchSettings(num_candidates=number)
    search = VideoSearch(engine, TableEncoder(), index=index_name, settings=settings)
    found = search.search(like="v01", k=40)
    assert {hit.id for hit in found} == {video.id for video in VIDEOS} - {"v01"}
    assert found.warnings == ()
    rough = VideoSearch(
        engine,
        TableEncoder(),
        index=index_name,
        settings=SearchSettings(num_candidates=number, rescore=False),
    ).search(like="v01", k=40)
    assert len(rough.warnings) == (engine.kind == "opensearch")
    assert rough.warnings or len(rough) == 39


def test_segments_without_their_bounds_are_found_and_are_no_moments(
    engine: Engine, index_name: str
) -> None:
    create_index(engine, index_name, VIDEOS, quantization="flat")
    bare = []
    for video in VIDEOS[::3]:
        document = video.document("video")
        segments = document["video"]["segments"]
        for at, segment in enumerate(segments):
            for name in ("start", "end", "thumbnail", "text")[: 4 if at % 2 else 2]:
                segment.pop(name, None)
        bare.append(Write("index", video.id, document))
    engine.bulk(index_name, bare, refresh=True)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    expected = nearest(VIDEOS, QUERY)
    for text in (None, "nothing"):
        found = search.search(text, vector=QUERY, k=40, moments=9, merge_gap=None)
        assert [hit.id for hit in found] == [id for id, _ in expected]
        for hit in found:
            assert (hit.moments == ()) == (hit.id in BARE)
    by_moment = search.search(vector=QUERY, k=100, group_by="moment", moments=9, merge_gap=None)
    assert {hit.id for hit in by_moment} == {video.id for video in VIDEOS} - BARE
    with pytest.raises(QueryError, match="'v03' has no segment with start, end and vector"):
        search.search(like="v03", at=5)
