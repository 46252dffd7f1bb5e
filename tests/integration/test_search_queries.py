"""Every way to ask on the real engines, over several shards, against brute force."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.search_index import TableEncoder, create_index, make_videos, nearest, unit_vectors
from tests.services import RunningServices, call

from vidsearch.config import load_settings
from vidsearch.engines import Engine, Write
from vidsearch.errors import QueryError
from vidsearch.local import SearchNode
from vidsearch.search import VideoSearch, measure_recall

pytestmark = pytest.mark.integration

VIDEOS = make_videos()
BY_ID = {video.id: video for video in VIDEOS}
QUERY = unit_vectors("query", 1)[0]


@pytest.fixture(scope="module")
def search(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """Over exact vectors in three shards."""
    name = f"test-queries-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, f"{name}-000001", VIDEOS, alias=name, shards=3)
    yield VideoSearch(shared_engine, TableEncoder(), index=name)
    services.drop(name)


def in_order(cosines: dict[str, float]) -> list[str]:
    return sorted(cosines, key=lambda id: (-cosines[id], id))


def test_level_both_takes_the_better_cosine(search: VideoSearch) -> None:
    cosines = {
        v.id: max(v.cosine(QUERY, level="segment"), v.cosine(QUERY, level="video")) for v in VIDEOS
    }
    result = search.search(vector=QUERY, level="both", k=20)
    assert [hit.id for hit in result] == in_order(cosines)[:20]
    assert [hit.cosine for hit in result] == pytest.approx(
        [cosines[hit.id] for hit in result], abs=1e-5
    )
    assert any(hit.cosine > max(m.cosine for m in hit.moments) + 1e-3 for hit in result) == any(
        BY_ID[hit.id].cosine(QUERY, level="video")
        > BY_ID[hit.id].cosine(QUERY, level="segment") + 1e-3
        for hit in result
    )
    fused = search.search("red circle", vector=QUERY, level="both", k=20, mode="hybrid")
    assert {hit.id for hit in fused if hit.cosine is not None} == {hit.id for hit in fused}


@pytest.mark.parametrize("level", ["segment", "video"])
def test_like_excludes_the_video_itself(search: VideoSearch, level: Any) -> None:
    for at, vector in ((None, BY_ID["v11"].mean), (25.0, BY_ID["v11"].segments[2])):
        expected = nearest(VIDEOS, vector, level=level, where=lambda v: v.id != "v11")
        options = {} if at is None else {"at": at}
        result = search.search(like="v11", level=level, k=20, **options)
        assert [hit.id for hit in result] == [id for id, _ in expected[:20]]
        assert [hit.cosine for hit in result] == pytest.approx(
            [cosine for _, cosine in expected[:20]], abs=1e-5
        )
    both_legs = search.search("green house", like="v11", level=level, k=50)
    assert "v11" not in {hit.id for hit in both_legs}
    assert both_legs.mode == "hybrid"
    with pytest.raises(QueryError, match="no video 'nowhere'"):
        search.search(like="nowhere")


def test_min_cosine_and_gap_cut_hits_and_moments(search: VideoSearch) -> None:
    for level in ("segment", "video", "both"):
        ranked = search.search(vector=QUERY, k=60, level=level)
        fifth = ranked.hits[4].cosine or 0.0
        best = ranked.hits[0].cosine or 0.0
        for cut in ({"min_cosine": fifth - 1e-6}, {"gap": best - fifth + 1e-6}):
            found = search.search(vector=QUERY, k=60, level=level, **cut)
            assert [hit.id for hit in found] == [hit.id for hit in ranked.hits[:5]]
            assert all(m.cosine >= fifth - 1e-5 for hit in found for m in hit.moments)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_pages_neither_overlap_nor_have_gaps(search: VideoSearch, mode: Any) -> None:
    whole = [hit.id for hit in search.search("red circle", k=12, mode=mode)]
    pages = [search.search("red circle", k=4, from_=at, mode=mode) for at in (0, 4, 8)]
    assert [hit.id for page in pages for hit in page] == whole


def test_segment_filters_decide_the_moments(search: VideoSearch, shared_engine: Engine) -> None:
    where = {"video.segments.start": {"gte": 20}, "video.segments.end": {"lte": 45}, "tags": "odd"}
    if not shared_engine.features().nested_filters:
        with pytest.raises(QueryError, match="level=video"):
            search.search(vector=QUERY, filter=where)
        found = search.search("red circle", vector=QUERY, filter=where, level="video", k=60)
        assert {hit.id for hit in found} == {
            v.id for v in VIDEOS if "odd" in v.fields["tags"] and len(v.segments) > 2
        }
        return
    cosines = {
        v.id: float((v.segments[2:4] @ QUERY).max())
        for v in VIDEOS
        if "odd" in v.fields["tags"] and len(v.segments) > 2
    }
    result = search.search(vector=QUERY, k=60, filter=where, moments=9)
    assert [hit.id for hit in result] == in_order(cosines)
    assert [h.cosine for h in result] == pytest.approx([cosines[h.id] for h in result], abs=1e-5)
    fused = search.search("red circle", vector=QUERY, k=60, filter=where, moments=9)
    assert {hit.id for hit in fused} == set(cosines)
    for hit in (*result, *fused):
        assert hit.moments
        assert all(m.start >= 20 and m.end <= 45 for m in hit.moments)
    raw = {"range": {"video.segments.start": {"gte": 20, "lt": 40}}}
    same = search.search(vector=QUERY, k=60, filter=[raw, {"term": {"tags": "odd"}}])
    assert [hit.id for hit in same] == [hit.id for hit in result]


@pytest.mark.parametrize(
    ("where", "odd"),
    [
        ({"video.segments.text": {"exists": True}}, {True}),
        ({"video.segments.text": {"exists": False}}, {False}),
        ({"video.segments.text": {"exists": False}, "video.segments.start": {"gte": 0}}, {False}),
        ({"prefix": {"video.segments.text": "spok"}}, {True}),
        ({"bool": {"must_not": [{"match": {"video.segments.text": "spoken"}}]}}, {False}),
    ],
)
def test_segment_filters_of_every_kind_apply_to_segments(
    search: VideoSearch, shared_engine: Engine, where: Any, odd: set[bool]
) -> None:
    if not shared_engine.features().nested_filters:
        pytest.skip("this version cannot filter moments")
    for filter in ([where], [where, {"tags": "odd"}]):
        result = search.search(vector=QUERY, k=60, filter=filter, moments=9, merge_gap=None)
        assert {round(m.start / 10) % 2 == 1 for hit in result for m in hit.moments} == odd
        tagged = [v for v in VIDEOS if len(filter) == 1 or "odd" in v.fields["tags"]]
        assert {hit.id for hit in result} == {
            v.id for v in tagged if odd == {False} or len(v.segments) > 1
        }


def test_index_created_by_an_older_cluster_gives_exact_cosines(
    shared_engine: Engine, services: RunningServices, search_node: SearchNode
) -> None:
    if search_node.kind != "opensearch":
        pytest.skip("only OpenSearch's script scores by the version that made the index")
    name = f"test-old-{uuid.uuid4().hex[:8]}"
    created_by = str(2110099 ^ 0x08000000)  # 2.11.0
    create_index(shared_engine, name, VIDEOS, quantization="int8", created_by=created_by)
    found = VideoSearch(shared_engine, TableEncoder(), index=name).search(vector=QUERY, k=20)
    expected = nearest(VIDEOS, QUERY)[:20]
    assert [hit.id for hit in found] == [id for id, _ in expected]
    assert [hit.cosine for hit in found] == pytest.approx([c for _, c in expected], abs=1e-5)
    services.drop(name)


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        (
            {"recorded": {"gte": "2020-02-20||-2d/d"}},
            lambda v: v.fields["recorded"] >= "2020-02-18",
        ),
        (
            {"recorded": {"lt": "20/02/2020", "format": "dd/MM/yyyy"}},
            lambda v: v.fields["recorded"] < "2020-02-20",
        ),
        ({"recorded": {"gte": "now-7d"}}, lambda v: False),
        ({"licence": {"exists": False}}, lambda v: "licence" not in v.fields),
        ({"tags": ["red", "blue"]}, lambda v: {"red", "blue"} & set(v.fields["tags"])),
        (
            {"bool": {"must_not": [{"prefix": {"tags": "re"}}]}},
            lambda v: "red" not in v.fields["tags"],
        ),
    ],
)
def test_filters_apply_to_both_legs(search: VideoSearch, where: Any, matches: Any) -> None:
    expected = {v.id for v in VIDEOS if matches(v)}
    for level in ("segment", "video", "both"):
        near = search.search(vector=QUERY, k=60, filter=where, level=level)
        assert {hit.id for hit in near} == expected
    words = search.search("circle dog house river", k=60, mode="keyword", filter=where)
    assert {hit.id for hit in words} == expected


def test_highlights_explanations_and_source(search: VideoSearch) -> None:
    result = search.search(
        "circle", k=30, highlight=["title"], explain=True, source=["title", "video.duration"]
    )
    assert any(hit.rank_per_leg["keyword"] is None for hit in result)
    for hit in result:
        assert hit.explanation is not None
        shares = hit.explanation.legs.values()
        assert sum(share.contribution for share in shares) == pytest.approx(hit.score)
        assert hit.fields.keys() == {"title", "video"}
        assert hit.fields["video"].keys() == {"duration"}
        if hit.rank_per_leg["keyword"] is None:
            assert hit.highlights == {}
            assert hit.explanation.matched_fields == ()
        else:
            assert "<em>circle</em>" in hit.highlights["title"][0]
            assert "title" in hit.explanation.matched_fields
    words = search.search("circle", mode="keyword", highlight=True, source=False)
    assert all("title" in hit.highlights and hit.fields == {} for hit in words)


def test_moments_are_merged_from_more_segments_than_are_shown(search: VideoSearch) -> None:
    result = search.search(vector=QUERY, k=60, moments=1, merge_gap=1.0)
    for hit in result:
        (moment,) = hit.moments
        cosines = BY_ID[hit.id].segments @ QUERY
        inside = [at for at in range(len(cosines)) if moment.start <= 10 * at < moment.end]
        assert max(cosines[inside]) == pytest.approx(moment.cosine, abs=1e-5)
        assert min(cosines[inside]) >= moment.cosine - 0.03 - 1e-5
    assert any(hit.moments[0].end - hit.moments[0].start > 10 for hit in result)


def test_stored_only_fields_are_neither_searched_nor_filtered(
    engine: Engine, search_node: SearchNode, index_name: str
) -> None:
    create_index(engine, f"{index_name}-000001", VIDEOS[:3], alias=index_name)
    stored = {"index": False, "doc_values": False}
    fields = {
        "raw": {"type": "text", "index": False},
        "code": {"type": "keyword", **stored},
        "page": {"type": "keyword", "index": False},
        "blob": {"type": "object", "enabled": False},
    }
    call(search_node.url, "PUT", f"/{index_name}/_mapping", {"properties": fields})
    document = {**VIDEOS[3].document("video"), "raw": "a b", "code": "a", "page": "b", "blob": {}}
    engine.bulk(index_name, [Write("index", "hosts", document)], refresh=True)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    assert [hit.id for hit in search.search("b", mode="keyword")] == ["hosts"]
    assert [hit.id for hit in search.search("b", filter={"page": "b"})] == ["hosts"]
    for name in ("raw", "code", "blob"):
        with pytest.raises(QueryError, match="the index only stores it"):
            search.search("b", filter={name: {"exists": False}})


def test_vectors_that_the_source_holds_in_base64_are_compared(
    shared_engine: Engine, services: RunningServices
) -> None:
    if shared_engine.features().base64_vectors is None:
        pytest.skip("this version takes no base64")
    name = f"test-base64-{uuid.uuid4().hex[:8]}"
    as_sent = {"mapping.exclude_source_vectors": False}
    create_index(shared_engine, name, [], settings=as_sent)
    writes = []
    for video in VIDEOS:
        document = video.document("video")
        for item in (document["video"], *document["video"]["segments"]):
            item["vector"] = np.float32(item["vector"])
        writes.append(Write("index", video.id, document))
    shared_engine.bulk(name, writes, refresh=True)
    stored = shared_engine.get(name, "v05")
    assert stored is not None
    assert isinstance(stored.source["video"]["vector"], str), "else this tests nothing"
    search = VideoSearch(shared_engine, TableEncoder(), index=name)
    for at, vector in ((None, BY_ID["v05"].mean), (34.0, BY_ID["v05"].segments[3])):
        found = search.search(like="v05", at=at, k=20)
        others = nearest(VIDEOS, vector, where=lambda video: video.id != "v05")
        assert [hit.id for hit in found] == [id for id, _ in others[:20]]
    whole = search.search(vector=QUERY, k=60, level="video")
    twins = search.search(vector=QUERY, k=60, level="video", collapse=0.2)
    assert 0 < len(twins) < len(whole) == 60
    assert [hit.id for hit in search.search(vector=QUERY, k=60, diversity=1.0)] != whole
    settings = load_settings(index={"name": name})
    report = measure_recall(shared_engine, settings, queries=5, k=3)
    assert [each.recall for each in report.measured if each.present] == [1.0, 1.0]
    services.drop(name)
