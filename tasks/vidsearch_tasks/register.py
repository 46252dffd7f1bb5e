"""What an application calls when it has new videos."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vidsearch.batches import in_batches
from vidsearch.errors import BackendUnavailableError
from vidsearch_mappings.registry import PRIORITIES, Priority
from vidsearch_tasks.celery_app import EMBED_SLICE, FILL, INGEST, bulk_queue
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.sending import send_ids
from vidsearch_tasks.services import Services
from vidsearch_tasks.shown_fields import (
    index_to_write,
    is_to_write,
    own_change,
    with_fields_written,
)

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.index import VideosIndex
    from vidsearch.registry import NewVideo, Registration, Registry, VideoRecord

__all__ = [
    "enqueue",
    "enqueue_fills",
    "enqueue_many",
    "enqueue_slices",
    "register_video",
    "register_videos",
    "request_fills",
    "send_messages",
    "stream_registrations",
]

_BROKER_PAUSE = 30.0
"""Seconds for which a broker that did not answer is left alone."""


def register_video(
    id: str,
    *,
    uri: str,
    fields: Mapping[str, Any] | None = None,
    routing: str | None = None,
    priority: Priority = "interactive",
    services: Services | None = None,
) -> VideoRecord:
    """Register a video and have a worker ingest it. Safe to repeat.

    A video that searches show and that is registered with other fields gets them at once, in this
    process: its file is not read. Where another file is registered, they come with its vectors.

    Args:
        id: the application's own id of the video; the document gets the same.
        uri: a path, ``file://``, ``http://``, ``https://``, ``s3://``, ``gs://`` or ``az://``, as
            the workers can reach it.
        fields: of the document, beside the vidsearch object: title, tags, …. ``None`` leaves those
            that it has, as ``update_fields`` may have changed them; ``{}`` takes them away. Not in
            an attached index, whose documents are the application's own: a video that is there is
            refused with fields, and a new one fails.
        routing: of the application's document, in an attached index.
        priority: an ``interactive`` video is next, whatever number of ``bulk`` ones waits.
        services: what to work with; by default those of this process.

    Returns:
        The record: ``queued`` where a message was sent; else as it stands, for instance
        ``indexed`` where the same uri and fields are. ``registered`` where the sweep will send the
        message: as many of its priority wait as ``ingest.max_queued`` allows, or a retry is due
        later.

    Raises:
        RegistryError: an id, uri or field that cannot be stored, or fields in an attached index.
        DocumentRejectedError: the index does not take a changed field of a video that searches
            show, or would change its number; its document has the fields that it had.
        BackendUnavailableError: the engine or the broker does not answer; the message says which.
            Where it is the broker, the video is registered, and the sweep will queue it. Where it
            is the engine, it is not known whether the video was registered: an engine that timed
            out may have written it. Call again, which does no harm; else the sweep queues the
            video if it was registered.
    """
    from vidsearch.ingest import write_fields
    from vidsearch.registry.queueing import is_unsent

    services = services or current_services()
    record = services.registry.register(
        id, uri=uri, fields=fields, routing=routing, priority=priority
    )
    own, problem = own_change(record, {"fields": fields}), None
    index = index_to_write(services, record) if is_to_write(record, own) else None
    if index is not None:
        (written,) = write_fields(services.registry, index, [id], own={id: own})
        problem = written.error
        record = written.record or services.registry.get(id)
    if is_unsent(record):
        record = _enqueued_one(record, services, services.app)
    if problem:
        raise problem
    return record


def register_videos(
    videos: Iterable[NewVideo | Mapping[str, Any]],
    *,
    priority: Priority = "bulk",
    services: Services | None = None,
) -> list[Registration]:
    """Register many videos and have workers ingest them. Safe to repeat.

    As :func:`register_video` for each, but with three requests to the engine and one connection
    to the broker per 500 videos. A video that cannot be registered does not stop the others.

    Args:
        videos: each a ``NewVideo`` or a dict of ``id``, ``uri``, ``fields``, ``defaults``,
            ``routing`` and ``priority``; each id once, or repeated with the same values.
        priority: of those without one of their own; ``interactive`` videos go first.
        services: what to work with; by default those of this process.

    Returns:
        One for each video, in their order. ``record`` is the record as it stands, ``None`` where
        the video was not registered. ``error`` says why it was not registered (``RegistryError``,
        ``BackendError``), or that it is registered but not queued (``BackendUnavailableError``):
        the broker does not answer, and the sweep will queue it.

    Raises:
        BackendUnavailableError: the engine does not answer; some videos may be registered. Call
            again; else the sweep queues those that were registered.
    """
    return list(stream_registrations(videos, priority=priority, services=services))


def stream_registrations(
    videos: Iterable[NewVideo | Mapping[str, Any]],
    *,
    priority: Priority = "bulk",
    services: Services | None = None,
) -> Iterator[Registration]:
    """As :func:`register_videos`, for more videos than fit into memory: 500 at a time.

    The messages for a batch are sent before the next one is read. Nothing is done until the result
    is iterated over. An id that comes again in a later batch is registered again. While the broker
    is away, it is tried again every 30 seconds, not for every batch.
    """
    services = services or current_services()
    away: BackendUnavailableError | None = None
    until = 0.0
    for batch in in_batches(videos):
        problem = away if time.monotonic() < until else None
        done, away = _enqueued(
            with_fields_written(
                batch, services.registry.register_many(batch, priority=priority), services
            ),
            services,
            services.app,
            problem,
        )
        if away and not problem:
            until = time.monotonic() + _BROKER_PAUSE
        yield from done


def enqueue_many(
    registrations: Sequence[Registration],
    *,
    services: Services | None = None,
    app: Celery | None = None,
) -> list[Registration]:
    """As :func:`enqueue`, for those of a batch that are ``registered``; the others stay as given,
    and so do those whose message the sweep will send.

    One connection to the broker, and one request to the engine.

    Returns:
        One for each, in their order. ``error`` says which of them were not queued.
    """
    services = services or current_services()
    return _enqueued(registrations, services, app or services.app)[0]


def _enqueued(
    registrations: Sequence[Registration],
    services: Services,
    app: Celery,
    problem: BackendUnavailableError | None = None,
) -> tuple[list[Registration], BackendUnavailableError | None]:
    """As :func:`enqueue_many`, and why the broker did not take all messages.

    ``problem`` is why it is not to be asked.
    """
    from vidsearch.registry.queueing import is_unsent

    waiting = {one.id: one for one in registrations if one.record and is_unsent(one.record)}
    if not waiting:
        return list(registrations), problem
    sent: Collection[str] = ()
    if problem is None:
        records = [one.record for one in waiting.values() if one.record]
        sent, problem = send_messages(INGEST, records, services=services, app=app)
    noted = services.registry.mark_many_queued([waiting[id] for id in sent])
    if problem is None and len(sent) < len(waiting):
        noted += services.registry.defer([id for id in waiting if id not in sent])
    after: dict[str, Registration] = {}
    for one in noted:
        before = waiting[one.id]
        # Where only the marking failed, the video is registered and its message was sent.
        marked = one if one.record else replace(before, error=one.error)
        after[one.id] = replace(marked, changed=before.changed)
    if problem:
        for id in waiting.keys() - after.keys():
            after[id] = replace(waiting[id], error=_not_queued(id, problem))
    ends = [after.get(one.id, one) for one in registrations]
    return [
        replace(end, error=one.error or end.error)
        for one, end in zip(registrations, ends, strict=True)
    ], problem


def enqueue(id: str, *, services: Services | None = None, app: Celery | None = None) -> VideoRecord:
    """Send the message for a registered video and mark it queued.

    Where as many messages wait as ``ingest.max_queued`` allows, the sweep will send it.

    Args:
        id: of the video.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.

    Raises:
        BackendUnavailableError: the broker is away; the video stays ``registered``, and the sweep
            will queue it.
    """
    services = services or current_services()
    return _enqueued_one(services.registry.get(id), services, app or services.app)


def _enqueued_one(record: VideoRecord, services: Services, app: Celery) -> VideoRecord:
    sent, problem = send_messages(INGEST, [record], services=services, app=app)
    if problem:
        raise _not_queued(record.id, problem) from problem
    if sent:
        return services.registry.mark_queued(record.id, due_at=record.due_at)
    return services.registry.defer([record.id])[0].require()


def enqueue_slices(ids: Sequence[str], *, services: Services, app: Celery) -> None:
    """Send the messages for slices on the board and mark them queued.

    Raises:
        BackendUnavailableError: the broker is away; the sweep will queue the rest.
    """
    _enqueue_entries(EMBED_SLICE, services.board.entries, ids, services=services, app=app)


def enqueue_fills(ids: Sequence[str], *, services: Services, app: Celery) -> None:
    """As :func:`enqueue_slices`, for the documents that a reindex has workers make."""
    _enqueue_entries(FILL, services.fills.entries, ids, services=services, app=app)


def request_fills(
    records: Sequence[VideoRecord],
    target: VideosIndex,
    *,
    services: Services | None = None,
    app: Celery | None = None,
) -> int:
    """Have workers make the documents of videos in an index, from their frames.

    Safe to repeat: what is on its way already, or was given up, is not asked for again.

    Args:
        records: of the videos.
        target: the index.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.

    Returns:
        Number of documents that were asked for now. Where the broker is away, the sweep sends their
        messages.
    """
    services = services or current_services()
    ids = services.fills.add(records, target)
    if ids:
        with suppress(BackendUnavailableError):
            enqueue_fills(ids, services=services, app=app or services.app)
    return len(ids)


def _enqueue_entries(
    task: str, entries: Registry, ids: Sequence[str], *, services: Services, app: Celery
) -> None:
    from vidsearch.registry import Registration

    found = entries.stored_many(ids)
    records = [one.record for one in found.values()]
    sent, problem = send_messages(task, records, services=services, app=app)
    entries.mark_many_queued(Registration(id, found[id]) for id in sent)
    if problem:
        raise problem
    entries.defer([id for id in found if id not in sent])


def send_messages(
    task: str, records: Sequence[VideoRecord], *, services: Services, app: Celery
) -> tuple[Collection[str], BackendUnavailableError | None]:
    """Put messages for videos or slices into the queues of their priorities, as long as there is
    room: for ``interactive`` ones whatever number of ``bulk`` ones waits. See
    ``vidsearch.registry.queueing`` for those of which a worker was lost.

    Returns:
        The ids of those that the broker took, and why it did not take the others: ``None`` where
        there was no room.
    """
    from vidsearch.registry.queueing import queue_priority

    broker = services.settings.broker
    queues = dict(zip(PRIORITIES, (broker.queue, bulk_queue(broker.queue)), strict=True))
    done: dict[str, None] = {}
    for priority, queue in queues.items():
        ids = [record.id for record in records if queue_priority(record) == priority]
        if ids:
            sent, problem = send_ids(
                app,
                task,
                ids,
                queue=queue,
                timeout=broker.timeout,
                max_queued=services.settings.ingest.max_queued,
                counted=[queue] if priority == "interactive" else [*queues.values()],
            )
            done |= dict.fromkeys(sent)
            if problem:
                return done, problem
    return done, None


def _not_queued(id: str, problem: BackendUnavailableError) -> BackendUnavailableError:
    error = BackendUnavailableError(
        f"video {id!r} is registered but not queued, the sweep will queue it later: {problem}"
    )
    error.__cause__ = problem
    return error
