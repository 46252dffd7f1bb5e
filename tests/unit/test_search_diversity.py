"""Collapse of near-duplicates and maximal marginal relevance: known cases, and properties."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search_index import unit_vectors

from vidsearch.engines.vectors import encode_vector
from vidsearch.errors import QueryError
from vidsearch.search.diversity import (
    Compared,
    collapse_by_value,
    collapse_similar,
    compared_fields,
    mmr,
    reorder,
)
from vidsearch.search.fusion import Scored
from vidsearch.search.request import SearchRequest

NAMES = [f"v{n}" for n in range(9)]


@st.composite
def rankings(draw: Any) -> tuple[list[Scored], dict[str, Any]]:
    """A ranking, and vectors of most of its videos, several of them the same."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=9))
    scores = sorted((draw(st.integers(0, 30)) / 10 for _ in names), reverse=True)
    vectors = {}
    for name in names:
        pick = draw(st.integers(0, 5))
        if pick:
            vectors[name] = unit_vectors(f"direction {pick}", 1, dims=8)[0]
    return [Scored(*pair) for pair in zip(names, scores, strict=True)], vectors


def test_mmr_prefers_different_videos() -> None:
    order = [Scored("a", 1.0), Scored("twin of a", 0.9), Scored("b", 0.5), Scored("c", 0.0)]
    vectors = {"a": [1.0, 0.0], "twin of a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.6, 0.8]}
    assert [hit.id for hit in mmr(order, vectors, diversity=0.5)] == ["a", "b", "twin of a", "c"]
    assert [hit.id for hit in mmr(order, vectors, diversity=0.2)] == ["a", "twin of a", "b", "c"]
    assert mmr(order, vectors, diversity=0.5, count=2) == [("a", 1.0), ("b", 0.5)]


@pytest.mark.parametrize(("kind", "order"), [("elasticsearch", "big"), ("opensearch", "little")])
def test_vectors_in_base64_are_compared_as_the_numbers_that_they_are(kind: Any, order: Any) -> None:
    ranked = [Scored("a", 1.0), Scored("twin", 0.9), Scored("b", 0.5)]
    vectors = {"a": [1.0, 0.0], "twin": [1.0, 0.0], "b": [0.0, 1.0]}

    def found(**options: Any) -> Any:
        request = SearchRequest(text="x", **options)
        plain = {id: {"v": vector} for id, vector in vectors.items()}
        # As Elasticsearch 9.5.3 gives it in the fields of a hit.
        coded = {id: {"v": [encode_vector(np.float32(v), order)]} for id, v in vectors.items()}
        one, other = (
            reorder(request, ranked, values, kind=kind, compared=Compared("v"))
            for values in (plain, coded)
        )
        assert one == other
        return other

    assert found(collapse=0.9).duplicates == {"a": ("twin",)}
    assert [hit.id for hit in found(diversity=0.5).kept] == ["a", "b", "twin"]


@given(rankings(), st.sampled_from([0.1, 0.3, 0.7, 1.0]))
def test_mmr_maximises_its_formula_at_every_step(ranking: Any, diversity: float) -> None:
    order, vectors = ranking
    scores = [hit.score for hit in order] or [0.0]
    spread = max(scores) - min(scores)
    zero = np.zeros(8)

    def worth(hit: Scored, chosen: list[Scored]) -> float:
        relevance = (hit.score - min(scores)) / spread if spread else 1.0
        like = [vectors.get(hit.id, zero) @ vectors.get(one.id, zero) for one in chosen]
        return float((1 - diversity) * relevance - diversity * max(like))

    found = mmr(order, vectors, diversity=diversity)
    for at in range(1, len(found)):
        worths = [worth(hit, found[:at]) for hit in found[at:]]
        assert worths[0] >= max(worths) - 1e-9


@given(rankings(), st.floats(0, 1))
def test_mmr_reorders_and_keeps_the_first(ranking: Any, diversity: float) -> None:
    order, vectors = ranking
    found = mmr(order, vectors, diversity=diversity)
    assert sorted(found) == sorted(order)
    assert found[:1] == order[:1]
    for count in (0, 1, 4, 20):
        assert mmr(order, vectors, diversity=diversity, count=count) == found[:count]


@given(rankings())
def test_without_diversity_the_order_stays(ranking: Any) -> None:
    order, vectors = ranking
    assert mmr(order, vectors, diversity=0) == order
    assert mmr(order, {}, diversity=0.5) == order


def test_the_best_of_near_duplicates_is_kept() -> None:
    order = [Scored(id, 1 / at) for at, id in enumerate(["a", "b", "a'", "none", "a''", "b'"], 1)]
    a, b = unit_vectors("a", 2)
    near = a + 0.1 * b
    vectors = {"a": a, "b": b, "a'": a, "a''": near / np.linalg.norm(near), "b'": b}
    strict = collapse_similar(order, vectors, threshold=1.0)
    assert [hit.id for hit in strict.kept] == ["a", "b", "none", "a''"]
    assert strict.duplicates == {"a": ("a'",), "b": ("b'",)}
    loose = collapse_similar(order, vectors, threshold=0.95)
    assert loose.duplicates == {"a": ("a'", "a''"), "b": ("b'",)}


def test_a_chain_of_near_duplicates_is_not_collapsed_into_one() -> None:
    angles = np.arange(6) * 0.2
    order = [Scored(f"v{at}", 1.0 - at / 10) for at in range(6)]
    vectors = {f"v{at}": [np.cos(x), np.sin(x)] for at, x in enumerate(angles)}
    found = collapse_similar(order, vectors, threshold=float(np.cos(0.25)))
    assert found.duplicates == {"v0": ("v1",), "v2": ("v3",), "v4": ("v5",)}


@given(rankings(), st.floats(0.5, 1))
def test_collapse_keeps_every_video_once(ranking: Any, threshold: float) -> None:
    order, vectors = ranking
    found = collapse_similar(order, vectors, threshold=threshold)
    folded = [id for ids in found.duplicates.values() for id in ids]
    kept = [hit.id for hit in found.kept]
    assert sorted(kept + folded) == sorted(hit.id for hit in order)
    assert found.kept == [hit for hit in order if hit.id in set(kept)]
    assert found.kept[:1] == order[:1]
    for at, one in enumerate(kept):
        for other in kept[:at]:
            if one in vectors and other in vectors:
                assert vectors[one] @ vectors[other] < threshold + 1e-6
    for id, ids in found.duplicates.items():
        assert all(vectors[id] @ vectors[other] >= threshold - 1e-5 for other in ids)


def test_one_hit_per_value_of_a_field() -> None:
    order = [Scored(id, 0.0) for id in "abcdefg"]
    values: dict[str, Any] = {"a": "x", "b": ["x"], "c": "x", "e": 1, "f": "1", "g": ["x"]}
    found = collapse_by_value(order, values)
    assert [hit.id for hit in found.kept] == ["a", "b", "d", "e", "f"]
    assert found.duplicates == {"a": ("c",), "b": ("g",)}
    assert collapse_by_value(order, {"a": None, "b": [], "c": None}).kept == order


@pytest.mark.parametrize("order", [[], [Scored("a", 1.0)]])
def test_one_hit_or_none_stays_unchanged(order: list[Scored]) -> None:
    assert mmr(order, {}, diversity=1.0) == order
    assert collapse_similar(order, {}, threshold=0.9).kept == order


def test_hits_are_collapsed_by_a_field_that_the_engine_computes() -> None:
    def fields(name: str) -> list[str]:
        return compared_fields(SearchRequest(text="x", collapse=name), index).names

    computed = {"series": {"type": "keyword"}, "derived": {"type": "derived", "enabled": False}}
    index: Any = SimpleNamespace(name="videos", field="video", properties={}, runtime=computed)
    assert fields("series") == ["series"]
    with pytest.raises(QueryError, match="field 'derived' is derived, which has no value"):
        fields("derived")
    with pytest.raises(QueryError, match="there is no field 'other' in index 'videos'"):
        fields("other")
