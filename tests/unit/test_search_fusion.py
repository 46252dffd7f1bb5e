"""Reciprocal rank fusion: known values, and properties that hold for any legs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.errors import QueryError
from vidsearch.search.fusion import Scored, rrf

_IDS = st.lists(st.sampled_from([f"v{n}" for n in range(12)]), unique=True, max_size=12)
_LEGS = st.fixed_dictionaries({"vector": _IDS, "keyword": _IDS})


def _scored(ids: list[str]) -> list[Scored]:
    return [Scored(id, 1.0 - at / 100) for at, id in enumerate(ids)]


def _legs(legs: dict[str, list[str]]) -> dict[str, list[Scored]]:
    return {name: _scored(ids) for name, ids in legs.items()}


def test_rrf_of_known_ranks() -> None:
    fused = rrf(_legs({"vector": ["a", "b"], "keyword": ["b", "c"]}))
    assert [hit.id for hit in fused] == ["b", "a", "c"]
    assert [hit.score for hit in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_weights_and_constant_change_the_scores() -> None:
    legs = _legs({"vector": ["a"], "keyword": ["b"]})
    assert rrf(legs, constant=1, weights={"keyword": 3.0}) == [("b", 1.5), ("a", 0.5)]
    assert rrf(legs, weights={"vector": 0.0}) == [("b", 1 / 61)]


@pytest.mark.parametrize("weights", [{"vectro": 1.0}, {"vector": -1.0}, {"vector": float("nan")}])
def test_wrong_weights_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(QueryError, match=r"vectro|vector"):
        rrf(_legs({"vector": ["a"]}), weights=weights)


def test_equal_scores_are_ordered_by_id() -> None:
    assert [hit.id for hit in rrf(_legs({"vector": ["b"], "keyword": ["a"]}))] == ["a", "b"]


def test_window_cuts_each_leg() -> None:
    legs = _legs({"vector": ["a", "b", "c"], "keyword": ["c", "a"]})
    assert {hit.id for hit in rrf(legs, window=1)} == {"a", "c"}


@given(_LEGS)
def test_every_video_appears_once_with_its_sum(legs: dict[str, list[str]]) -> None:
    fused = rrf(_legs(legs))
    assert sorted(hit.id for hit in fused) == sorted({*legs["vector"], *legs["keyword"]})
    for hit in fused:
        expected = sum(1 / (61 + ids.index(hit.id)) for ids in legs.values() if hit.id in ids)
        assert hit.score == pytest.approx(expected)
    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.id))


@given(_LEGS)
def test_the_order_of_the_legs_does_not_matter(legs: dict[str, list[str]]) -> None:
    assert rrf(_legs(legs)) == rrf(_legs(dict(reversed(legs.items()))))


@given(_LEGS)
def test_only_ranks_matter(legs: dict[str, list[str]]) -> None:
    other = {
        name: [Scored(hit.id, hit.score * 1000 - 3) for hit in hits]
        for name, hits in _legs(legs).items()
    }
    assert rrf(_legs(legs)) == rrf(other)


@given(_LEGS, st.data())
def test_a_better_rank_never_hurts(legs: dict[str, list[str]], data: st.DataObject) -> None:
    ids = legs["vector"]
    if len(ids) < 2:
        return
    at = data.draw(st.integers(1, len(ids) - 1))
    risen = [*ids[: at - 1], ids[at], ids[at - 1], *ids[at + 1 :]]
    before = [hit.id for hit in rrf(_legs(legs))]
    after = [hit.id for hit in rrf(_legs({**legs, "vector": risen}))]
    assert after.index(ids[at]) <= before.index(ids[at])


@given(_IDS)
def test_an_empty_leg_leaves_the_other_as_it_is(ids: list[str]) -> None:
    assert [hit.id for hit in rrf(_legs({"vector": ids, "keyword": []}))] == ids
    assert rrf({}) == []
