"""Linear fusion: known values, what happens at the edges, and properties for any legs."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.errors import QueryError
from vidsearch.search.fusion import Linear, Normalizer, Rrf, Scored, linear, rrf

NAMES = st.sampled_from([f"v{n}" for n in range(10)])
# Eighths, so that scaling and shifting them is exact.
SCORES = st.integers(-40, 40).map(lambda n: n / 8)
LEG = st.dictionaries(NAMES, SCORES, max_size=10)
LEGS = st.fixed_dictionaries({"vector": LEG, "keyword": LEG})
WEIGHTS = st.fixed_dictionaries(
    {"vector": st.integers(1, 9).map(float), "keyword": st.integers(1, 9).map(float)}
)
NORMALIZERS = st.sampled_from(get_args(Normalizer))
FUSIONS = st.sampled_from([Rrf(), Linear(), Linear("z_score")])


def hits(leg: dict[str, float]) -> list[Scored]:
    return sorted((Scored(*one) for one in leg.items()), key=lambda hit: (-hit.score, hit.id))


def ranked(legs: dict[str, dict[str, float]]) -> dict[str, list[Scored]]:
    return {name: hits(leg) for name, leg in legs.items()}


def ids(fused: list[Scored]) -> list[str]:
    return [hit.id for hit in fused]


def test_min_max_gives_known_values() -> None:
    legs = ranked({"vector": {"a": 0.3, "b": 0.2, "c": 0.1}, "keyword": {"b": 8.0, "d": 4.0}})
    fused = linear(legs, weights={"vector": 3.0, "keyword": 1.0})
    assert ids(fused) == ["a", "b", "c", "d"]
    assert [hit.score for hit in fused] == pytest.approx([0.75, 0.375 + 0.25, 0.0, 0.0])


def test_z_score_gives_known_values() -> None:
    legs = ranked({"vector": {"a": 3.0, "b": 1.0}, "keyword": {"b": 5.0, "c": 2.0, "d": 2.0}})
    fused = dict(linear(legs, normalizer="z_score"))
    # Of 5, 2, 2: mean 3, deviation the root of 2. What a leg lacks counts like its last.
    best, rest = 2 / 2**0.5, -1 / 2**0.5
    assert fused == pytest.approx(
        {"a": (1 + rest) / 2, "b": (-1 + best) / 2, "c": (-1 + rest) / 2, "d": (-1 + rest) / 2}
    )


@pytest.mark.parametrize("normalizer", get_args(Normalizer))
@pytest.mark.parametrize("leg", [{"c": 7.5}, {"c": 2.0, "d": 2.0}])
def test_equal_scores_become_1_or_0(normalizer: Any, leg: dict[str, float]) -> None:
    fused = linear({"vector": [], "keyword": hits(leg)}, normalizer=normalizer)
    assert fused == [(id, 0.5) for id in leg]
    legs = ranked({"vector": {"a": 0.4, "b": 0.3, "c": 0.3}, "keyword": leg})
    by_id = dict(linear(legs, normalizer=normalizer))
    assert by_id["c"] - by_id["b"] == pytest.approx(0.5)


def test_scores_that_hardly_differ_stay_finite() -> None:
    legs = {"vector": [Scored("a", 5e-324), Scored("b", 0.0)]}
    assert linear(legs, normalizer="z_score") == [("a", 1.0), ("b", -1.0)]
    assert linear(legs) == [("a", 1.0), ("b", 0.0)]


def test_the_window_cuts_each_leg_before_its_scale_is_taken() -> None:
    legs = ranked({"vector": {"a": 3.0, "b": 2.0, "c": 1.0}, "keyword": {"d": 1.0}})
    assert linear(legs, window=2) == [("a", 0.5), ("d", 0.5), ("b", 0.0)]


def test_empty_legs_give_an_empty_ranking() -> None:
    assert linear({}) == []
    assert linear({"vector": [], "keyword": []}) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"weights": {"vectro": 1.0}}, "weights: leg 'vectro' is not one of vector, keyword"),
        ({"weights": {"vector": -1.0}}, "weights: leg 'vector' must have a number from 0 on"),
        ({"weights": {"keyword": float("inf")}}, "weights: leg 'keyword' must have"),
        ({"weights": {"keyword": True}}, "weights: leg 'keyword' must have"),
        ({"weights": {"vector": 0.0, "keyword": 0}}, "weights: every leg has 0"),
        ({"window": 0}, "window must be a whole number from 1 on, not 0"),
        ({"window": 1.5}, "window must be a whole number"),
        ({"normalizer": "softmax"}, "normalizer must be min_max or z_score, not 'softmax'"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], reason: str) -> None:
    legs = ranked({"vector": {"a": 1.0}, "keyword": {"b": 1.0}})
    with pytest.raises(QueryError, match=reason):
        linear(legs, **arguments)
    with pytest.raises(QueryError, match=reason):
        Linear(**arguments)(legs)
    if "normalizer" not in arguments:
        with pytest.raises(QueryError, match=reason):
            rrf(legs, **arguments)


@pytest.mark.parametrize("constant", [-1, float("nan"), "60", True])
def test_wrong_rank_constant_is_refused(constant: Any) -> None:
    with pytest.raises(QueryError, match="constant must be a number from 0 on"):
        rrf({}, constant=constant)
    with pytest.raises(QueryError, match="constant must be a number from 0 on"):
        Rrf(constant=constant)


@given(LEGS, FUSIONS)
def test_the_result_is_the_union_in_order(legs: dict[str, dict[str, float]], fusion: Any) -> None:
    fused = fusion(ranked(legs))
    assert sorted(ids(fused)) == sorted({*legs["vector"], *legs["keyword"]})
    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.id))


@given(LEGS, WEIGHTS, NORMALIZERS)
def test_the_order_of_the_legs_does_not_matter(legs: Any, weights: Any, normalizer: Any) -> None:
    turned = dict(reversed(ranked(legs).items()))
    options = {"normalizer": normalizer, "weights": weights}
    assert linear(ranked(legs), **options) == linear(turned, **options)


@given(LEGS, NORMALIZERS)
def test_the_names_of_the_legs_do_not_matter(legs: Any, normalizer: Any) -> None:
    swapped = {"vector": legs["keyword"], "keyword": legs["vector"]}
    assert linear(ranked(legs), normalizer=normalizer) == linear(
        ranked(swapped), normalizer=normalizer
    )


@given(LEGS, NORMALIZERS, st.sampled_from([0.5, 4.0, 1024.0]), st.sampled_from([-64.0, 0.0, 3.0]))
def test_scale_and_shift_of_a_leg_do_not_matter(
    legs: Any, normalizer: Any, scale: float, shift: float
) -> None:
    moved = {**legs, "keyword": {id: scale * s + shift for id, s in legs["keyword"].items()}}
    assert linear(ranked(moved), normalizer=normalizer) == linear(
        ranked(legs), normalizer=normalizer
    )


@given(LEGS, WEIGHTS, st.data())
def test_a_better_score_never_hurts_min_max(legs: Any, weights: Any, data: st.DataObject) -> None:
    if not legs["vector"]:
        return
    id = data.draw(st.sampled_from(sorted(legs["vector"])))
    rise = data.draw(st.integers(1, 80)) / 8
    risen = {**legs, "vector": {**legs["vector"], id: legs["vector"][id] + rise}}
    # A tie of two sums may fall either way by rounding, so the scores are compared with a margin.
    before, after = (dict(linear(ranked(one), weights=weights)) for one in (legs, risen))
    ahead = {other for other in before if after[other] > after[id] + 1e-9}
    assert all(before[other] >= before[id] - 1e-9 for other in ahead)


@given(LEGS, WEIGHTS, FUSIONS)
def test_the_best_of_every_leg_is_first(legs: Any, weights: Any, fusion: Any) -> None:
    fused = dict(type(fusion)(**{**vars(fusion), "weights": weights})(ranked(legs)))
    low = -1000.0
    for one in fused:
        for other in fused:
            pairs = [(leg.get(one, low), leg.get(other, low)) for leg in legs.values()]
            if all(a > b or a == b == low for a, b in pairs):
                assert fused[one] >= fused[other]


@given(LEG, FUSIONS)
def test_an_empty_leg_leaves_the_other_as_it_is(leg: dict[str, float], fusion: Any) -> None:
    assert ids(fusion({"vector": hits(leg), "keyword": []})) == ids(hits(leg))


@given(LEGS, NORMALIZERS)
def test_weight_of_0_switches_the_leg_off(legs: Any, normalizer: Any) -> None:
    fused = linear(ranked(legs), normalizer=normalizer, weights={"keyword": 0.0})
    assert fused == linear({"vector": hits(legs["vector"])}, normalizer=normalizer)
    assert rrf(ranked(legs), weights={"keyword": 0}) == rrf({"vector": hits(legs["vector"])})


@given(LEGS, WEIGHTS)
def test_min_max_stays_within_0_and_1(legs: Any, weights: Any) -> None:
    assert all(-1e-9 <= hit.score <= 1 + 1e-9 for hit in linear(ranked(legs), weights=weights))
