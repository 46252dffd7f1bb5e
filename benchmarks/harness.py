"""Interleaved measuring on a machine that is shared and noisy.

All ways of one comparison run in turn, the order reversed every other round, after a warm-up. CPU
seconds (user and system, all threads, child processes too) are the figure to trust; wall time is
shown beside it. Per round the CPU that *other* processes used is read from the kernel, and the
quieter half of the rounds is kept. A ratio is the median over those of reference / way *within* a
round, so that a slow spell of the machine hits both sides.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

__all__ = [
    "QUIET",
    "Measured",
    "Ratio",
    "compiled",
    "cpu_seconds",
    "measure",
    "megabytes",
    "others_from_now",
    "quieter_half",
]

QUIET = 0.3
"""Cores that other processes may keep busy where wall time is what is judged."""

_PROC = Path("/proc")
_FEWEST_ROUNDS = 5
_LONG_ENOUGH = 45.0
"""Seconds after which a comparison is content with the fewest rounds."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """CPU time of a reference / CPU time of a way; above 1 is faster than the reference."""

    median: float
    low: float
    """Smallest of any kept round."""
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds per way and kept round."""

    cpu: Mapping[str, tuple[float, ...]]
    wall: Mapping[str, tuple[float, ...]]
    others: float
    """Cores that other processes kept busy in the noisiest of the kept rounds."""

    def ratio(self, reference: str, way: str) -> Ratio:
        """How many times cheaper ``way`` is than ``reference``."""
        ratios = [a / b for a, b in zip(self.cpu[reference], self.cpu[way], strict=True)]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def cpu_ms(self, way: str) -> float:
        """Median CPU time in milliseconds."""
        return statistics.median(self.cpu[way]) * 1000

    def wall_ms(self, way: str) -> float:
        """Median wall time in milliseconds."""
        return statistics.median(self.wall[way]) * 1000


class _Disturbed(Protocol):
    @property
    def others(self) -> float:
        """Cores that other processes kept busy."""
        ...


_R = TypeVar("_R", bound=_Disturbed)


@dataclass(frozen=True, slots=True)
class _Round:
    cpu: dict[str, float]
    wall: dict[str, float]
    others: float


def measure(
    ways: Mapping[str, Callable[[], object]], *, rounds: int = 7, children: bool = True
) -> Measured:
    """Run ``ways`` against each other.

    Args:
        ways: name → what to run; the results are dropped.
        rounds: how often; the quieter half is kept. Where a round is long, it is fewer.
        children: whether the CPU time of child processes counts; not that of a server that was
            started for the measurement.
    """
    for way in ways.values():
        way()
    taken: list[_Round] = []
    began = time.perf_counter()
    while len(taken) < rounds:
        taken.append(_round(ways, backwards=len(taken) % 2 == 1, children=children))
        if len(taken) >= _FEWEST_ROUNDS and time.perf_counter() - began > _LONG_ENOUGH:
            break
    kept = quieter_half(taken, rounds=rounds)
    return Measured(
        cpu={name: tuple(each.cpu[name] for each in kept) for name in ways},
        wall={name: tuple(each.wall[name] for each in kept) for name in ways},
        others=kept[-1].others,
    )


def _round(ways: Mapping[str, Callable[[], object]], *, backwards: bool, children: bool) -> _Round:
    clock = cpu_seconds if children else time.process_time
    cpu: dict[str, float] = {}
    wall: dict[str, float] = {}
    names = list(ways)
    others = others_from_now()
    for name in reversed(names) if backwards else names:
        used, started = clock(), time.perf_counter()
        ways[name]()
        cpu[name] = clock() - used
        wall[name] = time.perf_counter() - started
    return _Round(cpu, wall, others())


def quieter_half(taken: Sequence[_R], *, rounds: int) -> list[_R]:
    """Half of ``rounds``, those in which other processes were least busy; the noisiest is last."""
    return sorted(taken, key=lambda each: each.others)[: math.ceil(rounds / 2)]


def others_from_now() -> Callable[[], float]:
    """Call the result later: it says how many cores other processes kept busy in between."""
    busy, own, began = _busy_seconds(), cpu_seconds(), time.perf_counter()

    def others() -> float:
        elsewhere = (_busy_seconds() - busy) - (cpu_seconds() - own)
        return max(0.0, elsewhere) / (time.perf_counter() - began)

    return others


def cpu_seconds() -> float:
    """CPU time so far of this process and of its children, the living and the ended ones."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for pid in _descendants():
        try:
            # What clock_getcpuclockid(3) computes: the CPU-time clock of another process.
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:  # it ended meanwhile, or is not Linux
            continue
    return total


def compiled(folder: Path) -> dict[str, str]:
    """An environment for processes whose time to start is measured: the first one compiles the
    modules that it imports into a folder, as an installation does, and the others take them."""
    rest = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**rest, "PYTHONPYCACHEPREFIX": str(folder)}


def megabytes(field: str) -> float:
    """A figure of ``/proc/<pid>/status`` in MiB, of this process and its descendants together."""
    total = 0
    for pid in (os.getpid(), *_descendants()):
        for line in (_PROC / f"{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1])
    return total / 1024


def _descendants(pid: int | None = None) -> Iterator[int]:
    """Ids of the processes that ``pid`` (this one) started, and of those that they did."""
    for children in _PROC.glob(f"{os.getpid() if pid is None else pid}/task/*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in map(int, found):
            yield child
            yield from _descendants(child)


def _busy_seconds() -> float:
    """CPU time so far of all processes of the machine, and what its host took away."""
    try:
        fields = (_PROC / "stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, hard, soft, stolen = map(int, fields)
    return (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")
