"""A copy takes the place of an index while the application goes on writing: one procedure.

It is that of ``index attach``, of a reindex of an attached index, and of its rollback. It holds:

- no write is lost: the old index refuses them (403 that names the block) from before the rest is
  read, and from then on where the copy is in place;
- that is short: all that can be done before is done before, the rest at once, and where the engine
  is slow, busy or away just then, writes are allowed again, and stopped at a better moment;
- all aliases move in one change, with their options, as they are then;
- a move whose answer was lost is done, or will never be, before anybody goes by where they are;
- what goes wrong is undone: the old index takes writes again, unless somebody else has blocked it.
  Where the engine is away for that as well, it is tried again, and what is left then is told, with
  what to do;
- after a kill, or an outage in which nothing could be undone, writes are allowed again before what
  may take long;
- who has lost the copy to another process changes nothing any more, and undoes nothing;
- an interrupt ends at once what may take long, and is put off while writes are refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count

from vidsearch.engines import Engine, Json
from vidsearch.errors import BackendUnavailableError, IndexNotFoundError, VidsearchError
from vidsearch.index.copy_note import is_blocked
from vidsearch.index.engine_queue import wait_for_queue
from vidsearch.index.following import Follower, WritesWaitLongError
from vidsearch.index.kept import WHILE_FILLED, Kept, kept_of
from vidsearch.index.policies import put_policy
from vidsearch.interrupts import Uninterrupted
from vidsearch.outages import Outages

__all__ = ["RefusedWrites", "Swap", "alias_moves", "undone_or_told"]

_log = logging.getLogger(__name__)
_TRIES = 4
"""How often at most writes are stopped, where what they wait for takes longer than expected, or is
turned away."""
_AFTER = 0.05
"""Seconds after which searches of the copy see the rest: writes that have waited go first."""
_UNDO_SECONDS = 10.0
"""For which the engine may be away when something is undone at last."""


@dataclass(slots=True)
class RefusedWrites:
    """For how long an index has refused writes, of all tries together."""

    _before: float = 0.0
    _since: float | None = None
    _move_sent: float | None = None
    may_begin_late: bool = False
    """Whether it was told so once without an answer, so that it may still come to do so."""

    @property
    def seconds(self) -> float:
        """Up to now, where it still does."""
        return self._before + (0.0 if self._since is None else time.monotonic() - self._since)

    @property
    def ongoing(self) -> bool:
        """Whether the index may refuse them still: it was told so, and not otherwise since."""
        return self._since is not None

    @property
    def has_perhaps_moved(self) -> bool:
        """Whether a move was sent meanwhile, of which it is not known whether it was done."""
        return self.ongoing and self._move_sent is not None

    def begin(self) -> None:
        """Writes are stopped now, where they are not already."""
        if self._since is None:
            self._since = time.monotonic()

    def send_move(self) -> None:
        """The move that ends it is sent."""
        self._move_sent = time.monotonic()

    def forget_move(self) -> None:
        """It was not done, and will not be."""
        self._move_sent = None

    def end(self, *, moved: bool = False) -> None:
        """Writes go on, to whichever index; ``moved``: from when the move was sent."""
        if self._since is not None:
            sent = self._move_sent if moved else None
            self._before += (time.monotonic() if sent is None else sent) - self._since
        self._since = self._move_sent = None


def alias_moves(aliases: Json, *, old: str, new: str) -> list[Json]:
    """Actions that let these aliases of one index stand for another one, with their options."""
    moves: list[Json] = []
    for alias, options in aliases.items():
        moves.append({"remove": {"index": old, "alias": alias}})
        moves.append({"add": {"index": new, "alias": alias, **options}})
    return moves


def undone_or_told(
    undo: Callable[[], object], error: BaseException, *, left: Callable[[], str]
) -> None:
    """Undo with some patience what broke off with an error; where that cannot be, tell it as well.

    Args:
        undo: safe to repeat.
        error: is told with it; an interrupt is not, and the log has it then.
        left: what is left then, and what to do; and what could not be undone.

    Raises:
        VidsearchError: it could not be undone.
    """
    try:
        Outages(_UNDO_SECONDS).outlast(undo)
    except VidsearchError as problem:
        told = f"{left()}: {problem}"
        if isinstance(error, VidsearchError):
            raise type(problem)(f"{error}; {told}") from error
        _log.error(told)  # commands show no warnings unless asked


@dataclass(slots=True, kw_only=True)
class Swap:
    """The copy ``new`` takes the place of the index ``old`` behind all its aliases.

    The aliases cannot move first: until the rest is brought, an update of a part of a document
    would be one of what it was before, and the last change of the old index be lost.
    """

    engine: Engine
    """Changes nothing where another process has the copy by now."""
    old: str
    new: str
    alias: str
    """How the application calls the index."""
    note_in: str
    """An index whose ``_meta`` may be changed: see :func:`wait_for_queue`."""
    follower: Callable[[], Follower]
    """Of ``old``, for ``new``."""
    confirm: Callable[[], object]
    """Raises where another process may swap by now."""
    interrupts: Uninterrupted
    """That this is done in."""
    moved_off: Callable[[Sequence[str]], VidsearchError]
    """The error where the application has moved its alias: it stands for these, and not for
    ``old``."""
    same: Callable[[], object] = lambda: None
    """Raises where the application has dropped ``old``, and made another one of that name."""
    prepared: Callable[[], object] = lambda: None
    """Called when nearly all is brought, and writes are not refused yet."""
    keep: Callable[[bool], object]
    """Keeps for after a kill whether a block of ``old`` is of this swap."""
    ours: bool | None = False
    """Whether it is, as it was kept: else it is somebody else's, and stays. ``None``: it is not
    known what was kept, and it is not blocked by this."""
    is_back: bool = False
    """Whether ``new`` was in this place before, and takes no writes until it is there again."""
    in_doubt: bool = False
    """Whether a move was sent, perhaps by a process that was killed, whose answer is not known."""
    refused: RefusedWrites = field(default_factory=RefusedWrites)
    """By ``old``, of all tries of this process."""

    def carry_out(self) -> None:
        """Bring the rest and put the copy in place. Safe to repeat where it broke off.

        Raises:
            MappingConflictError: the copy has not as many documents, or the application writes
                faster than this follows.
            VidsearchError: the application has moved its alias, or created ``old`` anew.
        """
        if self.has_moved_after_all():
            self._keep_stopped()
            return
        self._require_old(self.engine.indices_of(self.alias) == (self.old,))
        self.interrupts.check()
        self._allow_after_kill()
        try:
            with self.interrupts.allowed():
                changes, kept = self._prepare()
            self._put_in_place(changes, kept)
        except BaseException:
            with suppress(VidsearchError):  # the error that led here is the one to tell
                self.undo()
            raise

    def has_moved_after_all(self) -> bool:
        """Whether the copy is in place, once what was sent is done."""
        if self.in_doubt:
            wait_for_queue(self.engine, self.note_in)
            self.in_doubt = False
        if not self._is_in_place():
            self.refused.forget_move()
            return False
        self.refused.end(moved=True)
        return True

    def undo(self) -> bool:
        """Have ``old`` take writes as before; ``False`` where the copy is in place: it takes none.

        Raises:
            VidsearchError: another process has the copy by now. It may have stopped the writes
                itself, for a last pass that would lack what comes after.
        """
        self.confirm()
        if self.has_moved_after_all():
            self._keep_stopped()
            return False
        if self.refused.ongoing:
            self._allow_writes()
        self._keep(False)
        if self.is_back:
            self.engine.block_writes(self.new)
        return True

    def _allow_after_kill(self) -> None:
        """An earlier try was killed while writes waited, or its engine was away then. What is to be
        brought before the next one may take long."""
        if not self.refused.ongoing and self.ours and is_blocked(self.engine.settings(self.old)):
            self.refused.begin()
        if self.refused.ongoing:
            self._allow_writes()
        self._keep(False)

    def _prepare(self) -> tuple[Follower, Kept]:
        kept = kept_of(self.engine, self.old)
        # Documents have been through the pipelines of `old`. An earlier try may have come so far as
        # to set those of `new`.
        self.engine.put_settings(self.new, {**WHILE_FILLED, "blocks.write": None})
        changes = self.follower()
        changes.until_small()
        self.engine.put_settings(self.new, kept.before_swap())
        put_policy(self.engine, self.new, kept.policy)
        self.prepared()
        self._keep_whose()  # here already, as it takes a moment, for which more is written
        changes.until_short()
        return changes, kept

    def _put_in_place(self, changes: Follower, kept: Kept) -> None:
        # Nobody whose writes are refused is to wait until what is turned away is sent again.
        once = self.engine.calls.dialect.sending_once if changes.is_cheap else nullcontext
        with ThreadPoolExecutor(thread_name_prefix="swap") as pool:

            def stop_writes() -> tuple[Future[Json], Future[object], Future[object]]:
                self._keep_whose()
                self._stop_writes()
                # Aliases may have been added until now.
                aliases = pool.submit(self.engine.aliases, self.old)
                return aliases, pool.submit(self.confirm), pool.submit(self.same)

            for tries in count(1):
                hurried = bool(self.ours) and tries < _TRIES
                try:
                    with once():
                        aliases, confirmed, is_same = changes.finish(
                            stop_writes, interrupted=self.interrupts.check, hurried=hurried
                        )
                        if last := kept.at_swap():
                            self.engine.put_settings(self.new, last)
                        confirmed.result()
                        is_same.result()
                        moving = aliases.result()
                        self._require_old(self.alias in {self.old, *moving})
                        self.in_doubt = True
                        self.refused.send_move()
                        self._move(moving)
                        self.in_doubt = False
                    break
                except WritesWaitLongError:
                    pass
                except BackendUnavailableError:
                    # A follower of another try would begin at the start.
                    if self.in_doubt or not (hurried and changes.is_cheap):
                        raise
                self.confirm()
                if self.refused.ongoing:
                    self._allow_writes()
                self.interrupts.check()
                with self.interrupts.allowed():
                    if last := kept.at_swap():  # what is brought has been through it
                        self.engine.put_settings(self.new, dict.fromkeys(last, "_none"))
                    changes.until_short()
            self.refused.end()
        time.sleep(_AFTER)
        with suppress(VidsearchError):  # the next refresh shows it, and the copy is in place
            self.engine.refresh(self.new)

    def _is_in_place(self) -> bool:
        return self.engine.indices_of(self.alias) == (self.new,)

    def _require_old(self, is_behind: bool) -> None:
        if not is_behind:
            raise self.moved_off(self.engine.indices_of(self.alias))

    def _move(self, aliases: Json) -> None:
        """One change of the engine's."""
        self.engine.update_aliases(alias_moves(aliases, old=self.old, new=self.new))

    def _keep_stopped(self) -> None:
        """Writes may have been allowed meanwhile."""
        with suppress(IndexNotFoundError):  # nor does it take any
            self.engine.block_writes(self.old)

    def _stop_writes(self) -> None:
        self.refused.begin()
        try:
            self.engine.block_writes(self.old)
        except BackendUnavailableError:
            self.refused.may_begin_late |= bool(self.ours)
            raise

    def _allow_writes(self) -> None:
        if self.ours:
            self.engine.put_settings(self.old, {"blocks.write": None})
        self.refused.end()

    def _keep_whose(self) -> None:
        """Writes are not stopped now: if they are refused, it is by somebody else's block."""
        self._keep(not is_blocked(self.engine.settings(self.old)))

    def _keep(self, ours: bool) -> None:
        if ours is not self.ours and not self.refused.may_begin_late:
            self.ours = None
            self.keep(ours)
            self.ours = ours
