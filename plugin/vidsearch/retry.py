"""What becomes of a video after an error: whether it is tried again, when, and how long."""

from __future__ import annotations

from enum import Enum

from vidsearch import backoff
from vidsearch.errors import Fault, VidsearchError

__all__ = ["Decision", "decide", "engine_delay", "pause_delay", "retry_delay"]

_LONGEST_DELAY = 600.0
_LONGEST_PAUSE = 60.0
_FIRST_LOOK = 0.5
_LONGEST_LOOK = 2.0


class Decision(Enum):
    """What becomes of a video whose attempt ended with an error."""

    FAIL = "fail"
    """It is recorded as failed. Another attempt would end the same."""
    GONE = "gone"
    """It is recorded as deleted, as its document is."""
    SKIP = "skip"
    """It is left alone, as it is no longer this worker's. Nothing is recorded."""
    RETRY = "retry"
    """It is tried again later, and is dead after the last of its attempts."""
    OUTLAST = "outlast"
    """It is tried again later, which uses up no attempt, and is dead when that has gone on for
    ``ingest.give_up_after`` seconds."""
    GIVE_BACK = "give back"
    """It is for another worker to try at once, which uses up no attempt, however often."""


_BY_FAULT: dict[Fault, Decision] = {
    "video": Decision.FAIL,
    "setup": Decision.GIVE_BACK,
    "outage": Decision.OUTLAST,
    "caller": Decision.RETRY,  # of a call that vidsearch made itself: a bug
    "conflict": Decision.RETRY,
    "lost": Decision.SKIP,
    "gone": Decision.GONE,
    "unknown": Decision.RETRY,
}


def decide(error: Exception) -> Decision:
    """What becomes of a video after an error; any that is not vidsearch's own may be a bug."""
    return _BY_FAULT[error.fault if isinstance(error, VidsearchError) else "unknown"]


def retry_delay(decision: Decision, *, attempts: int, age: float, first: float) -> float:
    """Seconds before a video is tried again, up to ten minutes and less up to half of it.

    Args:
        decision: doubles with each attempt (``RETRY``); is as long as it has not worked by now, and
            so doubles as well (``OUTLAST``); none (``GIVE_BACK``).
        attempts: number of attempts until now.
        age: seconds since the first outage in a row.
        first: seconds before the first retry.
    """
    if decision is Decision.RETRY:
        return backoff.delay(attempts, first=first, longest=_LONGEST_DELAY)
    if decision is Decision.OUTLAST:
        return backoff.delay(1, first=max(first, age), longest=_LONGEST_DELAY)
    return 0.0


def pause_delay(tries: int, *, first: float) -> float:
    """Seconds for which a worker takes no video after it could not work ``tries`` times in a row.

    Args:
        tries: from 1 on.
        first: seconds after the first try; doubled each time up to a minute.
    """
    return backoff.delay(tries, first=first, longest=_LONGEST_PAUSE)


def engine_delay(tries: int) -> float:
    """Seconds before a worker looks again whether the search engine answers, up to two: so all come
    back at about the same time, and share what waits."""
    return backoff.delay(tries, first=_FIRST_LOOK, longest=_LONGEST_LOOK)
