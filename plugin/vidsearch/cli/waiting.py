"""Wait for videos to be ingested."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vidsearch.cli import output
from vidsearch.errors import VideoNotRegisteredError, VidsearchError

if TYPE_CHECKING:
    from vidsearch.registry import Registry, VideoRecord

__all__ = ["wait_for", "watch"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


def wait_for(registry: Registry, ids: Sequence[str], *, timeout: float | None) -> list[VideoRecord]:
    """As :func:`watch`; who interrupts it is told that the workers go on."""
    try:
        return watch(registry, ids, timeout=timeout)
    except KeyboardInterrupt:
        output.talk(
            "\nStopped waiting; the workers go on. `vidsearch status` shows how far they are."
        )
        raise


def watch(registry: Registry, ids: Sequence[str], *, timeout: float | None) -> list[VideoRecord]:
    """Wait until each video is indexed, failed, dead or deleted; shows progress.

    Args:
        registry: where they are registered.
        ids: of the videos.
        timeout: seconds; ``None`` waits as long as it takes.

    Raises:
        VideoNotRegisteredError: one vanished from the registry.
        VidsearchError: they were not all done in time; the message says how many, and why not
            where the last attempt left an error.
    """
    from vidsearch.registry import State

    if not ids:
        return []
    ends = {State.INDEXED, State.FAILED, State.DEAD, State.DELETED}
    deadline = None if timeout is None else time.monotonic() + timeout
    done: dict[str, VideoRecord] = {}
    pause = _FIRST_PAUSE
    with output.progress("Ingesting", total=len(ids)) as bar:
        while True:
            found = {record.id: record for record in registry.among(_rest(ids, done))}
            for id in _rest(ids, done):
                if id not in found:
                    raise VideoNotRegisteredError(f"video {id!r} was purged meanwhile")
            news = {id: record for id, record in found.items() if record.state in ends}
            done |= news
            bad = sum(record.state is not State.INDEXED for record in done.values())
            bar.at(len(done), f"({bad} not indexed)" if bad else "")
            if len(done) == len(ids):
                return [done[id] for id in ids]
            if deadline is not None and time.monotonic() > deadline:
                raise VidsearchError(_unfinished([found[id] for id in _rest(ids, done)], timeout))
            pause = _FIRST_PAUSE if news else min(pause * 1.5, _LONGEST_PAUSE)
            time.sleep(pause)


def _rest(ids: Sequence[str], done: Mapping[str, VideoRecord]) -> list[str]:
    return [id for id in ids if id not in done]


def _unfinished(records: Sequence[VideoRecord], timeout: float | None) -> str:
    states = Counter(str(record.state) for record in records)
    told = ", ".join(f"{n} {state}" for state, n in states.most_common())
    message = f"{len(records)} videos are not done after {timeout:g} s ({told})"
    reasons = [f"{record.id}: {record.error}" for record in records if record.error]
    if reasons:
        return f"{message}; {reasons[0]}"
    return f"{message}; is a worker running? `vidsearch status` tells"
