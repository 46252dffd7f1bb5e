"""A clock that goes only when it is told to."""

from __future__ import annotations

__all__ = ["FakeClock"]


class FakeClock:
    """Says :attr:`now`, in seconds since 1970, each time that it is called.

    Args:
        now: what it says first.
        step: seconds that it goes ahead by before each answer.
    """

    def __init__(self, now: float = 1_000_000.0, *, step: float = 0.0) -> None:
        self.now = now
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now
