"""The order in which testers take the files of tests."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.order import mixed

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
