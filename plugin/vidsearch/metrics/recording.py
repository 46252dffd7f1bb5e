"""Measures attempts and sweeps, and hands what was measured to Prometheus and OpenTelemetry."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

from vidsearch.metrics.measurement import Kind, Measurement

__all__ = [
    "count_bytes",
    "count_frames",
    "count_lost_lease",
    "current_work",
    "enter_stage",
    "measured",
    "measured_sweep",
    "timed",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logging.getLogger(__name__)

_ROOM = 4 * 2**20
"""Bytes that must be free to count something: several processes may begin a file at once."""

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
        _publish("sweep_ended", perf_counter() - begin, report.counts())
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
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if "prometheus_client" not in sys.modules and not folder:
        return
    try:
        if folder and not _has_room(Path(folder)):
            _log.warning("metrics are not counted: there is no room in %s", folder)
            return
        from vidsearch.metrics import prometheus

        getattr(prometheus, function)(*arguments)
    except Exception as error:
        _log.warning("metrics are not counted: %s", error)


def _has_room(folder: Path) -> bool:
    """Whether files can grow there.

    The client writes through memory, and a disk that is full then is no error but the end of the
    process (SIGBUS), which would count as an attempt of the video.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    disk = os.statvfs(there)
    return disk.f_bavail * disk.f_frsize >= _ROOM


@contextmanager
def _span(measurement: Measurement) -> Iterator[None]:
    if "opentelemetry" not in sys.modules:
        yield
        return
    from vidsearch.metrics.spans import span

    with span(measurement):
        yield
