"""Copies of one content that workers of a machine take at the same moment: one of them embeds it,
or each of its slices.

Copies often lie beside each other, so that workers that take one video after the other take them at
once. The others wait, and find in the store what the first one has kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from vidsearch.embeddings.kept_video import KeptVideo
from vidsearch.encoders import ModelIdentity
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock

__all__ = ["in_turn", "longest_wait", "turn"]

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_LONGEST_WAIT = 300.0
_DIGITS = 3
"""Of the hash that names a lock: some thousands of files for any number of contents. Two contents
of one lock wait for each other for nothing, which is rare."""


def longest_wait(time_limit: float) -> float:
    """Seconds for which an attempt waits for another, and never more than a quarter of its time
    limit: what it waits for in vain it has to do itself."""
    return min(_LONGEST_WAIT, time_limit / 4)


@contextmanager
def in_turn(
    kept: KeptVideo,
    model: ModelIdentity,
    *,
    folder: Path | None,
    longest: float,
    waiting: Callable[[], None],
) -> Iterator[None]:
    """Embed a content by a model while no other process of this machine and user does for the same
    store.

    Args:
        kept: what is kept of the content; not asked before, as it would miss what another has kept
            until the turn begins. Asked again after a wait.
        model: that it is embedded by.
        folder, longest, waiting: see :func:`turn`.
    """
    if kept.place is None:
        yield
        return
    with turn(
        [kept.place, kept.content, model.compared()],
        is_kept=lambda: kept.find_frames(model) is not None,
        folder=folder,
        longest=longest,
        waiting=waiting,
    ) as waited:
        if waited:
            kept.look_again()
        yield


@contextmanager
def turn(
    what: Sequence[object],
    *,
    is_kept: Callable[[], bool],
    folder: Path | None,
    longest: float,
    waiting: Callable[[], None],
) -> Iterator[bool]:
    """Do something while no other process of this machine and user does; gives whether it had to
    wait.

    Nobody waits for what is kept already.

    Args:
        what: names it.
        is_kept: whether it is done; asked where another has the turn.
        folder: for the locked files; ``None``: the temporary folder of the system.
        longest: seconds after which it is done all the same: who has the turn may hang.
        waiting: called again and again meanwhile; what it raises ends the wait.
    """
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    with ExitStack() as stack:
        lock, waited = _opened(folder, digest, stack), False
        # Whose turn it is looks after that; else what another keeps in between would be missed.
        if lock is not None and not try_lock(lock) and not is_kept():
            end, waited = monotonic() + longest, True
            while not try_lock(lock) and monotonic() < end:
                waiting()
                sleep(_POLL_SECONDS)
        yield waited


def _opened(folder: Path | None, name: str, stack: ExitStack) -> int | None:
    try:
        return opened_lock(locks_folder(folder, "contents") / name, stack)
    except OSError as error:
        _log.info("copies may be embedded more than once, as no locks can be made: %s", error)
        return None
