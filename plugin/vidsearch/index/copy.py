"""An index copied into one with other settings, which takes its place behind its aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from vidsearch.batches import in_batches
from vidsearch.engines import Engine, Json, Write
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.errors import MappingConflictError, VidsearchError
from vidsearch.index.copy_note import (
    CopyNote,
    complete,
    delete_leftover,
    incomplete,
    is_blocked,
    leave_note,
    note_of,
    undo_copy,
)

__all__ = ["copy_with_settings", "explained"]

_BATCH = 200
# Said by the engine at creation, and true of that one index only.
_OWN = frozenset(
    {"blocks", "creation_date", "history", "provided_name", "resize", "uuid", "version"}
)
# The documents have been through these pipelines already.
_LATER = ("default_pipeline", "final_pipeline")


def copy_with_settings(
    engine: Engine,
    name: str,
    *,
    alias: str | None,
    settings: Json,
    mapping: Mapping[str, Any],
    to: str | None,
    confirm: Callable[[str, str], None],
    before_swap: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> str:
    """Copy an index and put the copy in its place. Returns the copy's name.

    The old index takes no writes from the first moment on, so none can be lost: the application's
    get a 403 that names the block, searches go on. Once the copy holds as many documents, every
    alias moves to it in one call, and writes through an alias work again. The old index is kept
    as it was, still without writes, but for a note in its ``_meta``. What goes wrong before the
    swap is undone. After a process that was killed, ``undo_broken_copy`` does it by that note.
    Where that is done while this runs, this ends with an error.

    Args:
        engine: the cluster.
        name: the concrete index.
        alias: how the application calls it; ``None``: by its own name, and ``to`` is then needed.
        settings: what the copy has beside the settings of the old index.
        mapping: of the copy.
        to: name of the copy.
        confirm: told the names of the index and its copy before anything is done.
        before_swap: told the copy's name when it is complete.
        progress: told how many documents of how many are copied.

    Raises:
        MappingConflictError: ``alias`` and ``to`` are both ``None``; an index of that name exists;
            the copy is incomplete.
    """
    needed = ", ".join(f"index.{key}: {str(value).lower()}" for key, value in settings.items())
    if alias is None and to is None:
        raise MappingConflictError(
            f"index {name!r} was created without {needed}, which cannot be added later, so it has "
            "to be copied; but its name is used directly, and an index cannot be renamed. Either "
            f"let your application use an alias of {name!r} and attach to the alias, which is "
            "swapped in one step; or name a copy (--copy-to NAME) and turn your application to "
            f"it: {name!r} is then kept, and takes no more writes, so that none is lost"
        )
    copy = to or f"{name}-vidsearch"
    confirm(name, copy)
    old = engine.settings(name)
    if engine.indices_of(copy) and not delete_leftover(engine, copy, of=name):
        raise MappingConflictError(f"{copy!r} exists already; name another copy (--copy-to NAME)")
    aliases = engine.aliases(name)
    note = CopyNote(to=copy, blocked_before=is_blocked(old), run=uuid4().hex)
    leave_note(engine, name, note)
    try:
        engine.put_settings(name, {"blocks.write": True})
        kept = {key: value for key, value in old.items() if key not in {*_OWN, *_LATER}}
        # Named, as a template may bring pipelines.
        unpiped = dict.fromkeys(_LATER, "_none")
        body = {
            "settings": {"index": {**kept, **settings, **unpiped}},
            "mappings": incomplete(mapping, of=name),
        }
        with explained(name):
            create_index_as_asked(
                engine,
                copy,
                body,
                advice="Name a copy that no pattern of a template matches (--copy-to NAME), or "
                "narrow the index_patterns of the template",
                user_fields=True,
            )
        engine.refresh(name)
        _copy(engine, name, copy, progress)
        before_swap(copy)
        if later := {key: old[key] for key in _LATER if key in old}:
            engine.put_settings(copy, later)
        if alias is None:
            engine.put_mapping(copy, complete(mapping))
        else:
            engine.update_aliases(_moves(aliases, name, copy))
            with suppress(VidsearchError):  # behind its alias it is never taken for a leftover
                engine.put_mapping(copy, complete(mapping))
    except BaseException:
        with suppress(VidsearchError):  # the error that led here is the one to tell
            _undo(engine, name, note, alias=alias)
        raise
    return copy


def _undo(engine: Engine, name: str, note: CopyNote, *, alias: str | None) -> None:
    """Leave things as they were, but for what others may rely on by now."""
    if alias is not None and engine.indices_of(alias) == (note.to,):
        return  # swapped, though the answer that said so was lost: the application uses it now
    if note_of(engine.mapping(name)) == note:  # else another run has taken over
        undo_copy(engine, name, note)


def _copy(engine: Engine, name: str, copy: str, progress: Callable[[int, int], None]) -> None:
    total, done = engine.count(name), 0
    for batch in in_batches(engine.scan(name, page_size=_BATCH), _BATCH):
        engine.bulk(copy, [Write("create", d.id, d.source, d.routing) for d in batch])
        done += len(batch)
        progress(done, total)
    engine.refresh(copy)
    found = engine.count(copy)
    if not total == done == found:
        raise MappingConflictError(
            f"index {name!r} has {total} documents, {done} were read, and its copy {copy!r} holds "
            f"{found}; nothing was changed"
        )


def _moves(aliases: Json, name: str, copy: str) -> list[Json]:
    moves: list[Json] = []
    for alias, options in aliases.items():
        moves.append({"remove": {"index": name, "alias": alias}})
        moves.append({"add": {"index": copy, "alias": alias, **options}})
    return moves


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Say what to raise where a mapping is full."""
    try:
        yield
    except MappingConflictError as error:
        text = str(error)
        full = next(
            (what for what in ("total", "nested") if f"Limit of {what} fields" in text), None
        )
        if full is None:
            why = f"the object of vidsearch does not fit index {name!r}: {text}"
        else:
            why = (
                f"the mapping of index {name!r} has no room for the vidsearch object: {text}. "
                f"Raise its setting index.mapping.{full}_fields.limit, then attach again"
            )
        raise MappingConflictError(why) from error
