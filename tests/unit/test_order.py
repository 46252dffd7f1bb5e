"""The order in which testers take the files of tests."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.order import mixed, turned

UNIT = Path("tests/unit")


@pytest.mark.parametrize(("others", "units"), [(7, 60), (60, 7), (0, 9), (9, 0), (1, 1)])
def test_every_file_comes_whole_and_once_and_those_of_unit_tests_between_the_others(
    others: int, units: int
) -> None:
    files = [
        *(Path(f"tests/integration/test_{n}.py") for n in range(others)),
        *(UNIT / f"test_{n}.py" for n in range(units)),
    ]
    items: Any = [SimpleNamespace(path=file, n=n) for file in files for n in range(3)]

    order: Any = mixed(items, unit=UNIT)

    assert sorted(order, key=items.index) == items
    assert all([one.n for one in row] == [0, 1, 2] for _, row in groupby(order, lambda i: i.path))
    if units > others > 1:
        places = [n for n, one in enumerate(order) if UNIT not in one.path.parents]
        assert places[0] == 0
        assert len(items) / 2 < places[-1] < len(items) - 6


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 7, 50])
def test_testers_begin_elsewhere_and_each_goes_through_all(number: int) -> None:
    found = [f"test_{n}.py" for n in range(number)]
    rounds = [turned(found, f"gw{tester}", 3) for tester in range(4)]  # the last replaces one
    assert all(sorted(one) == sorted(found) for one in rounds)
    if number >= 3:
        assert len({one[0] for one in rounds}) == 3
