"""Recall of a live index, the graph that it depends on, and fields that a search computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.command_line import Run, runner
from tests.search_index import TableEncoder, Video, create_index, make_videos, nearest, unit_vectors

from vidsearch.config import IndexSettings, SearchSettings, Settings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Json, Write
from vidsearch.errors import QueryError
from vidsearch.index import attach_index, create_videos_index
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch.index.size import size_of
from vidsearch.search import Level, RecallReport, VideoSearch, measure_recall
from vidsearch_mappings.diff import flattened
from vidsearch_mappings.vectors import SEARCH_SETTINGS

pytestmark = pytest.mark.integration

DIMS = 96
IDENTITY = ModelIdentity("table", "1", DIMS, image_size=1)
VIDEOS = [
    Video(f"v{at:03}", {}, unit_vectors(f"v{at}", 1 + at % 3, dims=DIMS)) for at in range(120)
]


@pytest.fixture
def run(engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", engine.info().url)
    monkeypatch.setenv("VIDSEARCH_INDEX__NAME", index_name)
    return runner(capsys)


def fill(engine: Engine, name: str, videos: list[Video] = VIDEOS, **settings: Any) -> None:
    chosen = IndexSettings(name=name, replicas=0, **settings)
    create_videos_index(engine, chosen, IDENTITY)
    engine.bulk(name, [Write("index", v.id, v.document("video")) for v in videos], refresh=True)


def measured(
    engine: Engine, name: str, *, window: int = 11, rescore: bool = True, **options: Any
) -> RecallReport:
    search = SearchSettings(window=window, num_candidates=window, rescore=rescore)
    settings = Settings(index=IndexSettings(name=name), search=search)
    return measure_recall(engine, settings, **options)


# -- recall


@pytest.mark.newest_nodes
def test_recall_is_that_of_the_searches_by_brute_force(engine: Engine, index_name: str) -> None:
    # Shortened vectors that are not rescored, so that there is something to miss.
    preset = "binary" if engine.kind == "elasticsearch" else "int8"
    fill(engine, index_name, quantization=preset)
    reported: list[tuple[int, int]] = []
    report = measured(
        engine,
        index_name,
        rescore=False,
        queries=len(VIDEOS),
        progress=lambda *steps: reported.append(steps),
    )
    assert report.queries == report.videos == len(VIDEOS)
    assert report.segments == sum(len(video.segments) for video in VIDEOS)
    assert report.exact == ("engine" if engine.kind == "opensearch" else "vidsearch")
    assert reported[-1][0] == reported[-1][1]
    # Every video was a query, so the mean can be computed.
    settings = SearchSettings(window=11, num_candidates=11, rescore=False)
    search = VideoSearch(engine, TableEncoder(dims=DIMS), index=index_name, settings=settings)
    shares = []
    for video in VIDEOS:
        true = {id for id, _ in nearest(VIDEOS, video.mean, level="video")[:11]} - {video.id}
        hits = search.search(vector=video.mean, k=11, level="video").hits
        found = [hit.id for hit in hits if hit.id != video.id][:10]
        shares.append(len(true.intersection(found)) / 10)
    by_level = {
        level: [each for each in report.measured if each.level == level]
        for level in ("segment", "video")
    }
    (present,) = (each for each in by_level["video"] if each.present)
    assert present.num_candidates == 11
    assert present.recall == pytest.approx(np.mean(shares), abs=0.002)
    assert present.recall < 1
    for tried in by_level.values():
        assert [each.num_candidates for each in tried] == [11, 22, 44, 88]
        assert all(0 < each.p50 <= each.p95 for each in tried)
    if engine.kind == "elasticsearch":
        assert present.recall < 0.98
        assert any(f"index.quantization is {preset}" in one for one in report.advice)


@pytest.mark.parametrize("quantization", ["flat", "int8"])
def test_index_that_misses_nothing_has_a_recall_of_one(
    engine: Engine, index_name: str, quantization: str
) -> None:
    # More shards, so that every one of them must be asked for its own.
    fill(engine, index_name, quantization=quantization, shards=2)
    report = measured(engine, index_name, window=100, queries=30)
    assert {each.recall for each in report.measured} == {1.0}
    assert all(one.endswith("nothing to change") for one in report.advice)
    tried = {each.num_candidates for each in report.measured}
    assert tried == ({100} if quantization == "flat" else {100, 200, 400, 800})


def test_copies_of_a_video_count_as_found(engine: Engine, index_name: str) -> None:
    copies = [Video(f"copy {at}", {}, VIDEOS[0].segments) for at in range(30)]
    fill(engine, index_name, [*copies, *VIDEOS[:30]], quantization="flat")
    assert {each.recall for each in measured(engine, index_name, queries=60).measured} == {1.0}


def test_recall_command_prints_a_table_json_and_advice(
    engine: Engine, index_name: str, run: Run
) -> None:
    fill(engine, index_name, VIDEOS[:40], quantization="float")
    shown = run("index", "recall", "--queries", "5", "--k", "3")
    assert shown.code == 0
    head, *rows = [line.split("\t") for line in shown.out.splitlines()]
    assert head == ["level", "num_candidates", "", "recall@3", "p50 ms", "p95 ms"]
    assert {row[0] for row in rows} == {"segment", "video"}
    assert [row[1] for row in rows if row[2] == "present"] == ["200", "400"]
    assert "segment: recall@3 is 1.000, at least 0.98: nothing to change" in shown.err
    data = run("index", "recall", "--queries", "5", "--json").data
    assert data["videos"] == 40
    assert {each["recall"] for each in data["measured"]} == {1.0}
    refused = run("index", "recall", "--k", "40")
    assert refused.code != 0
    assert "holds 40 videos with vectors, and recall@40 needs more than 40" in refused.err


def test_vectors_are_counted_through_the_alias(engine: Engine, index_name: str) -> None:
    fill(engine, index_name, VIDEOS[:7], shards=2)
    engine.put(index_name, "plain", {"title": "without vectors"}, refresh=True)
    size = engine.run(size_of(engine.calls, index_name, "video"))
    assert (size.videos, size.segments, size.shards) == (7, 1 + 2 + 3 + 1 + 2 + 3 + 1, 2)


# -- the graph


def graph_of(engine: Engine, index: str, level: Level) -> Json:
    video = engine.mapping(index)["properties"]["video"]["properties"]
    vector = (video if level == "video" else video["segments"]["properties"])["vector"]
    options = vector["method"]["parameters"] if "method" in vector else vector["index_options"]
    return {name: options[name] for name in ("m", "ef_construction")}


@pytest.mark.parametrize(
    "graph", [{"m": 24, "ef_construction": 150}, {"m": 2, "ef_construction": 2}]
)
def test_graph_of_a_managed_index_is_that_of_the_settings(
    engine: Engine, index_name: str, graph: Json
) -> None:
    fill(engine, index_name, VIDEOS[:5], quantization="float", **graph)
    assert graph_of(engine, index_name, "segment") == graph_of(engine, index_name, "video") == graph
    same = IndexSettings(name=index_name, replicas=0, quantization="float", **graph)
    assert diff_videos_index(engine, same, IDENTITY) == ()


def test_largest_graph_of_the_settings_is_taken_by_the_node(
    engine: Engine, index_name: str
) -> None:
    largest = {"m": 512, "ef_construction": 3200}
    fill(engine, index_name, VIDEOS[:30], quantization="int8", **largest)
    assert graph_of(engine, index_name, "video") == largest


def test_graph_grows_in_place_where_the_engine_allows_it(engine: Engine, index_name: str) -> None:
    fill(engine, index_name, VIDEOS[:5], quantization="int8")
    wanted = IndexSettings(name=index_name, replicas=0, m=40, ef_construction=222)
    changes = diff_videos_index(engine, wanted, IDENTITY)
    assert {change.path.rpartition(".")[2] for change in changes} == {"m", "ef_construction"}
    left = apply_changes(engine, wanted, IDENTITY)
    if engine.kind == "opensearch":
        assert {change.how for change in left} == {"new index"}
    else:
        assert left == ()
        assert graph_of(engine, index_name, "segment") == {"m": 40, "ef_construction": 222}


def test_graph_of_an_attached_index_and_of_its_copy_is_that_of_the_settings(
    engine: Engine, index_name: str
) -> None:
    properties = {"media": {"type": "keyword"}}
    engine.create_index(f"{index_name}-own", {"mappings": {"properties": properties}})
    engine.update_aliases([{"add": {"index": f"{index_name}-own", "alias": index_name}}])
    graph = {"m": 20, "ef_construction": 120}
    settings = IndexSettings(name=index_name, replicas=0, **graph)
    attached = attach_index(engine, settings, IDENTITY, uri_field="media")
    assert (attached.copied_from is not None) == (engine.kind == "opensearch")
    assert graph_of(engine, attached.index, "segment") == graph
    assert diff_videos_index(engine, settings, IDENTITY) == ()


def test_settings_of_searching_are_set_and_set_again_in_place(
    engine: Engine, index_name: str
) -> None:
    if engine.kind == "opensearch" or engine.info().version < (9, 3, 0):
        pytest.skip("this engine searches its graphs to the end")
    fill(engine, index_name, VIDEOS[:5], quantization="int8")
    settings = IndexSettings(name=index_name, replicas=0)
    (name,) = engine.indices_of(index_name)
    wanted = {key: str(value).lower() for key, (_, value) in SEARCH_SETTINGS.items()}

    def live() -> Json:
        found = flattened(engine.settings(name))
        return {key: found.get(key) for key in wanted}

    assert live() == wanted
    engine.put_settings(name, dict.fromkeys(wanted))  # as an older version left it
    changes = diff_videos_index(engine, settings, IDENTITY)
    assert {change.path for change in changes} == {f"settings.index.{key}" for key in wanted}
    assert {change.how for change in changes} == {"in place"}
    assert apply_changes(engine, settings, IDENTITY) == ()
    assert live() == wanted


# -- fields that a search computes


@pytest.mark.parametrize("level", ["segment", "video", "both"])
def test_filter_on_a_computed_field_finds_the_videos_that_match(
    engine: Engine, index_name: str, level: Level
) -> None:
    if engine.kind == "opensearch":
        pytest.skip("it has no runtime fields; see the next test")
    videos = [
        Video(v.id, {"stock": {"shelf": "ab"[at % 2], "weight": at}}, v.segments)
        for at, v in enumerate(make_videos(24))
    ]
    create_index(engine, index_name, [])
    # Without a script the value is read from `_source`; the nodes of the tests run none.
    types = {"stock.shelf": {"type": "keyword"}, "stock.weight": {"type": "double"}}
    engine.put_mapping(index_name, {"runtime": types})
    writes = [Write("index", v.id, v.document("video")) for v in videos]
    engine.bulk(index_name, writes, refresh=True)
    assert "properties" not in engine.mapping(index_name)["properties"].get("stock", {})
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    query = unit_vectors("query", 1)[0]
    filter = {"stock.shelf": "a", "stock.weight": {"gte": "10"}}
    expected = {f"v{at:02}" for at in range(10, 24, 2)}
    hits = search.search(vector=query, level=level, filter=filter, k=50).hits
    assert {hit.id for hit in hits} == expected
    late = {**filter, "video.segments.start": {"gte": 30}}
    if level == "video" or engine.features().nested_filters:
        hits = search.search(vector=query, level=level, filter=late).hits
        assert {hit.id for hit in hits} == {id for id in expected if int(id[1:]) % 6 >= 3}
    with pytest.raises(QueryError, match=r"stock\.weight.*of type double, 'heavy' is no number"):
        search.search("red dog", filter={"stock.weight": "heavy"})


def test_filter_on_a_derived_field_is_refused_with_the_way_out(
    engine: Engine, index_name: str
) -> None:
    if engine.kind == "elasticsearch":
        pytest.skip("it has no derived fields; see the test before")
    create_index(engine, index_name, make_videos(6))
    script = {"source": "emit(params._source['title'])"}
    engine.put_mapping(index_name, {"derived": {"shelf": {"type": "keyword", "script": script}}})
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    with pytest.raises(QueryError, match=r"filter on 'shelf': it is a derived field.*Map it as"):
        search.search("red dog", filter={"shelf": "a"})
    assert len(search.search("red dog").hits) == 6
