"""Totals, facets and the order by a field, through the search, over the engine in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.search_index import TableEncoder, Video, create_index, make_videos, nearest, unit_vectors

from vidsearch.config import SearchSettings
from vidsearch.engines import Write
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.errors import MappingConflictError, QueryError, TooManyBucketsError
from vidsearch.search import Facet, SearchRequest, SearchResult, Total, VideoSearch, counting
from vidsearch.search.past_searches import CutSize, PastSearches
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = [
    replace(video, fields={**video.fields, "rating": 1.1 + at % 4, "live": at % 3 == 0})
    for at, video in enumerate(make_videos(40))
]
BY_ID = {video.id: video for video in VIDEOS}
QUERY = unit_vectors("query", 1)[0]
FACETS: list[Facet | str] = [
    "tags",
    "licence",
    "live",
    "rating",
    Facet(field="year", interval=10, order="value"),
    Facet(field="recorded", interval="month"),
]


class RecordingEngine(MemoryEngine):
    """Keeps the bodies of each ``_msearch``."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[dict[str, Any]]] = []

    def msearch(self, index: str, bodies: Any) -> Any:
        self.sent.append(list(bodies))
        return super().msearch(index, bodies)


@pytest.fixture
def engine() -> RecordingEngine:
    engine = RecordingEngine()
    create_index(engine, "videos", VIDEOS)
    return engine


@pytest.fixture
def search(engine: RecordingEngine) -> VideoSearch:
    return VideoSearch(engine, TableEncoder())


def in_window(engine: MemoryEngine, window: int) -> VideoSearch:
    return VideoSearch(engine, TableEncoder(), settings=SearchSettings(window=window))


def with_word(word: str) -> list[Video]:
    return [video for video in VIDEOS if word in video.fields["title"]]


def counts(result: SearchResult, name: str) -> dict[Any, int]:
    return {each.value: each.count for each in result.facets[name].values}


def tags_of(videos: list[Video]) -> dict[str, int]:
    return Counter(tag for video in videos for tag in video.fields["tags"])


def ids(result: SearchResult) -> list[str]:
    return [hit.id for hit in result]


def add_castles(engine: MemoryEngine, names: list[str]) -> None:
    """Copies of one video that no word, no year and no score tells apart."""
    fields = {"title": "castle", "year": 1900}
    copies = [replace(VIDEOS[1], id=name, fields=fields) for name in names]
    engine.bulk("videos", [Write("index", each.id, each.document("video")) for each in copies])


# -- totals and counts of the relevance cut


def test_a_vector_search_counts_what_the_threshold_leaves(search: VideoSearch) -> None:
    ranked = nearest(VIDEOS, QUERY)
    gap = ranked[0][1] - ranked[11][1] + 1e-5
    result = search.search(vector=QUERY, k=5, gap=gap, facets=["tags", "licence"])
    good = [BY_ID[id] for id, _ in ranked[:12]]
    assert result.total == Total(12, "eq", 12)
    assert counts(result, "tags") == tags_of(good)
    assert result.facets["licence"].missing == sum("licence" not in v.fields for v in good)
    assert ids(result) == [id for id, _ in ranked[:5]]
    assert list(result.facets) == ["tags", "licence"]


@pytest.mark.parametrize("level", ["segment", "video", "both"])
@pytest.mark.parametrize("cut", [{}, {"gap": 0.15}, {"min_cosine": 0.1}])
def test_counts_do_not_depend_on_the_page_nor_on_a_sort(
    search: VideoSearch, level: Any, cut: dict[str, float]
) -> None:
    options: dict[str, Any] = {"vector": QUERY, "level": level, "facets": FACETS, **cut}
    whole = search.search(k=100, **options)
    others = [search.search(k=2, **options), search.search(k=2, sort="year", **options)]
    others.append(search.search(k=3, from_=5, **options))
    assert {str((each.total, each.facets)) for each in others} == {str((whole.total, whole.facets))}
    assert whole.total == Total(len(whole), "eq", len(whole))
    assert counts(whole, "tags") == tags_of([BY_ID[hit.id] for hit in whole])


