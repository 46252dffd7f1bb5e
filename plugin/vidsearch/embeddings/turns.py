"""Copies of one content that workers of a machine take at the same moment: one of them embeds it.

Copies often lie beside each other, so that workers that take one video after the other take them at
once. The others wait, and find in the store what the first one has kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from vidsearch.embeddings.store import KeptVideo
from vidsearch.encoders import ModelIdentity
from vidsearch.media.file_locks import locks_folder, opened_lock, try_lock

__all__ = ["in_turn"]

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_DIGITS = 3
"""Of the hash that names a lock: some thousands of files for any number of contents. Two contents
of one lock wait for each other for nothing, which is rare."""


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

    Nobody waits where nothing is kept, or the frames are there already.

    Args:
        kept: what is kept of the content; not asked before, as it would miss what another has kept
            until the turn begins. Asked again after a wait.
        model: that it is embedded by.
        folder: for the locked files; ``None``: the temporary folder of the system.
        longest: seconds after which it is embedded all the same: who has the turn may hang.
        waiting: called again and again meanwhile; what it raises ends the wait.
    """
    if kept.place is None:
        yield
        return
    name = json.dumps([kept.place, kept.content, model.compared()], sort_keys=True)
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
    with ExitStack() as stack:
        lock = _opened(folder, digest, stack)
        # Whose turn it is looks after that; else what another keeps in between would be missed.
        if lock is not None and not try_lock(lock) and kept.find_frames(model) is None:
            end = monotonic() + longest
            while not try_lock(lock) and monotonic() < end:
                waiting()
                sleep(_POLL_SECONDS)
            kept.look_again()
        yield


def _opened(folder: Path | None, name: str, stack: ExitStack) -> int | None:
    try:
        return opened_lock(locks_folder(folder, "contents") / name, stack)
    except OSError as error:
        _log.info("copies may be embedded more than once, as no locks can be made: %s", error)
        return None
