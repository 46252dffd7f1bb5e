"""Times within a video, as people and programs read them."""

from __future__ import annotations

__all__ = ["seconds_text", "timecode"]


def timecode(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on, rounded to whole seconds."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def seconds_text(seconds: float) -> str:
    """The seconds in as many digits as tell them from all others, for URLs and scripts: ``8``,
    ``1000.004``."""
    return repr(float(seconds)).removesuffix(".0")
