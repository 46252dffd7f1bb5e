"""Ranks of right items, with ties counted by the mean over all orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidsearch.evaluation.places import Places, find_places

# Three captions of three videos: the first is right, the second third, the third tied with one.
SCORES = np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.5], [0.4, 0.7, 0.7]])


def places(scores: NDArray[np.float64], wanted: list[int], gallery: list[int]) -> Places:
    return find_places(
        lambda block: scores[block], wanted=np.array(wanted), gallery=np.array(gallery)
    )


def test_hand_made_matrix_gives_its_ranks() -> None:
    found = places(SCORES, [0, 1, 2], [0, 1, 2])
    assert found.ranks().tolist() == [1, 3, 1.5]
    assert found.found(1).tolist() == [1, 0, 0.5]
    assert found.found(2).tolist() == [1, 0, 1]
    assert found.found(3).tolist() == [1, 1, 1]


def test_same_vector_for_every_video_gives_chance() -> None:
    found = places(np.zeros((10, 10)), list(range(10)), list(range(10)))
    assert found.ranks().tolist() == [5.5] * 10
    np.testing.assert_allclose(found.found(1), 0.1)
    np.testing.assert_allclose(found.found(5), 0.5)


def test_best_of_several_right_items_counts() -> None:
    # One video, asked for its captions: four, of which the second and the fourth are its own.
    found = places(np.array([[0.9, 0.5, 0.4, 0.8]]), [1], [0, 1, 0, 1])
    assert (found.ranks().tolist(), found.found(1).tolist()) == ([2], [0])


def test_scores_apart_by_rounding_are_tied() -> None:
    found = places(np.array([[0.5, 0.5 + 1e-7]]), [0], [0, 1])
    assert found.ranks().tolist() == [1.5]


def test_query_without_a_right_item_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        places(SCORES, [0, 1, 7], [0, 1, 2])


def test_blocks_of_queries_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = places(SCORES, [0, 1, 2], [0, 1, 2])
    monkeypatch.setattr("vidsearch.evaluation.places._BLOCK", 4)
    parts = places(SCORES, [0, 1, 2], [0, 1, 2])
    assert parts.ranks().tolist() == whole.ranks().tolist()


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 2), min_size=n, max_size=n),
            st.lists(st.booleans(), min_size=n, max_size=n).filter(any),
        )
    )
)
def test_figures_are_means_over_all_orders_of_ties(case: tuple[list[int], list[bool]]) -> None:
    scores, is_right = case
    found = places(np.array([scores], float), [1], [int(each) for each in is_right])
    ranks = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda item: -scores[item])  # stable: ties in that order
        ranks.append(1 + min(at for at, item in enumerate(ranked) if is_right[item]))
    assert found.ranks()[0] == pytest.approx(np.mean(ranks))
    for k in range(1, len(scores) + 1):
        assert found.found(k)[0] == pytest.approx(np.mean([rank <= k for rank in ranks]))
