"""A copy takes the place of an index, while writes to it wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vidsearch.engines import Engine, Json
from vidsearch.errors import MappingConflictError
from vidsearch.index.following import Follower
from vidsearch.index.kept import Kept

__all__ = ["alias_moves", "swap"]


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
    move: Callable[[Json], None],
) -> float:
    """Have ``old`` refuse writes (403 that names the block), bring the rest, and ``move``.

    Searches go on. Returns the seconds in which writes were refused: as few as can be, so all that
    can be done before is done before, and what can be asked for at once is. The caller allows
    writes to ``old`` again where this ends with an error; after a swap it takes none, so that none
    is lost.

    The aliases cannot move first: until the rest is brought, an update of a part of a document
    would be one of what it was before, and the last change of the old index be lost.

    Args:
        engine: the cluster.
        changes: of ``old``, for ``new``; passes have got small.
        old: the index that the application writes to.
        new: its copy, with all settings but those of :meth:`Kept.at_swap`.
        kept: what it keeps.
        confirm: called right before; raises where another process may swap by now.
        move: lets the copy take the place: one call. Told the aliases of ``old``.

    Raises:
        MappingConflictError: the copy does not have as many documents, or the application writes
            faster than this follows.
    """
    engine.refresh(new)  # so that little is left to do while writes wait
    changes.until_short()
    with ThreadPoolExecutor(thread_name_prefix="swap") as pool:
        began = time.monotonic()
        changes.finish(lambda: engine.block_writes(old))
        aliases = pool.submit(engine.aliases, old)  # some may have been added until now
        had = pool.submit(engine.count, old)
        confirmed = pool.submit(confirm)
        _require_as_many(engine.count(new), new, had.result(), old)
        if last := kept.at_swap():
            engine.put_settings(new, last)
        confirmed.result()
        move(aliases.result())
    return time.monotonic() - began


def _require_as_many(has: int, new: str, had: int, old: str) -> None:
    if had != has:
        raise MappingConflictError(
            f"{new!r} has {has} documents, and {old!r}, which it is a copy of, {had}: does another "
            f"program write to {new!r}? Stop it, then begin again"
        )
