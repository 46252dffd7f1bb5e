"""Whether a video is tried again after an error, when, and whether the attempt counts."""

from __future__ import annotations

from enum import Enum

from vidsearch import backoff
from vidsearch.errors import Fault, VidsearchError

__all__ = ["Decision", "decide", "outage_uses_up_attempt", "retry_delay"]

_LONGEST_DELAY = 600.0
_OUTAGES_PER_ATTEMPT = 10


class Decision(Enum):
    """What becomes of a video whose attempt ended with an error."""

    FAIL = "fail"
    """It is recorded as failed. Another attempt would end the same."""
    GONE = "gone"
    """It is recorded as deleted, as its document is."""
    SKIP = "skip"
    """It is left alone, as it is no longer this worker's. Nothing is recorded."""
    RETRY = "retry"
    """It is tried again, and is dead after the last of its attempts."""
    RETRY_UNCOUNTED = "retry uncounted"
    """It is tried again, and the attempt is taken back; see :func:`outage_uses_up_attempt`."""


_BY_FAULT: dict[Fault, Decision] = {
    "video": Decision.FAIL,
    "setup": Decision.RETRY_UNCOUNTED,
    "outage": Decision.RETRY_UNCOUNTED,
    "caller": Decision.RETRY,  # of a call that vidsearch made itself: a bug
    "conflict": Decision.RETRY,
    "lost": Decision.SKIP,
    "gone": Decision.GONE,
    "unknown": Decision.RETRY,
}


def decide(error: Exception) -> Decision:
    """What becomes of a video after an error; any that is not vidsearch's own may be a bug."""
    return _BY_FAULT[error.fault if isinstance(error, VidsearchError) else "unknown"]


def outage_uses_up_attempt(tries: int) -> bool:
    """Whether a retry that is not counted uses up an attempt all the same: every tenth in a row.

    With the growing delay that is more than half an hour. A source that never answers is so given
    up in the end.

    Args:
        tries: number of tries in a row before this one.
    """
    return (tries + 1) % _OUTAGES_PER_ATTEMPT == 0


def retry_delay(tries: int, *, first: float) -> float:
    """Seconds before the next try: doubles each time up to ten minutes, less up to half of it.

    Args:
        tries: number of tries in a row before this one.
        first: seconds after the first try.
    """
    return backoff.delay(tries + 1, first=first, longest=_LONGEST_DELAY)
