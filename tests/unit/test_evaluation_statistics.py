"""Bootstrap intervals and the paired test."""

from __future__ import annotations

import numpy as np
import pytest

from vidsearch.evaluation.statistics import (
    Figure,
    mean_figure,
    median_figure,
    paired_difference,
)

EACH = np.arange(400)
DRAWN = np.random.default_rng(2)


def test_interval_of_a_share_is_that_of_theory() -> None:
    values = (EACH % 2).astype(float)
    figure = mean_figure(values, EACH)
    assert figure.value == 0.5
    half = 1.96 * 0.5 / np.sqrt(400)
    assert (figure.low, figure.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.006)


def test_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    values = DRAWN.standard_normal(400)
    assert mean_figure(values, EACH, seed=3) == mean_figure(values, EACH, seed=3)
    assert mean_figure(values, EACH, seed=3) != mean_figure(values, EACH, seed=4)


def test_queries_of_one_video_vary_together() -> None:
    values = (np.arange(40) % 2).astype(float)
    alone = mean_figure(values, np.arange(40))
    repeated = mean_figure(np.repeat(values, 10), np.repeat(np.arange(40), 10))
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high))
    as_if_independent = mean_figure(np.repeat(values, 10), EACH)
    assert as_if_independent.high - as_if_independent.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_median_of_samples_is_numpys(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = DRAWN.integers(1, 20, size).astype(float)
    samples = np.random.default_rng(1).integers(size, size=(100, size))
    counts = np.stack([np.bincount(each, minlength=size) for each in samples])
    monkeypatch.setattr("vidsearch.evaluation.statistics._counts", lambda *_: iter([counts]))
    figure = median_figure(values, np.arange(size))
    medians = [np.median(values[each]) for each in samples]
    low, high = np.percentile(medians, [2.5, 97.5])
    assert figure == Figure(float(np.median(values)), pytest.approx(low), pytest.approx(high))


def test_rows_that_are_the_same_do_not_differ() -> None:
    values = DRAWN.standard_normal(400)
    found = paired_difference(values, values, EACH)
    assert found.figure == Figure(0, 0, 0)
    assert found.p == 1
    assert found.is_noise


def test_difference_beyond_chance_is_none_of_noise() -> None:
    values = np.where(EACH < 30, 1.0, 0.0)
    found = paired_difference(values, np.zeros(400), EACH)
    assert found.figure.value == pytest.approx(0.075)
    assert found.figure.low > 0.04
    assert found.p < 0.001
    assert not found.is_noise


def test_p_of_rows_that_are_alike_is_below_five_per_cent_as_often() -> None:
    drawn = np.random.default_rng(8)
    tested = [
        paired_difference(*drawn.integers(2, size=(2, 60)).astype(float), np.arange(60), seed=n).p
        for n in range(120)
    ]
    assert 0 <= np.mean(np.array(tested) < 0.05) <= 0.1
    assert 0.35 < np.mean(np.array(tested) < 0.5) < 0.65
