"""An index copied into one with other settings, which takes its place behind its aliases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from vidsearch.defaults import OUTAGE_SECONDS
from vidsearch.engines import Engine, Json
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.engines.guarded import Confirmation, guarded
from vidsearch.errors import BackendUnavailableError, MappingConflictError, VidsearchError
from vidsearch.index.copy_documents import copy_documents
from vidsearch.index.copy_note import (
    CopyNote,
    complete,
    delete_leftover,
    incomplete,
    is_complete,
    leave_note,
    note_of,
    undo_copy,
)
from vidsearch.index.follow import BY_NUMBERS, Following
from vidsearch.index.following import Follower
from vidsearch.index.kept import Kept, kept_of
from vidsearch.index.swap import Swap, undone_or_told
from vidsearch.interrupts import Uninterrupted
from vidsearch.outages import Outages, log_outage

__all__ = ["copy_name", "copy_with_settings", "explained", "why_not_copied"]

_T = TypeVar("_T")
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
    outage_seconds: float = OUTAGE_SECONDS,
    on_outage: Callable[[BackendUnavailableError, float], object] = log_outage,
) -> tuple[str, float]:
    """Copy an index and put the copy in its place. Returns the copy's name and the seconds below.

    The application goes on writing. What it writes and deletes meanwhile is brought to the copy,
    pass after pass, until one is small. Only around the last pass and the move of the aliases does
    the index refuse writes (403 that names the block), for so many seconds; searches go on, and
    writes through an alias work again at once. The old index is kept as it was, without writes from
    then on, but for a note in its ``_meta``. What goes wrong before the swap is undone. After a
    process that was killed, ``undo_broken_copy`` does it by that note, and also where the engine is
    still away then, which the error says (after Ctrl-C the log). Where that is done while this
    runs, this ends with an error.

    Args:
        engine: the cluster.
        name: the concrete index.
        alias: how the application calls it; ``None``: by its own name, and ``to`` is then needed.
        settings: what the copy has beside the settings of the old index.
        mapping: of the copy.
        to: name of the copy.
        confirm: told the names of the index and its copy before anything is done.
        before_swap: told the copy's name when all documents are copied; safe to repeat.
        progress: told how many documents of how many are copied.
        following: how changes are found.
        outage_seconds: for which the engine may be away or overloaded until the copy is undone.
        on_outage: told the error, and in how many seconds it goes on.

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
    note = CopyNote(to=copy, run=uuid4().hex)
    leave_note(engine, name, note)
    with Uninterrupted("the swap") as interrupts:

        def pause(seconds: float) -> None:
            interrupts.check()
            with interrupts.allowed():
                time.sleep(seconds)

        def outlast(work: Callable[[], _T]) -> _T:
            def allowed() -> _T:
                with interrupts.allowed():
                    return work()

            return outages.outlast(allowed)

        outages = Outages(outage_seconds, told=on_outage, sleep=pause)
        copying = _Copying(
            engine,
            name,
            alias,
            note,
            interrupts,
            kept=kept,
            settings=settings,
            mapping=mapping,
            following=following,
        )
        try:
            outlast(copying.make)
            outlast(lambda: copying.fill(outages.numbers(progress)))
            outlast(lambda: before_swap(copy))
            outages.outlast(copying.put_in_place)
            with suppress(VidsearchError):  # behind its alias it is never taken for a leftover
                if alias is not None:
                    copying.held.put_mapping(copy, complete(mapping))
        except BaseException as error:
            # At the end of this block the process may end, and nobody be told the error.
            ends = KeyboardInterrupt() if interrupts.is_waiting else error
            undone_or_told(copying.undo, ends, left=copying.left)
            raise
    return copy, copying.swap.refused.seconds


