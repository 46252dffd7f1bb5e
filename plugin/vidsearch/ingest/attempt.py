"""One attempt at a video, or at a slice of one: its lease, its stages, and how it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from vidsearch.errors import BackendUnavailableError, LeaseLostError
from vidsearch.metrics import count_lost_lease, enter_stage
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.retry import Decision, decide
from vidsearch_mappings.registry import ErrorRecord, State, VideoRecord

__all__ = ["Attempt", "Outcome", "skipped"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: Literal[
        "indexed", "unchanged", "sliced", "failed", "gone", "retry", "dead", "skipped", "unknown"
    ]
    """``indexed``: embedded and written. ``unchanged``: the vectors were current already.
    ``sliced``: its slices have its lease now. ``failed``: the video is at fault. ``gone``: the user
    deleted its document. ``retry``: it is queued for another attempt, which the caller has to
    start. ``dead``: that was the last one. ``skipped``: another worker has it, or nothing is to be
    done. ``unknown``: it was never registered."""
    record: VideoRecord | None = None
    """As stored at the end; ``None`` where it was skipped."""
    reason: str | None = None
    slices: tuple[str, ...] = ()
    """Of a video that was ``sliced``: the slices for which messages are to be sent."""
    ready: str | None = None
    """Of a slice: the id of its video, where no other slice is left to wait for."""


class Attempt:
    """A record with its lease, the current stage of the work, and the seconds spent per stage."""

    def __init__(self, registry: Registry, record: VideoRecord, keeper: LeaseKeeper) -> None:
        self.record = record
        self.keeper = keeper
        self._registry = registry
        self.stage = "prepare"
        self._entered = perf_counter()
        self._seconds: dict[str, float] = {}

    def enter(self, stage: str) -> None:
        """Leave the current stage for another; a stage may be entered many times.

        Raises:
            LeaseLostError: another worker has the video, or it was deleted or registered anew.
        """
        self.keeper.check()
        self._leave()
        self.stage = stage
        enter_stage(stage)

    def end(self) -> dict[str, float]:
        """Seconds per stage until now."""
        self._leave()
        return {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}

    def conclude(self, error: Exception, *, delay: float, count_outage: bool) -> Outcome:
        """Record the error, and what :func:`decide` makes of it.

        Raises:
            VidsearchError: an outage, or a worker that is not set up right.
        """
        id, decision = self.record.id, decide(error)
        if decision is Decision.SKIP:
            return skipped(id, error)
        reason = ErrorRecord.of(error, stage=self.stage)
        uncounted = decision is Decision.RETRY_UNCOUNTED
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
                lease, reason, counted=count_outage or not uncounted, delay=delay
            )
        except LeaseLostError as lost:
            return skipped(id, lost)
        except BackendUnavailableError as away:
            # The registry cannot be told. The lease runs out by itself, and until then the same
            # owner may take it up again.
            if uncounted:
                raise error from error.__cause__
            raise away from error
        if uncounted:
            _log.warning("video %r interrupted, not by its own fault: %s", id, reason)
            raise error
        _log.error("video %r: attempt %d failed", id, after.attempts, exc_info=error)
        dead = after.state is State.DEAD
        return Outcome("dead" if dead else "retry", record=after, reason=str(reason))

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
