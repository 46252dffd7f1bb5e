"""The description of the index behind an alias, without asking before every search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from vidsearch.config import IndexSettings
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    QueryError,
)
from vidsearch.index.description import IndexDescription, describe_index
from vidsearch.index.size import IndexSize, size_of

__all__ = ["IndexCache", "IndexMovedError"]

_T = TypeVar("_T")
_ATTEMPTS = 3
"""Of one search, while the alias moves during each."""
_SIZE_AGE = 60.0
"""Seconds for which a count of the vectors is good enough."""


class IndexMovedError(Exception):
    """The engine answered from another index than the one described. Never reaches the caller."""


class IndexCache:
    """Reads the description of the index behind an alias, and keeps it. Thread-safe.

    It is kept for ``max_age`` seconds: a new field of the application is unknown to the keyword leg
    for so long. A swap of the alias is noticed at once and costs nothing: every hit names its
    concrete index, and a search whose hits name another one reads the description again. That also
    settles a description that was read while the alias moved. An index that is still to be attached
    is described anew for each search.

    Args:
        alias: alias or name of the videos index.
        registry: alias of the registry, which says how an index was attached; by default that of
            the default ``index.side_prefix``.
        max_age: seconds.
        clock: tells seconds.
    """

    def __init__(
        self,
        alias: str,
        *,
        registry: str | None = None,
        max_age: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alias = alias
        self._registry = registry or IndexSettings.model_construct(name=alias).registry
        self._max_age = max_age
        self._clock = clock
        # Replaced as a whole, so that threads need no lock: at worst two of them read it anew.
        self._kept: tuple[float, IndexDescription] | None = None
        self._counted: tuple[float, str, IndexSize] | None = None

    def describe(
        self, calls: Calls, *, fresh: bool = False, sized: bool = False
    ) -> Steps[IndexDescription]:
        """The index behind the alias, at most ``max_age`` seconds old.

        Args:
            calls: of the engine.
            fresh: ask the engine now.
            sized: with its size, at most a minute old.

        Raises:
            IndexNotFoundError: no such index or alias.
            MappingConflictError: see :func:`~vidsearch.index.description.describe_index`.
        """
        now, kept = self._clock(), self._kept
        if fresh or kept is None or now - kept[0] >= self._max_age:
            index = yield from describe_index(calls, self._alias, registry=self._registry)
            kept = (now, index)
            self._kept = None if index.is_replacement else kept
        index = kept[1]
        if not sized or index.is_replacement:
            return index
        counted = self._counted
        if counted is None or counted[1] != index.name or now - counted[0] >= _SIZE_AGE:
            size = yield from size_of(calls, self._alias, index.field)
            counted = self._counted = (now, index.name, size)
        return replace(index, size=counted[2])

    @property
    def last_known(self) -> IndexDescription | None:
        """The index as it was described last, however long ago; ``None`` where it never was."""
        return None if self._kept is None else self._kept[1]

    def run(
        self,
        calls: Calls,
        work: Callable[[IndexDescription], Steps[_T]],
        *,
        sized: bool = False,
    ) -> Steps[_T]:
        """Do something with the index; once more where its description proves outdated.

        ``sized``: its description comes with its size.

        What the work raises goes through, but for errors that an outdated description explains: a
        field that was not mapped yet, an index that is gone, :class:`IndexMovedError`.
        """
        index = yield from self.describe(calls, sized=sized)
        for _ in range(_ATTEMPTS):
            try:
                return (yield from work(index))
            except (QueryError, IndexNotFoundError, MappingConflictError, IndexMovedError) as error:
                fresh = yield from self.describe(calls, fresh=True, sized=sized)
                if fresh == index and not isinstance(error, IndexMovedError):
                    raise
                index = fresh
        raise BackendUnavailableError(
            f"{self._alias!r} pointed to another index at each of {_ATTEMPTS} attempts; try again"
        )
