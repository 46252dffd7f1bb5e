"""Facets, totals, the order by a field and hits by moment on the engines, as in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors
from tests.services import RunningServices

from vidsearch.config import EngineSettings, SearchSettings
from vidsearch.engines import Engine, connect, connect_async
from vidsearch.errors import QueryError
from vidsearch.local import SearchNode
from vidsearch.search import AsyncVideoSearch, Facet, SearchRequest, SearchResult, VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine

pytestmark = pytest.mark.integration

VIDEOS = [
    replace(video, fields={**video.fields, "rating": 1.1 + at % 4, "live": at % 3 == 0})
    for at, video in enumerate(make_videos(40))
]
FACETS: list[Facet | str] = [
    "tags",
    "licence",
    "live",
    "rating",
    Facet(field="year", interval=10, order="value"),
    Facet(field="recorded", interval="month", own_filter=False),
    "video.duration",
]
QUERY: dict[str, Any] = {"vector": unit_vectors("query", 1)[0].tolist(), "facets": FACETS}
WORDS: dict[str, Any] = {"text": "circle", "facets": FACETS, "k": 60}
FROM = (0, 10, 20)
LATE = {"recorded": {"gte": "2020-02-10"}}


@pytest.fixture(scope="module")
def index(shared_engine: Engine, services: RunningServices) -> Iterator[str]:
    """Exact vectors in two shards."""
    name = f"test-facets-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, name, VIDEOS, quantization="flat", shards=2)
    yield name
    services.drop(name)


@pytest.fixture(scope="module")
def search(shared_engine: Engine, index: str) -> VideoSearch:
    return VideoSearch(shared_engine, TableEncoder(), index=index)


@pytest.fixture(scope="module")
def in_memory() -> VideoSearch:
    engine = MemoryEngine()
    create_index(engine, "videos", VIDEOS)
    return VideoSearch(engine, TableEncoder())


def seen(result: SearchResult) -> Any:
    hits = [(hit.id, [(m.start, m.thumbnail) for m in hit.moments]) for hit in result]
    return hits, result.total, result.facets


@pytest.mark.parametrize(
    "options",
    [
        {"gap": 0.2},
        {"gap": 0.2, "sort": "-recorded", "k": 3},
        {"sort": "year", "k": 7, "from_": 5},
        {"sort": "-live", "k": 4, "from_": 2, "filter": LATE},
        {"filter": LATE, "sort": "-recorded", "level": "both"},
        {"sort": "licence", "collapse": "title", "k": 4, "from_": 4},
        {"group_by": "moment", "merge_gap": None, "moments": 9, "k": 30},
        {"group_by": "moment", "gap": 0.3, "sort": "-tags", "filter": {"live": True}},
    ],
)
def test_a_vector_search_counts_and_sorts_as_in_memory(
    search: VideoSearch, in_memory: VideoSearch, options: dict[str, Any]
) -> None:
    request = SearchRequest(**QUERY, **options)
    assert seen(search.search(request)) == seen(in_memory.search(request))


def test_the_nearest_of_one_shard_are_counted_and_sorted_as_in_memory(
    shared_engine: Engine, services: RunningServices
) -> None:
    name = f"test-facets-{uuid.uuid4().hex[:8]}"
    in_memory, settings = MemoryEngine(), SearchSettings(window=15)
    create_index(shared_engine, name, VIDEOS, quantization="float")
    create_index(in_memory, name, VIDEOS)
    ways: list[dict[str, Any]] = [
        {"k": 4},
        {"sort": "year", "k": 4, "from_": 3},
        {"sort": "-recorded", "k": 9, "level": "video", "filter": LATE},
        {"k": 2, "gap": 0.1},
        {"k": 2, "gap": 0.1, "sort": "year"},
        {"k": 3, "filter": {"tags": "red"}, "facets": [Facet(field="tags", own_filter=False)]},
    ]
    requests = [SearchRequest(**{**QUERY, **way}) for way in ways]
    try:
        found, expected = (
            VideoSearch(engine, TableEncoder(), index=name, settings=settings).search_many(requests)
            for engine in (shared_engine, in_memory)
        )
        assert list(map(seen, found)) == list(map(seen, expected))
        assert [each.total.value for each in found[:2]] == [15, 15]
    finally:
        services.drop(name)


def test_pages_of_shortened_vectors_beside_facets_are_in_the_order_of_their_cosines(
    elasticsearch_9: SearchNode, services: RunningServices
) -> None:
    name, encoder = f"test-facets-{uuid.uuid4().hex[:8]}", TableEncoder(dims=128)
    vectors = unit_vectors("queries", 40, dims=128)
    with closing(connect(EngineSettings(url=elasticsearch_9.url))) as engine:
        videos = make_videos(400, dims=128)
        create_index(engine, name, videos, quantization="binary", identity=encoder.identity)
        search = VideoSearch(engine, encoder, index=name)
        requests = [
            SearchRequest(vector=each, gap=0.15, facets=["tags"], from_=at)
            for each in vectors
            for at in FROM
        ]
        try:
            results = search.search_many(requests)
        finally:
            services.drop(name)
    for at, result in zip(FROM * len(vectors), results, strict=True):
        cosines = [hit.cosine or 0.0 for hit in result]
        assert cosines == [hit.score for hit in result] == sorted(cosines, reverse=True)
        ranks = [hit.rank_per_leg["vector"] for hit in result]
        assert ranks == [*range(at + 1, at + len(result) + 1)]
    for first in range(0, len(results), len(FROM)):
        ids = [hit.id for page in results[first : first + len(FROM)] for hit in page]
        assert len(ids) == len({*ids})


def test_more_buckets_than_an_engine_counts_are_refused(
    shared_engine: Engine, services: RunningServices
) -> None:
    name = f"test-facets-{uuid.uuid4().hex[:8]}"
    videos = [
        replace(video, fields={"title": "many", "year": [*range(1200 * at, 1200 * (at + 1))]})
        for at, video in enumerate(make_videos(56))
    ]
    facets = [Facet(field="year", interval=1)]
    told = "facets: the engine does not count so many buckets of field 'year' by interval 1.0"
    try:
        create_index(shared_engine, name, videos)
        search = VideoSearch(shared_engine, TableEncoder(), index=name)
        with pytest.raises(QueryError, match=f"^{told}: take a wider interval") as caught:
            search.search("many", mode="keyword", facets=facets)
        assert caught.value.argument == "facets"
    finally:
        services.drop(name)


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_other_searches_count_as_in_memory(
    search: VideoSearch, in_memory: VideoSearch, mode: Any
) -> None:
    options: dict[str, Any] = {**WORDS, "mode": mode, "filter": LATE, "sort": "-video.duration"}
    found, expected = search.search(**options), in_memory.search(**options)
    assert (found.total, found.facets) == (expected.total, expected.facets)
    lengths = [hit.fields["video"]["duration"] for hit in found]
    assert lengths == sorted(lengths, reverse=True)
    assert {hit.id for hit in found} == {hit.id for hit in expected}


@pytest.mark.parametrize("sort", ["-recorded", "licence", "live", "-rating"])
def test_pages_of_a_sorted_search_by_words_fit_together(search: VideoSearch, sort: str) -> None:
    options: dict[str, Any] = {**WORDS, "mode": "keyword", "sort": sort, "highlight": ["title"]}
    whole = search.search(**{**options, "k": 10})
    pages = [search.search(**{**options, "k": 3, "from_": at}) for at in (0, 3, 6)]
    assert [hit for page in pages for hit in page] == list(whole)[:9]
    assert all(hit.fields["title"] and hit.highlights["title"] for hit in whole)
    assert {(page.total, str(page.facets)) for page in pages} == {(whole.total, str(whole.facets))}


def test_the_filter_of_a_value_finds_as_many_as_were_counted(search: VideoSearch) -> None:
    facets = search.search(**WORDS, mode="keyword").facets
    values = [each for facet in facets.values() for each in facet.values]
    requests = [
        SearchRequest(text="circle", mode="keyword", filter=[each.filter]) for each in values
    ]
    found = search.search_many(requests)
    assert [each.total.value for each in found] == [each.count for each in values]


def test_pages_of_moments_fit_together(search: VideoSearch) -> None:
    options: dict[str, Any] = {"group_by": "moment", "facets": ["tags"], "sort": "-year"}
    whole = search.search("red circle", k=12, **options)
    pages = [search.search("red circle", k=4, from_=at, **options) for at in (0, 4, 8)]
    assert [hit for page in pages for hit in page] == list(whole)
    assert {(page.total, str(page.facets)) for page in pages} == {(whole.total, str(whole.facets))}


@pytest.mark.parametrize("fusion", ["sum", "linear"])
def test_every_fusion_counts_its_candidates(search: VideoSearch, fusion: Any) -> None:
    result = search.search(**WORDS, fusion=fusion, sort="year")
    assert (result.total.value, result.facets["live"].missing) == (40, 0)
    assert sum(each.count for each in result.facets["live"].values) == 40
    years = [hit.fields["year"] for hit in result]
    assert years == sorted(years)


def test_an_event_loop_gets_the_same(
    search: VideoSearch, search_node: SearchNode, index: str
) -> None:
    async def ask() -> SearchResult:
        settings = EngineSettings(url=search_node.url, kind=search_node.kind)
        engine = await connect_async(settings)
        try:
            videos = AsyncVideoSearch(engine, TableEncoder(), index=index)
            return await videos.search(**WORDS, sort="-year")
        finally:
            await engine.close()

    assert seen(asyncio.run(ask())) == seen(search.search(**WORDS, sort="-year"))
