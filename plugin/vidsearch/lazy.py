"""Packages whose public names are imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["imported_late"]


def imported_late(
    package: str, homes: Mapping[str, str], *, present: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package that loads nothing by itself.

    Type checkers see the names through imports under ``TYPE_CHECKING``.

    Args:
        package: its ``__name__``.
        homes: public name → module that it is imported from.
        present: public names that the package defines itself.
    """

    def get(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home), name)

    def names() -> list[str]:
        return sorted([*homes, *present])

    return get, names
