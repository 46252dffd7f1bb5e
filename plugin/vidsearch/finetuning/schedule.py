"""The learning rate at every step, as a share of the highest one."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["warm_up_cosine"]


def warm_up_cosine(step: int, *, steps: int, warm_up: int, starts: Sequence[int] = (0,)) -> float:
    """Half a cosine from one down to nothing, times a linear warm-up.

    Args:
        step: from 0.
        steps: of the whole run.
        warm_up: steps until the cosine is reached; its first step takes ``1 / warm_up``.
        starts: steps at which a warm-up begins, in order: where a part of the model joins in, its
            first gradients are mostly chance.

    Returns:
        Between 0 and 1.
    """
    since = step - max((start for start in starts if start <= step), default=0)
    warm = min(1.0, (since + 1) / max(1, warm_up))
    return warm * (0.5 + 0.5 * math.cos(math.pi * step / steps))
