"""``VideoSearch`` over the engine in memory: arguments, warnings, laziness, the live index."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from tests.search_index import TableEncoder, create_index, make_videos, nearest, unit_vectors

from vidsearch.config import EngineSettings, SearchSettings, Settings
from vidsearch.encoders import Vectors
from vidsearch.engines import Engine, Json
from vidsearch.engines.errors import error_of
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    MissingExtraError,
    ModelMismatchError,
    QueryError,
)
from vidsearch.once import Once
from vidsearch.search import Hit, Moment, SearchResult, VideoSearch
from vidsearch.search.index_cache import IndexCache
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(20)


class CountingEngine(MemoryEngine):
    """Remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.closed = False

    def indices_behind(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        self.asked.append("indices_behind")
        return super().indices_behind(names)

    def mappings_behind(self, name: str) -> dict[str, Json]:
        self.asked.append("mappings_behind")
        return super().mappings_behind(name)

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        self.asked.append(f"msearch {index} {len(bodies)}")
        return super().msearch(index, bodies)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine() -> CountingEngine:
    engine = CountingEngine()
    create_index(engine, "videos-000001", VIDEOS, alias="videos")
    engine.asked.clear()
    return engine


@pytest.fixture
def encoder() -> TableEncoder:
    return TableEncoder()


@pytest.fixture
def search(engine: CountingEngine, encoder: TableEncoder) -> VideoSearch:
    return VideoSearch(engine, encoder)


def test_hybrid_hit_has_scores_ranks_and_moments(search: VideoSearch) -> None:
    result = search.search("red circle", k=3)
    assert (len(result), result.mode, result.level, result.index) == (
        *(3, "hybrid", "segment"),
        "videos-000001",
    )
    hit = result.hits[0]
    assert hit.rank_per_leg.keys() == {"vector", "keyword"}
    assert hit.cosine is not None
    assert 1 <= len(hit.moments) <= 3
    assert hit.fields["title"]
    assert result.took > 0


@pytest.mark.parametrize("text", ["", "  \n", None, 3, b"dog"])
def test_an_empty_or_missing_text_is_refused(search: VideoSearch, text: Any) -> None:
    with pytest.raises(QueryError, match="text"):
        search.search(text)
    with pytest.raises(QueryError, match="text"):
        search.embed(text)
    with pytest.raises(QueryError, match="text"):
        search.body(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"k": 0}, r"k must be a whole number from 1 to 100 \(the setting search\.window\), not 0"),
        ({"k": 101}, "from 1 to 100.*not 101"),
        ({"k": -1}, "not -1"),
        ({"k": 2.5}, "not 2.5"),
        ({"k": True}, "not True"),
        ({"k": "10"}, "not '10'"),
        ({"mode": "fuzzy"}, "mode must be hybrid, vector or keyword, not 'fuzzy'"),
        ({"level": "frame"}, "level must be segment, video or both, not 'frame'"),
        ({"moments": -1}, "moments must be a whole number from 0 to 100, not -1"),
        ({"moments": 101}, "not 101"),
        ({"min_cosine": 1.5}, "min_cosine must be a number between -1 and 1, not 1.5"),
        ({"min_cosine": float("nan")}, "not nan"),
        ({"min_cosine": "high"}, "not 'high'"),
        ({"like": 5}, "like must be the id of a video, not 5"),
        ({"like": ""}, "like must be the id of a video, not ''"),
        ({"like": ".."}, r"like must be the id of a video, not '\.\.'"),
        ({"source": None}, "source must be true, false or a list of names of fields, not None"),
        ({"highlight": 5}, "highlight must be .*not 5"),
    ],
)
def test_wrong_argument_is_refused_before_anything_is_sent(
    search: VideoSearch, engine: CountingEngine, call: dict[str, Any], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        search.search("dog", **call)
    assert engine.asked == []


def test_k_beyond_the_window_is_refused(engine: Engine, encoder: TableEncoder) -> None:
    search = VideoSearch(engine, encoder, settings=SearchSettings(window=7))
    assert len(search.search("dog", k=7)) == 7
    with pytest.raises(QueryError, match="from 1 to 7"):
        search.search("dog", k=8)


def test_filter_on_an_unmapped_field_reads_a_fresh_mapping_first(
    search: VideoSearch, engine: CountingEngine
) -> None:
    search.search("dog")
    engine.asked.clear()
    with pytest.raises(QueryError, match="'nope': no such field"):
        search.search("dog", filter={"nope": 1})
    assert engine.asked == ["mappings_behind"]


def test_a_text_beyond_the_context_gives_a_warning(search: VideoSearch) -> None:
    assert search.search("dog " * 10).warnings == ()
    (warning,) = search.search("dog " * 11).warnings
    assert warning == "the text has 13 tokens, the model reads the first 12 only"
    assert search.search("dog " * 11, mode="keyword").warnings == ()


def test_too_many_words_for_the_engine_are_cut_with_a_warning(engine: Engine) -> None:
    search = VideoSearch(engine, TableEncoder(), settings=SearchSettings(keyword_fields=("title",)))
    (warning,) = search.search("dog " * 901, mode="keyword").warnings
    assert warning == "only the first 900 of 901 words are looked for by keyword"
    assert search.search("dog " * 900, mode="keyword").warnings == ()
    # Counted as the standard analyzer cuts them.
    assert search.search("e-b.c/f " * 225, mode="keyword").warnings == ()
    assert search.search("e-b.c/f " * 226, mode="keyword").warnings != ()
    # Stop words take no room.
    assert search.search("the dog " * 900, mode="keyword").warnings == ()
    assert search.search("视频" * 450, mode="keyword").warnings == ()
    assert search.search("视频" * 451, mode="keyword").warnings != ()
    body = search.body("dog " * 899 + "cat-mouse", mode="keyword")["keyword"]
    words = body["query"]["bool"]["must"][0]["multi_match"]["query"]
    assert (len(words.split()), words[-3:]) == (900, "cat")


def test_no_keyword_field_in_the_index_gives_a_warning(engine: Engine) -> None:
    search = VideoSearch(engine, TableEncoder(), settings=SearchSettings(keyword_fields=("nope",)))
    result = search.search("dog", mode="keyword")
    assert result.hits == ()
    assert "none of the fields of search.keyword_fields" in result.warnings[0]


def test_keyword_field_in_a_nested_object_gives_a_warning(engine: Engine) -> None:
    settings = SearchSettings(keyword_fields=("title", "video.segments.text^2"))
    result = VideoSearch(engine, TableEncoder(), settings=settings).search("dog", mode="keyword")
    assert result.hits
    (warning,) = result.warnings
    assert warning.startswith("search.keyword_fields names video.segments.text, which lies in a")


def test_a_vector_search_needs_one_request(search: VideoSearch, engine: CountingEngine) -> None:
    search.search("dog", mode="vector")
    # And one, every ten seconds, for the write alias.
    assert engine.asked == ["mappings_behind", "msearch videos 1", "indices_behind"]


def test_hybrid_search_needs_two_requests_and_reads_no_mapping(
    search: VideoSearch, engine: CountingEngine
) -> None:
    search.search("dog")
    engine.asked.clear()
    search.search("dog")
    assert engine.asked == ["msearch videos 2", "msearch videos 1"]


_REFUSALS = {
    "elasticsearch": (
        "The length [40] of field [title] in doc[0]/index[videos-000001] exceeds the "
        "[index.highlight.max_analyzed_offset] limit [30]. To avoid this error, set the query "
        "parameter [max_analyzed_offset] to a value less than index setting [30]"
    ),
    "opensearch": (
        "The length of [title] field of [0] doc of [videos-000001] index has exceeded [30] - "
        "maximum allowed to be analyzed for highlighting. This maximum can be set by changing the "
        "[index.highlight.max_analyzed_offset] index level setting"
    ),
}


@pytest.mark.parametrize("kind", _REFUSALS)
def test_highlights_are_cut_where_the_index_refuses_a_long_text_and_by_its_own_limit(
    kind: str, engine: CountingEngine, search: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Mapping[str, Any]] = []
    refuses = False

    def msearch(index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        marked = [body["highlight"] for body in bodies if "highlight" in body]
        sent.extend(marked)
        if refuses and any("max_analyzed_offset" not in each for each in marked):
            cause = {"type": "illegal_argument_exception", "reason": _REFUSALS[kind]}
            answer = {"error": {"type": "search_phase_execution_exception", "root_cause": [cause]}}
            raise error_of(400, answer, url="http://node", index=index)
        return MemoryEngine.msearch(engine, index, bodies)

    monkeypatch.setattr(engine, "msearch", msearch)
    search.search("circle", mode="keyword", highlight=True)
    assert [each.get("max_analyzed_offset") for each in sent] == [None]
    sent.clear()
    refuses = True
    assert search.search("circle", mode="keyword", highlight=True).hits
    assert [each.get("max_analyzed_offset") for each in sent] == [None, 29]


def test_a_function_of_the_caller_fuses(search: VideoSearch) -> None:
    def worst_first(legs: Any) -> list[Any]:
        assert legs.keys() == {"vector", "keyword"}
        return list(reversed(legs["vector"]))

    expected = nearest(VIDEOS, unit_vectors("dog", 1)[0])[::-1]
    result = search.search("dog", k=4, fusion=worst_first)
    assert [hit.id for hit in result] == [id for id, _ in expected[:4]]


def test_a_document_deleted_between_the_requests_is_left_out(
    encoder: TableEncoder,
) -> None:
    class Vanishing(CountingEngine):
        def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
            responses = super().msearch(index, bodies)
            if index == "videos":
                self.delete("videos-000001", responses[0]["hits"]["hits"][0]["_id"])
            return responses

    engine = Vanishing()
    create_index(engine, "videos-000001", VIDEOS, alias="videos")
    (best, _), *_ = nearest(VIDEOS, unit_vectors("xyzzy", 1)[0])
    result = VideoSearch(engine, encoder).search("xyzzy", k=5)
    assert len(result) == 4
    assert best not in {hit.id for hit in result}


def test_text_is_embedded_while_the_engine_is_away() -> None:
    from vidsearch.engines import connect

    encoder = TableEncoder()
    away = EngineSettings(url="http://127.0.0.1:1", kind="elasticsearch")
    with closing(connect(away)) as engine, VideoSearch(engine, encoder) as search:
        vector = search.embed("a boat")
        np.testing.assert_array_equal(vector, encoder.encode_text(["a boat"])[0])
        with pytest.raises(BackendUnavailableError):
            search.search("a boat")


def test_embed_returns_the_unit_vector(search: VideoSearch, engine: CountingEngine) -> None:
    vector = search.embed(" dog ")
    assert np.array_equal(vector, unit_vectors("dog", 1)[0])
    engine.asked.clear()
    search.embed("dog")
    assert engine.asked == []


def test_body_holds_the_vector_and_the_filters_of_both_legs(search: VideoSearch) -> None:
    bodies = search.body("dog", k=4, filter={"tags": "odd"})
    assert bodies.keys() == {"vector", "keyword"}
    assert bodies["vector"]["knn"]["query_vector"] == unit_vectors("dog", 1)[0].tolist()
    assert bodies["vector"]["knn"]["filter"] == {"term": {"tags": "odd"}}
    assert bodies["vector"]["knn"]["k"] == 100
    assert bodies["keyword"]["query"]["bool"]["filter"] == [{"term": {"tags": "odd"}}]
    # The same candidates for every page of it.
    alone = search.body("dog", k=4, mode="vector")["vector"]
    assert (alone["knn"]["k"], alone["size"]) == (100, 4)


def test_only_quantized_vectors_are_rescored(encoder: TableEncoder) -> None:
    engine = MemoryEngine()
    create_index(engine, "a", VIDEOS, quantization="int8")
    create_index(engine, "b", VIDEOS, quantization="flat")
    for index, asked in (("a", True), ("b", False)):
        knn = VideoSearch(engine, encoder, index=index).body("dog")["vector"]["knn"]
        assert ("rescore_vector" in knn) == asked


def test_a_mixed_clause_on_segments_is_refused_among_segments(search: VideoSearch) -> None:
    start = {"range": {"video.segments.start": {"gte": 10}}}
    clause = {"bool": {"should": [{"nested": {"path": "video.segments", "query": start}}]}}
    for level in ("segment", "both"):
        with pytest.raises(QueryError, match="level=video"):
            search.body("dog", level=level, filter=clause)
    bodies = search.body("dog", level="video", filter=clause)
    assert bodies["vector"]["knn"]["filter"] == clause
    assert bodies["keyword"]["query"]["bool"]["filter"] == [clause]


def test_more_fields_than_the_engine_takes_are_cut_with_a_warning(encoder: TableEncoder) -> None:
    engine = MemoryEngine()
    create_index(engine, "source", [])
    mapping = engine.mapping("source")
    mapping["properties"] |= {f"f{at}": {"type": "keyword"} for at in range(1000)}
    engine.create_index("wide", {"mappings": mapping})
    bodies = VideoSearch(engine, encoder, index="wide").body("red dog", mode="keyword")
    query = bodies["keyword"]["query"]["bool"]["must"][0]["multi_match"]
    assert (len(query["fields"]), query["query"]) == (900, "red")
    warnings = VideoSearch(engine, encoder, index="wide").search("dog", mode="keyword").warnings
    assert warnings == ("words are looked for in 900 of 1005 fields only",)


# -- the live index


def _swap(engine: Engine, old: str, new: str) -> None:
    engine.update_aliases(
        [{"remove": {"index": old, "alias": "videos"}}, {"add": {"index": new, "alias": "videos"}}]
    )


def test_alias_swap_is_noticed(search: VideoSearch, engine: Engine) -> None:
    search.search("dog")
    create_index(engine, "videos-000002", VIDEOS[:5])
    _swap(engine, "videos-000001", "videos-000002")
    result = search.search("dog", k=10)
    assert (result.index, len(result)) == ("videos-000002", 5)


def test_alias_swap_to_an_empty_index_is_noticed(search: VideoSearch, engine: Engine) -> None:
    search.search("dog")
    create_index(engine, "videos-000002", [])
    _swap(engine, "videos-000001", "videos-000002")
    result = search.search("dog")
    assert (result.index, len(result)) == ("videos-000002", 0)


def test_alias_swap_to_another_model_is_refused(search: VideoSearch, engine: Engine) -> None:
    search.search("dog")
    other = TableEncoder(revision="2").identity
    create_index(engine, "videos-000002", VIDEOS, identity=other)
    _swap(engine, "videos-000001", "videos-000002")
    with pytest.raises(ModelMismatchError, match=r"videos-000002.*table@2.*table@1.*revision"):
        search.search("dog")


def test_an_alias_that_moves_at_every_attempt_raises_unavailable(encoder: TableEncoder) -> None:
    class Restless(CountingEngine):
        def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
            here, there = "videos-000001", "videos-000002"
            if self.indices_of("videos") == (there,):
                here, there = there, here
            _swap(self, here, there)
            return super().msearch(index, bodies)

    engine = Restless()
    create_index(engine, "videos-000001", VIDEOS, alias="videos")
    create_index(engine, "videos-000002", VIDEOS)
    with pytest.raises(BackendUnavailableError, match="another index at each of 3 attempts"):
        VideoSearch(engine, encoder).search("dog")


def test_the_description_is_kept_for_ten_seconds(engine: CountingEngine) -> None:
    now = [100.0]
    index = IndexCache("videos", clock=lambda: now[0])
    first = engine.run(index.describe(engine.calls))
    now[0] += 9.9
    assert engine.run(index.describe(engine.calls)) is first
    assert engine.asked == ["mappings_behind"]
    now[0] += 0.2
    assert engine.run(index.describe(engine.calls)) == first
    assert engine.asked == ["mappings_behind"] * 2


def test_missing_index_is_reported_with_advice(encoder: TableEncoder) -> None:
    with pytest.raises(IndexNotFoundError, match=r"'films' at memory://.*vidsearch index create"):
        VideoSearch(MemoryEngine(), encoder, index="films").search("dog")


def test_alias_of_two_indices_is_refused(search: VideoSearch, engine: Engine) -> None:
    create_index(engine, "videos-000002", VIDEOS, alias="videos")
    with pytest.raises(MappingConflictError, match=r"2 indices \(videos-000001, videos-000002\)"):
        search.search("dog")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "'videos' was not made by vidsearch.*vidsearch index attach`"),
        ({"vidsearch": 3}, "'videos' was not made by vidsearch.*vidsearch index attach`"),
        (
            {"vidsearch": {"field": "video"}},
            "'videos' does not say which model's.*vidsearch index create`",
        ),
    ],
)
def test_an_index_without_vidsearch_meta_is_refused(
    encoder: TableEncoder, meta: Any, message: str
) -> None:
    engine = MemoryEngine()
    engine.create_index("videos", {"mappings": {"_meta": meta, "properties": {}}})
    with pytest.raises(MappingConflictError, match=message):
        VideoSearch(engine, encoder).search("dog", mode="keyword")


