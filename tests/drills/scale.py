"""How large a drill is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LONG", "SHORT", "Scale"]


@dataclass(frozen=True)
class Scale:
    """Numbers of a drill; times are in seconds."""

    originals: int
    """Clips that look different."""
    films: int
    """Those of them that are long enough for slices."""
    backlog: int
    """Videos that wait when it begins."""
    deadly: int
    """Poison that kills its worker, at each of its attempts."""
    poison: int
    """Other poison."""
    strikes: tuple[tuple[str, int], ...]
    """Single processes that are killed, by their kind."""
    flushes: int
    storms: int
    full: float
    """For which the temporary disk is full."""
    frozen: float
    """For which the engine is frozen, before it is killed."""
    attempts: int
    """That a video may use up: more than a healthy one is struck by chance."""
    pace: float
    """For which a batch of frames is embedded."""
    lease: float
    sweep: float
    waiting: int
    """Videos that wait in the timed tests."""
    outage: float
    """For which the engine is away in the timed test of it."""

    slack: int
    """By which promised times are multiplied: other tests may share the cores."""

    @property
    def limit(self) -> float:
        """A lease and two sweeps: after the last fault, no video may take longer."""
        return self.slack * (self.lease + 2 * self.sweep)

    @property
    def busy_again(self) -> float:
        """After which all processes work again when the engine is back."""
        return self.slack * 10.0


LONG = Scale(
    originals=200,
    films=2,
    backlog=3000,
    deadly=4,
    poison=16,
    strikes=(("pool", 30), ("parent", 13), ("decoder", 7)),
    flushes=2,
    storms=3,
    full=20,
    frozen=60,
    attempts=5,
    pace=0.2,
    lease=10,
    sweep=3,
    waiting=3000,
    outage=180,
    slack=1,
)

SHORT = Scale(
    originals=12,
    films=1,
    backlog=80,
    deadly=1,
    poison=5,
    strikes=(("pool", 3), ("parent", 1), ("decoder", 1)),
    flushes=1,
    storms=1,
    full=1,
    frozen=1,
    attempts=4,
    pace=0.1,
    lease=6,
    sweep=2,
    waiting=200,
    outage=3,
    slack=3,
)
