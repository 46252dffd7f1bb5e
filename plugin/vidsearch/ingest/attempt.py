"""One attempt at a video, or at a slice of one: its lease, its stages, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Literal, TypeVar

from vidsearch.config import IngestSettings
from vidsearch.error_texts import logger
from vidsearch.errors import (
    BackendUnavailableError,
    LeaseLostError,
    SourcePausedError,
    SourceRootMissingError,
    SourceUnavailableError,
    WorkerStoppingError,
)
from vidsearch.metrics import count_lost_lease, enter_stage
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.retry import Decision, decide, engine_delay, retry_delay
from vidsearch.stop import Stop
from vidsearch_mappings.registry import ErrorRecord, State, VideoRecord

__all__ = ["Attempt", "Outcome", "skipped"]

_log = logger(__name__)
_T = TypeVar("_T")
_ANSWERED_CALLS = 5
"""Calls of one kind that an engine which is there may leave unanswered, before that is an error."""
_ROOT_SECONDS = 600.0
"""For which workers that lack a folder of ``sources.roots`` leave its videos to the others at once;
then these wait as through an outage."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: Literal[
        "indexed", "unchanged", "sliced", "failed", "gone", "retry", "dead", "skipped", "unknown"
    ]
    """``indexed``: embedded and written. ``unchanged``: the vectors were current already.
    ``sliced``: its slices have its lease now. ``failed``: the video is at fault. ``gone``: the user
    deleted its document. ``retry``: it is registered for another attempt, which the sweep starts
    when it is due. ``dead``: it is given up. ``skipped``: another worker has it, or nothing is to
    be done. ``unknown``: it was never registered."""
    record: VideoRecord | None = None
    """As stored at the end; ``None`` where it was skipped."""
    reason: str | None = None
    error: Exception | None = None
    """Why it is tried again."""
    slices: tuple[str, ...] = ()
    """Of what was ``sliced``: the slices for which messages are to be sent."""
    fills: tuple[str, ...] = ()
    """During a reindex: the documents that are asked for in another index, for which messages are
    to be sent."""
    ready: str | None = None
    """Of a slice: the id of its video, where no other slice is left to wait for."""
    ready_fill: str | None = None
    """As ``ready``: the id of a document that is asked for in another index."""


class Attempt:
    """A record with its lease, the current stage of the work, and the seconds spent per stage."""

    def __init__(
        self,
        registry: Registry,
        record: VideoRecord,
        keeper: LeaseKeeper,
        *,
        settings: IngestSettings,
        stop: Stop,
    ) -> None:
        self.record = record
        self.keeper = keeper
        self._registry = registry
        self._settings = settings
        self._stop = stop
        self.stage = "prepare"
        self._entered = perf_counter()
        self._seconds: dict[str, float] = {}

    def enter(self, stage: str) -> None:
        """Leave the current stage for another; a stage may be entered many times.

        Raises:
            LeaseLostError: another worker has the video, or it was deleted or registered anew.
            WorkerStoppingError: there is more to do than to write what was made.
        """
        self.keeper.check()
        if stage != "write":
            self._stop.check()
        self._leave()
        self.stage = stage
        enter_stage(stage)

    def outlast(self, call: Callable[[], _T]) -> _T:
        """What a call returns that needs the engine. It is called again while the engine is away.

        What was embedded is so kept in memory meanwhile.

        Raises:
            WorkerStoppingError: the engine is away.
            BackendUnavailableError: the engine answers, but not this call.
        """
        tries = 0
        while True:
            try:
                return call()
            except BackendUnavailableError as error:
                tries += 1
                if tries >= _ANSWERED_CALLS and self._engine_answers():
                    raise
                delay = engine_delay(tries)
                _log.warning("video %r: next try in %.1f s: %s", self.record.id, delay, error)
            self._stop.pause(delay)

    def end(self) -> dict[str, float]:
        """Seconds per stage until now."""
        self._leave()
        return {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}

    def conclude(self, error: Exception) -> Outcome:
        """Record the error, and what :func:`decide` makes of it.

        Raises:
            WorkerStoppingError: where that is the error. The lease is still held.
            VidsearchError: the registry cannot be told. The lease runs out by itself, and until
                then the same owner may take it up again.
        """
        if isinstance(error, WorkerStoppingError):
            raise error
        if isinstance(error, SourceRootMissingError) and self._failing_for() >= _ROOT_SECONDS:
            # No worker has that folder: they would pass its videos on for ever, pausing each time.
            error = SourceUnavailableError(str(error))
        id, decision = self.record.id, decide(error)
        if decision is Decision.SKIP:
            return skipped(id, error)
        reason = ErrorRecord.of(error, stage=self.stage)
        try:
            lease = self.keeper.finish()
            if decision is Decision.GONE:
                _log.info("video %r is gone: %s", id, error)
                after = self._registry.mark_gone(lease, reason)
                return Outcome("gone", record=after, reason=str(reason))
            if decision is Decision.FAIL:
                _log.warning("video %r failed: %s", id, reason)
                after = self._registry.fail(lease, reason)
                return Outcome("failed", record=after, reason=str(reason))
            after = self._registry.release(
                lease,
                reason,
                counted=decision is Decision.RETRY,
                delay=self._delay(error, decision),
                give_up_after=self._give_up_after(error, decision),
            )
        except LeaseLostError as lost:
            return skipped(id, lost)
        except BackendUnavailableError as away:
            raise away from error
        if after.state is State.DEAD:
            _log.error("video %r is dead: %s", id, reason, exc_info=error)
            return Outcome("dead", record=after, reason=str(reason), error=error)
        if decision is Decision.RETRY:
            _log.error("video %r: attempt %d failed", id, after.attempts, exc_info=error)
        elif not isinstance(error, SourcePausedError):
            _log.warning("video %r interrupted, not by its own fault: %s", id, reason)
        return Outcome("retry", record=after, reason=str(reason), error=error)

    def _failing_for(self) -> float:
        """Seconds since the first of the errors in a row that use up no attempt."""
        since = self.record.failing_since
        return 0.0 if since is None else self._registry.now() - since

    def _give_up_after(self, error: Exception, decision: Decision) -> float | None:
        before = self.record.error
        if isinstance(error, SourceRootMissingError) or (
            before is not None and before.type == SourceRootMissingError.__name__
        ):
            return math.inf  # another worker may have the folder
        return self._settings.give_up_after if decision is Decision.OUTLAST else None

    def _delay(self, error: Exception, decision: Decision) -> float:
        delay = retry_delay(
            decision,
            attempts=self.record.attempts,
            age=self._failing_for(),
            first=self._settings.retry_seconds,
        )
        return max(delay, error.seconds) if isinstance(error, SourcePausedError) else delay

    def _engine_answers(self) -> bool:
        try:
            self._registry.find(self.record.id)
        except BackendUnavailableError:
            return False
        return True

    def _leave(self) -> None:
        now = perf_counter()
        self._seconds[self.stage] = self._seconds.get(self.stage, 0.0) + now - self._entered
        self._entered = now

    def __str__(self) -> str:
        return ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self._seconds.items())


def skipped(id: str, lost: Exception) -> Outcome:
    """Leave a video, or a slice, to whoever has its lease."""
    _log.warning("video %r left alone: %s", id, lost)
    count_lost_lease()
    return Outcome("skipped", reason=str(lost))
