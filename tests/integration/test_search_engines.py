"""The search on the three real engines, against brute force."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from opensearchpy import OpenSearch
from tests.search_index import (
    SEGMENT_SECONDS,
    TableEncoder,
    Video,
    create_index,
    make_videos,
    nearest,
    unit_vectors,
)
from tests.services import RunningServices

from vidsearch.config import EngineSettings, IndexSettings, SearchSettings, Settings
from vidsearch.engines import Engine, Write, connect
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    ModelMismatchError,
    QueryError,
)
from vidsearch.local import SearchNode
from vidsearch.search import Level, Mode, VideoSearch
from vidsearch.search.fusion import Scored, rrf

pytestmark = pytest.mark.integration

VIDEOS = make_videos()
QUERY = "a red circle at night"


@pytest.fixture(scope="module")
def shared_index(shared_engine: Engine, services: RunningServices) -> Iterator[str]:
    """Alias of an index of exact vectors for tests that only read."""
    name = f"test-search-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, f"{name}-000001", VIDEOS, alias=name)
    yield name
    services.drop(name)


@pytest.fixture
def search(shared_engine: Engine, shared_index: str) -> VideoSearch:
    """Over exact vectors, behind an alias; for tests that only read."""
    return VideoSearch(shared_engine, TableEncoder(), index=shared_index)


@pytest.fixture
def own_search(engine: Engine, index_name: str) -> VideoSearch:
    """The same over an index of the test's own, ``index_name``."""
    create_index(engine, f"{index_name}-000001", VIDEOS, alias=index_name)
    return VideoSearch(engine, TableEncoder(), index=index_name)


def ids(pairs: Any) -> list[str]:
    return [pair[0] for pair in pairs]


@pytest.mark.parametrize("level", ["segment", "video"])
def test_nearest_videos_come_first(search: VideoSearch, level: Level) -> None:
    expected = nearest(VIDEOS, unit_vectors(QUERY, 1)[0], level=level)[:15]
    result = search.search(QUERY, k=15, mode="vector", level=level)
    assert [hit.id for hit in result] == ids(expected)
    assert [hit.cosine for hit in result] == pytest.approx([c for _, c in expected], abs=1e-5)
    assert [hit.score for hit in result] == [hit.cosine for hit in result]
    assert result.warnings == ()


@pytest.mark.parametrize("quantization", ["int8", "flat"])
def test_quantised_vectors_give_exact_cosines(
    engine: Engine, index_name: str, quantization: Any
) -> None:
    dims = 512
    videos, encoder = make_videos(dims=dims), TableEncoder(dims=dims)
    create_index(engine, index_name, videos, quantization=quantization, identity=encoder.identity)
    search = VideoSearch(engine, encoder, index=index_name)
    vector = unit_vectors(QUERY, 1, dims=dims)[0]
    for level in get_args(Level):
        true = dict(nearest(videos, vector, level=level))
        result = search.search(QUERY, k=10, mode="vector", level=level, filter={"tags": "odd"})
        # Quantised ones are scored anew with the exact ones.
        assert [h.cosine for h in result] == pytest.approx([true[h.id] for h in result], abs=1e-5)
        best = nearest(videos, vector, level=level, where=lambda v: "odd" in v.fields["tags"])
        assert [h.id for h in result] == ids(best[:10])
        for hit in result:
            for moment in hit.moments:
                segment = videos[int(hit.id[1:])].segments[round(moment.start / SEGMENT_SECONDS)]
                assert moment.cosine == pytest.approx(float(segment @ vector), abs=1e-5)


def test_moments_are_the_best_segments_with_their_times(search: VideoSearch) -> None:
    vector = unit_vectors(QUERY, 1)[0]
    by_id = {video.id: video for video in VIDEOS}
    result = search.search(QUERY, k=20, mode="vector", moments=3)
    for hit in result:
        cosines = by_id[hit.id].segments @ vector
        best = np.argsort(-cosines)[:3]
        assert [m.start for m in hit.moments] == [SEGMENT_SECONDS * at for at in best]
        assert [m.end for m in hit.moments] == [SEGMENT_SECONDS * at + 9.3 for at in best]
        assert [m.cosine for m in hit.moments] == pytest.approx(list(cosines[best]), abs=1e-5)
        assert [m.thumbnail for m in hit.moments] == [f"thumb-{hit.id}-{at}" for at in best]
        assert hit.cosine == pytest.approx(hit.moments[0].cosine, abs=1e-6)


