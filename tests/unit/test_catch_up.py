"""How often a copy follows its index before writes to that have to wait."""

from __future__ import annotations

import pytest

from vidsearch.index.catch_up import CatchUp
from vidsearch.index.following import LONGEST_PASS, Pass
from vidsearch.testing.memory_engine import MemoryEngine


class Scripted(CatchUp):
    """Its passes are given, as numbers of changes and seconds."""

    passes: list[tuple[int, float]]

    def run(self, *, last: bool = False) -> Pass:
        changed, seconds = self.passes.pop(0)
        return Pass(changed, 0, seconds)


@pytest.mark.parametrize(
    ("passes", "left"),
    [
        ([(10, 0.1), (0, 0.1)], 1),
        ([(100, 0.1), (20, 0.1), (5, 0.1), (0, 0.1)], 1),
        ([(100, 0.1), (90, 0.1), (0, 0.1)], 1),
        # A burst of writes begins: the pass that writes wait for would be as long as this one.
        ([(100, 0.1), (50_000, LONGEST_PASS + 1), (30_000, 4.0), (150, 0.1), (0, 0.1)], 1),
    ],
)
def test_passes_end_where_another_would_not_be_much_shorter(
    passes: list[tuple[int, float]], left: int
) -> None:
    engine = MemoryEngine()
    for name in ("old", "new"):
        engine.create_index(name, {})
    changes = Scripted(engine, "old", "new")
    changes.passes = list(passes)
    changes.until_short()
    assert len(changes.passes) == left
