"""What an index and its copy say of each other, so that a copy that was killed can be undone.

At the end of a copy the index takes no writes, which outlives a killed process. So a note in the
``_meta`` of the index says to where, from before the copy is made, and the ``_meta`` of the copy
names the index until the copy is complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import MappingConflictError
from vidsearch.index.health import blocks_among
from vidsearch_mappings.diff import flattened

__all__ = [
    "CHANGE",
    "CopyNote",
    "delete_leftover",
    "is_blocked",
    "is_complete",
    "leave_note",
    "meta_without",
    "incomplete",
    "note_of",
    "refuse_complete_copy",
    "undo_broken_copy",
    "undo_copy",
    "what_became_of",
    "complete",
]

_NOTE = "vidsearch_copy"
_COPY_OF = "vidsearch_copy_of"
CHANGE = "vidsearch_change"
"""A key of ``_meta`` that is set and taken out again; see ``engine_queue.wait_for_queue``."""


@dataclass(frozen=True, slots=True)
class CopyNote:
    """In the index that is copied. It stays there when all went well, and says where to look."""

    to: str
    """Name of the copy."""
    run: str
    """Who copies; another run that took over has another."""
    may_have_stopped: bool = False
    """Whether a block of the index is the copy's: it was about to stop writes, and nobody else
    had."""


def note_of(mapping: Mapping[str, Any]) -> CopyNote | None:
    """The note in a mapping, ``None`` where there is none."""
    note = (mapping.get("_meta") or {}).get(_NOTE)
    if not isinstance(note, Mapping):
        return None
    blocked_before = note.get("blocked_before", False)  # of an earlier version, which said that
    return CopyNote(note["to"], note["run"], note.get("may_have_stopped", not blocked_before))


def leave_note(engine: Engine, name: str, note: CopyNote | None) -> None:
    """Put the note into the ``_meta`` of an index, or take it out, and leave the rest."""
    meta = meta_without(engine, name, _NOTE)
    if note is not None:
        meta[_NOTE] = asdict(note)
    engine.put_mapping(name, {"_meta": meta})


def incomplete(mapping: Mapping[str, Any], *, of: str) -> Json:
    """The mapping of a copy of the index ``of`` that is not complete."""
    return {**mapping, "_meta": {**(mapping.get("_meta") or {}), _COPY_OF: of}}


def complete(mapping: Mapping[str, Any]) -> Json:
    """Body of ``PUT /<copy>/_mapping`` that says that the copy is complete."""
    return {"_meta": {k: v for k, v in (mapping.get("_meta") or {}).items() if k != _COPY_OF}}


def is_blocked(settings: Mapping[str, Any]) -> bool:
    """Whether an index of these settings takes no writes."""
    return bool(blocks_among(("write",), flattened(settings)))


def delete_leftover(engine: Engine, copy: str, *, of: str) -> bool:
    """Delete an incomplete copy that nobody uses; ``False`` where it is no such thing."""
    if engine.indices_of(copy) != (copy,) or engine.aliases(copy):
        return False
    if (engine.mapping(copy).get("_meta") or {}).get(_COPY_OF) != of:
        return False
    engine.delete_index(copy)
    return True


def undo_broken_copy(engine: Engine, name: str) -> str | None:
    """Have an index as it was before a copy of it broke off. Returns the name of that copy.

    Raises:
        MappingConflictError: it did not break off: the copy is complete.
    """
    note = note_of(engine.mapping(name))
    if note is None:
        return None
    refuse_complete_copy(engine, name, note)
    undo_copy(engine, name, note)
    return note.to


def refuse_complete_copy(engine: Engine, name: str, note: CopyNote) -> None:
    """Refuse to copy an index once more whose copy is complete.

    Raises:
        MappingConflictError: the message says where the copy is, and how to start again.
    """
    if engine.run(is_complete(engine.calls, note.to)):
        raise MappingConflictError(engine.run(what_became_of(engine.calls, name, note)))


def undo_copy(engine: Engine, name: str, note: CopyNote) -> None:
    """Let the index take writes again, and delete its copy. Safe to repeat where it breaks off."""
    if note.may_have_stopped:
        engine.put_settings(name, {"blocks.write": None})
    delete_leftover(engine, note.to, of=name)
    leave_note(engine, name, None)


def what_became_of(calls: Calls, name: str, note: CopyNote) -> Steps[str]:
    """What was done to an index with this note, and what to do."""
    if (yield from is_complete(calls, note.to)):
        return (
            f"index {name!r} was copied to {note.to!r}, which is attached, and takes no more "
            f"writes: set index.name to {note.to!r}, or to an alias of it. To start again, delete "
            f"{note.to!r}, then `vidsearch index attach` again"
        )
    return (
        f"index {name!r} is not attached yet: `vidsearch index attach` copies it to {note.to!r}, "
        "and it takes no writes at the end. If that broke off, run it again: it undoes what was "
        f"done and starts again; answer no where it asks, and {name!r} is as it was"
    )


def is_complete(calls: Calls, copy: str) -> Steps[bool]:
    """Whether a copy was put in the place of its index."""
    if (yield from calls.indices_of(copy)) != (copy,):
        return False
    meta = (yield from calls.mapping(copy)).get("_meta") or {}
    return "vidsearch" in meta and _COPY_OF not in meta


def meta_without(engine: Engine, name: str, *keys: str) -> Json:
    """The ``_meta`` of an index without these keys, nor what a killed process was to take out."""
    meta = engine.mapping(name).get("_meta") or {}
    return {key: value for key, value in meta.items() if key not in {CHANGE, *keys}}