def test_what_is_only_counted_comes_without_ids() -> None:
    class OpenSearch(MemoryEngine):
        kind = "opensearch"

    engine = OpenSearch()
    create_index(engine, "videos", VIDEOS)
    search = VideoSearch(engine, TableEncoder())
    page, counting = search.body(vector=QUERY, k=3, gap=0.2, facets=["tags"]).values()
    assert "stored_fields" not in page
    assert (counting["stored_fields"], counting["_source"]) == ("_none_", False)


def test_the_window_makes_a_total_a_lower_bound(engine: MemoryEngine) -> None:
    result = in_window(engine, 10).search(vector=QUERY, k=5, facets=["tags"])
    assert result.total == Total(10, "gte", 10)
    assert str(result.total) == "at least 10"
    assert counts(result, "tags") == tags_of([BY_ID[id] for id, _ in nearest(VIDEOS, QUERY)[:10]])


def test_a_page_of_a_vector_search_knows_how_many_are_in_the_window(engine: MemoryEngine) -> None:
    assert in_window(engine, 100).search(vector=QUERY, k=3).total == Total(40, "eq", 40)
    assert in_window(engine, 30).search(vector=QUERY, k=3).total == Total(30, "gte", 30)
    ranked = nearest(VIDEOS, QUERY)
    few = in_window(engine, 30).search(vector=QUERY, k=3, min_cosine=ranked[1][1] - 1e-5)
    assert few.total == Total(2, "eq", 2)


@pytest.mark.parametrize("window", [3, 100])
def test_a_keyword_search_counts_every_match(engine: MemoryEngine, window: int) -> None:
    matches = with_word("circle")
    result = in_window(engine, window).search("circle", mode="keyword", k=2, facets=["tags"])
    assert result.total == Total(len(matches), "eq", min(window, len(matches)))
    assert counts(result, "tags") == tags_of(matches)
    assert len(result) == 2


def test_a_hybrid_search_counts_its_candidates(engine: MemoryEngine) -> None:
    whole = in_window(engine, 100).search("red circle", k=40, facets=["tags"])
    assert whole.total == Total(40, "eq", 40)
    assert counts(whole, "tags") == tags_of(VIDEOS)
    part = in_window(engine, 8).search("red circle", k=8, facets=["tags"])
    assert part.total == Total(8, "gte", 8)
    assert counts(part, "tags") == tags_of([BY_ID[id] for id in ids(part)])


@pytest.mark.parametrize(
    "options", [{"collapse": "title"}, {"collapse": "title", "diversity": 0.5}]
)
@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_folded_videos_are_not_counted(search: VideoSearch, mode: Any, options: Any) -> None:
    options = {"mode": mode, "collapse": "title", **options}
    result = search.search("red circle", k=2, facets=["tags"], **options)
    kept = search.search("red circle", k=100, **options)
    assert result.total == Total(len(kept), "eq", len(kept))
    assert counts(result, "tags") == tags_of([BY_ID[hit.id] for hit in kept])


# -- values


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_the_filter_of_a_value_finds_as_many_as_were_counted(
    search: VideoSearch, mode: Any
) -> None:
    result = search.search("circle", mode=mode, facets=FACETS)
    checked = 0
    for facet in result.facets.values():
        assert facet.other == 0
        for each in facet.values:
            found = search.search("circle", mode=mode, filter=[each.filter])
            assert found.total.value == each.count, each
            checked += 1
    assert checked > 12