def test_moments_can_be_switched_off(search: VideoSearch) -> None:
    assert all(hit.moments == () for hit in search.search(QUERY, moments=0))
    assert all(hit.moments == () for hit in search.search(QUERY, level="video"))


CONDITIONS: dict[str, tuple[Any, Callable[[Video], bool]]] = {
    "term": ({"tags": "odd"}, lambda v: "odd" in v.fields["tags"]),
    "terms": ({"tags": ["red", "blue"]}, lambda v: v.fields["tags"][0] in {"red", "blue"}),
    "range": ({"year": {"gte": 2010, "lt": 2020}}, lambda v: 2010 <= v.fields["year"] < 2020),
    "two": (
        {"tags": "even", "year": {"gt": 2004}},
        lambda v: "even" in v.fields["tags"] and v.fields["year"] > 2004,
    ),
    "date": ({"recorded": {"gte": "2020-02-10"}}, lambda v: v.fields["recorded"] >= "2020-02-10"),
    "date that holds for all": ({"recorded": {"gte": "2000-01-01"}}, lambda v: True),
    "text": ({"licence": "CC BY"}, lambda v: v.fields.get("licence") == "CC BY"),
    "exists": ({"licence": {"exists": True}}, lambda v: "licence" in v.fields),
    "exists not": ({"licence": {"exists": False}}, lambda v: "licence" not in v.fields),
    "exists nowhere": ({"rating": {"exists": True}}, lambda v: False),
    "exists nowhere, not": ({"rating": {"exists": False}}, lambda v: True),
    "ours": ({"video.duration": {"gte": 40}}, lambda v: len(v.segments) >= 4),
    "id": ({"ids": {"values": ["v03", "v50"]}}, lambda v: v.id in {"v03", "v50"}),
    "not": (
        {"bool": {"must_not": [{"term": {"tags": "odd"}}]}},
        lambda v: "odd" not in v.fields["tags"],
    ),
    "prefix": ({"prefix": {"tags": "re"}}, lambda v: v.fields["tags"][0] == "red"),
    "wildcard": ({"wildcard": {"tags": "*ee*"}}, lambda v: v.fields["tags"][0] == "green"),
    "not in a range": (
        {"bool": {"must_not": {"range": {"year": {"gte": 2010}}}}},
        lambda v: v.fields["year"] < 2010,
    ),
    "match": ({"match": {"title": "dog"}}, lambda v: "dog" in v.fields["title"]),
    "list": (
        [{"tags": "red"}, {"tags": "odd"}],
        lambda v: v.fields["tags"] == ["red", "odd"],
    ),
}


@pytest.mark.parametrize("level", ["segment", "video"])
def test_filters_apply_inside_the_knn_search(search: VideoSearch, level: Level) -> None:
    vector = unit_vectors(QUERY, 1)[0]
    for name, (filter, where) in CONDITIONS.items():
        expected = ids(nearest(VIDEOS, vector, level=level, where=where)[:8])
        result = search.search(QUERY, k=8, mode="vector", level=level, filter=filter)
        assert [hit.id for hit in result] == expected, name


def test_filters_apply_to_the_keyword_leg(search: VideoSearch) -> None:
    for name, (filter, where) in CONDITIONS.items():
        expected = {v.id for v in VIDEOS if where(v) and "circle" in v.fields["title"]}
        result = search.search("circle", k=100, mode="keyword", filter=filter)
        assert {hit.id for hit in result} == expected, name


def test_filter_that_excludes_the_best_still_gives_k_hits(search: VideoSearch) -> None:
    best = ids(nearest(VIDEOS, unit_vectors(QUERY, 1)[0])[:20])
    clause = {"bool": {"must_not": [{"ids": {"values": best}}]}}
    for mode in ("vector", "hybrid"):
        result = search.search(QUERY, k=10, mode=mode, filter=clause)
        assert len(result) == 10
        assert not {hit.id for hit in result} & set(best)


def test_hybrid_equals_rrf_of_both_legs(search: VideoSearch) -> None:
    vector = search.search(QUERY, k=100, mode="vector")
    keyword = search.search(QUERY, k=100, mode="keyword")
    assert 10 < len(keyword) < len(VIDEOS)
    expected = rrf(
        {
            "vector": [Scored(hit.id, hit.score) for hit in vector],
            "keyword": [Scored(hit.id, hit.score) for hit in keyword],
        },
        constant=60,
    )
    result = search.search(QUERY, k=60)
    assert [(hit.id, hit.score) for hit in result] == expected
    bm25 = {hit.id: hit.score for hit in keyword}
    fields = {hit.id: hit.fields for hit in vector}
    moments = {hit.id: hit.moments for hit in vector}
    for hit in result:
        assert hit.bm25 == pytest.approx(bm25.get(hit.id))
        assert (hit.rank_per_leg["keyword"] is None) == (hit.id not in bm25)
        assert hit.fields == fields[hit.id]
        assert hit.moments == moments[hit.id]


