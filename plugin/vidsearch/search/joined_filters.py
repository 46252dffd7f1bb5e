"""Several filters as one."""

from __future__ import annotations

from vidsearch.search.filters import Filter

__all__ = ["all_filters"]


def all_filters(*filters: Filter | None) -> Filter | None:
    """One filter for which all of some must hold; ``None`` where none is given."""
    given = [each for each in filters if each is not None]
    if len(given) < 2:
        return given[0] if given else None
    # What is neither is refused as an item where the filter is built.
    return [
        item for each in given for item in (each if isinstance(each, (list, tuple)) else [each])
    ]