@pytest.mark.parametrize("mode", ["vector", "keyword"])
def test_the_values_of_each_type(search: VideoSearch, mode: Any) -> None:
    result = search.search("circle", mode=mode, filter={"year": {"lt": 2009}}, facets=FACETS)
    years = Counter(v.fields["year"] // 10 * 10 for v in VIDEOS if v.fields["year"] < 2009)
    if mode == "vector":
        assert counts(result, "year") == years
        assert counts(result, "recorded") == {"2020-02": years.total()}
    assert {type(value) for value in counts(result, "live")} == {bool}
    assert set(counts(result, "rating")) <= {1.1, 2.1, 3.1, 4.1}
    assert set(counts(result, "licence")) <= {"CC BY", "all rights reserved"}
    recorded = result.facets["recorded"].values[0]
    assert recorded.filter == {
        "recorded": {"gte": "2020-02-01", "lt": "2020-03-01", "format": "strict_date_optional_time"}
    }


@pytest.mark.parametrize("mode", ["vector", "keyword"])
def test_size_and_order_say_which_values_are_listed(search: VideoSearch, mode: Any) -> None:
    whole = search.search("circle", mode=mode, facets=[Facet(field="tags", size=100)])
    every = whole.facets["tags"].values
    expected = sorted(counts(whole, "tags").items(), key=lambda pair: (-pair[1], pair[0]))
    assert [(each.value, each.count) for each in every] == expected
    for order, ranked in (("count", expected), ("value", sorted(expected))):
        facet = Facet.model_validate({"field": "tags", "size": 2, "order": order})
        part = search.search("circle", mode=mode, facets=[facet]).facets["tags"]
        assert [(each.value, each.count) for each in part.values] == ranked[:2]
        assert part.other == sum(count for _, count in ranked[2:])


def test_a_facet_without_its_own_filter_counts_the_other_values_too(
    search: VideoSearch, engine: RecordingEngine
) -> None:
    facets: list[Facet | str] = [Facet(field="tags", own_filter=False), "year"]
    filter = [{"tags": "red", "live": True}, {"term": {"tags": "even"}}]
    engine.sent.clear()
    result = search.search("circle", k=3, filter=filter, facets=facets)
    assert len(engine.sent) == 2
    without = search.search("circle", k=3, filter={"live": True}, facets=["tags"])
    assert result.facets["tags"] == without.facets["tags"]
    assert (
        result.facets["year"]
        == search.search("circle", filter=filter, facets=["year"]).facets["year"]
    )
    assert {"green", "odd"} <= counts(result, "tags").keys()
    assert all({"red", "even"} <= set(hit.fields["tags"]) for hit in result)


def test_the_filters_on_a_field_are_left_out_by_whichever_of_its_names(search: VideoSearch) -> None:
    def licences(filter: Any) -> dict[Any, int]:
        facet = Facet(field="licence.keyword", own_filter=False)
        return counts(search.search("circle", filter=filter, facets=[facet]), "licence.keyword")

    assert licences({"licence": "CC BY", "live": True}) == licences({"live": True})
    assert licences({"live": True}) != licences(None)
    tags = Facet(field="tags.keyword", own_filter=False)
    narrowed = search.search("circle", filter={"tags.keyword": "even"}, facets=[tags])
    assert counts(narrowed, "tags.keyword") == counts(
        search.search("circle", facets=[tags]), "tags.keyword"
    )


def test_an_interval_that_makes_too_many_buckets_is_refused(
    search: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_MAX_BUCKETS", 5)
    years = len({video.fields["year"] for video in with_word("circle")})
    assert years > 5
    found = search.search("circle", mode="keyword", facets=[Facet(field="year", interval=10)])
    assert sum(counts(found, "year").values()) == len(with_word("circle"))
    narrow = SearchRequest(text="circle", mode="keyword", facets=[Facet(field="year", interval=1)])
    with pytest.raises(QueryError, match=r"^facets: .* more than 5 buckets of field 'year'"):
        search.search(narrow)
    with pytest.raises(QueryError, match=r"^texts\[1\]: facets: .* more than 5 buckets"):
        search.search_many(["red", narrow])


# -- order


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
@pytest.mark.parametrize("sort", ["recorded", "-recorded", "-tags", "licence", "-live"])
def test_hits_are_ordered_by_a_field_within_the_cut(
    search: VideoSearch, mode: Any, sort: str
) -> None:
    name, down = sort.removeprefix("-"), sort.startswith("-")
    options: dict[str, Any] = {"mode": mode, "gap": 0.2} if mode != "keyword" else {"mode": mode}
    good = search.search("red circle", k=100, **options)
    result = search.search("red circle", k=100, sort=sort, **options)

    def value(id: str) -> Any:
        found = BY_ID[id].fields.get(name)
        return (max(found) if down else min(found)) if isinstance(found, list) else found

    by_score = [hit.id for hit in sorted(good, key=lambda hit: (-hit.score, hit.id))]
    present = sorted((id for id in by_score if value(id) is not None), key=value, reverse=False)
    if down:
        present = sorted((i for i in by_score if value(i) is not None), key=value, reverse=True)
    assert ids(result) == present + [id for id in by_score if value(id) is None]
    assert result.total == good.total
    assert {hit.id: hit.score for hit in result} == {hit.id: hit.score for hit in good}


def test_a_keyword_search_orders_every_match(engine: MemoryEngine) -> None:
    newest = sorted({video.fields["recorded"] for video in with_word("dog")}, reverse=True)[:3]
    result = in_window(engine, 3).search("dog", mode="keyword", k=3, sort="-recorded")
    assert sorted({hit.fields["recorded"] for hit in result}, reverse=True) == newest


@pytest.mark.parametrize(
    "options",
    [
        {"sort": "-year"},
        {"sort": "licence", "collapse": "title"},
        {"sort": "year", "mode": "keyword"},
        {"sort": "-year", "mode": "vector", "gap": 0.3},
        {"facets": ["tags"], "diversity": 0.4, "collapse": 0.99},
        {"facets": ["tags"], "mode": "vector"},
        {"group_by": "moment"},
        {"group_by": "moment", "mode": "vector", "sort": "-year"},
        {"group_by": "moment", "collapse": "title", "facets": ["tags"]},
    ],
)
def test_pages_fit_together(search: VideoSearch, options: dict[str, Any]) -> None:
    def page(k: int, from_: int) -> SearchResult:
        return search.search("red circle", k=k, from_=from_, **options)

    whole = page(12, 0)
    pages = [page(4, start) for start in (0, 4, 8)]
    assert [hit for each in pages for hit in each] == list(whole)
    assert len({(hit.id, hit.moments[:1]) for hit in whole}) == len(whole)
    assert all((each.total, each.facets) == (whole.total, whole.facets) for each in pages)


# -- requests


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        ({}, 2),
        ({"facets": FACETS, "sort": "-year"}, 2),
        ({"mode": "keyword"}, 2),
        ({"mode": "keyword", "facets": FACETS}, 2),
        ({"mode": "keyword", "facets": FACETS, "sort": "-year"}, 1),
        ({"mode": "vector"}, 1),
        ({"mode": "vector", "facets": FACETS}, 1),
        ({"mode": "vector", "facets": FACETS, "gap": 0.2}, 1),
        ({"mode": "vector", "facets": FACETS, "sort": "-year", "min_cosine": 0.1}, 1),
        ({"mode": "vector", "facets": FACETS, "sort": "-year"}, 1),
        ({"mode": "vector", "facets": FACETS, "sort": "-year", "level": "both"}, 2),
        ({"group_by": "moment", "facets": FACETS, "sort": "-year"}, 3),
    ],
)
def test_facets_and_sort_need_no_more_requests_than_the_page(
    search: VideoSearch, engine: RecordingEngine, options: dict[str, Any], requests: int
) -> None:
    search.search("red circle", **options)
    assert len(engine.sent) == requests
    # The values come without the documents.
    bringing = [body for body in engine.sent[0] if "docvalue_fields" in body]
    assert all(body["_source"] is False for body in bringing)


