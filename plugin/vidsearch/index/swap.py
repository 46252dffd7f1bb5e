"""A copy takes the place of an index, while writes to it wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from vidsearch.engines import Engine, Json
from vidsearch.errors import VidsearchError
from vidsearch.index.following import Follower, WritesWaitLongError
from vidsearch.index.kept import Kept

__all__ = ["RefusedWrites", "alias_moves", "swap"]

_TRIES = 4
"""How often at most writes are stopped, where what they wait for takes longer than expected."""
_AFTER = 0.05
"""Seconds after which searches of the copy see the rest: writes that have waited go first."""


@dataclass(slots=True)
class RefusedWrites:
    """For how long an index has refused writes, of all tries together."""

    _before: float = 0.0
    _since: float | None = None

    @property
    def seconds(self) -> float:
        """Up to now, where it still does."""
        return self._before + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def ongoing(self) -> bool:
        """Whether the index may refuse them still: it was told so, and not otherwise since."""
        return self._since is not None

    def begin(self) -> None:
        """Writes are stopped now, where they are not already."""
        if self._since is None:
            self._since = time.monotonic()

    def end(self) -> None:
        """Writes go on, to whichever index."""
        self._before, self._since = self.seconds, None


def alias_moves(aliases: Json, *, old: str, new: str) -> list[Json]:
    """Actions that let these aliases of one index stand for another one, with their options."""
    moves: list[Json] = []
    for alias, options in aliases.items():
        moves.append({"remove": {"index": old, "alias": alias}})
        moves.append({"add": {"index": new, "alias": alias, **options}})
    return moves


def swap(
    engine: Engine,
    changes: Follower,
    *,
    old: str,
    new: str,
    kept: Kept,
    confirm: Callable[[], object],
    interrupted: Callable[[], object],
    move: Callable[[Json], None],
    refused: RefusedWrites,
    allow_writes: Callable[[], object] | None = None,
) -> None:
    """Have ``old`` refuse writes (403 that names the block), bring the rest, and ``move``.

    Searches go on. Writes are refused for as short as can be, so all that can be done before is
    done before (see :meth:`Follower.until_short`), and what can be asked for at once is. Where the
    engine has become slow just then, writes are allowed again, and stopped at a better moment:
    several times for a short while, rather than once for a long one.

    The caller allows writes to ``old`` again where this ends with an error; after a swap it takes
    none, so that none is lost.

    The aliases cannot move first: until the rest is brought, an update of a part of a document
    would be one of what it was before, and the last change of the old index be lost.

    Args:
        engine: the cluster.
        changes: of ``old``, for ``new``; passes are as short as can be.
        old: the index that the application writes to.
        new: its copy, with all settings but those of :meth:`Kept.at_swap`.
        kept: what it keeps.
        confirm: called while writes wait; raises where another process may swap by now.
        interrupted: as of :meth:`Follower.finish`.
        move: lets the copy take the place: one call. Told the aliases of ``old``.
        refused: the time in which writes to ``old`` are refused is added to it.
        allow_writes: has ``old`` take writes again; ``None``: it took none before this.

    Raises:
        MappingConflictError: the copy does not have as many documents.
    """
    with ThreadPoolExecutor(thread_name_prefix="swap") as pool:

        def stop_writes() -> tuple[Future[Json], Future[object]]:
            refused.begin()
            engine.block_writes(old)
            # Aliases may have been added until now.
            return pool.submit(engine.aliases, old), pool.submit(confirm)

        for tries in count(1):
            hurried = allow_writes is not None and tries < _TRIES
            try:
                aliases, confirmed = changes.finish(
                    stop_writes, interrupted=interrupted, hurried=hurried
                )
                break
            except WritesWaitLongError:
                confirm()
                if allow_writes is not None:
                    allow_writes()
                    refused.end()
            changes.until_short()
        if last := kept.at_swap():
            engine.put_settings(new, last)
        confirmed.result()
        move(aliases.result())
        refused.end()
    time.sleep(_AFTER)
    with suppress(VidsearchError):  # the next refresh shows it, and the copy is in place
        engine.refresh(new)
