"""The looks at the engine that a status is made of; each is independent of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
)
from vidsearch_tasks.reindexing import run_store

if TYPE_CHECKING:
    from vidsearch.errors import BackendError
    from vidsearch.index import VideosIndex
    from vidsearch.ingest.board import Board
    from vidsearch.registry import Pause, RegistrySummary, SweepNote
    from vidsearch.reindex import ReindexRun
    from vidsearch_tasks.services import Services

__all__ = [
    "IndexLook",
    "Notes",
    "look_at_index",
    "read_notes",
    "summary_of",
    "summary_of_board",
    "write_block",
]


@dataclass(frozen=True, slots=True)
class IndexLook:
    """What the videos index says."""

    index: VideosIndex
    searchable: int
    """Number of its documents."""
    lacking: int | None
    """Number of documents of an attached index that have a video's URI and no vector of it."""
    blocks: Mapping[str, str]
    """See :func:`write_block`."""
    error: BackendError | None
    """That documents have lost their vectors."""


def look_at_index(services: Services) -> IndexLook:
    """The videos index as it is now, every earlier write included."""
    from vidsearch.index import require_vectors

    engine, index = services.engine, services.open_index(replacement=True)
    engine.refresh(index.name)
    error: BackendError | None = None
    try:
        engine.run(require_vectors(engine.calls, index.name, index.field, all_of_them=True))
    except (BackendUnavailableError, MappingConflictError) as lost:
        error = lost
    return IndexLook(
        index=index,
        searchable=index.count(),
        lacking=_lacking(index) if index.attached else None,
        blocks=write_block(services, index.name),
        error=error,
    )


def _lacking(index: VideosIndex) -> int:
    from vidsearch.ingest import count_waiting

    return count_waiting(index)


@dataclass(frozen=True, slots=True)
class Notes:
    """What workers and reindexes have left behind."""

    last_sweep: SweepNote | None
    pauses: Sequence[Pause]
    run: ReindexRun | None
    """The reindex that is open."""
    fills: RegistrySummary | None
    """Of the documents that it has workers make."""


def read_notes(services: Services) -> Notes:
    """The notes of the index of operations."""
    operations, run = services.operations, run_store(services).open()
    by_workers = run is not None and run.way != "copy"
    return Notes(
        last_sweep=operations.last_sweep(),
        pauses=operations.pauses(),
        run=run,
        fills=summary_of_board(services, services.fills) if by_workers else None,
    )


def summary_of(services: Services, index: str) -> RegistrySummary:
    """The numbers of a registry."""
    from vidsearch.registry import summarize

    ingest = services.settings.ingest
    return summarize(
        services.engine,
        index,
        lease_seconds=ingest.lease_seconds,
        overdue_after=ingest.lease_seconds + 2 * ingest.sweep_seconds,
        clock=services.clock,
    )


def summary_of_board(services: Services, board: Board) -> RegistrySummary | None:
    """The numbers of a board; ``None`` where nothing was ever on it."""
    try:
        return summary_of(services, board.entries.index)
    except IndexNotFoundError:
        return None


def write_block(services: Services, index: str) -> dict[str, str]:
    """By the index, a setting that forbids writing to it; empty where there is none."""
    from vidsearch.index import write_blocks

    blocks: list[str] = []
    with suppress(BackendAccessDeniedError):  # no right to read settings
        blocks = write_blocks(services.engine, index)
    return {index: blocks[0]} if blocks else {}
