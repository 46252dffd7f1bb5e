"""Documents that another program wrote, without all that vidsearch writes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, nearest, unit_vectors

from vidsearch.engines import Engine, Write
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


@pytest.mark.parametrize("quantization", ["int8", "flat"])
def test_videos_without_a_duration_are_found_by_filtered_searches(
    engine: Engine, index_name: str, quantization: Any
) -> None:
    create_index(engine, index_name, VIDEOS, quantization=quantization)
    bare = []
    for video in VIDEOS[::3]:
        document = video.document("video")
        kept = {name: document["video"][name] for name in ("uri", "vector", "segments")}
        bare.append(Write("index", video.id, {**document, "video": kept}))
    engine.bulk(index_name, bare, refresh=True)
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
