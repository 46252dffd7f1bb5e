"""The periodic work, which the tasks and the command line share: the sweep and the scan."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from socket import gethostname
from typing import TYPE_CHECKING, Any, Literal

from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    BackendUnavailableError,
    VidsearchError,
)
from vidsearch.metrics import measured_sweep
from vidsearch.once import build_once
from vidsearch_mappings.registry import PRIORITIES, Priority
from vidsearch_tasks.broker import messages_of, queue_depths
from vidsearch_tasks.celery_app import EMBED_SLICE, FILL, INGEST
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.register import enqueue, enqueue_fills, enqueue_many, send_messages
from vidsearch_tasks.services import Services
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.index import VideosIndex
    from vidsearch.ingest import Finding
    from vidsearch.registry import Registry, SweepReport

__all__ = ["run_due_scan", "run_due_sweep", "run_quick_scan", "run_scan", "run_sweep"]

_log = logging.getLogger(__name__)
_HELD_SECONDS = 60.0
"""For which a worker may hold a message before it begins, at least."""
_LOOK_SECONDS = 60.0
"""After which workers compare all messages with the queued videos, whatever their numbers say."""


def run_due_sweep(
    *, by: str, services: Services | None = None, app: Celery | None = None
) -> SweepReport | None:
    """As :func:`run_sweep`, unless another worker has swept in the last ``ingest.sweep_seconds``.

    Workers come by as often as that. A sweep that is half as old is left to stand, so that one is
    not skipped for a split second.
    """
    services = services or current_services()
    if not services.engine.indices_of(services.settings.index.registry):
        return None
    every = services.settings.ingest.sweep_seconds / 2
    try:
        claimed = services.operations.claim("sweep", every=every, by=by)
    except BackendAccessDeniedError as error:  # it may not make the index of operations
        _log.warning("sweep: the last one is not known: %s", error)
        claimed = True
    if not claimed:
        return None
    _let_renew(services)
    return run_sweep(by=by, services=services, app=app)


def _let_renew(services: Services) -> None:
    """Wait for the leases of workers that are well, which could not renew them in an outage.

    Else this would take the videos from them, with what they have embedded and an attempt. Without
    a sweep for so long, either the engine or the broker was away, or all workers were busy.
    """
    from vidsearch.registry.lease_keeper import RENEW_AGAIN_SECONDS

    ingest = services.settings.ingest
    with suppress(BackendAccessDeniedError):
        last = services.operations.last_sweep()
        usual = max(ingest.lease_seconds / 2, 2 * ingest.sweep_seconds)
        if last is not None and services.clock() - last.at > usual:
            STOP.pause(2 * RENEW_AGAIN_SECONDS)


@measured_sweep
def run_sweep(
    *, by: str | None = None, services: Services | None = None, app: Celery | None = None
) -> SweepReport:
    """Requeue what was lost and send what is due; see ``vidsearch.registry.sweep``.

    Slices of long videos too, and documents that a reindex has workers make. Where all slices of
    one of these have ended, and nobody goes on with it, it is requeued as well.

    Args:
        by: who does it, for the note of the last sweep; by default the name of this machine.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
    """
    from vidsearch.ingest import recover_ended, remove_document
    from vidsearch.registry import sweep

    services = services or current_services()
    sender, began = app or services.app, time.monotonic()
    backlog = _Backlog(services, sender, by=by)
    slices = _swept_slices(services, sender, backlog)
    queued = len(slices.requeued) + len(slices.sent)
    # In a large import, thousands of long videos wait for their slices, which are all looked at.
    every = services.settings.ingest.lease_seconds / 4
    looks = services.board.exists and _is_due("ended", services, every=every, by=by)
    fills = _swept_fills(services, sender, backlog, sent=queued, looks=looks)
    filling = len(fills.requeued) + len(fills.sent)
    videos = sweep(
        services.registry,
        send=partial(send_messages, INGEST, services=services, app=sender),
        lost=backlog.lost,
        clean=lambda id: remove_document(services.registry, services.open_index(), id),
        room=backlog.room(sent=queued + filling),
        recovered=recover_ended(services.registry, services.board) if looks else (),
    )
    problem = videos.problem or slices.problem or fills.problem or backlog.problem
    report = replace(videos, slices=queued, fills=filling, problem=problem)
    with suppress(VidsearchError):  # the work is done
        services.operations.note_sweep(
            by=by or gethostname(), seconds=time.monotonic() - began, report=report.counts()
        )
        services.operations.forget_pauses()
    return report


def _swept_slices(services: Services, app: Celery, backlog: _Backlog) -> SweepReport:
    """The sweep of the board; the video, or the fill, of a slice that is dead is told of it."""
    from vidsearch.ingest import Slice
    from vidsearch.registry import SweepReport, sweep

    board = services.board
    if not board.exists:
        return SweepReport()
    report = sweep(
        board.entries,
        send=partial(send_messages, EMBED_SLICE, services=services, app=app),
        lost=backlog.lost,
        clean=board.entries.purge,
        room=backlog.room(),
    )
    _purge(board.entries, report)
    for id in report.dead:
        with suppress(VidsearchError):  # its own lease runs out as well
            part = Slice.of(board.entries.get(id))
            if part.fill is not None:
                enqueue_fills([part.fill.id], services=services, app=app)
            else:
                enqueue(part.video_id, services=services, app=app)
    return report


def _swept_fills(
    services: Services, app: Celery, backlog: _Backlog, *, sent: int, looks: bool
) -> SweepReport:
    """The sweep of the documents that a reindex has workers make; ``sent`` messages were sent.

    ``looks``: also for those whose slices have ended.
    """
    from vidsearch.ingest import Slice, recover_ended
    from vidsearch.registry import SweepReport, sweep

    board, slices = services.fills, services.board
    if not board.exists:
        return SweepReport()
    recovered: tuple[str, ...] = ()
    if looks:
        recovered = recover_ended(board.entries, slices, slices_of=Slice.of_fill)
    report = sweep(
        board.entries,
        send=partial(send_messages, FILL, services=services, app=app),
        lost=backlog.lost,
        clean=board.entries.purge,
        room=backlog.room(sent=sent),
        recovered=recovered,
    )
    _purge(board.entries, report)
    return report


def _purge(entries: Registry, report: SweepReport) -> None:
    """Drop entries whose lease ran out, which nothing drops before they are recovered."""
    try:
        entries.purge_many(report.cleaned)
    except BackendError as error:  # it must not keep the others waiting
        _log.warning("sweep: %d deleted entries stay: %s", len(report.cleaned), error)


def _is_due(
    work: Literal["ended", "look"], services: Services, *, every: float, by: str | None
) -> bool:
    """Whether a sweep is to do what not each one does; always where somebody has asked for it."""
    if by is None:
        return True
    with suppress(VidsearchError):
        return services.operations.claim(work, every=every, by=by)
    return False


class _Backlog:
    """What a sweep has to know of the messages that wait."""

    def __init__(self, services: Services, app: Celery, *, by: str | None) -> None:
        """``by``: the worker that sweeps; ``None`` where somebody has asked for this sweep."""
        self._services = services
        self._app = app
        self._by = by
        self._queue = services.settings.broker.queue
        self._assumed = 0
        self.problem: str | None = None
        """Why the broker cannot be asked."""

    def room(self, *, sent: int = 0) -> dict[Priority, int]:
        """Number of messages that may be sent by priority, after this sweep has sent some; none
        where the broker is away.

        Bulk ones take no room from the others, which would wait for a whole import.
        """
        depths, depth = self._depths, self._depth
        if depths is None or depth is None:
            return dict.fromkeys(PRIORITIES, 0)
        left = self._services.settings.ingest.max_queued - sent
        return {"interactive": left - depths["interactive"], "bulk": left - depth}

    @property
    def lost(self) -> Callable[[Sequence[str]], Collection[str]] | None:
        """Finds those of some queued videos or slices that have no message; ``None`` where as many
        messages wait as are queued, however long.

        Some of them may be for videos that were deleted or are done since, and hide as many that
        are lost: so they are looked through once in a while.
        """
        if self._depth is None or not self._queued:
            return None
        if self._queued > self._depth or (self._is_to_look and self._with_message is not None):
            return self._lost
        return None

    def _lost(self, ids: Sequence[str]) -> Collection[str]:
        # Where the broker does not let its queues be read, as many count as lost as there are
        # fewer messages than queued videos and slices.
        if self._with_message is not None:
            return [id for id in ids if id not in self._with_message]
        found = ids[: self._queued - (self._depth or 0) - self._assumed]
        self._assumed += len(found)
        return found

    @property
    def _depth(self) -> int | None:
        return None if self._depths is None else sum(self._depths.values())

    @build_once
    def _depths(self) -> dict[Priority, int] | None:
        try:
            return queue_depths(self._app, queue=self._queue)
        except BackendUnavailableError as error:
            _log.warning("sweep: %s", error)
            self.problem = str(error)
            return None

    @build_once
    def _queued(self) -> int:
        from vidsearch.registry import State

        boards = (self._services.board, self._services.fills)
        registries = [self._services.registry, *(one.entries for one in boards if one.exists)]
        return sum(each.counts()[State.QUEUED] for each in registries)

    @build_once
    def _is_to_look(self) -> bool:
        return _is_due("look", self._services, every=_LOOK_SECONDS, by=self._by)

    @build_once
    def _with_message(self) -> frozenset[str] | None:
        held = max(self._services.settings.ingest.lease_seconds, _HELD_SECONDS)
        try:
            return messages_of(self._app, queue=self._queue, held_seconds=held)
        except BackendUnavailableError as error:  # or this user may count messages only
            _log.warning("sweep: what waits in the broker cannot be read: %s", error)
            return None


def run_scan(
    *,
    services: Services | None = None,
    app: Celery | None = None,
    quick: bool = False,
    everything: bool = False,
    retry: bool = False,
    dry_run: bool = False,
    limit: int | None = None,
) -> Iterator[Finding]:
    """Enqueue what an attached index lacks, in batches; see ``vidsearch.ingest.scan_index``.

    An index that took the place of an attached one is attached first, but for a dry run.

    Args:
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.
        quick, everything, retry, dry_run, limit: as for ``scan_index``.
    """
    services = services or current_services()
    index = services.open_index(replacement=True) if dry_run else _attached(services)
    options = {"everything": everything, "retry": retry, "dry_run": dry_run, "limit": limit}
    return _scan(services, index, app, quick=quick, **options)


def run_due_scan(
    *, by: str, services: Services | None = None, app: Celery | None = None
) -> dict[str, int]:
    """As :func:`run_quick_scan`, unless one was in the last ``ingest.scan_seconds``."""
    services = services or current_services()
    every = services.settings.ingest.scan_seconds
    if not every:
        return {}
    try:
        claimed = services.operations.claim("scan", every=every, by=by)
    except BackendAccessDeniedError:  # it may not make the index of operations; beat can scan
        return {}
    return run_quick_scan(services=services, app=app) if claimed else {}


def run_quick_scan(
    *, services: Services | None = None, app: Celery | None = None
) -> dict[str, int]:
    """The periodic scan: what was done, by action. Nothing in a managed index."""
    services = services or current_services()
    index = _attached(services)
    if not index.attached:
        return {}
    return dict(Counter(one.action for one in _scan(services, index, app, quick=True)))


def _attached(services: Services) -> VideosIndex:
    """The index, attached where it took the place of an attached one; the registry keeps how."""
    from vidsearch.index import open_or_attach
    from vidsearch.index.replacement import keep_attachment

    index = open_or_attach(services.engine, services.settings.index)
    if index.attached:
        with suppress(BackendAccessDeniedError):  # attached by a version that did not keep it
            keep_attachment(services.engine, services.settings.index, index.name)
    return index


def _scan(
    services: Services, index: VideosIndex, app: Celery | None, **options: Any
) -> Iterator[Finding]:
    from vidsearch.ingest import scan_index

    return scan_index(
        services.registry,
        index,
        enqueue=lambda batch: enqueue_many(batch, services=services, app=app),
        **options,
    )
