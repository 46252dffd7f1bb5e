"""Which stage of the work runs, and how long each took."""

from __future__ import annotations

from time import perf_counter

__all__ = ["Stages"]


class Stages:
    """A stopwatch that is always in one stage; a stage may be entered many times."""

    def __init__(self) -> None:
        self.current = "prepare"
        self._started = perf_counter()
        self._seconds: dict[str, float] = {}

    def enter(self, stage: str) -> None:
        """Leave the current stage for another."""
        now = perf_counter()
        self._seconds[self.current] = self._seconds.get(self.current, 0.0) + now - self._started
        self.current, self._started = stage, now

    def end(self) -> dict[str, float]:
        """Seconds per stage until now."""
        self.enter(self.current)
        return {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}

    def __str__(self) -> str:
        return ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self._seconds.items())
