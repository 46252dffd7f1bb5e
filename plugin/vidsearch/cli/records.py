"""Records of the registry: shown, reported, and waited for."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    VideoNotRegisteredError,
    VidsearchError,
)
from vidsearch_mappings.registry import GIVEN_UP, IN_PROGRESS, State, VideoRecord

if TYPE_CHECKING:
    from vidsearch.registry import Registry
    from vidsearch_tasks import Services

__all__ = ["report", "record_json", "wait_for", "watch"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


def record_json(record: VideoRecord) -> dict[str, Any]:
    """A record as JSON, without the credentials that a URI may hold."""
    from vidsearch.media import public_uri

    return {**record.to_json(), "uri": public_uri(record.uri)}


def report(
    records: Sequence[VideoRecord], *, as_json: bool, others: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Print the outcome: of every video in a pipe or as JSON, on a terminal of failed ones only.

    Ends the command with exit code 1 where a video failed or is dead.

    Args:
        records: of the videos.
        as_json: print JSON.
        others: what the JSON lists after the records.
    """
    bad = [record for record in records if record.state in GIVEN_UP]
    rows = [(r.id, r.state, r.error or "") for r in (bad if sys.stdout.isatty() else records)]
    if rows or as_json:
        data = [*map(record_json, records), *others]
        columns = ("id", "state", "reason")
        output.print_rows(data, columns, rows, as_json=as_json, whole=columns[:2])
    counts = Counter(str(record.state) for record in records)
    output.talk(", ".join(f"{n} {state}" for state, n in counts.most_common()) or "nothing to do")
    if bad:
        click.get_current_context().exit(1)


def wait_for(services: Services, ids: Sequence[str], *, timeout: float | None) -> list[VideoRecord]:
    """As :func:`watch`, and then until searches find what was indexed.

    After an interrupt it says that the workers go on.
    """
    try:
        records = watch(services.registry, ids, timeout=timeout)
    except KeyboardInterrupt:
        output.talk(
            "\nStopped waiting; the workers go on. `vidsearch status` shows how far they are."
        )
        raise
    if any(record.state is State.INDEXED for record in records):
        # Who may only read and write finds them after the index's own `refresh_interval`.
        with suppress(BackendAccessDeniedError):
            services.engine.refresh(services.settings.index.name)
    return records


def watch(registry: Registry, ids: Sequence[str], *, timeout: float | None) -> list[VideoRecord]:
    """Wait until each video is indexed, failed, dead or deleted, and show progress.

    Args:
        registry: where they are registered.
        ids: of the videos.
        timeout: in seconds; ``None`` for no limit.

    An engine that does not answer is waited for, as by the workers.

    Raises:
        VideoNotRegisteredError: a video was purged meanwhile.
        BackendUnavailableError: the engine did not answer when the time was over.
        VidsearchError: some were not done in time; the message says how many, with the error of
            the last attempt where there is one.
    """
    if not ids:
        return []
    deadline = None if timeout is None else time.monotonic() + timeout
    done: dict[str, VideoRecord] = {}
    pause, is_away = _FIRST_PAUSE, False
    with output.progress("Ingesting", total=len(ids)) as bar:
        while True:
            try:
                found = {record.id: record for record in registry.among(_rest(ids, done))}
            except BackendUnavailableError as error:
                if deadline is not None and time.monotonic() > deadline:
                    raise
                if not is_away:
                    output.talk(f"\nStill waiting, as the workers do: {error}")
                is_away = True
                time.sleep(_LONGEST_PAUSE)
                continue
            is_away = False
            for id in _rest(ids, done):
                if id not in found:
                    raise VideoNotRegisteredError(f"video {id!r} was purged meanwhile")
            news = {id: record for id, record in found.items() if record.state not in IN_PROGRESS}
            done |= news
            bad = sum(record.state is not State.INDEXED for record in done.values())
            bar(len(done), note=f"({bad} not indexed)" if bad else "")
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
