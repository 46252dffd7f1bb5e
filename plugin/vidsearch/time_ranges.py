"""The parts of a long video, which are embedded one by one and put together again."""

from __future__ import annotations

__all__ = ["time_range"]


def time_range(number: int, *, count: int, seconds: float) -> tuple[float, float | None]:
    """Begin and end of a slice. That of the last one is ``None``: it is known after decoding only.

    Args:
        number: of the slice, from 0.
        count: of the video's slices.
        seconds: length of all but the last one.
    """
    return number * seconds, None if number + 1 == count else (number + 1) * seconds
