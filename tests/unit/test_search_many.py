"""``search_many``: the hits of single searches, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.config import SearchSettings
from vidsearch.engines import Json
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.engines.steps import Steps, Work
from vidsearch.errors import QueryError
from vidsearch.search import SearchRequest, SearchResult, VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine

TEXTS = ["red circle", "blue dog", "red circle", "a text in no title"]


class CountingEngine(MemoryEngine):
    """Remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        self.asked.append(f"{index} {len(bodies)}")
        return super().msearch(index, bodies)


class WorkCountingEngine(MemoryEngine):
    """Counts the steps that an event loop carries out in a thread."""

    works = 0

    def run(self, steps: Steps[Any]) -> Any:
        def counted() -> Steps[Any]:
            outcome = None
            try:
                while True:
                    step = steps.send(outcome)
                    self.works += isinstance(step, Work)
                    outcome = yield step
            except StopIteration as stop:
                return stop.value

        return super().run(counted())


class BatchEncoder(TableEncoder):
    """Remembers the batches that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def encode_text(self, texts: Sequence[str]) -> Any:
        self.batches.append(list(texts))
        return super().encode_text(texts)


@pytest.fixture
def engine() -> CountingEngine:
    engine = CountingEngine()
    create_index(engine, "videos-000001", make_videos(20), alias="videos")
    return engine


@pytest.fixture
def encoder() -> BatchEncoder:
    return BatchEncoder()


@pytest.fixture
def search(engine: CountingEngine, encoder: BatchEncoder) -> VideoSearch:
    return VideoSearch(engine, encoder)


def shown(result: SearchResult) -> dict[str, Any]:
    """A result but for how long it took."""
    return {**result.to_dict(), "took": None}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "from_": 2, "explain": True, "highlight": ["title"]},
        {"mode": "vector", "level": "both"},
        {"mode": "keyword"},
        {"min_cosine": 0.05, "gap": 0.3},
        {"collapse": 0.999, "diversity": 0.3},
        {"filter": {"tags": "odd"}, "fusion": "linear"},
        {"fusion": "sum"},
        {"like": "v03"},
        {"filter": {"video.segments.start": {"gte": 10}}},
    ],
    ids=str,
)
def test_many_texts_give_the_hits_of_single_searches(
    search: VideoSearch, options: dict[str, Any]
) -> None:
    expected = [shown(search.search(text, **options)) for text in TEXTS]
    assert [shown(result) for result in search.search_many(TEXTS, **options)] == expected
    assert any(each["hits"] for each in expected)


def test_many_texts_take_one_batch_and_two_round_trips(
    search: VideoSearch, engine: CountingEngine, encoder: BatchEncoder
) -> None:
    search.search_many(TEXTS)
    assert encoder.batches == [TEXTS]
    assert engine.asked == ["videos 8", "videos 4"]
    engine.asked.clear()
    search.search_many(TEXTS, mode="vector")
    assert engine.asked == ["videos 4"]
    engine.asked.clear()
    search.search_many(TEXTS, like="v03", collapse="year")
    assert engine.asked == ["videos 4", "videos 8", "videos 4", "videos 4"]
    assert len(encoder.batches) == 2


def test_requests_of_every_kind_go_together(search: VideoSearch, engine: CountingEngine) -> None:
    requests = [
        SearchRequest(text="red circle", mode="keyword"),
        SearchRequest(like="v03", at=12.0, k=2),
        SearchRequest(text="blue dog", diversity=0.5, fusion="sum"),
        SearchRequest(text="dog", mode="vector", level="video"),
    ]
    expected = [shown(search.search(request)) for request in requests]
    engine.asked.clear()
    assert [shown(result) for result in search.search_many([*requests])] == expected
    assert len(engine.asked) == 4  # stored vectors, legs, candidates, pages
    mixed = search.search_many(["blue dog", requests[1]])
    assert [shown(result) for result in mixed] == [shown(search.search("blue dog")), expected[1]]


def test_no_texts_ask_nothing(search: VideoSearch, engine: CountingEngine) -> None:
    assert search.search_many([]) == []
    assert engine.asked == []


def test_warnings_are_those_of_each_text(search: VideoSearch) -> None:
    short, long = search.search_many(["dog", "dog " * 11])
    assert short.warnings == ()
    assert long.warnings == ("the text has 13 tokens, the model reads the first 12 only",)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["dog", " "], r"texts\[1\]: the search text is empty"),
        ([None, "dog"], r"texts\[0\]: the search text must be a str, not NoneType"),
        (["dog", "cat", 3], r"texts\[2\]: the search text must be a str, not int"),
        (["dog", SearchRequest(text="cat", k=101)], r"texts\[1\]: k must be a whole number from"),
        ("dog", "texts must be a list of texts, not 'dog'"),
        (None, "texts must be a list of texts, not None"),
    ],
)
def test_a_wrong_text_is_named_by_its_position(
    search: VideoSearch, engine: CountingEngine, texts: Any, message: str
) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        search.search_many(texts)
    assert caught.value.argument == "texts"
    assert engine.asked == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "cat", "filter": {"nope": 1}}, "filter on 'nope': no such field"),
        ({"text": "cat", "highlight": ["nope"]}, "highlight: the index has no field 'nope'"),
        ({"text": "cat", "highlight": ["tags.keyword"]}, "highlight: the index has no field 'tags"),
        ({"text": "cat", "collapse": "nope"}, "collapse: there is no field 'nope'"),
        ({"text": "cat", "collapse": "tags.words"}, "collapse: there is no field 'tags"),
        ({"text": "cat", "fusion": "native"}, "elasticsearch .* offers no retriever 'linear'"),
        ({"text": "cat", "fusion": "native", "gap": 0.1}, "gap cuts the vector leg"),
        ({"like": "v99"}, "like: no video 'v99' in the index"),
        ({"vector": [1.0]}, "vector has 1 numbers, but the vectors of the index have 64"),
        ({"image": "/nowhere.png"}, "image: .*/nowhere.png"),
        ({"clip": b"bytes"}, "clip must be a path or a URL, not bytes"),
    ],
    ids=str,
)
def test_a_request_that_does_not_fit_the_index_is_named_by_its_position(
    search: VideoSearch, options: dict[str, Any], message: str
) -> None:
    request = SearchRequest(**options)
    with pytest.raises(QueryError, match=rf"^texts\[2\]: {message}") as caught:
        search.search_many(["dog", SearchRequest(text="cat"), request, request])
    assert caught.value.argument == "texts"
    with pytest.raises(QueryError, match=f"^{message}") as caught:
        search.search(request)
    assert caught.value.argument in options


def test_a_refused_query_names_the_requests_with_a_filter(
    search: VideoSearch, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        raise RequestRejectedError("failed to parse date field [soon]")

    monkeypatch.setattr(engine, "msearch", refuse)
    late = SearchRequest(text="dog", filter={"recorded": "soon"})
    with pytest.raises(QueryError, match=r"^texts\[1\], texts\[2\]: filter: the engine") as caught:
        search.search_many(["dog", late, late])
    assert caught.value.argument == "texts"
    with pytest.raises(
        QueryError, match=r"^filter: the engine refuses the search, .*recorded"
    ) as caught:
        search.search_many(["dog", "cat"], filter={"recorded": "soon"})
    assert caught.value.argument == "filter"


def test_an_option_of_all_texts_that_does_not_fit_the_index_has_no_position(
    search: VideoSearch,
) -> None:
    with pytest.raises(QueryError, match=r"^filter on 'nope'") as caught:
        search.search_many(["dog", "cat"], filter={"nope": 1})
    assert caught.value.argument == "filter"


def test_a_wrong_option_is_named_without_a_position(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match=r"^k must be a whole number") as caught:
        search.search_many(["dog", "cat"], k=0)
    assert caught.value.argument == "k"


def test_text_as_an_option_is_refused(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match="leave out text") as caught:
        search.search_many(["dog", "cat"], text="bird")  # type: ignore[call-arg]
    assert caught.value.argument == "text"


def test_options_apply_to_texts_and_not_to_requests(search: VideoSearch) -> None:
    text, request = search.search_many(["dog", SearchRequest(text="dog", k=4)], k=2)
    assert (len(text), len(request)) == (2, 4)


def test_an_unknown_option_beside_a_request_is_named(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match="no argument 'foo'"):
        search.body(SearchRequest(text="dog"), foo=1)  # type: ignore[call-arg]


def test_a_swap_of_the_alias_is_noticed_and_texts_are_embedded_once(
    search: VideoSearch, engine: CountingEngine, encoder: BatchEncoder
) -> None:
    search.search_many(TEXTS)
    create_index(engine, "videos-000002", make_videos(5))
    engine.update_aliases(
        [
            {"remove": {"index": "videos-000001", "alias": "videos"}},
            {"add": {"index": "videos-000002", "alias": "videos"}},
        ]
    )
    results = search.search_many(TEXTS, k=10)
    assert {(result.index, len(result)) for result in results} == {("videos-000002", 5)}
    assert encoder.batches == [TEXTS, TEXTS]


@pytest.mark.parametrize(("options", "works"), [({}, 1), ({"mode": "keyword"}, 0)])
def test_a_search_leaves_the_event_loop_to_embed_and_for_nothing_else(
    encoder: BatchEncoder, options: dict[str, Any], works: int
) -> None:
    engine = WorkCountingEngine()
    create_index(engine, "videos", make_videos(20))
    assert VideoSearch(engine, encoder).search("red circle", **options).hits
    assert engine.works == works


@pytest.mark.parametrize(("window", "works"), [(1000, 1), (1001, 4)])
def test_a_large_window_is_ranked_and_counted_beside_the_event_loop(
    encoder: BatchEncoder, window: int, works: int
) -> None:
    engine = WorkCountingEngine()
    create_index(engine, "videos", make_videos(20))
    search = VideoSearch(engine, encoder, settings=SearchSettings(window=window))
    assert search.search("red circle", facets=["tags"], sort="-year").facets
    assert engine.works == works
