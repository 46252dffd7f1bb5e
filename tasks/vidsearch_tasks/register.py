"""What an application calls when it has a new video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidsearch.errors import BackendUnavailableError
from vidsearch_tasks.broker import send_ingest
from vidsearch_tasks.services import Services, current_services

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.registry import VideoRecord

__all__ = ["enqueue", "register_video"]


def register_video(
    id: str,
    *,
    uri: str,
    fields: Mapping[str, Any] | None = None,
    routing: str | None = None,
    services: Services | None = None,
) -> VideoRecord:
    """Register a video and have a worker ingest it. Safe to repeat.

    Args:
        id: the application's own id of the video; the document gets the same.
        uri: path, ``file://``, ``http://`` or ``https://``, as the workers can reach it.
        fields: of the document, beside our own object: title, tags, …. None in an attached
            index, whose documents are the application's own.
        routing: of the application's document, in an attached index.
        services: what to work with; by default those of this process.

    Returns:
        The record: ``queued`` where a message was sent; else as it stands, for instance
        ``indexed`` where the same uri and fields are.

    Raises:
        RegistryError: an id, uri or field that cannot be stored.
        BackendUnavailableError: the engine is away, and nothing was registered; or the broker is,
            and the video is registered and will be queued by the sweep. The message says which.
    """
    from vidsearch.registry import State

    services = services or current_services()
    record = services.registry.register(id, uri=uri, fields=fields, routing=routing)
    return enqueue(id, services=services) if record.state is State.REGISTERED else record


def enqueue(id: str, *, services: Services | None = None, app: Celery | None = None) -> VideoRecord:
    """Send the message for a registered video and mark it queued.

    Args:
        id: of the video.
        services: what to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``services``.

    Raises:
        BackendUnavailableError: the broker is away; the video stays ``registered``, and the sweep
            will queue it.
    """
    services = services or current_services()
    try:
        send_ingest(app or services.app, id, queue=services.settings.broker.queue)
    except BackendUnavailableError as error:
        raise BackendUnavailableError(
            f"video {id!r} is registered but not queued, the sweep will queue it later: {error}"
        ) from error
    return services.registry.mark_queued(id)
