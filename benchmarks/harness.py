"""Interleaved measuring on a machine that is shared and noisy.

All ways of one comparison run in turn in one process, the order reversed every other round, after
a warm-up. CPU seconds (user and system, all threads) are the figure to trust; wall time is shown
beside it. The ratio is the median over rounds of reference / way *within* a round, so that a slow
spell of the machine hits both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Comparison", "Figure", "compare"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One way's medians over the rounds."""

    name: str
    cpu_ms: float
    wall_ms: float
    ratio: float
    """CPU time of the reference / CPU time of this way; above 1 is faster than the reference."""
    spread: tuple[float, float]
    """Smallest and largest ratio of any round."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A titled set of figures; the first is the reference."""

    title: str
    figures: tuple[Figure, ...]

    def markdown(self) -> str:
        """As a table for the report."""
        lines = [
            f"### {self.title}\n",
            "| way | CPU ms | wall ms | reference / way (min-max) |",
            "|---|---:|---:|---:|",
        ]
        for figure in self.figures:
            low, high = figure.spread
            lines.append(
                f"| {figure.name} | {figure.cpu_ms:.1f} | {figure.wall_ms:.1f} "
                f"| {figure.ratio:.2f} ({low:.2f}-{high:.2f}) |"
            )
        return "\n".join(lines) + "\n"


def compare(title: str, ways: Mapping[str, Callable[[], object]], *, rounds: int = 7) -> Comparison:
    """Measure ``ways`` against the first of them."""
    names = list(ways)
    for way in ways.values():
        way()
    cpu: dict[str, list[float]] = {name: [] for name in names}
    wall: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            started, used = time.perf_counter(), time.process_time()
            ways[name]()
            cpu[name].append(time.process_time() - used)
            wall[name].append(time.perf_counter() - started)
    reference = cpu[names[0]]
    figures = []
    for name in names:
        ratios = [a / b for a, b in zip(reference, cpu[name], strict=True)]
        figures.append(
            Figure(
                name=name,
                cpu_ms=statistics.median(cpu[name]) * 1000,
                wall_ms=statistics.median(wall[name]) * 1000,
                ratio=statistics.median(ratios),
                spread=(min(ratios), max(ratios)),
            )
        )
    return Comparison(title=title, figures=tuple(figures))
