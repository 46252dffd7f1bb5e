"""The order in which testers that share the tests take the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["mixed"]

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
