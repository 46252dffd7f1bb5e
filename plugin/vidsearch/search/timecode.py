"""Times within a video, as people read them."""

from __future__ import annotations

__all__ = ["timecode"]


def timecode(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on, rounded to whole seconds."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