def test_hit_of_the_keyword_leg_alone_has_moments(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, VIDEOS)
    settings = SearchSettings(window=5)
    search = VideoSearch(engine, TableEncoder(), index=index_name, settings=settings)
    result = search.search("number 41", k=5)
    (hit,) = (hit for hit in result if hit.rank_per_leg["vector"] is None and hit.id == "v41")
    assert hit.rank_per_leg == {"vector": None, "keyword": 1}
    expected = dict(nearest(VIDEOS, unit_vectors("number 41", 1)[0]))["v41"]
    assert hit.cosine == pytest.approx(expected, abs=1e-5)
    assert hit.cosine == pytest.approx(hit.moments[0].cosine, abs=1e-6)


def test_video_without_vectors_is_found_by_keyword(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, VIDEOS)
    engine.bulk(index_name, [Write("index", "bare", {"title": "aardvark"})], refresh=True)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    hit = search.search("aardvark").hits[0]
    assert (hit.id, hit.cosine, hit.moments) == ("bare", None, ())
    assert hit.fields == {"title": "aardvark"}


@pytest.mark.parametrize("limit", [None, 100])
def test_text_longer_than_the_engine_analyzes_for_highlights_does_not_end_the_search(
    limit: int | None, engine: Engine, index_name: str
) -> None:
    create_index(engine, index_name, VIDEOS[:3])
    engine.put_settings(index_name, {"highlight.max_analyzed_offset": limit})
    talk = "aardvark " + "word " * (limit or 200_000)
    writes = [Write("index", "long", {"title": talk}), Write("index", "short", {"title": talk[:8]})]
    engine.bulk(index_name, writes, refresh=True)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    for mode in ("keyword", "hybrid"):
        found = search.search("aardvark", mode=mode, highlight=True, explain=True, source=False)
        marked = {hit.id: hit.highlights for hit in found if hit.highlights}
        assert marked.keys() == {"long", "short"}
        assert marked["long"]["title"][0].startswith("<em>aardvark</em> word")
        explained = {hit.id: hit.explanation for hit in found if hit.explanation}
        assert explained["long"].matched_fields == ("title",)


