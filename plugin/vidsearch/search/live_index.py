"""What stands behind an alias right now, without asking before every search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    QueryError,
)
from vidsearch_mappings import MetaError, read_meta
from vidsearch_mappings.queries import Level, vector_path
from vidsearch_mappings.scores import Similarity, similarity_of
from vidsearch_mappings.vectors import oversample_of

__all__ = ["IndexMovedError", "IndexView", "LiveIndex"]

_T = TypeVar("_T")
_ATTEMPTS = 3  # an alias that moves during each of them is no longer a matter of patience


class IndexMovedError(Exception):
    """The engine answered from another index than the view. Never reaches the caller."""


@dataclass(frozen=True, slots=True)
class IndexView:
    """One concrete index as a search sees it."""

    name: str
    """The concrete index, not its alias."""
    field: str
    """The object that holds our data."""
    identity: ModelIdentity
    """The model whose vectors it holds."""
    oversample: float | None
    """Candidates per hit to score anew with exact vectors; ``None`` where vectors are exact."""
    properties: Mapping[str, Any]
    """``properties`` of its mapping."""

    def similarity(self, level: Level) -> Similarity:
        """How the engine scores the vectors of a level.

        Raises:
            MappingConflictError: no such vector, or not comparable.
        """
        path = vector_path(self.field, level=level)
        definition: Mapping[str, Any] = {"properties": self.properties}
        try:
            for name in path.split("."):
                definition = definition["properties"][name]
            return similarity_of(definition)
        except KeyError:
            raise MappingConflictError(f"index {self.name!r} has no field {path!r}") from None
        except ValueError as error:
            raise MappingConflictError(f"index {self.name!r}, field {path!r}: {error}") from error


class LiveIndex:
    """Reads and remembers the :class:`IndexView` behind an alias. Thread-safe.

    The view is kept for ``max_age`` seconds, which bounds how long a new field of the host stays
    unknown to the keyword leg. A swap of the alias is noticed at once and for free: every hit names
    its concrete index, and a search whose hits name another one than the view asks anew.
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
        self._kept: tuple[float, IndexView] | None = None

    def view(self, calls: Calls, *, fresh: bool = False) -> Steps[IndexView]:
        """The index behind the alias, at most ``max_age`` seconds old.

        Args:
            calls: of the engine.
            fresh: ask the engine now.

        Raises:
            IndexNotFoundError: no such index or alias.
            MappingConflictError: several indices, or not one of ours.
        """
        now = self._clock()
        if not fresh and self._kept is not None and now - self._kept[0] < self._max_age:
            return self._kept[1]
        view = yield from self._read(calls)
        self._kept = (now, view)
        return view

    def run(self, calls: Calls, work: Callable[[IndexView], Steps[_T]]) -> Steps[_T]:
        """Do something with the view; again with a new one where the view proves outdated.

        What the work raises goes through, but for errors that an outdated view explains: a field
        that was not mapped yet, an index that is gone, :class:`IndexMovedError`.
        """
        view = yield from self.view(calls)
        for _ in range(_ATTEMPTS):
            try:
                return (yield from work(view))
            except (QueryError, IndexNotFoundError, MappingConflictError, IndexMovedError) as error:
                fresh = yield from self.view(calls, fresh=True)
                if fresh == view and not isinstance(error, IndexMovedError):
                    raise
                view = fresh
        raise BackendUnavailableError(
            f"{self._alias!r} pointed to another index at each of {_ATTEMPTS} attempts; try again"
        )

    def _read(self, calls: Calls) -> Steps[IndexView]:
        names = yield from calls.indices_of(self._alias)
        if not names:
            url = (yield from calls.info()).url
            raise IndexNotFoundError(
                f"no index or alias {self._alias!r} at {url}: create it with "
                "`vidsearch index create`, or name another one in VIDSEARCH_INDEX__NAME"
            )
        if len(names) > 1:
            raise MappingConflictError(
                f"alias {self._alias!r} stands for {len(names)} indices ({', '.join(names)}); "
                "a search needs one"
            )
        mapping = yield from calls.mapping(names[0])
        try:
            meta = read_meta(mapping)
            identity = ModelIdentity.from_meta(meta.model)
        except (MetaError, KeyError) as error:
            raise MappingConflictError(
                f"index {names[0]!r} does not say which model's vectors it holds ({error}): it was "
                "not made by `vidsearch index create`, nor by `vidsearch index attach` to its end"
            ) from error
        return IndexView(
            name=names[0],
            field=meta.field,
            identity=identity,
            oversample=oversample_of(meta.quantization),
            properties=mapping.get("properties", {}),
        )
