"""Repeating a read, a change and a write until nobody else wrote in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from vidsearch.errors import VersionConflictError

__all__ = ["keeps_changing", "until_unchanged"]

_T = TypeVar("_T")
_TRIES = 8


def until_unchanged(change: Callable[[], _T], *, of: str) -> _T:
    """What ``change`` returns. It is called again while it raises VersionConflictError.

    Args:
        change: reads, and writes by compare-and-set.
        of: what is changed, for the message.

    Raises:
        VersionConflictError: it was changed by others each time.
    """
    for _ in range(_TRIES):
        with suppress(VersionConflictError):
            return change()
    raise keeps_changing(of)


def keeps_changing(what: str, *, tries: int = _TRIES) -> VersionConflictError:
    """The error for what others wrote at every try."""
    return VersionConflictError(
        f"{what} keeps changing: others wrote it {tries} times in a row while vidsearch was to "
        "change it. Try again later"
    )
