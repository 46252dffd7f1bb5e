"""What an application calls when it has a new video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidsearch.errors import BackendUnavailable
from vidsearch_tasks.broker import send_ingest
from vidsearch_tasks.parts import Runtime, runtime

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.ingest import VideoRecord

__all__ = ["enqueue", "register_video"]


def register_video(
    id: str,
    *,
    uri: str,
    fields: Mapping[str, Any] | None = None,
    routing: str | None = None,
    using: Runtime | None = None,
) -> VideoRecord:
    """Register a video and have a worker ingest it. Safe to repeat.

    Args:
        id: the application's own id of the video; the document gets the same.
        uri: path, ``file://``, ``http://`` or ``https://``, as the workers can reach it.
        fields: of the document, beside our own object: title, tags, …. None in an attached
            index, whose documents are the application's own.
        routing: of the application's document, in an attached index.
        using: the parts to work with; by default those of this process.

    Returns:
        The record: ``queued`` where a message was sent; else as it stands, for instance
        ``indexed`` where the same uri and fields are.

    Raises:
        RegistryError: an id, uri or field that cannot be stored.
        BackendUnavailable: the engine is away, and nothing was registered; or the broker is, and
            the video is registered and will be queued by the sweep. The message says which.
    """
    from vidsearch.ingest import State

    parts = using or runtime()
    record = parts.registry.register(id, uri=uri, fields=fields, routing=routing)
    return enqueue(id, using=parts) if record.state is State.REGISTERED else record


def enqueue(id: str, *, using: Runtime | None = None, app: Celery | None = None) -> VideoRecord:
    """Send the message for a registered video and mark it queued.

    Args:
        id: of the video.
        using: the parts to work with; by default those of this process.
        app: the Celery app to send with; by default that of ``using``.

    Raises:
        BackendUnavailable: the broker is away; the video stays ``registered``, and the sweep will
            queue it.
    """
    parts = using or runtime()
    try:
        send_ingest(app or parts.app, id, queue=parts.settings.broker.queue)
    except BackendUnavailable as error:
        raise BackendUnavailable(
            f"video {id!r} is registered but not queued, the sweep will queue it later: {error}"
        ) from error
    return parts.registry.mark_queued(id)
