"""Whether the indices of a run are still those that it knows, and what stands for them by now.

While a run is open, others move its alias, and drop an index and make another one of its name: a
build that fills the old index anew and moves the alias back, for example.
"""

from __future__ import annotations

from collections.abc import Sequence

from vidsearch.engines import Engine
from vidsearch.errors import IndexNotFoundError, ReindexError
from vidsearch.reindex.run import ReindexRun

__all__ = [
    "is_another",
    "is_there",
    "left_of",
    "moved_off",
    "refuse_another",
    "refuse_used",
    "require_replaced",
    "require_way_back",
    "uuid_behind",
    "uuid_of",
    "why_not_back",
]


def uuid_of(engine: Engine, name: str) -> dict[str, str]:
    """What tells an index from a later one of its name, by this name."""
    uuid = engine.settings(name).get("uuid")
    return {} if uuid is None else {name: uuid}


def uuid_behind(engine: Engine, alias: str, name: str) -> dict[str, str]:
    """As :func:`uuid_of`, of the index that an alias stands for.

    Raises:
        ReindexError: it stands for another one by now.
    """
    uuid = uuid_of(engine, name)
    if engine.indices_of(alias) != (name,):
        raise ReindexError(f"alias {alias!r} was moved off {name!r} meanwhile: begin again")
    return uuid


def is_another(engine: Engine, run: ReindexRun, name: str) -> bool:
    """Whether an index of a run was created anew since. ``False`` where there is none, or a run was
    recorded by a version that did not note which one it was."""
    known = run.uuids.get(name)
    if known is None:
        return False
    try:
        return engine.settings(name).get("uuid") != known
    except IndexNotFoundError:
        return False


def is_there(engine: Engine, run: ReindexRun, name: str) -> bool:
    """Whether there is an index of a run still."""
    return engine.indices_of(name) == (name,) and not is_another(engine, run, name)


def refuse_another(engine: Engine, run: ReindexRun, *names: str) -> None:
    """Refuse to go on with an index that was created anew since: it does not have the changes that
    the run looks for, nor the documents that it has copied.

    Raises:
        ReindexError: the message says what to do.
    """
    for name in names:
        if is_another(engine, run, name):
            raise ReindexError(
                f"index {name!r} was created anew since {run.called} began, and is not the one "
                "that it works with: "
                + (
                    "`vidsearch reindex rollback` ends it, then begin again"
                    if run.swapped_at is None
                    else "`vidsearch reindex clean` ends it"
                )
            )


def moved_off(run: ReindexRun, there: Sequence[str]) -> ReindexError:
    """The error where the alias of a run stands for these by now."""
    was_swapped = run.swapped_at is not None
    return ReindexError(
        f"{_elsewhere(run, there)}: point it to {run.target if was_swapped else run.source!r} "
        "again, then `vidsearch reindex resume`; or `vidsearch reindex "
        f"{'clean' if was_swapped else 'rollback'}` ends the run"
    )


def require_way_back(engine: Engine, run: ReindexRun) -> None:
    """Refuse a rollback of what was swapped where it would come to no end.

    Raises:
        ReindexError: the message says what to do.
    """
    if run.swapped_at is not None and (why := why_not_back(engine, run)) is not None:
        raise ReindexError(f"{run.called} cannot be rolled back, as {why}")


def why_not_back(engine: Engine, run: ReindexRun) -> str | None:
    """Why searches cannot go back from target to source, and what to do; ``None``: they can, or
    have done so."""
    there = engine.indices_of(run.alias)
    if there == (run.source,):
        return None
    if engine.indices_of(run.source) != (run.source,):
        return f"{run.source!r} is gone: `vidsearch reindex clean` ends it"
    for name in (run.source, run.target):
        if is_another(engine, run, name):
            return f"{name!r} was created anew since: `vidsearch reindex clean` ends it"
    if there != (run.target,):
        ends = f"; or `vidsearch reindex clean` ends it, and deletes {run.source!r}"
        return (
            f"{_elsewhere(run, there)}: point it to {_newest(engine, run)!r} again, then "
            f"`vidsearch reindex rollback`{ends if there else ''}"
        )
    return None


def require_replaced(engine: Engine, run: ReindexRun, *, write_alias: str) -> None:
    """Refuse to end a run that was swapped where its source, which is deleted then, is in use.

    Raises:
        ReindexError: the message says what to do.
    """
    source, there = run.source, engine.indices_of(run.alias)
    if engine.indices_of(source) != (source,):
        return
    anew = is_another(engine, run, source)  # and is left
    if source in there or not (there or anew):
        newest = _newest(engine, run)
        raise ReindexError(
            f"{run.called} is not ended, and {source!r} not deleted, as alias {run.alias!r} "
            f"stands for {', '.join(there) or 'no index'} by now: "
            + (
                f"`vidsearch reindex rollback` ends it, and deletes {run.target!r} with what was "
                "written to it since the swap"
                if there == (source,)
                else f"point it to {newest!r} alone, then `vidsearch reindex "
                f"{'clean' if newest == run.target else 'rollback'}`"
            )
        )
    if not anew:
        refuse_used(engine, run, source, besides=write_alias)


def refuse_used(engine: Engine, run: ReindexRun, name: str, *, besides: str = "") -> None:
    """Refuse to delete an index that an alias stands for, but for the write alias.

    Raises:
        ReindexError: the message says what to do.
    """
    if aliases := sorted(engine.aliases(name).keys() - {besides}):
        raise ReindexError(
            f"index {name!r} is not deleted, as it is behind alias "
            f"{' and '.join(map(repr, aliases))}: point that to another index, or remove it, then "
            f"`vidsearch reindex {'clean' if name == run.source else 'resume'}`"
        )


def left_of(engine: Engine, run: ReindexRun) -> tuple[str, ...]:
    """The indices of a run that are there, and that its alias does not stand for."""
    there = engine.indices_of(run.alias)
    names = (run.source, run.target)
    return tuple(n for n in names if n not in there and engine.indices_of(n) == (n,))


def _elsewhere(run: ReindexRun, there: Sequence[str]) -> str:
    return (
        f"alias {run.alias!r} stands for {', '.join(there) or 'no index'} by now, and not for "
        f"{run.source!r} or {run.target!r} alone"
    )


def _newest(engine: Engine, run: ReindexRun) -> str:
    """The index that was written to last, of those that are there."""
    return run.target if engine.indices_of(run.target) == (run.target,) else run.source
