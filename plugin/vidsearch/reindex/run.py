"""One reindex: from which index to which, how, how far, and why it stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Literal

from vidsearch.defaults import LEAST_THROTTLE
from vidsearch.engines import Json
from vidsearch.errors import ReindexCheckError, ReindexError
from vidsearch.index.follow import FollowedBy
from vidsearch.registry import ErrorRecord
from vidsearch_mappings.registry import from_stamp, to_stamp

__all__ = ["ReindexRun", "Step", "Way", "require_throttle"]

Way = Literal["copy", "assemble", "embed"]
"""Where the target's documents come from: ``copy``: the source's, as they are; ``assemble``: made
anew from the vectors of frames in the store of embeddings; ``embed``: videos are embedded again by
workers, with another model."""


_LATE_SECONDS = 60.0
"""After which a process that was to try again is taken for killed; a request may time out first."""


class Step(str, Enum):
    """How far a run is. A step is recorded when it begins; each is safe to repeat."""

    PLANNED = "planned"
    """Recorded; the target and the write alias are being made."""
    WRITING_BOTH = "writing_both"
    """Writers write to source and target, by the write alias."""
    COPYING = "copying"
    """The target is being filled."""
    CATCHING_UP = "catching_up"
    """All is filled; what was written meanwhile is brought up to date, and the target checked."""
    VERIFIED = "verified"
    """The target passed its check; searches still go to the source."""
    SWAPPED = "swapped"
    """The alias stands for the target; the source is kept up to date for a rollback."""
    DONE = "done"
    """Over: the alias stands for the target alone, and there is no write alias."""
    ROLLING_BACK = "rolling_back"
    """A rollback was asked for, and is being done."""
    ROLLED_BACK = "rolled_back"
    """Over: the alias stands for the source alone, and the target is deleted, or was never made."""

    def __str__(self) -> str:
        return self.value

    @property
    def is_over(self) -> bool:
        """Whether the run has ended; another one of the alias may begin then."""
        return self in {Step.DONE, Step.ROLLED_BACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexRun:
    """The record of a run. Times are seconds since the epoch, by the clock of the engine."""

    id: str
    """A number that counts up per alias: ``"1"``, ``"2"``, …"""
    alias: str
    """Of the videos index, which readers use."""
    source: str
    """The concrete index that the alias stood for at the start."""
    target: str
    """The concrete index that is made."""
    way: Way
    changes: Mapping[str, Any]
    """What differs in the target, by the names of the settings: ``quantization``,
    ``segment_seconds``, ``shards``, ``replicas``, ``m``, ``ef_construction``, ``model``, …"""
    by: str
    """Who started it: user or worker, and host."""
    started_at: float
    updated_at: float
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """Settings and mapping that the target is created with."""
    attached: bool = False
    """Whether it is an index of the user, whose application writes to it directly."""
    followed_by: FollowedBy = "numbers"
    """How it is found what that application writes meanwhile."""
    changed_field: str | None = None
    """Of its documents, where it is by that."""
    marks: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)
    """Of an attached index: up to where both have the same, as its follower keeps it. ``source``:
    of the source when the copy began; ``target``: of the target at the swap."""
    uuids: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of source and target, by their names: an index that is created anew has another."""
    may_have_stopped: tuple[str, ...] = ()
    """Of source and target those of which a block of writes is this run's: a swap, or a rollback,
    was about to stop them, and nobody else had."""
    step: Step = Step.PLANNED
    began: Mapping[str, float] = field(default_factory=dict)
    """When each step began, by its name."""
    owner: str | None = None
    """The process that drives the run now."""
    lease_until: float | None = None
    """Until when nobody else may drive it."""
    total: int = 0
    """Number of videos to bring into the target, as counted at the start of the copy."""
    done: int = 0
    """Of them, how many are there."""
    starts: int = 0
    """How often filling the target was begun: again after it broke off, and each time that a worker
    looks whether the others have done it."""
    filled_since: float | None = None
    """When a copy that broke off came to what was not there yet; ``None``: it never broke off."""
    filled_before: int = 0
    """How many videos were there then."""
    throttle: float | None = None
    """Maximum number of documents per second that are copied; ``None``: as many as leave the
    cluster half of its time."""
    background: bool = False
    """Whether workers drive it, rather than the process that started it."""
    sent_at: float | None = None
    """When a worker was last asked to go on with it."""
    canary: tuple[str, ...] = ()
    """Queries of the user, whose results are shown side by side before the swap."""
    swap: bool = True
    """Whether to swap when the target has passed its check, rather than stop there."""
    keep_old: bool = True
    """Whether the source is kept after the swap, for a rollback, until ``clean``."""
    swapped_at: float | None = None
    blocked_seconds: float | None = None
    """For how long an attached index refused writes at the swap, of all tries together."""
    ended_at: float | None = None
    left: tuple[str, ...] = ()
    """Names of source and target that were there at the end, and not behind the alias, as others
    had moved it or created an index anew."""
    error: ErrorRecord | None = None
    """Why the run stopped last; ``None`` while it goes on or has ended well."""
    waits_for: str | None = None
    """What it waits for that may take long: documents that workers try again after an error, or
    videos that they have to embed again before the swap. Part of a sentence."""
    tries_again_at: float | None = None
    """When its process goes on, which waits as the engine is away or overloaded."""
    report: Json | None = field(default=None, hash=False)
    """What the check before the swap found."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended: its indices are in use, and no other run may begin."""
        return not self.step.is_over

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is to be done until somebody says how to go on."""
        if self.error is not None and self.error.type == ReindexCheckError.__name__:
            return True
        swaps = self.step is Step.VERIFIED and self.swap
        cleans = self.step is Step.SWAPPED and not self.keep_old
        waits = {Step.VERIFIED, Step.SWAPPED, Step.DONE, Step.ROLLED_BACK}
        return self.step in waits and not swaps and not cleans

    def waits(self, now: float) -> bool:
        """Whether its process waits until the engine answers, rather than having stopped."""
        return self.tries_again_at is not None and now < self.tries_again_at + _LATE_SECONDS

    @property
    def rate(self) -> float | None:
        """Videos per second that were brought into the target; ``None`` where it is not known:
        filling was begun several times, and how long nothing was done in between is not known."""
        began, ended = (self.began.get(str(step)) for step in (Step.COPYING, Step.CATCHING_UP))
        again = self.starts > 1 or self.filled_since is not None  # the second: of older records
        if began is None or ended is None or not self.total or again:
            return None
        return self.total / max(ended - began, 0.001)

    @property
    def seconds_left(self) -> float | None:
        """How long filling the target still takes, by the rate until now; ``None`` where it is not
        being filled, or not known."""
        since = self.filled_since or self.began.get(str(Step.COPYING))
        filled, is_filling = self.done - self.filled_before, self.step is Step.COPYING
        if not is_filling or self.error is not None or since is None or filled <= 0:
            return None
        return (self.updated_at - since) * max(self.total - self.done, 0) / filled

    @property
    def called(self) -> str:
        """The run, as messages call it."""
        return f"reindex run {self.id} of {self.alias!r}"

    def changed(self, **values: Any) -> ReindexRun:
        """A copy with some values changed."""
        return replace(self, **values)

    def to_source(self) -> Json:
        """As a JSON object; what has its default value is left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ENCODED}
        for name in _TIMES:
            values[name] = None if values[name] is None else to_stamp(values[name])
        if self.throttle == math.inf:
            values["throttle"] = "inf"  # JSON has no such number
        return {
            **{name: value for name, value in values.items() if value is not None},
            "step": str(self.step),
            "began": {name: to_stamp(at) for name, at in self.began.items()},
            "changes": dict(self.changes),
            "body": dict(self.body),
            "canary": list(self.canary),
            "left": list(self.left),
            "may_have_stopped": list(self.may_have_stopped),
            **({} if self.error is None else {"error": self.error.to_source()}),
        }

    def to_json(self) -> Json:
        """For people and their scripts: without the body of the target."""
        source = self.to_source()
        del source["body"]
        return source

    @classmethod
    def from_source(cls, source: Mapping[str, Any]) -> ReindexRun:
        """The inverse of :meth:`to_source`; fields of a newer version are left out."""
        known = {f.name: source[f.name] for f in fields(cls) if f.name in source}
        for name in _TIMES & known.keys():
            known[name] = from_stamp(known[name])
        known |= {"step": Step(known["step"]), "canary": tuple(known["canary"])}
        known["left"] = tuple(known.get("left", ()))
        either = known["source"], known["target"]  # an earlier version did not say
        known["may_have_stopped"] = tuple(known.get("may_have_stopped", either))
        if "throttle" in known:
            known["throttle"] = float(known["throttle"])
        known["began"] = {name: from_stamp(at) for name, at in source["began"].items()}
        if "error" in known:
            known["error"] = ErrorRecord.from_source(known["error"])
        return cls(**known)


def require_throttle(throttle: float | None) -> None:
    """Refuse what is no number of documents per second.

    Raises:
        ReindexError: it is below the least one.
    """
    if throttle is not None and not throttle >= LEAST_THROTTLE:  # nor is NaN
        raise ReindexError(
            f"throttle {throttle}: give a number of documents per second from {LEAST_THROTTLE} on, "
            "or inf for no limit"
        )


_TIMES = frozenset(
    {
        *("started_at", "updated_at", "lease_until", "sent_at", "filled_since"),
        *("swapped_at", "ended_at", "tries_again_at"),
    }
)
_ENCODED = frozenset(
    {"step", "began", "changes", "body", "canary", "left", "may_have_stopped", "error"}
)