@pytest.mark.parametrize(
    ("good", "then"),
    [
        (12, 1),  # the nearest hold them all
        (25, 2),  # neither the nearest nor the first by year hold the page
        (37, 1),  # the first by year do
    ],
)
def test_a_gap_of_the_same_size_as_before_spares_the_request_for_a_sorted_page(
    engine: RecordingEngine, search: VideoSearch, good: int, then: int
) -> None:
    ranked = nearest(VIDEOS, QUERY)
    gap = ranked[0][1] - ranked[good - 1][1] + 1e-5
    years = sorted(BY_ID[id].fields["year"] for id, _ in ranked[:good])
    requests = []
    for start in (0, 0, 5):
        engine.sent.clear()
        page = search.search(vector=QUERY, gap=gap, sort="year", k=10, from_=start)
        requests.append(len(engine.sent))
        assert [hit.fields["year"] for hit in page] == years[start : start + 10]
        assert page.total.value == good
        assert all(hit.moments for hit in page)
    assert requests[:2] == [2, then]  # at first nothing is known of the gap


@pytest.mark.parametrize("good", [9, 30, 38])
def test_another_size_of_the_cut_than_before_changes_no_hit(
    search: VideoSearch, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    ranked = nearest(VIDEOS, QUERY)
    gap = ranked[0][1] - ranked[good - 1][1] + 1e-5
    pages = []
    for told in (None, CutSize(1, 40), CutSize(12, 40), CutSize(40, 40)):
        monkeypatch.setattr(PastSearches, "cut_of", lambda self, request, told=told: told)
        pages.append(list(search.search(vector=QUERY, gap=gap, sort="year", k=6, from_=2)))
    assert len(pages[0]) == min(6, good - 2)
    assert pages == [pages[0]] * 4


def test_hits_that_are_equal_in_the_field_are_in_one_order_however_many(
    engine: RecordingEngine, search: VideoSearch
) -> None:
    add_castles(engine, [f"copy{99 - at}" for at in range(30)])
    options: dict[str, Any] = {"mode": "keyword", "sort": "year", "facets": ["year"]}
    options["filter"] = {"year": 1900}
    pages, requests = [], []
    for start in range(0, 30, 3):
        engine.sent.clear()
        pages.append(search.search("castle", k=3, from_=start, **options))
        requests.append(len(engine.sent))
    assert [id for page in pages for id in ids(page)] == [f"copy{at}" for at in range(70, 100)]
    assert all(hit.fields["title"] == "castle" for page in pages for hit in page)
    assert {page.total for page in pages} == {Total(30, "eq", 30)}
    assert {str(page.facets) for page in pages} == {str(pages[0].facets)}
    # Of the first page it is not known that it lacks equal hits; the last ones bring all matches.
    assert (requests[0], max(requests[1:]), requests[-1]) == (3, 2, 1)


def test_a_page_that_lacks_equal_hits_is_filled_from_the_window(
    engine: RecordingEngine, search: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_castles(engine, [f"copy{at:02}" for at in range(40)])
    options: dict[str, Any] = {"mode": "keyword", "sort": "year", "highlight": ["title"]}
    options |= {"facets": ["year"], "k": 3}
    page = search.search("castle", **options)
    assert ids(page) == ["copy00", "copy01", "copy02"]
    assert all("castle" in hit.highlights["title"][0] for hit in page)
    # The documents came with the first request already.
    (first,), (window,) = engine.sent
    assert (first["size"], window["size"]) == (11, 100)
    assert first["search_type"] == window["search_type"] == "dfs_query_then_fetch"
    assert window["_source"] is False
    assert "aggs" in first
    assert "aggs" not in window
    # From then on both are asked for at once, until no page has lacked equal hits for long.
    engine.sent.clear()
    assert ids(search.search("castle", **options)) == ids(page)
    assert [len(bodies) for bodies in engine.sent] == [2]
    for _ in range(20):
        search.search("circle", mode="keyword", sort="year", k=1)
    engine.sent.clear()
    search.search("circle", mode="keyword", sort="year", k=1)
    assert [len(bodies) for bodies in engine.sent] == [1]

    def delete_one(index: str, bodies: Any) -> Any:
        responses = MemoryEngine.msearch(engine, index, bodies)
        engine.bulk("videos", [Write("delete", "copy01")])
        return responses

    monkeypatch.setattr(engine, "msearch", delete_one)
    assert ids(search.search("castle", **options)) == ["copy00", "copy02", "copy03"]


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("sort", ["-recorded", "licence", "-live", "rating"])
def test_a_sorted_page_of_words_is_the_same_whatever_was_remembered(
    engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch, remembered: bool, sort: str
) -> None:
    monkeypatch.setattr(PastSearches, "tied", lambda self, request: remembered)
    options: dict[str, Any] = {"mode": "keyword", "sort": sort, "highlight": ["title"]}
    search = in_window(engine, 30)
    whole = search.search("circle", k=30, **options)
    pages = [search.search("circle", k=2, from_=start, **options) for start in range(0, 10, 2)]
    assert [hit for page in pages for hit in page] == list(whole)
    assert len(whole) == len(with_word("circle")) == 10
    assert all(hit.highlights["title"] and hit.bm25 and hit.rank_per_leg == {} for hit in whole)


def test_pages_of_copies_fit_together_beside_their_facets(
    engine: RecordingEngine, search: VideoSearch
) -> None:
    best = BY_ID[nearest(VIDEOS, QUERY)[0][0]]
    copies = [replace(best, id=f"copy{99 - at}") for at in range(12)]
    engine.bulk("videos", [Write("index", each.id, each.document("video")) for each in copies])
    options: dict[str, Any] = {"vector": QUERY, "gap": 0.0, "facets": ["tags"]}
    pages = [search.search(k=4, from_=at, **options) for at in (0, 4, 8, 12)]
    assert [id for page in pages for id in ids(page)] == sorted([best.id, *(c.id for c in copies)])
    assert all(hit.moments and hit.fields for page in pages for hit in page)
    assert {page.total for page in pages} == {Total(13, "eq", 13)}


@pytest.mark.parametrize("lost", [0, 3, 9])
def test_a_video_that_fewer_candidates_do_not_find_is_a_hit_beside_facets(
    engine: RecordingEngine, search: VideoSearch, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The page is looked for among fewer candidates than the window."""
    ranked = nearest(VIDEOS, QUERY)
    options: dict[str, Any] = {"vector": QUERY, "gap": 1.9, "facets": ["tags"], "k": 10}
    expected = search.search(**options)
    assert len(engine.sent) == 1
    candidates = {body["size"]: body["knn"]["num_candidates"] for body in engine.sent[0]}
    assert candidates[10] < candidates[100]

    def without_one(index: str, bodies: Any) -> Any:
        responses = MemoryEngine.msearch(engine, index, bodies)
        for body, response in zip(bodies, responses, strict=True):
            if body["knn"]["num_candidates"] == candidates[10]:
                hits = response["hits"]["hits"]
                response["hits"]["hits"] = [hit for hit in hits if hit["_id"] != ranked[lost][0]]
        return responses

    monkeypatch.setattr(engine, "msearch", without_one)
    assert list(search.search(**options)) == list(expected)
    assert ids(expected) == [id for id, _ in ranked[:10]]


@pytest.mark.parametrize(
    "options", [{"sort": "year"}, {"facets": ["tags"]}, {"group_by": "moment"}], ids=str
)
def test_a_cosine_that_is_rounded_otherwise_when_it_is_read_anew_is_still_within_the_cut(
    options: dict[str, Any],
) -> None:
    class Rounding(MemoryEngine):
        """Scores the hits that come with moments a little lower, as engines do at times."""

        def msearch(self, index: str, bodies: Any) -> Any:
            responses = super().msearch(index, bodies)
            for hit in (hit for each in responses for hit in each["hits"]["hits"]):
                inner = hit.get("inner_hits", {}).values()
                for one in [hit, *(one for each in inner for one in each["hits"]["hits"])]:
                    one["_score"] -= 1e-7 if inner else 0.0
            return responses

    engine = Rounding()
    create_index(engine, "videos", VIDEOS)
    search = VideoSearch(engine, TableEncoder())
    (hit,) = search.search(vector=QUERY, gap=0.0, **options)
    assert hit.id == nearest(VIDEOS, QUERY)[0][0]
    assert hit.moments


def test_search_many_counts_for_each(search: VideoSearch) -> None:
    options: dict[str, Any] = {"k": 3, "facets": ["tags"], "sort": "-year"}
    texts: list[str | SearchRequest] = ["red circle", "green dog"]
    requests = [SearchRequest(text="house", facets=[Facet(field="tags", own_filter=False)])]
    many = search.search_many([*texts, *requests], **options)
    alone = [search.search(text, **options) for text in texts] + [search.search(requests[0])]
    for one, other in zip(many, alone, strict=True):
        assert (one.hits, one.total, one.facets) == (other.hits, other.total, other.facets)


def test_nothing_found_counts_nothing(search: VideoSearch) -> None:
    result = search.search("red", filter={"year": 1900}, facets=["tags"], sort="year")
    assert result.total == Total(0, "eq", 0)
    assert result.facets["tags"].values == ()


# -- errors


@pytest.mark.parametrize(
    ("options", "argument", "message"),
    [
        ({"facets": ["nope"]}, "facets", "facets: field 'nope' is not in index 'videos'. Fields"),
        ({"facets": ["year", "year"]}, "facets", "facets names 'year' twice"),
        ({"facets": ["video.segments.start"]}, "facets", "lies in the nested object"),
        ({"facets": ["video.subtitles"]}, "facets", "add a keyword subfield to its mapping"),
        ({"facets": ["video.vector"]}, "facets", "which has no values to count"),
        ({"facets": [Facet(field="tags", interval=2)]}, "facets", "counted one by one"),
        ({"facets": [Facet(field="year", interval="month")]}, "facets", "numbers take a number"),
        ({"facets": [Facet(field="recorded", interval=2)]}, "facets", "dates take year, month"),
        ({"facets": [{"field": "tags", "size": 0}]}, "facets", "size of a facet must be a whole"),
        ({"facets": [{"size": 3}]}, "facets", "a facet needs field, the name of a field"),
        ({"facets": [{"field": "tags", "top": 3}]}, "facets", "a facet has field, size, order"),
        ({"facets": "tags"}, "facets", "facets must be a list of at most 20"),
        ({"sort": "video.subtitles"}, "sort", "sort: field 'video.subtitles' is of type text"),
        ({"sort": "-"}, "sort", "sort must be the name of a field, with - before it"),
        ({"sort": "year", "diversity": 0.2}, "sort", "diversity by how much they differ"),
        ({"group_by": "moment", "mode": "keyword"}, "group_by", "take mode=hybrid or vector"),
        ({"group_by": "moment", "level": "both"}, "group_by", "take level=segment"),
        ({"group_by": "moment", "fusion": "sum"}, "group_by", "take fusion=rrf or fusion=linear"),
        ({"group_by": "moment", "moments": 0}, "group_by", "moments=0 leaves none"),
        ({"group_by": "moment", "diversity": 0.1}, "group_by", "diversity compares whole videos"),
    ],
)
def test_a_request_that_cannot_be_counted_says_what_to_do(
    search: VideoSearch, options: dict[str, Any], argument: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        search.search("red", **options)
    assert caught.value.argument == argument


def test_the_position_of_a_wrong_request_is_named(search: VideoSearch) -> None:
    requests = [SearchRequest(text="red"), SearchRequest(text="red", sort="nope")]
    with pytest.raises(QueryError, match=r"^texts\[1\]: sort: field 'nope'"):
        search.search_many(requests)


@pytest.mark.parametrize(
    ("facets", "named", "advice"),
    [
        (
            ["tags", Facet(field="recorded", interval="hour"), "live"],
            "field 'recorded' by interval 'hour'",
            "take a wider interval",
        ),
        (
            [Facet(field="recorded", interval="day"), Facet(field="rating", interval=0.001)],
            "field 'recorded' by interval 'day' and field 'rating' by interval 0.001",
            "take a wider interval",
        ),
        (["tags", "live"], "field 'tags' and field 'live'", r"ask for fewer values \(size\)"),
    ],
)
def test_what_the_engine_cannot_count_is_named_with_what_to_do(
    search: VideoSearch,
    engine: RecordingEngine,
    monkeypatch: pytest.MonkeyPatch,
    facets: list[Facet | str],
    named: str,
    advice: str,
) -> None:
    def refuse(index: str, bodies: Any) -> Any:
        raise TooManyBucketsError("index 'videos' at http://search: at most [65535]")

    monkeypatch.setattr(engine, "msearch", refuse)
    request = SearchRequest(text="red", mode="keyword", facets=facets, filter={"tags": "odd"})
    told = f"facets: the engine does not count so many buckets of {named}: {advice}, or narrow"
    with pytest.raises(QueryError, match=rf"^{told} the search by a filter$") as caught:
        search.search(request)
    assert caught.value.argument == "facets"
    assert "65535" in str(caught.value.engine)
    with pytest.raises(QueryError, match=rf"^texts\[1\]: {told}"):
        search.search_many(["red", request])


def test_what_the_engine_refuses_of_a_filter_is_told_without_its_words(
    search: VideoSearch, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str, bodies: Any) -> Any:
        raise RequestRejectedError("index 'videos' at http://search: no number")

    monkeypatch.setattr(engine, "msearch", refuse)
    filter = [{"tags": "odd"}, {"term": {"tags": "x"}}, {"tags": "red"}]
    request = SearchRequest(text="red", mode="keyword", filter=filter)
    with pytest.raises(QueryError, match=r"^filter: .* \('tags', 'term'\)$") as caught:
        search.search(request)
    assert (caught.value.argument, caught.value.public) == ("filter", str(caught.value))
    assert "http://search" in str(caught.value.engine)
    with pytest.raises(QueryError, match=r"^texts\[1\]: filter: .* \('tags', 'term'\)$"):
        search.search_many(["red", request])


def test_what_vidsearch_finds_wrong_with_the_index_is_no_fault_of_the_filter(
    search: VideoSearch, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str, bodies: Any) -> Any:
        raise MappingConflictError("alias 'videos' stands for 2 indices")

    monkeypatch.setattr(engine, "msearch", refuse)
    with pytest.raises(MappingConflictError, match="2 indices"):
        search.search("red", mode="keyword", filter={"tags": "odd"})


# -- moments as hits


def test_the_hits_are_moments_across_videos(search: VideoSearch) -> None:
    expected = sorted(
        (
            (-float(vector @ QUERY), video.id, 10.0 * at)
            for video in VIDEOS
            for at, vector in enumerate(video.segments)
        )
    )
    options: dict[str, Any] = {"group_by": "moment", "merge_gap": None, "moments": 100}
    result = search.search(vector=QUERY, k=30, facets=["tags"], **options)
    assert [(hit.id, hit.moments[0].start) for hit in result] == [
        (id, start) for _, id, start in expected[:30]
    ]
    assert [hit.cosine for hit in result] == pytest.approx([-each[0] for each in expected[:30]])
    assert all(
        hit.moments[0].thumbnail == f"thumb-{hit.id}-{hit.moments[0].start / 10:g}"
        for hit in result
    )
    assert all(hit.fields["title"] == BY_ID[hit.id].fields["title"] for hit in result)
    assert len(expected) > 100  # the window
    assert result.total == Total(100, "gte", 100)
    videos = {id for _, id, _ in expected[:100]}
    assert counts(result, "tags") == tags_of([BY_ID[id] for id in videos])
    assert result.group_by == "moment"


def test_moments_below_a_threshold_are_no_hits(search: VideoSearch) -> None:
    cosines = sorted((float(c) for v in VIDEOS for c in v.segments @ QUERY), reverse=True)
    options: dict[str, Any] = {"group_by": "moment", "merge_gap": None, "moments": 100}
    result = search.search(vector=QUERY, min_cosine=cosines[14] - 1e-6, **options)
    assert result.total == Total(15, "eq", 15)
    assert len(result) == 10


def test_a_video_has_at_most_so_many_moments(search: VideoSearch) -> None:
    result = search.search(vector=QUERY, k=100, group_by="moment", merge_gap=None, moments=2)
    assert max(Counter(hit.id for hit in result).values()) == 2
    assert result.total.value == sum(min(2, len(video.segments)) for video in VIDEOS)


def test_moments_of_a_hybrid_search_have_the_words_of_their_videos(search: VideoSearch) -> None:
    result = search.search("red circle", k=100, group_by="moment", moments=2, explain=True)
    ranks = [hit.rank_per_leg for hit in result]
    assert sorted(rank["vector"] or 0 for rank in ranks) == list(range(1, len(ranks) + 1))
    named = [hit for hit in result if hit.rank_per_leg["keyword"]]
    assert {hit.id for hit in named} == {
        video.id for video in VIDEOS if {"red", "circle"} & set(video.fields["title"].split())
    }
    assert all(len(hit.moments) == 1 and hit.cosine == hit.moments[0].cosine for hit in result)
    assert [hit.score for hit in result] == sorted((hit.score for hit in result), reverse=True)
    assert result.hits[0].explanation is not None


def test_a_video_that_was_deleted_meanwhile_is_no_hit(
    engine: MemoryEngine, search: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"k": 3, "sort": "year", "level": "both"}  # a second request
    found = search.search(vector=QUERY, **options)
    ask = MemoryEngine.msearch

    def msearch(self: MemoryEngine, index: str, bodies: Any) -> Any:
        if any("ids" in str(body.get("query")) for body in bodies):
            engine.bulk("videos", [Write("delete", found.hits[0].id)])
        return ask(self, index, bodies)

    monkeypatch.setattr(MemoryEngine, "msearch", msearch)
    assert ids(search.search(vector=QUERY, **options)) == ids(found)[1:]
