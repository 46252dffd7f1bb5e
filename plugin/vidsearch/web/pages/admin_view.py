"""The status of ingestion as tiles, facts and tables. Folders of the server are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from vidsearch.web.pages.folders import without_folders
from vidsearch_mappings.registry import GIVEN_UP

if TYPE_CHECKING:
    from vidsearch.reindex import ReindexRun
    from vidsearch_tasks import IngestionStatus

__all__ = ["AdminView", "admin_view"]

_LONGEST = 400
_RUNS = 20


@dataclass(frozen=True, slots=True)
class Tile:
    """A number that is seen at once."""

    name: str
    number: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class PauseView:
    """Something that is not tried for a while."""

    key: str
    tries: int
    since: str
    until: str
    error: str


@dataclass(frozen=True, slots=True)
class CauseView:
    """The videos whose last attempt ended with one class of error."""

    type: str
    videos: int
    states: str
    last: str
    message: str
    can_retry: bool
    """Whether some of them were given up."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A reindex."""

    id: str
    step: str
    source: str
    target: str
    changes: str
    progress: str
    started: str
    error: str


@dataclass(frozen=True, slots=True)
class AdminView:
    """What the admin tab shows."""

    states: tuple[Tile, ...]
    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    warning: str
    pauses: tuple[PauseView, ...]
    causes: tuple[CauseView, ...]
    runs: tuple[RunView, ...]


def admin_view(status: IngestionStatus, runs: Sequence[ReindexRun]) -> AdminView:
    """The view of a status and of the reindex runs, the newest first."""
    from vidsearch_tasks.overview import duration

    videos = status.videos
    problems = [*status.problems, *([str(status.error)] if status.error else [])]
    bad = {str(state) for state in GIVEN_UP}
    return AdminView(
        states=tuple(
            Tile(name, f"{number:,}", bad=name in bad and number > 0)
            for name, number in videos.states.items()
        ),
        facts=tuple(_facts(status)),
        problems=tuple(map(without_folders, problems)),
        warning=status.warning or "",
        pauses=tuple(
            PauseView(
                pause.key,
                pause.tries,
                f"{duration(videos.at - pause.since)} ago",
                f"in {duration(pause.until - videos.at)}",
                _told(str(pause.error)),
            )
            for pause in status.pauses
        ),
        causes=tuple(
            CauseView(
                group.type,
                group.videos,
                ", ".join(f"{number} {state}" for state, number in group.states.items()),
                group.id,
                _told(group.error.message),
                any(group.states.get(str(state)) for state in GIVEN_UP),
            )
            for group in videos.errors
        ),
        runs=tuple(map(_run, runs[:_RUNS])),
    )


def _facts(status: IngestionStatus) -> Iterator[tuple[str, str]]:
    from vidsearch_tasks.overview import duration, rate

    videos, broker = status.videos, status.broker
    yield "Can be searched", f"{status.searchable:,} in {status.index}"
    if status.lacking is not None:
        yield "Wait for vectors", f"{status.lacking:,} documents of your index"
    waiting = f"{videos.waiting:,}"
    if videos.oldest:
        waiting += f", the oldest for {duration(videos.oldest.seconds)} ({videos.oldest.id})"
    if videos.later:
        waiting += f", {videos.later:,} are tried again later"
    yield "Waiting", waiting
    told = f"{rate(videos.per_minute)} a minute"
    if videos.unfinished and videos.eta_seconds:
        told += f", all done in about {duration(videos.eta_seconds)}"
    yield "Rate", told
    finished = [f"{n:,} in {duration(s)}" for s, n in videos.finished.items()]
    yield "Finished", ", ".join(finished)
    yield "Expired leases", f"{videos.leases.expired:,}, {videos.leases.overdue:,} overdue"
    for long in status.long_videos:
        yield f"Slices of {long.id}", f"{long.done} of {long.slices}"
    queued = "the broker does not answer" if broker is None else f"{broker.queued:,}"
    yield f"Messages in {status.queue}", queued
    yield "Workers", f"{len(status.serving)}" if broker else "not known"
    sweep = status.last_sweep
    yield "Last sweep", f"{duration(videos.at - sweep.at)} ago" if sweep else "never"


def _run(run: ReindexRun) -> RunView:
    changes = ", ".join(
        name if value is True else f"{name} {value}" for name, value in run.changes.items()
    )
    return RunView(
        id=run.id,
        step=str(run.step).replace("_", " "),
        source=run.source,
        target=run.target,
        changes=without_folders(changes),
        progress=f"{run.done:,} of {run.total:,}" if run.is_open else f"{run.total:,}",
        started=f"{datetime.fromtimestamp(run.started_at, tz=timezone.utc):%Y-%m-%d %H:%M} UTC",
        error=_told(str(run.error)) if run.error else "",
    )


def _told(text: str) -> str:
    text = without_folders(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
