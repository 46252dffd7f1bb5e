"""One attempt at a video or at a slice: what it is, how long its stages take, what it counts."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter, time_ns
from typing import Any, Literal, ParamSpec, TypeVar

__all__ = [
    "Measurement",
    "count_bytes",
    "count_frames",
    "count_lost_lease",
    "current_work",
    "enter_stage",
    "measured",
    "measured_sweep",
    "timed",
]

Kind = Literal["video", "slice"]
_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logging.getLogger(__name__)
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


_current: ContextVar[Measurement | None] = ContextVar("vidsearch_work", default=None)


def current_work() -> Measurement | None:
    """What this thread works on."""
    return _current.get()


def measured(kind: Kind) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Measure each call of a method that takes an id and returns an ``Outcome``."""

    def decorate(work: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(work)
        def attempt(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            id = args[1] if len(args) > 1 else next(iter(kwargs.values()))
            measurement = Measurement(kind, str(id))
            token = _current.set(measurement)
            try:
                with _span(measurement):
                    try:
                        outcome = work(*args, **kwargs)
                    except BaseException as error:
                        measurement.end(error)
                        raise
                    measurement.end(outcome)
                    return outcome
            finally:
                _current.reset(token)
                _publish("attempt_ended", measurement)

        return attempt

    return decorate


def measured_sweep(sweep: Callable[_P, _R]) -> Callable[_P, _R]:
    """Measure each call of a function that returns a ``SweepReport``."""

    @functools.wraps(sweep)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        begin = perf_counter()
        report: Any = sweep(*args, **kwargs)
        found: Mapping[str, Any] = report.to_json()
        counts = {
            name: value if isinstance(value, int) else len(value)
            for name, value in found.items()
            if isinstance(value, (int, list, tuple))
        }
        _publish("sweep_ended", perf_counter() - begin, counts)
        return report  # type: ignore[no-any-return]

    return call


def enter_stage(stage: str) -> None:
    """The current attempt leaves its stage for another."""
    if measurement := _current.get():
        measurement.enter(stage)


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Time a part of the current stage of the current attempt."""
    begin = perf_counter()
    try:
        yield
    finally:
        if measurement := _current.get():
            measurement.add(part, perf_counter() - begin)


def count_frames(number: int) -> None:
    """Frames were embedded."""
    _count("frames", number)


def count_bytes(number: int) -> None:
    """A file was fetched."""
    _count("bytes", number)


def count_lost_lease() -> None:
    """Another worker has what the current attempt works on."""
    _count("leases lost", 1)


def _count(what: str, number: int) -> None:
    if measurement := _current.get():
        measurement.count(what, number)


def _publish(function: str, *arguments: Any) -> None:
    """Have Prometheus count it, where it is used. No video ends for that this does not work."""
    if "prometheus_client" not in sys.modules and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return
    try:
        from vidsearch.metrics import prometheus

        getattr(prometheus, function)(*arguments)
    except Exception as error:
        _log.warning("metrics are not counted: %s", error)


@contextmanager
def _span(measurement: Measurement) -> Iterator[None]:
    if "opentelemetry" not in sys.modules:
        yield
        return
    from vidsearch.metrics.spans import span

    with span(measurement):
        yield
