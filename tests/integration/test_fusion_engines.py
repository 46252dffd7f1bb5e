"""Fusions, computed here and by the engine, and what makes hits differ, on the real engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors
from tests.services import RunningServices

from vidsearch.config import SearchSettings
from vidsearch.engines import Engine, Write
from vidsearch.errors import QueryError
from vidsearch.search import Level, VideoSearch
from vidsearch.search.fusion import Linear, Scored, linear, rrf
from vidsearch.search.native import NativeLinear, NativeRrf, Sum

pytestmark = pytest.mark.integration

VIDEOS = make_videos()
QUERY = "a red circle at night"
ALL_WORDS = SearchSettings(stop_words=[])
"""Every word of the query ranks, so that the keyword leg has many hits to fuse."""
FILTER = {"tags": "odd"}


def made(engine: Engine, services: RunningServices, *, shards: int) -> Iterator[VideoSearch]:
    name = f"test-fusion-{uuid.uuid4().hex[:8]}"
    create_index(engine, name, VIDEOS, quantization="flat", shards=shards)
    yield VideoSearch(engine, TableEncoder(), index=name, settings=ALL_WORDS)
    services.drop(name)


@pytest.fixture(scope="module")
def search(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """Over exact vectors in two shards."""
    yield from made(shared_engine, services, shards=2)


@pytest.fixture(scope="module")
def one_shard(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """Over the same in one shard."""
    yield from made(shared_engine, services, shards=1)


def legs(search: VideoSearch, **options: Any) -> dict[str, list[Scored]]:
    found = {
        mode: search.search(QUERY, k=100, mode=mode, **options) for mode in ("vector", "keyword")
    }
    return {mode: [Scored(hit.id, hit.score) for hit in hits] for mode, hits in found.items()}


@pytest.mark.parametrize("level", ["segment", "video"])
def test_linear_equals_the_fusion_of_both_legs(search: VideoSearch, level: Level) -> None:
    both = legs(search, level=level, filter=FILTER)
    weights = {"vector": 2.0, "keyword": 1.0}
    for normalizer in ("min_max", "z_score"):
        expected = linear(both, normalizer=normalizer, weights=weights)
        fusion = Linear(normalizer, weights)
        result = search.search(QUERY, k=60, level=level, filter=FILTER, fusion=fusion)
        assert [(hit.id, hit.score) for hit in result] == expected
        assert all(hit.cosine is not None for hit in result)


def test_a_fusion_is_chosen_by_name_and_by_the_settings(
    search: VideoSearch, shared_engine: Engine
) -> None:
    both = legs(search)
    named = search.search(QUERY, k=60, fusion="linear")
    assert [(hit.id, hit.score) for hit in named] == linear(both)
    settings = SearchSettings(
        stop_words=[], fusion="linear", normalizer="z_score", vector_weight=0.5
    )
    by_settings = VideoSearch(
        shared_engine, TableEncoder(), index=named.index, settings=settings
    ).search(QUERY, k=60)
    expected = linear(both, normalizer="z_score", weights={"vector": 0.5})
    assert [(hit.id, hit.score) for hit in by_settings] == expected


@pytest.mark.parametrize("level", ["segment", "video"])
def test_sum_adds_the_scores_of_both_legs(search: VideoSearch, level: Level) -> None:
    both = legs(search, level=level, filter=FILTER)
    near, words = dict(both["vector"]), dict(both["keyword"])
    weights = {"vector": 5.0, "keyword": 0.5}
    result = search.search(QUERY, k=30, level=level, filter=FILTER, fusion=Sum(weights))
    sums = {id: 5.0 * (1 + cosine) / 2 + 0.5 * words.get(id, 0.0) for id, cosine in near.items()}
    assert {hit.id: hit.score for hit in result} == pytest.approx(sums, abs=1e-4)
    assert [hit.score for hit in result] == sorted((hit.score for hit in result), reverse=True)
    for hit in result:
        assert hit.cosine == pytest.approx(near[hit.id], abs=1e-5)
        assert (hit.bm25, hit.rank_per_leg) == (None, {})
        assert (len(hit.moments) > 0) == (level == "segment")
        assert hit.fields["title"]


@pytest.mark.parametrize(("leg", "other"), [("vector", "keyword"), ("keyword", "vector")])
def test_weight_of_0_switches_a_leg_off(
    search: VideoSearch, shared_engine: Engine, leg: Any, other: str
) -> None:
    alone = search.search(QUERY, k=100, mode=leg, filter=FILTER, facets=["tags"])
    hits = {hit.id for hit in alone}
    words = {hit.id for hit in search.search(QUERY, k=100, mode="keyword", filter=FILTER)}
    assert 0 < len(words) < len({v.id for v in VIDEOS if "odd" in v.fields["tags"]})
    weights = {leg: 3.0, other: 0.0}
    natives = [NativeLinear(weights=weights), NativeRrf(weights=weights)]
    features = shared_engine.features()
    settings = SearchSettings(
        stop_words=[], fusion="sum", **{f"{each}_weight": weights[each] for each in weights}
    )
    by_settings = VideoSearch(
        shared_engine, TableEncoder(), index=alone.index, settings=settings
    ).search(QUERY, k=100, filter=FILTER, facets=["tags"])
    for result in (
        by_settings,
        *(
            search.search(QUERY, k=100, filter=FILTER, facets=["tags"], fusion=fusion)
            for fusion in (Sum(weights), *(natives if features.hybrid else ()))
        ),
    ):
        assert {hit.id for hit in result} == hits
        assert [hit.score for hit in result] == sorted((hit.score for hit in result), reverse=True)
        assert min(hit.score for hit in result) > 0
        assert (result.total.value, result.total.relation) == (len(hits), "eq")
        assert result.facets == alone.facets
        assert all(hit.moments for hit in result)
        assert result.warnings == ()


def test_body_of_sum_returns_documents_and_moments(
    search: VideoSearch, shared_engine: Engine
) -> None:
    body = search.body(QUERY, k=5, fusion="sum", moments=2)["fused"]
    index = search.search(QUERY).index
    hits = shared_engine.search(index, body)["hits"]["hits"]
    assert len(hits) == 5
    for hit in hits:
        assert hit["_source"]["title"]
        assert hit["inner_hits"]["moments"]["hits"]["hits"]


@pytest.mark.parametrize("level", ["segment", "video"])
def test_native_linear_equals_the_fusion_of_both_legs(
    search: VideoSearch, shared_engine: Engine, level: Level
) -> None:
    if shared_engine.kind != "opensearch":
        with pytest.raises(QueryError, match=r"'linear'.*licence.*fusion=linear"):
            search.search(QUERY, level=level, fusion="native")
        return
    weights = {"vector": 3.0, "keyword": 1.0}
    expected = dict(linear(legs(search, level=level, filter=FILTER), weights=weights))
    result = search.search(
        QUERY, k=30, level=level, filter=FILTER, fusion=NativeLinear(weights=weights)
    )
    # It gives a leg's last hit 0.001 instead of 0, and scores words by shard.
    assert len(result) == len(expected)
    top = [hit.id for hit in result][:5]
    assert top[0] == max(expected, key=lambda id: expected[id])
    assert all(hit.moments for hit in result if level == "segment")
    assert all(0 <= hit.score <= 1 for hit in result)
    assert result.warnings == ()


def test_native_fusion_over_one_shard_equals_that_of_vidsearch(
    one_shard: VideoSearch, shared_engine: Engine
) -> None:
    if shared_engine.kind != "opensearch":
        for fusion, instead in (("native", "linear"), ("native_rrf", "rrf")):
            with pytest.raises(QueryError, match=rf"Enterprise or trial.*fusion={instead}"):
                one_shard.search(QUERY, fusion=fusion)
        return
    both = legs(one_shard)
    ranked = one_shard.search(QUERY, k=60, fusion="native_rrf")
    assert [hit.id for hit in ranked] == [hit.id for hit in rrf(both)]
    assert [hit.score for hit in ranked] == pytest.approx([s for _, s in rrf(both)], abs=1e-6)
    assert ranked.warnings == ()
    scaled = one_shard.search(QUERY, k=60, fusion="native")
    assert {hit.id: hit.score for hit in scaled} == pytest.approx(dict(linear(both)), abs=1e-3)


def test_native_options_that_opensearch_2_lacks_are_refused(
    search: VideoSearch, shared_engine: Engine
) -> None:
    if shared_engine.kind != "opensearch":
        pytest.skip("about OpenSearch")
    with pytest.raises(QueryError, match=r"weighs the legs.*from 3\.1 on.*fusion=rrf"):
        search.search(QUERY, fusion=NativeRrf(weights={"vector": 2.0}))
    with pytest.raises(QueryError, match=r"z_score.*min_max, rrf only.*fusion=linear"):
        search.search(QUERY, fusion=NativeLinear("z_score"))
    (warning,) = search.search(QUERY, fusion="native_rrf").warnings
    assert "each of the 2 shards by itself" in warning


@pytest.mark.parametrize("where", [FILTER, {"video.segments.start": {"gte": 20}, **FILTER}])
def test_rescored_vectors_are_fused_like_exact_ones(
    one_shard: VideoSearch, shared_engine: Engine, services: RunningServices, where: Any
) -> None:
    features = shared_engine.features()
    if "video.segments.start" in where and not features.nested_filters:
        pytest.skip("this version cannot filter moments")
    name = f"test-fusion-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, name, VIDEOS, quantization="int8", shards=1)
    quantised = VideoSearch(shared_engine, TableEncoder(), index=name, settings=ALL_WORDS)
    for fusion in ("rrf", "sum", *(["native", "native_rrf"] if features.hybrid else [])):
        for level in ("segment", "video"):
            options: Any = {"fusion": fusion, "level": level, "filter": where, "k": 20}
            exact = one_shard.search(QUERY, **options)
            found = quantised.search(QUERY, **options)
            assert len(exact) == 20
            # In its own sum, Elasticsearch takes the rough cosine of a best segment; OpenSearch's
            # script bends cosines below 0.
            rough = fusion == "sum" or (fusion == "native" and shared_engine.kind == "opensearch")
            scores = {hit.id: hit.score for hit in exact}
            assert {hit.id: hit.score for hit in found} == pytest.approx(
                scores, abs=3e-2 if rough else 1e-5
            )
            if rough and shared_engine.kind == "elasticsearch":
                continue
            assert [hit.id for hit in found] == [hit.id for hit in exact], (fusion, level)
            for hit, other in zip(found, exact, strict=True):
                assert hit.moments == tuple(
                    replace(one, cosine=pytest.approx(one.cosine, abs=1e-5))
                    for one in other.moments
                )
    services.drop(name)


def test_min_cosine_with_a_fusion_of_the_engine_is_refused(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match="min_cosine cuts the vector leg"):
        search.search(QUERY, fusion="sum", min_cosine=0.1)


# -- collapse and diversity


@pytest.fixture(scope="module")
def doubled(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """Every third video is there twice, the second time hardly changed."""
    name = f"test-doubled-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, name, VIDEOS, quantization="flat", shards=2)
    copies = []
    for video in VIDEOS[::3]:
        document = video.document("video")
        document["video"]["vector"] = (
            0.999 * video.mean + 0.001 * unit_vectors(video.id, 1)[0]
        ).tolist()
        copies.append(Write("index", f"{video.id}-copy", document))
    shared_engine.bulk(name, copies, refresh=True)
    yield VideoSearch(shared_engine, TableEncoder(), index=name, settings=ALL_WORDS)
    services.drop(name)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_near_duplicates_collapse_into_the_best_hit(doubled: VideoSearch, mode: Any) -> None:
    plain = doubled.search(QUERY, k=100, mode=mode, level="video")
    result = doubled.search(QUERY, k=100, mode=mode, level="video", collapse=0.99)
    folded = [id for hit in result for id in hit.duplicates]
    assert folded
    assert sorted([hit.id for hit in result] + folded) == sorted(hit.id for hit in plain)
    assert len({hit.id.removesuffix("-copy") for hit in result}) == len(result)
    for hit in result:
        for id in hit.duplicates:
            assert id.removesuffix("-copy") == hit.id.removesuffix("-copy")


@pytest.mark.parametrize("fusion", ["rrf", "sum"])
def test_collapse_by_field_gives_one_hit_per_value(doubled: VideoSearch, fusion: Any) -> None:
    result = doubled.search(QUERY, k=50, collapse="title", fusion=fusion)
    titles = [hit.fields["title"] for hit in result]
    assert len(set(titles)) == len(titles) > 5
    first = doubled.search(QUERY, k=1, fusion=fusion).hits[0]
    assert result.hits[0].id == first.id
    pages = [
        hit.id
        for start in (0, 4)
        for hit in doubled.search(QUERY, k=4, from_=start, collapse="title", fusion=fusion)
    ]
    assert pages == [hit.id for hit in result][:8]


def test_collapse_by_an_unsuitable_field_is_refused(doubled: VideoSearch) -> None:
    for name in ("colour", "video", "video.vector", "video.segments.start"):
        with pytest.raises(QueryError, match=f"collapse: .*{name}"):
            doubled.search(QUERY, collapse=name)


def test_diversity_ranks_copies_lower(doubled: VideoSearch) -> None:
    plain = doubled.search(QUERY, k=10, mode="vector", level="video")
    result = doubled.search(QUERY, k=10, mode="vector", level="video", diversity=0.7)
    assert result.hits[0].id == plain.hits[0].id

    def copies(hits: Any) -> int:
        return len(hits) - len({hit.id.removesuffix("-copy") for hit in hits})

    assert copies(plain) > copies(result) == 0
    same = doubled.search(QUERY, k=10, mode="vector", level="video", diversity=0.0)
    assert [hit.id for hit in same] == [hit.id for hit in plain]
