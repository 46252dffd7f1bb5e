"""Waits between attempts double up to a bound, with jitter."""

from __future__ import annotations

import pytest

from vidsearch.backoff import delay


@pytest.mark.parametrize(
    ("attempt", "whole"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 8.0), (6, 8.0), (10_000, 8.0)]
)
def test_delay_doubles_up_to_the_bound_with_jitter(attempt: int, whole: float) -> None:
    delays = [delay(attempt, first=0.5, longest=8.0) for _ in range(200)]
    assert whole / 2 <= min(delays)
    assert max(delays) <= whole
    assert max(delays) - min(delays) > whole / 4
