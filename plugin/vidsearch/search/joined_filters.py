"""Several filters as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.search.filters import Filter

__all__ = ["all_filters"]


def all_filters(*filters: Filter | None) -> Filter | None:
    """One filter for which all of some must hold; ``None`` where none is given."""
    given: list[Any] = [each for each in filters if each is not None]
    if len(given) < 2:
        return given[0] if given else None
    # What is no list is an item, which is refused where the filter is built if it is no dict.
    items: list[Mapping[str, Any]] = []
    for each in given:
        items += each if isinstance(each, (list, tuple)) else [each]
    return items