def test_min_cosine_cuts_the_vector_leg(search: VideoSearch) -> None:
    expected = nearest(VIDEOS, unit_vectors(QUERY, 1)[0])
    floor = expected[5][1] - 1e-4
    result = search.search(QUERY, k=50, mode="vector", min_cosine=floor)
    assert [hit.id for hit in result] == ids(expected[:6])
    assert all(moment.cosine >= floor for hit in result for moment in hit.moments)
    hybrid = search.search("circle", k=100, min_cosine=0.99)
    assert {hit.rank_per_leg["vector"] for hit in hybrid} == {None}
    assert {hit.cosine for hit in hybrid} == {None}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "vector", "level": "both"},
        {"mode": "keyword", "k": 30},
        {"filter": {"tags": "odd"}, "collapse": 0.99, "fusion": "linear", "explain": True},
        {"fusion": "sum", "from_": 5},
    ],
    ids=str,
)
def test_many_texts_give_the_hits_of_single_searches_in_two_requests(
    search: VideoSearch,
    shared_engine: Engine,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [QUERY, "white dog", "number 41", "red circle", QUERY]
    expected = [search.search(text, **options) for text in texts]
    sent: list[str] = []
    send = shared_engine._send  # type: ignore[attr-defined]

    def count(request: Any) -> Any:
        sent.append(request.path.rpartition("/")[2])
        return send(request)

    monkeypatch.setattr(shared_engine, "_send", count)
    results = search.search_many(texts, **options)
    assert [result.hits for result in results] == [result.hits for result in expected]
    assert all(result.hits for result in results)
    assert [result.warnings for result in results] == [result.warnings for result in expected]
    rounds = (options.get("mode") != "vector") + (options.get("collapse") is not None)
    assert sent == ["_msearch"] * (1 + rounds)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
@pytest.mark.parametrize("level", ["segment", "video"])
def test_hits_contain_no_vectors(
    search: VideoSearch, shared_engine: Engine, shared_index: str, mode: Mode, level: Level
) -> None:
    for body in search.body("red circle", mode=mode, level=level).values():
        answer = shared_engine.search(shared_index, body)
        assert answer["hits"]["hits"]
        assert '"vector"' not in json.dumps(answer)
    for hit in search.search("red circle", mode=mode, level=level):
        assert hit.fields["video"].keys() == {
            *("uri", "model", "fingerprint", "embedded_at", "duration", "width", "height")
        }


def test_body_sent_by_hand_gives_the_same_hits(
    search: VideoSearch, shared_engine: Engine, shared_index: str
) -> None:
    body = search.body(QUERY, k=5, mode="vector", filter={"tags": "odd"})["vector"]
    answer = shared_engine.search(shared_index, body)
    result = search.search(QUERY, k=5, mode="vector", filter={"tags": "odd"})
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == [hit.id for hit in result]


def test_too_long_text_is_truncated_with_a_warning(search: VideoSearch) -> None:
    text = "circle " + " ".join(f"word{at}" for at in range(3000))
    result = search.search(text, k=60)
    assert len(result.warnings) == 2
    assert "3003 tokens, the model reads the first 12 only" in result.warnings[0]
    assert "of 3001 words" in result.warnings[1]
    assert {h.id for h in result if h.rank_per_leg["keyword"]} == {
        video.id for video in VIDEOS if "circle" in video.fields["title"]
    }


def test_query_syntax_in_a_text_is_taken_as_words(search: VideoSearch) -> None:
    for text in ('"red" AND (circle', "title:red^9", "*", "\\", "ÄÖ 你好 🎥"):
        assert len(search.search(text, k=3)) == 3


def test_very_long_text_is_accepted(search: VideoSearch) -> None:
    for text in ("a" * 5000, "red-circle_at/night." * 1500, "视频" * 3000, "💥" * 4000):
        assert len(search.search(text, k=3)) == 3


def test_filter_on_an_unmapped_field_is_refused(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match=r"'colour': no such field.*tags.*video\.duration"):
        search.search(QUERY, filter={"colour": "red"})


def test_filter_value_that_the_engine_refuses_is_a_query_error(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match=r"^filter: .*'recorded'") as caught:
        search.search(QUERY, filter={"recorded": {"gte": "yesterday-ish"}})
    told, said = str(caught.value), str(caught.value.engine)
    assert ("yesterday-ish" in said, "http" in said) == (True, True)
    assert ("yesterday-ish" in told, "http" in told) == (False, False), "nothing of the engine's"


def test_index_of_another_model_is_refused(
    search: VideoSearch, shared_engine: Engine, shared_index: str
) -> None:
    other = VideoSearch(shared_engine, TableEncoder(revision="2"), index=shared_index)
    with pytest.raises(ModelMismatchError, match=r"table@1.*table@2"):
        other.search(QUERY)
    assert len(other.search("circle", mode="keyword")) > 0


def test_missing_index_is_reported_with_advice(engine: Engine, index_name: str) -> None:
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    with pytest.raises(IndexNotFoundError, match=rf"{index_name}.*vidsearch index create"):
        search.search(QUERY)


def test_index_deleted_meanwhile_is_reported_with_advice(
    own_search: VideoSearch, engine: Engine, index_name: str
) -> None:
    own_search.search(QUERY)
    engine.delete_index(f"{index_name}-000001")
    with pytest.raises(IndexNotFoundError, match="vidsearch index create"):
        own_search.search(QUERY)


def test_an_engine_that_is_down_raises_unavailable() -> None:
    engine = connect(EngineSettings(url="http://127.0.0.1:9", kind="elasticsearch"))
    with pytest.raises(BackendUnavailableError, match=r"127\.0\.0\.1:9"):
        VideoSearch(engine, TableEncoder()).search(QUERY)
    engine.close()


def test_alias_swap_is_noticed_at_once(
    own_search: VideoSearch, engine: Engine, index_name: str
) -> None:
    old, new = f"{index_name}-000001", f"{index_name}-000002"
    assert own_search.search(QUERY).index == old
    fewer = VIDEOS[30:]
    create_index(engine, new, fewer)
    swap = [
        {"remove": {"index": old, "alias": index_name}},
        {"add": {"index": new, "alias": index_name}},
    ]
    engine.update_aliases(swap)
    result = own_search.search(QUERY, k=60, mode="vector")
    assert result.index == new
    assert [hit.id for hit in result] == ids(nearest(fewer, unit_vectors(QUERY, 1)[0]))


@pytest.mark.parametrize("dims", [64, 32])
def test_alias_swap_to_another_model_is_refused_at_once(
    own_search: VideoSearch, engine: Engine, index_name: str, dims: int
) -> None:
    own_search.search(QUERY)
    old, new = f"{index_name}-000001", f"{index_name}-000002"
    other = TableEncoder(revision="2", dims=dims).identity
    videos = [Video(v.id, v.fields, v.segments[:, :dims]) for v in VIDEOS[:5]]
    create_index(engine, new, videos, identity=other)
    engine.update_aliases(
        [
            {"remove": {"index": old, "alias": index_name}},
            {"add": {"index": new, "alias": index_name}},
        ]
    )
    for _ in range(2):
        with pytest.raises(ModelMismatchError, match=new):
            own_search.search(QUERY)


def test_new_field_can_be_filtered_at_once(
    own_search: VideoSearch, engine: Engine, index_name: str
) -> None:
    own_search.search(QUERY)
    document = VIDEOS[0].document("video") | {"team": "blue sharks"}
    engine.bulk(index_name, [Write("index", "new", document)], refresh=True)
    result = own_search.search(QUERY, filter={"team": "blue sharks"})
    assert [hit.id for hit in result] == ["new"]


def test_another_field_than_video_is_searched(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, VIDEOS[:10], field="clip")
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    result = search.search(QUERY, k=3, filter={"clip.duration": {"gte": 20}})
    assert len(result) == 3
    assert all(hit.moments and "vector" not in hit.fields["clip"] for hit in result)


def test_an_empty_index_gives_no_hits(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, [])
    for mode in ("hybrid", "vector", "keyword"):
        assert (
            VideoSearch(engine, TableEncoder(), index=index_name).search(QUERY, mode=mode).hits
            == ()
        )


def test_the_vidsearch_object_is_not_searched(search: VideoSearch) -> None:
    assert search.search("file:///videos/v07.mp4", mode="keyword").hits == ()
    assert search.search("fingerprint", mode="keyword").hits == ()


def test_from_settings_uses_a_client_of_the_application(
    search: VideoSearch, search_node: SearchNode, shared_index: str
) -> None:
    library = {"elasticsearch": Elasticsearch, "opensearch": OpenSearch}[search_node.kind]
    client = library(search_node.url)
    settings = Settings(index=IndexSettings(name=shared_index))
    for _ in range(2):  # leaving the context closes what it opened, not the application's client
        with VideoSearch.from_settings(settings, client=client) as mine:
            found = [hit.id for hit in mine.search("circle", mode="keyword")]
        assert found == [hit.id for hit in search.search("circle", mode="keyword")]
    client.close()


def _command(*args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    code = "from vidsearch.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "search", *args],
        env={**os.environ, **{f"VIDSEARCH_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_detects_the_engine(
    search: VideoSearch, search_node: SearchNode, shared_index: str
) -> None:
    args = ("circle", "-k", "4", "--mode", "keyword", "--filter", "year>=2005", "--json")
    done = _command(*args, ENGINE__URL=search_node.url, INDEX__NAME=shared_index)
    assert done.returncode == 0, done.stderr
    expected = search.search("circle", k=4, mode="keyword", filter={"year": {"gte": 2005}})
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]] == [h.id for h in expected]


def test_the_command_prints_errors_in_one_line(search_node: SearchNode) -> None:
    down = _command("circle", "--mode", "keyword", ENGINE__URL="http://127.0.0.1:9")
    missing = _command("circle", "--mode", "keyword", ENGINE__URL=search_node.url, INDEX__NAME="no")
    for done, reason in ((down, "http://127.0.0.1:9 does not answer"), (missing, "alias 'no'")):
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


_SEEN: dict[str, dict[str, Any]] = {}


@pytest.mark.parametrize(
    "call",
    [
        {"mode": "hybrid"},
        {"mode": "vector"},
        {"mode": "keyword"},
        {"mode": "hybrid", "level": "video"},
        {"mode": "hybrid", "filter": {"tags": ["red", "green"], "year": {"gte": 2005}}},
    ],
    ids=str,
)
def test_every_engine_gives_the_same_hits(
    search: VideoSearch, call: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    hits = [
        (h.id, round(h.score, 4), round(h.cosine or 0, 4), dict(h.rank_per_leg), len(h.moments))
        for h in search.search("white dog at night", k=40, **call)
    ]
    assert hits
    first = _SEEN.setdefault(str(call), {"hits": hits})
    assert hits == first["hits"]