def test_an_index_without_the_vector_field_is_refused(
    engine: Engine, encoder: TableEncoder
) -> None:
    mapping = engine.mapping("videos")
    del mapping["properties"]["video"]
    engine.create_index("bare", {"mappings": mapping})
    with pytest.raises(
        MappingConflictError, match=r"'bare' has no field 'video\.segments\.vector'"
    ):
        VideoSearch(engine, encoder, index="bare").search("dog", mode="vector")


# -- laziness and threads


def test_a_keyword_search_needs_no_encoder(engine: Engine) -> None:
    search = VideoSearch(engine, encoder=None)  # type: ignore[arg-type]
    assert len(search.search("circle", mode="keyword")) > 0
    with pytest.raises(AttributeError):
        search.search("circle")


def test_from_settings_connects_and_loads_when_needed(
    monkeypatch: pytest.MonkeyPatch, engine: CountingEngine, encoder: TableEncoder
) -> None:
    done: list[str] = []

    def connect(settings: EngineSettings, *, client: Any = None) -> Engine:
        done.append(f"connect {settings.url} {client}")
        return engine

    def load_encoder(settings: Any, ingest: Any) -> TableEncoder:
        done.append(f"load {settings.name} {ingest.fps}")
        return encoder

    monkeypatch.setattr("vidsearch.engines.connect", connect)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", load_encoder)
    settings = Settings(model={"name": "demo"}, ingest={"fps": 2})
    with VideoSearch.from_settings(settings, client="mine") as search:
        assert done == []
        search.search("circle", mode="keyword")
        assert done == ["connect http://localhost:9200 mine"]
        search.search("circle")
        search.search("circle")
        assert done[1:] == ["load demo 2.0"]
    assert engine.closed


