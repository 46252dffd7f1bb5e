"""How ingestion is doing as a whole, for commands, dashboards and the application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vidsearch.errors import BackendUnavailableError
from vidsearch_mappings.registry import IN_PROGRESS, State, to_stamp
from vidsearch_tasks.attempts import SETUP_PAUSE
from vidsearch_tasks.broker import BrokerState, broker_state
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.looks import (
    look_at_index,
    read_notes,
    summary_of,
    summary_of_board,
    write_block,
)
from vidsearch_tasks.services import Services

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.errors import BackendError
    from vidsearch.registry import Pause, RegistrySummary, SweepNote
    from vidsearch.reindex import ReindexRun

__all__ = ["IngestionStatus", "LongVideo", "ingestion_status"]

_ANSWER_SECONDS, _PATIENT_SECONDS = 0.5, 2.0
_AT_ONCE = 4
"""Number of looks beside that at the registry."""
_START_SECONDS = 5.0
"""For which a video may wait without a worker, as one may be starting."""
_PERIODS = 3
"""Sweeps that may be left out while no worker is at work."""
_BUSY_SECONDS = 1800.0
"""Without a sweep, while workers are at work: they sweep between two videos."""
_GONE_SECONDS = 120.0
"""After the end of a pause, for which a worker may be silent that was to go on."""
_START = "celery -A vidsearch_tasks worker"


@dataclass(frozen=True, slots=True)
class LongVideo:
    """A video that is being embedded in slices."""

    id: str
    done: int
    slices: int


@dataclass(frozen=True, slots=True)
class IngestionStatus:
    """How ingestion into one videos index is doing."""

    videos: RegistrySummary
    """The numbers of the registry."""
    slices: Mapping[str, int]
    """Number of slices of long videos that are not done, by state."""
    fills: Mapping[str, int]
    """Number of documents that the open reindex has workers make, and that are not made yet."""
    long_videos: Sequence[LongVideo]
    """Some of them, the last changed first."""
    index: str
    searchable: int
    """Number of documents in the index."""
    lacking: int | None
    """Number of documents of an attached index that have a video's URI and no vector of it."""
    queue: str
    broker: BrokerState | None
    """``None`` where it does not answer."""
    serving: Sequence[str]
    """Names of the workers that take from the queue and write to the index."""
    last_sweep: SweepNote | None
    pauses: Sequence[Pause]
    reindex: ReindexRun | None
    """The reindex that is open."""
    problems: Sequence[str]
    """What needs a person, each with what to do."""
    error: BackendError | None
    """That the broker does not answer, or that documents have lost their vectors."""
    warning: str | None
    """That the index took the place of an attached one, and what attaches it."""

    @property
    def ok(self) -> bool:
        """Whether nothing needs a person."""
        return not self.problems and self.error is None

    def to_json(self) -> dict[str, Any]:
        """For people and their scripts."""
        videos, sweep = self.videos, self.last_sweep
        return {
            "states": dict(videos.states),
            "slices": dict(self.slices),
            "fills": dict(self.fills),
            "index": self.index,
            "searchable": self.searchable,
            "waiting_for_vectors": self.lacking,
            "queue": self.queue,
            "queued_messages": self.broker.queued if self.broker else None,
            "workers": list(self.serving) if self.broker else None,
            "waiting": {
                "total": videos.waiting,
                "ages": {str(age): number for age, number in videos.ages.items()},
                "oldest": asdict(videos.oldest) if videos.oldest else None,
                "later": videos.later,
            },
            "finished": {str(seconds): number for seconds, number in videos.finished.items()},
            "per_minute": round(videos.per_minute, 3),
            "eta_seconds": videos.eta_seconds,
            "leases": asdict(videos.leases),
            "last_sweep": {**asdict(sweep), "at": to_stamp(sweep.at)} if sweep else None,
            "pauses": [
                {
                    **asdict(pause),
                    "since": to_stamp(pause.since),
                    "until": to_stamp(pause.until),
                    "error": pause.error.to_source(),
                }
                for pause in self.pauses
            ],
            "reindex": self.reindex.to_json() if self.reindex else None,
            "errors": [
                {
                    "type": group.type,
                    "videos": group.videos,
                    "states": dict(group.states),
                    "last": {
                        "id": group.id,
                        "at": to_stamp(group.at),
                        "stage": group.error.stage,
                        "message": group.error.message,
                    },
                }
                for group in videos.errors
            ],
            "long_videos": [asdict(video) for video in self.long_videos],
            "problems": list(self.problems),
        }


def ingestion_status(*, services: Services | None = None) -> IngestionStatus:
    """The numbers of registry, queue and workers, and what needs a person.

    Args:
        services: what to work with; by default those of this process.

    Raises:
        BackendUnavailableError: the engine does not answer. A broker that does not answer is told
            in the result.
    """
    services = services or current_services()
    with ThreadPoolExecutor(_AT_ONCE) as at_once:
        # First, as the workers' answers are what takes longest.
        answer = at_once.submit(_ask_workers, services.settings)
        looked = at_once.submit(look_at_index, services)
        noted = at_once.submit(read_notes, services)
        sliced = at_once.submit(lambda: summary_of_board(services, services.board))
        registry = services.registry.index
        videos = summary_of(services, registry)
        blocks = write_block(services, registry)
        long_videos = list(_long_videos(services, videos.sliced))
        board = sliced.result()
        look, notes = looked.result(), noted.result()
        broker, error = _answered(answer)
    index, run = look.index, notes.run
    if run is None:  # else it blocks the writes by itself, for a moment
        blocks |= look.blocks
    pauses = [pause for pause in notes.pauses if _is_there(pause, broker, at=videos.at)]
    at_work = videos.leases.renewed or bool(board and board.leases.renewed)
    serving = _serving(broker, services.settings)
    problems = _problems(
        services.settings,
        videos,
        at_work=at_work,
        no_worker=broker is not None and not serving,
        last_sweep=notes.last_sweep,
        pauses=pauses,
        blocks=blocks,
        run=run,
    )
    return IngestionStatus(
        videos=videos,
        slices=_in_progress(board),
        fills=_in_progress(notes.fills),
        long_videos=long_videos,
        index=index.name,
        searchable=look.searchable,
        lacking=look.lacking,
        queue=services.settings.broker.queue,
        broker=broker,
        serving=serving,
        last_sweep=notes.last_sweep,
        pauses=pauses,
        reindex=run,
        problems=list(problems),
        error=error or look.error,
        warning=index.missing_object,
    )


