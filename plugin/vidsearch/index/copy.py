"""An index copied into one with other settings, which takes its place behind its aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from vidsearch.engines import Engine, Json
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.engines.guarded import Confirmation, guarded
from vidsearch.errors import MappingConflictError, VidsearchError
from vidsearch.index.copy_documents import copy_documents
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
from vidsearch.index.follow import BY_NUMBERS, Following
from vidsearch.index.following import Follower
from vidsearch.index.kept import kept_of
from vidsearch.index.policies import put_policy
from vidsearch.index.swap import alias_moves, swap
from vidsearch.interrupts import Uninterrupted

__all__ = ["copy_name", "copy_with_settings", "explained", "why_not_copied"]

_OURS_SECONDS = 0.5
"""For which nobody has undone the copy and made another one."""


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
    following: Following = BY_NUMBERS,
) -> tuple[str, float]:
    """Copy an index and put the copy in its place. Returns the copy's name and the seconds below.

    The application goes on writing. What it writes and deletes meanwhile is brought to the copy,
    pass after pass, until one is small. Only around the last pass and the move of the aliases does
    the index refuse writes (403 that names the block), for so many seconds; searches go on, and
    writes through an alias work again at once. The old index is kept as it was, without writes from
    then on, but for a note in its ``_meta``. What goes wrong before the swap is undone. After a
    process that was killed, ``undo_broken_copy`` does it by that note. Where that is done while
    this runs, this ends with an error.

    Args:
        engine: the cluster.
        name: the concrete index.
        alias: how the application calls it; ``None``: by its own name, and ``to`` is then needed.
        settings: what the copy has beside the settings of the old index.
        mapping: of the copy.
        to: name of the copy.
        confirm: told the names of the index and its copy before anything is done.
        before_swap: told the copy's name when all documents are copied.
        progress: told how many documents of how many are copied.
        following: how changes are found.

    Raises:
        MappingConflictError: ``alias`` and ``to`` are both ``None``; an index of that name exists;
            the application writes faster than this can follow.
        BulkError: the copy rejected documents for what they are.
    """
    if why := why_not_copied(name, alias=alias, settings=settings, to=to):
        raise MappingConflictError(why)
    copy = to or copy_name(name)
    confirm(name, copy)
    if engine.indices_of(copy) and not delete_leftover(engine, copy, of=name):
        raise MappingConflictError(f"{copy!r} exists already; name another copy (--copy-to NAME)")
    kept = kept_of(engine, name)
    blocked_before = is_blocked(engine.settings(name))
    note = CopyNote(to=copy, blocked_before=blocked_before, run=uuid4().hex)
    leave_note(engine, name, note)

    def require_ours() -> None:
        if note_of(engine.mapping(name)) != note:
            raise MappingConflictError(
                f"another process has undone this copy of index {name!r} meanwhile, and may have "
                "begun one of its own: leave it to that, or attach again"
            )

    # So that a process that was stopped for a while writes nothing into the copy of another one.
    still_ours = Confirmation(require_ours, seconds=_OURS_SECONDS)
    held = guarded(engine, still_ours)
    changes: Follower | None = None

    def move(aliases: Json) -> None:
        if alias is None:
            held.put_mapping(copy, complete(mapping))
        else:
            held.update_aliases(alias_moves(aliases, old=name, new=copy))

    def allow_writes() -> None:
        held.put_settings(name, {"blocks.write": None})

    with Uninterrupted("the swap") as interrupts:
        try:
            with interrupts.allowed():
                body = {
                    "settings": {"index": {**kept.at_creation(), **settings}},
                    "mappings": incomplete(mapping, of=name),
                }
                with explained(name):
                    create_index_as_asked(
                        held,
                        copy,
                        body,
                        advice="Name a copy that no pattern of a template matches (--copy-to "
                        "NAME), or narrow the index_patterns of the template",
                        user_fields=True,
                    )
                changes = following.follower(held, name, copy, alias=alias)
                copy_documents(held, name, copy, keep_versions=True, progress=progress)
                before_swap(copy)
                changes.until_small()
                held.put_settings(copy, kept.before_swap())
                put_policy(held, copy, kept.policy)
                changes.until_short()
            blocked = swap(
                held,
                changes,
                old=name,
                new=copy,
                kept=kept,
                confirm=still_ours.ask,
                interrupted=interrupts.check,
                move=move,
                allow_writes=None if blocked_before else allow_writes,
            )
            with suppress(VidsearchError):  # behind its alias it is never taken for a leftover
                if alias is not None:
                    held.put_mapping(copy, complete(mapping))
        except BaseException:
            with suppress(VidsearchError):  # the error that led here is the one to tell
                _undo(engine, name, note, alias=alias)
            raise
        finally:
            if changes is not None:
                changes.close()
    return copy, blocked


def _undo(engine: Engine, name: str, note: CopyNote, *, alias: str | None) -> None:
    """Leave things as they were, but for what others may rely on by now."""
    if alias is not None and engine.indices_of(alias) == (note.to,):
        return  # swapped, though the answer that said so was lost: the application uses it now
    if note_of(engine.mapping(name)) == note:  # else another run has taken over
        undo_copy(engine, name, note)


def copy_name(name: str) -> str:
    """Name of the copy of an index, where no other was given."""
    return f"{name}-vidsearch"


def why_not_copied(name: str, *, alias: str | None, settings: Json, to: str | None) -> str | None:
    """Why an index that lacks ``settings`` cannot be copied, with what to do; ``None``: it can."""
    if alias is not None or to is not None:
        return None
    needed = ", ".join(f"index.{key}: {str(value).lower()}" for key, value in settings.items())
    return (
        f"index {name!r} was created without {needed}, which cannot be added later, so it has "
        "to be copied; but its name is used directly, and an index cannot be renamed. Either "
        f"let your application use an alias of {name!r} and attach to the alias, which is "
        "swapped in one step; or name a copy (--copy-to NAME) and turn your application to "
        f"it: {name!r} is then kept, and takes no more writes, so that none is lost"
    )


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
