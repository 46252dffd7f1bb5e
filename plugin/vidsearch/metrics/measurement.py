"""What is known of one attempt at a video or at a slice: its stages, how long they take, counts."""

from __future__ import annotations

from time import perf_counter, time_ns
from typing import Any, Literal

__all__ = ["Kind", "Measurement"]

Kind = Literal["video", "slice", "fill"]
_FIRST_STAGE = "prepare"


class Measurement:
    """What is known of an attempt until now."""

    def __init__(self, kind: Kind, id: str) -> None:
        self.kind = kind
        self.id = id
        self.seconds: dict[str, float] = {}
        """By stage; ``preprocess`` is a part of ``encode``."""
        self.spans: dict[str, tuple[int, int]] = {}
        """Begin and end of each stage, in nanoseconds since the epoch. Stages alternate, so they
        overlap."""
        self.counts: dict[str, int] = {}
        self.outcome = "interrupted"
        """As of :class:`vidsearch.ingest.Outcome`; an exception leaves it so."""
        self.cause = ""
        """Class of the error, where there is one."""
        self._stage = _FIRST_STAGE
        self._entered = perf_counter()
        self._entered_ns = time_ns()

    def enter(self, stage: str) -> None:
        """Leave the current stage for another."""
        now, now_ns = perf_counter(), time_ns()
        self.add(self._stage, now - self._entered)
        begin, _ = self.spans.get(self._stage, (self._entered_ns, 0))
        self.spans[self._stage] = (begin, now_ns)
        self._stage, self._entered, self._entered_ns = stage, now, now_ns

    def add(self, stage: str, seconds: float) -> None:
        """Add to the time of a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def count(self, what: str, number: int) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + number

    def end(self, outcome: Any) -> None:
        """Take over how it ended: an ``Outcome``, or the exception that ended it."""
        self.enter("")
        if isinstance(outcome, BaseException):
            self.cause = type(outcome).__name__
            return
        self.outcome = outcome.status
        error = outcome.record.error if outcome.record else None
        if error is not None and self.outcome not in {"indexed", "unchanged", "sliced"}:
            self.cause = error.type
