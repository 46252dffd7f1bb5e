"""A copy takes the place of an index, while writes to it wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch.errors import BackendUnavailableError, VidsearchError
from vidsearch.index.following import Follower, WritesWaitLongError
from vidsearch.index.kept import Kept

__all__ = ["alias_moves", "swap"]

_IN_TIME = (0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.09, 0.13, 0.2)
"""Seconds of each try, from when writes are refused until the copy has everything; one after these
has as many as it takes. To move the aliases then, or to allow writes again, takes half as long as
the first once more, so that no write waits for 0.1 s. Where that is never enough, more is less than
all that the last one may take."""
_PAUSE = 0.2
"""Seconds between two tries at least: writes that have waited go first."""
_AFTER = 0.05
"""Seconds after which searches of the copy see the rest: writes that have waited go first."""


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
    allow_writes: Callable[[], object] | None = None,
) -> float:
    """Have ``old`` refuse writes (403 that names the block), bring the rest, and ``move``.

    Searches go on. Returns the seconds in which writes were refused, of all tries together: as few
    as can be, so all that can be done before is done before (see :meth:`Follower.until_short`), and
    what can be asked for at once is. Where the copy has not everything in time, writes are allowed
    again, whatever is under way, and stopped at a better moment: several times for a short while,
    rather than once for a long one.

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
        allow_writes: has ``old`` take writes again; ``None``: it took none before this.

    Raises:
        MappingConflictError: the copy does not have as many documents.
    """
    refused = 0.0
    with ThreadPoolExecutor(thread_name_prefix="swap") as pool:
        for seconds in (*_IN_TIME, None):
            began = time.monotonic()
            one = _Try(pool, engine, changes, old=old, confirm=confirm, interrupted=interrupted)
            if seconds is None or allow_writes is None or not changes.can_hurry:
                aliases = one.bring()
                break
            if (brought := one.brought_in(seconds)) is not None:
                aliases = brought
                break
            confirm()
            allow_writes()
            refused += time.monotonic() - began
            one.end()
            time.sleep(_PAUSE)
            changes.until_short()
        if last := kept.at_swap():
            engine.put_settings(new, last)
        move(aliases)
        refused += time.monotonic() - began
    time.sleep(_AFTER)
    with suppress(VidsearchError):  # the next refresh shows it, and the copy is in place
        engine.refresh(new)
    return refused


class _Try:
    """Writes are stopped and the rest is brought, which can be given up."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        engine: Engine,
        changes: Follower,
        *,
        old: str,
        confirm: Callable[[], object],
        interrupted: Callable[[], object],
    ) -> None:
        self._pool, self._engine, self._changes, self._old = pool, engine, changes, old
        self._confirm, self._interrupted = confirm, interrupted
        self._refused: Future[None] = Future()
        self._bringing: Future[Json] = Future()
        self._given_up = threading.Event()

    def bring(self, *, in_time: Callable[[], object] | None = None) -> Json:
        """The aliases of the index, all of which the copy has then."""
        aliases, confirmed = self._changes.finish(
            self._stop_writes, interrupted=self._interrupted, in_time=in_time
        )
        confirmed.result()
        return aliases.result()

    def brought_in(self, seconds: float) -> Json | None:
        """The same in so many seconds from when writes are refused. ``None``: it was not, and
        writes may be allowed again at once, as nothing relies on what is still under way."""
        self._bringing = self._pool.submit(self.bring, in_time=self._require_in_time)
        either: list[Future[Any]] = [self._refused, self._bringing]
        wait(either, return_when=FIRST_COMPLETED)
        if not wait([self._bringing], seconds).done:
            self._given_up.set()
            return None
        try:
            return self._bringing.result()
        except WritesWaitLongError:
            return None

    def end(self) -> None:
        """Wait for what is under way, so that nothing of it comes after the next pass."""
        with suppress(WritesWaitLongError, BackendUnavailableError):
            self._bringing.result()

    def _stop_writes(self) -> tuple[Future[Json], Future[object]]:
        self._engine.block_writes(self._old, on_refused=lambda: self._refused.set_result(None))
        # Aliases may have been added until now.
        return self._pool.submit(self._engine.aliases, self._old), self._pool.submit(self._confirm)

    def _require_in_time(self) -> None:
        if self._given_up.is_set():
            raise WritesWaitLongError
