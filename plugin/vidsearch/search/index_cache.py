"""The description of the index behind an alias, without asking before every search."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    QueryError,
)
from vidsearch.index.description import IndexDescription, describe_index

__all__ = ["IndexCache", "IndexMovedError"]

_T = TypeVar("_T")
_ATTEMPTS = 3
"""Of one search, while the alias moves during each."""


class IndexMovedError(Exception):
    """The engine answered from another index than the one described. Never reaches the caller."""


class IndexCache:
    """Reads the description of the index behind an alias, and keeps it. Thread-safe.

    It is kept for ``max_age`` seconds: a new field of the application is unknown to the keyword leg
    for so long. A swap of the alias is noticed at once and costs nothing: every hit names its
    concrete index, and a search whose hits name another one reads the description again. That also
    settles a description that was read while the alias moved.
    """

    def __init__(
        self,
        alias: str,
        *,
        max_age: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alias = alias
        self._max_age = max_age
        self._clock = clock
        # Replaced as a whole, so that threads need no lock: at worst two of them read it anew.
        self._kept: tuple[float, IndexDescription] | None = None

    def describe(self, calls: Calls, *, fresh: bool = False) -> Steps[IndexDescription]:
        """The index behind the alias, at most ``max_age`` seconds old.

        Args:
            calls: of the engine.
            fresh: ask the engine now.

        Raises:
            IndexNotFoundError: no such index or alias.
            MappingConflictError: see :func:`~vidsearch.index.description.describe_index`.
        """
        now = self._clock()
        if not fresh and self._kept is not None and now - self._kept[0] < self._max_age:
            return self._kept[1]
        index = yield from describe_index(calls, self._alias, through_alias=True)
        self._kept = (now, index)
        return index

    def run(self, calls: Calls, work: Callable[[IndexDescription], Steps[_T]]) -> Steps[_T]:
        """Do something with the index; once more where its description proves outdated.

        What the work raises goes through, but for errors that an outdated description explains: a
        field that was not mapped yet, an index that is gone, :class:`IndexMovedError`.
        """
        index = yield from self.describe(calls)
        for _ in range(_ATTEMPTS):
            try:
                return (yield from work(index))
            except (QueryError, IndexNotFoundError, MappingConflictError, IndexMovedError) as error:
                fresh = yield from self.describe(calls, fresh=True)
                if fresh == index and not isinstance(error, IndexMovedError):
                    raise
                index = fresh
        raise BackendUnavailableError(
            f"{self._alias!r} pointed to another index at each of {_ATTEMPTS} attempts; try again"
        )