def _in_progress(board: RegistrySummary | None) -> dict[str, int]:
    """Number of entries of a board that are not done, by state."""
    return {s: n for s, n in board.states.items() if s in IN_PROGRESS and n} if board else {}


def _long_videos(services: Services, ids: Sequence[str]) -> Iterator[LongVideo]:
    from vidsearch.ingest import Slice

    records = services.registry.find_many(ids) if ids else {}
    slices = {id: Slice.of_video(record) for id, record in records.items()}
    entries = services.board.of([one for parts in slices.values() for one in parts])
    missing = Counter(
        Slice.of(entry).video_id for entry in entries if entry.state is not State.INDEXED
    )
    for id, parts in slices.items():
        if parts:  # a slice without an entry was in the store already
            yield LongVideo(id, done=len(parts) - missing[id], slices=len(parts))


def _ask_workers(settings: Settings) -> BrokerState:
    """Workers answer at once, as a rule; where none does, they get more time."""
    state = broker_state(settings, timeout=_ANSWER_SECONDS)
    return state if _serving(state, settings) else broker_state(settings, timeout=_PATIENT_SECONDS)


def _answered(
    answer: Future[BrokerState],
) -> tuple[BrokerState | None, BackendError | None]:
    try:
        return answer.result(), None
    except BackendUnavailableError as error:
        return None, error


def _serving(broker: BrokerState | None, settings: Settings) -> list[str]:
    workers = broker.of_queue if broker else ()
    return [worker.name for worker in workers if worker.index == settings.index.name]


def _problems(
    settings: Settings,
    videos: RegistrySummary,
    *,
    at_work: bool,
    no_worker: bool,
    last_sweep: SweepNote | None,
    pauses: Sequence[Pause],
    blocks: Mapping[str, str],
    run: ReindexRun | None,
) -> Iterator[str]:
    waiting, period = _videos(videos.waiting), settings.ingest.sweep_seconds
    longest = videos.oldest.seconds if videos.oldest else 0.0
    if longest > _START_SECONDS and no_worker and not at_work:
        yield (
            f"{waiting} wait, and no worker answers that takes from the queue "
            f"{settings.broker.queue!r} and serves the index {settings.index.name!r}: start one "
            f"with these settings: {_START}"
        )
    patience = max(10 * period, _BUSY_SECONDS) if at_work else _PERIODS * period
    if longest > patience:
        silent = videos.at - last_sweep.at if last_sweep else None
        if silent is None or silent > patience:
            since = "was ever noted" if silent is None else f"for {duration(silent)}"
            yield (
                f"{waiting} wait, and no sweep {since}, which should be every {period:g} s: lost "
                f"messages are not sent again. Workers sweep between two videos: start one "
                f"({_START}), or sweep now with `vidsearch sweep`"
            )
    if number := videos.leases.overdue:
        ago = duration(videos.leases.overdue_seconds)
        yield (
            f"the workers of {_videos(number)} fell silent {ago} ago, and no sweep has taken them "
            "up: run `vidsearch sweep`, and look into the workers' logs for why theirs does not"
        )
    for index, block in blocks.items():
        yield (
            f"nothing can be written to {index!r}, as its setting {block} is true: workers wait. "
            "Set it to null; where the disk of a node was full, the engine has set it, and free "
            "space comes first"
        )
    for pause in pauses:
        if pause.key.startswith(SETUP_PAUSE):
            yield (
                f"{pause.by} takes no videos since {duration(videos.at - pause.since)}: "
                f"{pause.error}. Mend that; it tries again by itself"
            )
    goes_on = run is None or run.waits(videos.at) or (run.background and not run.is_at_rest)
    if run is not None and run.error is not None and not goes_on:
        yield (
            f"{run.called} stopped: {run.error}. `vidsearch reindex resume` goes on with it, "
            "`vidsearch reindex rollback` undoes it"
        )


def _is_there(pause: Pause, broker: BrokerState | None, *, at: float) -> bool:
    """Whether what is paused is still there: a worker may have been replaced by another one.

    One that waits does not answer in the pool `solo`; one that is gone neither answers nor has
    noted another pause since the last one ended.
    """
    if not pause.key.startswith(SETUP_PAUSE):
        return True
    answers = broker is None or any(worker.name == pause.by for worker in broker.workers)
    return answers or pause.until > at - _GONE_SECONDS


def _videos(number: int) -> str:
    return f"{number} video{'' if number == 1 else 's'}"


def rate(per_minute: float) -> str:
    """Videos per minute as people say it: ``0.25``, ``12.5``, ``1,234``."""
    return f"{per_minute:,.0f}" if per_minute >= 100 else f"{per_minute:.3g}"


def duration(seconds: float) -> str:
    """A time as people say it: ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
