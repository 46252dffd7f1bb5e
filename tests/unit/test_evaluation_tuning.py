"""Choosing fusion settings by judged queries, and telling better from chance."""

from __future__ import annotations

import numpy as np
import pytest

from vidsearch.config import SearchSettings
from vidsearch.errors import EvaluationError
from vidsearch.evaluation.judgements import JudgedQuery
from vidsearch.evaluation.searches import Legs
from vidsearch.evaluation.tuning import (
    FusionChoice,
    choices,
    cross_validated,
    settings_lines,
    tune,
)
from vidsearch.search import Scored

pytest.importorskip("ir_measures")

PRESENT = FusionChoice.of(SearchSettings())
IDS = [f"v{number:02}" for number in range(30)]


def case(number: int, *, names: tuple[str, ...], good: int) -> tuple[list[JudgedQuery], list[Legs]]:
    """Queries of one relevant video each; ``good`` of the legs rank it near the top."""
    drawn = np.random.default_rng(number)
    queries, legs = [], []
    for at in range(number):
        right = str(drawn.choice(IDS))
        queries.append(JudgedQuery(str(at), "text", {right: 1}))
        found = {}
        for leg, name in enumerate(names):
            scores = drawn.random(len(IDS))
            if leg < good:
                scores[IDS.index(right)] += 0.6
            order = np.argsort(-scores)
            found[name] = [Scored(IDS[each], float(scores[each])) for each in order]
        legs.append(found)
    return queries, legs


def test_useless_leg_loses_its_weight() -> None:
    queries, legs = case(60, names=("vector", "keyword"), good=1)
    found = tune(queries, legs, PRESENT, k=10)
    assert dict(found.best.weights)["vector"] >= 0.8
    assert not found.is_noise
    assert found.difference.figure.low > 0
    assert found.held_out.value > found.present_figure.value


def test_legs_of_chance_alone_are_noise() -> None:
    queries, legs = case(40, names=("vector", "keyword"), good=0)
    assert tune(queries, legs, PRESENT, k=10).is_noise


def test_third_leg_is_tuned_like_the_others() -> None:
    queries, legs = case(40, names=("vector", "keyword", "speech"), good=1)
    present = FusionChoice("rrf", (("vector", 1.0), ("keyword", 1.0), ("speech", 1.0)))
    found = tune(queries, legs, present, k=10)
    weights = dict(found.best.weights)
    assert weights["vector"] > weights["keyword"] + weights["speech"]
    assert found.best.settings()["speech_weight"] == weights["speech"]


def test_same_seed_gives_the_same_choice() -> None:
    queries, legs = case(30, names=("vector", "keyword"), good=1)
    first, again = (tune(queries, legs, PRESENT, k=10, seed=4).to_dict() for _ in range(2))
    assert first == again


def test_no_query_is_measured_with_what_was_chosen_on_it() -> None:
    # Each choice is right for one query alone, which decides when it is among those chosen by.
    values = np.eye(20)
    held_out = cross_validated(values, folds=5, seed=0)
    assert held_out.tolist() == [0.0] * 20


def test_weights_of_a_choice_add_up_to_one_for_any_number_of_legs() -> None:
    for names in (("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")):
        tried = list(choices(names))
        assert len(tried) == len(set(tried)) <= 350
        for each in tried:
            assert [leg for leg, _ in each.weights] == list(names)
            assert sum(weight for _, weight in each.weights) == pytest.approx(1)


def test_choice_as_settings_asks_for_the_same_fusion() -> None:
    for choice in [*choices(("vector", "keyword")), PRESENT]:
        assert FusionChoice.of(SearchSettings(**choice.settings())) == choice
    assert settings_lines(PRESENT.settings()) == [
        *("[search]", 'fusion = "rrf"', "rank_constant = 60"),
        *("vector_weight = 1.0", "keyword_weight = 1.0"),
    ]


def test_too_few_queries_are_refused() -> None:
    queries, legs = case(9, names=("vector", "keyword"), good=1)
    with pytest.raises(EvaluationError, match="5 folds need at least 10 queries"):
        tune(queries, legs, PRESENT, k=10)
