"""The target index and the aliases of a run; everything here is safe to repeat."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from vidsearch.engines import Engine, Json
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.errors import IndexNotFoundError, ReindexError
from vidsearch.index.copy import copy_name
from vidsearch.index.swap import alias_moves
from vidsearch.reindex import indices
from vidsearch.reindex.run import ReindexRun

__all__ = [
    "add_write_alias",
    "delete_target",
    "delete_written",
    "drop_write_alias",
    "ensure_target",
    "next_name",
    "put_behind_alias",
    "ready_target",
    "set_final_pipeline",
    "unmark_target",
]

_MARK = "vidsearch_reindex"
"""In the ``_meta`` of a target until the swap: which run makes it."""
_DIGITS = 6
_COPIED = re.compile(rf"(.+{copy_name('')})(?:-(\d+))?")
_WRITERS_SECONDS, _LOOKS = 1.0, 4
_WHILE_FILLED: Json = {
    "refresh_interval": "-1",  # nobody searches it
    # Documents that are copied have been through these pipelines already.
    "default_pipeline": "_none",
    "final_pipeline": "_none",
}


def next_name(engine: Engine, alias: str, source: str, *, attached: bool = False) -> str:
    """A name for the target that no index has: ``<alias>-000002`` after ``<alias>-000001``.

    Of an attached index, whose names are the user's: as that of the copy that attaching makes, and
    then with a number.
    """
    if attached:
        return _next_copy(engine, source)
    prefix, _, number = source.rpartition("-")
    known = prefix == alias and number.isdecimal()
    following = int(number) + 1 if known else 1
    while engine.indices_of(name := f"{alias}-{following:0{_DIGITS}d}"):
        following += 1
    return name


def _next_copy(engine: Engine, source: str) -> str:
    copied = _COPIED.fullmatch(source)
    stem, count = (copied[1], int(copied[2] or 1) + 1) if copied else (copy_name(source), 1)
    while engine.indices_of(name := stem if count == 1 else f"{stem}-{count}"):
        count += 1
    return name


def ensure_target(engine: Engine, run: ReindexRun) -> None:
    """Create the target, unless the run has done so before.

    Raises:
        ReindexError: there is an index of that name that is not this run's.
        MappingConflictError: an index template of the cluster reached into it.
    """
    if engine.indices_of(run.target):
        if not _is_ours(engine, run):
            raise ReindexError(
                f"{run.target!r}, which {run.called} is to make, exists already: `vidsearch "
                "reindex rollback`, then begin again"
            )
        return
    mapping = run.body["mappings"]
    marked = {**mapping, "_meta": {**mapping["_meta"], _MARK: _mark(run)}}
    settings = {**run.body["settings"]["index"], **_while_filled(run)}
    create_index_as_asked(
        engine,
        run.target,
        {"settings": {"index": settings}, "mappings": marked},
        advice="Narrow the index_patterns of the template",
        user_fields=True,
    )


def ready_target(engine: Engine, run: ReindexRun) -> None:
    """Give the target the settings that it lacked while it was filled."""
    wanted = run.body["settings"]["index"]
    engine.put_settings(run.target, {name: wanted.get(name) for name in _while_filled(run)})
    engine.refresh(run.target)


def set_final_pipeline(engine: Engine, run: ReindexRun, index: str, *, runs: bool) -> None:
    """Let the final pipeline run, or not, on what is written to an index that is only mirrored.

    A document that is mirrored has been through the pipelines of the index that it comes from. It
    passes the default one by, as the write says so; of a final one that can be said of all writes
    alone. Documents that workers make anew are written whole, and pass them.
    """
    pipeline = run.body["settings"]["index"].get("final_pipeline")
    if run.way == "copy" and pipeline is not None:
        engine.put_settings(index, {"final_pipeline": pipeline if runs else "_none"})


def unmark_target(engine: Engine, run: ReindexRun) -> None:
    """The target is the index of the alias now, and no leftover of a run."""
    meta = dict(engine.mapping(run.target).get("_meta") or {})
    if meta.pop(_MARK, None) is not None:
        engine.put_mapping(run.target, {"_meta": meta})


def delete_target(engine: Engine, run: ReindexRun) -> None:
    """Delete the target where it is this run's, or was it before the swap.

    Raises:
        ReindexError: it is in use.
    """
    if engine.indices_of(run.target) != (run.target,):
        return
    if run.swapped_at is not None or _is_ours(engine, run):
        delete_written(engine, run, run.target)


def delete_written(engine: Engine, run: ReindexRun, name: str) -> None:
    """Delete source or target of a run, which was written until now; nothing happens where there is
    none, or another one of its name.

    A writer that has just asked which indices there are may still write, and an engine makes an
    index for the write where it is gone. So writers get some time, and what is made is deleted.

    Raises:
        ReindexError: it is in use.
    """
    for look in range(_LOOKS):
        time.sleep(_WRITERS_SECONDS)
        if engine.indices_of(name) != (name,):
            return
        if look == 0 and indices.is_another(engine, run, name):
            return
        with suppress(IndexNotFoundError):
            indices.refuse_used(engine, run, name)
            engine.delete_index(name)


def add_write_alias(engine: Engine, run: ReindexRun, write_alias: str) -> None:
    """Let the write alias stand for source and target.

    Raises:
        ReindexError: the name is in use for something else.
    """
    there = set(engine.indices_of(write_alias))
    if others := there - {run.source, run.target}:
        raise ReindexError(
            f"a reindex needs the alias {write_alias!r}, which stands for {', '.join(others)}: "
            "remove it, or choose another setting index.name"
        )
    missing = [name for name in (run.source, run.target) if name not in there]
    if missing:
        engine.update_aliases(
            [{"add": {"index": name, "alias": write_alias, "is_hidden": True}} for name in missing]
        )


def drop_write_alias(engine: Engine, run: ReindexRun, write_alias: str) -> None:
    """Writers write to the index behind the read alias alone again."""
    names = [name for name in engine.indices_of(write_alias) if name in {run.source, run.target}]
    if names:
        engine.update_aliases([{"remove": {"index": name, "alias": write_alias}} for name in names])


def put_behind_alias(
    engine: Engine, run: ReindexRun, *, old: str, new: str, write_alias: str
) -> None:
    """Let every alias of the old index, but for the write alias, stand for the new one.

    One call: a search is answered by exactly one of the two. Aliases keep their options.

    Raises:
        ReindexError: the alias stands for another index by now, or one of the two was created anew.
    """
    there = engine.indices_of(run.alias)
    if there == (new,):
        return
    if there != (old,):
        raise indices.moved_off(run, there)
    indices.refuse_another(engine, run, old, new)
    moving = engine.aliases(old)
    if run.alias not in moving:
        raise indices.moved_off(run, engine.indices_of(run.alias))
    moving.pop(write_alias, None)
    engine.update_aliases(alias_moves(moving, old=old, new=new))


def _while_filled(run: ReindexRun) -> Json:
    if run.attached:
        return {}  # its body says all that
    # Workers write whole documents, which go through the pipelines.
    return {
        name: value
        for name, value in _WHILE_FILLED.items()
        if run.way == "copy" or not name.endswith("pipeline")
    }


def _mark(run: ReindexRun) -> Json:
    return {"run": run.id, "alias": run.alias, "source": run.source}


def _is_ours(engine: Engine, run: ReindexRun) -> bool:
    return (engine.mapping(run.target).get("_meta") or {}).get(_MARK) == _mark(run)