def test_an_engine_of_the_caller_stays_open(engine: CountingEngine, encoder: TableEncoder) -> None:
    with VideoSearch(engine, encoder) as search:
        search.search("dog")
    assert not engine.closed


def test_close_before_the_first_search_connects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*args: Any, **options: Any) -> Engine:
        raise AssertionError("connected")

    monkeypatch.setattr("vidsearch.engines.connect", connect)
    VideoSearch.from_settings(Settings()).close()


def test_a_keyword_search_loads_no_model_library() -> None:
    code = """
import sys
from vidsearch import Settings, VideoSearch
from vidsearch.errors import BackendUnavailableError

nowhere = Settings(engine={"url": "http://127.0.0.1:9", "kind": "elasticsearch"})
try:
    VideoSearch.from_settings(nowhere).search("dog", mode="keyword")
except BackendUnavailableError:
    heavy = {"torch", "transformers", "cv2", "av", "celery", "opensearchpy"}
    print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_many_threads_build_once_and_agree(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, encoder: TableEncoder
) -> None:
    built: list[int] = []

    def connect(*args: Any, **options: Any) -> Engine:
        time.sleep(0.05)
        built.append(1)
        return engine

    monkeypatch.setattr("vidsearch.engines.connect", connect)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", lambda *a, **o: encoder)
    search = VideoSearch.from_settings(Settings())
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append([h.id for h in search.search("red dog")]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert len(found) == 8
    assert len({tuple(ids) for ids in found}) == 1


def test_a_failed_build_is_tried_again() -> None:
    def outcomes() -> Iterator[int]:
        yield 1

    source = outcomes()
    failing = [True]

    def build() -> int:
        if failing.pop() if failing else False:
            raise MissingExtraError.of("worker", needed_for="CLIP")
        return next(source)

    once = Once(build)
    with pytest.raises(MissingExtraError):
        once()
    assert not once.is_built
    assert (once(), once()) == (1, 1)


# -- what comes back


def test_results_as_json_and_as_repr() -> None:
    moment = Moment(10.0, 20.0, 0.31, "thumb")
    hit = Hit("a", 0.032, 0.31, None, {"vector": 1, "keyword": None}, {"title": "x"}, (moment,))
    result = SearchResult((hit,), "hybrid", "segment", "videos-000001", 12.3, ("cut",))
    assert result.to_dict() == {
        "hits": [
            {
                "id": "a",
                "score": 0.032,
                "cosine": 0.31,
                "bm25": None,
                "rank_per_leg": {"vector": 1, "keyword": None},
                "fields": {"title": "x"},
                "moments": [{"start": 10.0, "end": 20.0, "cosine": 0.31, "thumbnail": "thumb"}],
                "highlights": {},
                "explanation": None,
                "duplicates": [],
            },
        ],
        "mode": "hybrid",
        "level": "segment",
        "index": "videos-000001",
        "took": 12.3,
        "warnings": ["cut"],
        "total": {"value": 0, "relation": "eq", "reachable": 0},
        "facets": {},
        "group_by": "video",
    }
    assert repr(moment) == "Moment(10-20 s, cosine=0.310)"
    assert repr(hit) == "Hit('a', score=0.0320, cosine=0.310, vector=#1, 1 moments from 10 s)"
    assert repr(result) == ("SearchResult(1 hits, hybrid, segment level, 12 ms, warnings=['cut'])")
    assert list(result) == [hit]
    assert repr(VideoSearch(MemoryEngine(), TableEncoder())) == "VideoSearch(index='videos')"


def test_the_time_of_a_search_leaves_out_the_loading_of_the_model(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(TableEncoder):
        """Reads its weights at the first text, as the real ones do."""

        cold = True

        def encode_text(self, texts: Sequence[str]) -> Vectors:
            if self.cold:
                time.sleep(0.4)
                self.cold = False
            return super().encode_text(texts)

    encoder = Slow()

    def load(*_: object) -> Slow:
        time.sleep(0.2)
        return encoder

    monkeypatch.setattr("vidsearch.engines.connect", lambda settings, client=None: engine)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", load)
    with VideoSearch.from_settings(Settings()) as videos:
        started = time.perf_counter()
        result = videos.search("a red circle")
        seconds = time.perf_counter() - started
        assert seconds >= 0.6
        assert result.took <= 1000 * (seconds - 0.6)
        assert encoder.asked == ["a red circle"], "the text that loads the model is not read twice"
        assert videos.search("a red circle").hits == result.hits