@dataclass(slots=True)
class _Copying:
    """A copy that is being made; what is done for it is safe to repeat."""

    engine: Engine
    name: str
    alias: str | None
    note: CopyNote
    interrupts: Uninterrupted
    _: KW_ONLY
    kept: Kept
    settings: Json
    mapping: Mapping[str, Any]
    following: Following
    held: Engine = field(init=False)
    """Changes nothing where another process has undone this copy meanwhile."""
    swap: Swap = field(init=False)
    _since: Mapping[str, int] | None = None
    """Where the index was before it was copied."""
    _changes: Follower | None = None

    def __post_init__(self) -> None:
        # So that a process that was stopped for a while writes nothing into the copy of another.
        still_ours = Confirmation(self._require_ours, seconds=_OURS_SECONDS)
        self.held = guarded(self.engine, still_ours)
        by_name: Callable[..., Swap] = partial(_SwapByName, mapping=self.mapping)
        self.swap = (by_name if self.alias is None else Swap)(
            engine=self.held,
            old=self.name,
            new=self.copy,
            alias=self.alias or self.name,
            note_in=self.name,
            follower=self._follower,
            confirm=still_ours.ask,
            interrupts=self.interrupts,
            moved_off=self._moved_off,
            keep=self._keep_whose_block,
        )

    @property
    def copy(self) -> str:
        return self.note.to

    def left(self) -> str:
        """What is left where it cannot be undone, and what to do."""
        refused = self.swap.refused
        state = f"has the incomplete copy {self.copy!r}"
        if refused.has_perhaps_moved:
            state = f"may have been replaced by its copy {self.copy!r}; else it takes no writes"
        elif refused.ongoing and self.swap.ours:
            state = "may take no writes"
        return (
            f"index {self.name!r} {state} until `vidsearch index attach` is run again, as the copy "
            "could not be undone"
        )

    def make(self) -> None:
        """Create it, empty."""
        delete_leftover(self.held, self.copy, of=self.name)  # of a try whose answer was lost
        with explained(self.name):
            try:
                self._create()
            except MappingConflictError:
                # It exists already where that try was done a moment later.
                if not delete_leftover(self.held, self.copy, of=self.name):
                    raise
                self._create()

    def _create(self) -> None:
        body = {
            "settings": {"index": {**self.kept.at_creation(), **self.settings}},
            "mappings": incomplete(self.mapping, of=self.name),
        }
        create_index_as_asked(
            self.held,
            self.copy,
            body,
            advice="Name a copy that no pattern of a template matches (--copy-to NAME), or "
            "narrow the index_patterns of the template",
            user_fields=True,
        )

    def fill(self, progress: Callable[[int, int], None]) -> None:
        """Copy what is there."""
        if self._since is None:
            self._since = self.following.mark(self.engine, self.name)
        copy_documents(self.held, self.name, self.copy, keep_versions=True, progress=progress)

    def put_in_place(self) -> None:
        """Bring what changed since, and put it in place."""
        try:
            self.swap.carry_out()
        finally:
            if self._changes is not None:
                self._changes.close()

    def undo(self) -> None:
        """Leave things as they were, but for what others may rely on by now."""
        if not self._is_ours():
            return  # another run has taken over
        if self.swap.undo():  # else the application uses it now
            undo_copy(self.engine, self.name, self.note)

    def _follower(self) -> Follower:
        self._changes = self.following.follower(
            self.held, self.name, self.copy, since=self._since, alias=self.alias
        )
        return self._changes

    def _moved_off(self, there: Sequence[str]) -> MappingConflictError:
        return MappingConflictError(
            f"alias {self.alias!r} stands for {', '.join(there) or 'no index'} by now, and not for "
            f"{self.name!r} alone, of which the copy {self.copy!r} was made: `vidsearch index "
            "attach` again attaches to what it stands for"
        )

    def _keep_whose_block(self, ours: bool) -> None:
        note = replace(self.note, may_have_stopped=ours)
        leave_note(self.held, self.name, note)
        self.note = note

    def _is_ours(self) -> bool:
        note = note_of(self.engine.mapping(self.name))
        return note is not None and note.run == self.note.run

    def _require_ours(self) -> None:
        if not self._is_ours():
            raise MappingConflictError(
                f"another process has undone this copy of index {self.name!r} meanwhile, and may "
                "have begun one of its own: leave it to that, or attach again"
            )


@dataclass(slots=True, kw_only=True)
class _SwapByName(Swap):
    """Of an index without an alias: the copy says that it is complete, and a person turns the
    application to it."""

    mapping: Mapping[str, Any]

    def _is_in_place(self) -> bool:
        return self.engine.run(is_complete(self.engine.calls, self.new))

    def _move(self, aliases: Json) -> None:
        self.engine.put_mapping(self.new, complete(self.mapping))


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
