"""The order in which testers that share the tests take the files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

__all__ = ["TurnedFolder", "mixed", "turned"]

_Any = TypeVar("_Any")

_LAST = 0.15
"""Share of the unit tests' files that come after all others."""


def mixed(items: Sequence[pytest.Item], *, unit: Path) -> list[pytest.Item]:
    """Files of unit tests, which compute, between those of services, which wait as well.

    So neither do all testers compute at one time, nor do all of them wait at another. The last ones
    are files of unit tests: they are short, and the testers end at about the same time.

    Args:
        items: all tests, those of a file in a row.
        unit: folder of the unit tests.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    units = [file for file in files if unit in file.parents]
    order: list[Path] = []
    others = [file for file in files if unit not in file.parents]
    taken = 0
    for number, file in enumerate(others, start=1):
        due = int((1 - _LAST) * len(units) * number / len(others))
        order += [file, *units[taken:due]]
        taken = due
    return [item for file in (*order, *units[taken:]) for item in files[file]]


class TurnedFolder(pytest.Dir):
    """A folder of tests that each tester begins elsewhere, and goes round.

    pytest rewrites the asserts of a file that no process has written rewritten yet, as in a fresh
    clone. Where all testers went by the same order, each would do so for each file.
    """

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """As of any folder, in another order."""
        tester = self.config.workerinput  # type: ignore[attr-defined]
        return turned(list(super().collect()), tester["workerid"], tester["workercount"])


def turned(found: Sequence[_Any], tester: str, testers: int) -> list[_Any]:
    """All that was found, begun at the share of a tester.

    Args:
        found: in an order that all testers have.
        tester: ``gw0`` and so on; one that replaces another has a higher number than all before.
        testers: how many there are.
    """
    number = int(tester.removeprefix("gw")) % testers
    begin = len(found) * number // testers
    return [*found[begin:], *found[:begin]]
