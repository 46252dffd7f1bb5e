"""How long to wait before something is tried again."""

from __future__ import annotations

import random

__all__ = ["delay"]


def delay(attempt: int, *, first: float, longest: float) -> float:
    """Seconds before another attempt: doubled each time, less up to half of it by chance.

    The jitter keeps those that failed together from coming back together.

    Args:
        attempt: number of attempts that failed, from 1 on.
        first: seconds before the second attempt, without jitter.
        longest: upper bound.
    """
    whole = min(longest, first * 2.0 ** min(attempt - 1, 64))
    return whole * random.uniform(0.5, 1.0)
