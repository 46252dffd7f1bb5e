"""What workers tell each other: when the last sweep was, and what is paused and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.compare_and_set import until_unchanged
from vidsearch.engines import Document, Json, Revision
from vidsearch.errors import VersionConflictError
from vidsearch.registry.notes import Notes
from vidsearch_mappings.registry import ErrorRecord, from_stamp, to_stamp

__all__ = ["Operations", "Pause", "SweepNote"]

_CLAIM = "claim"
_SWEEP = "sweep"
_PAUSE = "pause"
_FORGOTTEN_SECONDS = 86_400.0
"""After the end of a pause that nobody has renewed."""


@dataclass(frozen=True, slots=True)
class SweepNote:
    """The last sweep that ended."""

    at: float
    """When it ended, in seconds since the epoch."""
    by: str
    """Who did it."""
    seconds: float
    """How long it took."""
    report: Mapping[str, int]
    """Number of videos by what was done with them."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that is not tried for a while, as it did not work."""

    key: str
    """What is paused: ``setup:<worker>`` or ``source:<host>``."""
    since: float
    """When it first did not work, in seconds since the epoch."""
    until: float
    """When it is tried again."""
    tries: int
    """Times in a row that it did not work."""
    by: str
    """Who found out last."""
    error: ErrorRecord
    """Why it did not work."""


class Operations:
    """Notes about the work on one videos index, in an index of their own. Thread-safe.

    The index is made with the first note. Without it nothing was swept and nothing is paused.
    Methods raise what :class:`~vidsearch.engines.Engine` raises.

    Args:
        notes: where they are kept.
        clock: seconds since the epoch.
    """

    def __init__(self, notes: Notes, *, clock: Callable[[], float] = time.time) -> None:
        self._notes = notes
        self._time = clock
        self._seen: dict[str, tuple[Revision | None, float]] = {}

    @property
    def exists(self) -> bool:
        """Whether there ever was a note."""
        return self._notes.exist

    def claim(
        self, work: Literal["ended", "look", "scan", "sweep"], *, every: float, by: str
    ) -> bool:
        """Claim periodic work; ``True`` for one caller per ``every`` seconds.

        A claim from a clock that is ahead counts as old once it was seen here for that long.
        """
        id, now = f"{_CLAIM}:{work}", self._time()
        last = self._notes.get(id)
        revision = last.revision if last else None
        seen = self._seen.get(id)
        if seen is None or seen[0] != revision:
            seen = self._seen[id] = (revision, now)
        if last and now - from_stamp(_value(last)["at"]) < every and now - seen[1] < every:
            return False
        claim = {"at": to_stamp(now), "by": by}
        try:
            self._seen[id] = (self._notes.put(id, _CLAIM, claim, over=last), now)
        except VersionConflictError:  # another one was faster
            return False
        return True

    def note_sweep(self, *, by: str, seconds: float, report: Mapping[str, int]) -> None:
        """Note a sweep that has ended just now."""
        value = {
            "at": to_stamp(self._time()),
            "by": by,
            "seconds": round(seconds, 3),
            "report": dict(report),
        }

        def write() -> None:
            self._notes.put(_SWEEP, _SWEEP, value, over=self._notes.get(_SWEEP))

        until_unchanged(write, of="the note of the last sweep")

    def last_sweep(self) -> SweepNote | None:
        """The last sweep that ended; ``None`` where none did."""
        found = self._notes.get(_SWEEP)
        if found is None:
            return None
        value = _value(found)
        return SweepNote(from_stamp(value["at"]), value["by"], value["seconds"], value["report"])

    def pause(self, key: str, *, error: ErrorRecord, until: float, by: str) -> Pause:
        """Note that something did not work, and is not tried until a time.

        Of something that is paused already, ``since`` stays and ``tries`` counts up.
        """

        def write() -> Pause:
            stored = self._notes.get(_id(key))
            before = _pause(stored) if stored else None
            after = Pause(
                key=key,
                since=before.since if before else self._time(),
                until=until,
                tries=before.tries + 1 if before else 1,
                by=by,
                error=error,
            )
            self._notes.put(_id(key), _PAUSE, _to_value(after), over=stored)
            return after

        return until_unchanged(write, of=f"the pause {key!r}")

    def find_pause(self, key: str) -> Pause | None:
        """What was noted under a key, read in real time; it stays until :meth:`resume`."""
        found = self._notes.get(_id(key))
        return _pause(found) if found else None

    def resume(self, key: str) -> None:
        """Note that it works again."""
        self._notes.delete(_id(key))

    def pauses(self) -> list[Pause]:
        """All that is noted, the oldest first; also what is to be tried again by now.

        But for what nobody has tried for a day: the worker was replaced, the videos are deleted.
        """
        kept = [pause for pause in self._noted() if not self._is_forgotten(pause)]
        return sorted(kept, key=lambda one: (one.since, one.key))

    def forget_pauses(self) -> None:
        """Delete the notes that :meth:`pauses` leaves out; one that is renewed meanwhile stays."""
        for pause in filter(self._is_forgotten, self._noted()):
            stored = self._notes.get(_id(pause.key))
            if stored and self._is_forgotten(_pause(stored)):
                with suppress(VersionConflictError):
                    self._notes.delete(_id(pause.key), expect=stored.revision)

    def _noted(self) -> list[Pause]:
        return [_read_pause(value) for value in self._notes.of_kind(_PAUSE).values()]

    def _is_forgotten(self, pause: Pause) -> bool:
        return pause.until <= self._time() - _FORGOTTEN_SECONDS


def _id(key: str) -> str:
    return f"{_PAUSE}:{key}"


def _value(document: Document) -> Mapping[str, Any]:
    value: Mapping[str, Any] = document.source["value"]
    return value


def _pause(document: Document) -> Pause:
    return _read_pause(_value(document))


def _read_pause(value: Mapping[str, Any]) -> Pause:
    return Pause(
        key=value["key"],
        since=from_stamp(value["since"]),
        until=from_stamp(value["until"]),
        tries=value["tries"],
        by=value["by"],
        error=ErrorRecord.from_source(value["error"]),
    )


def _to_value(pause: Pause) -> Json:
    return {
        "key": pause.key,
        "since": to_stamp(pause.since),
        "until": to_stamp(pause.until),
        "tries": pause.tries,
        "by": pause.by,
        "error": pause.error.to_source(),
    }
