"""What an application calls about a video that it has registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vidsearch.batches import in_batches
from vidsearch.errors import RegistryError, VidsearchError
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.register import enqueue, enqueue_many
from vidsearch_tasks.services import Services

if TYPE_CHECKING:
    from vidsearch.registry import VideoRecord

__all__ = ["delete_video", "retry_videos", "update_fields", "video_status"]


def video_status(id: str, *, services: Services | None = None) -> VideoRecord:
    """Where a video stands: its state, and the error of its last attempt if there was one.

    Args:
        id: of the video.
        services: what to work with; by default those of this process.

    Raises:
        VideoNotRegisteredError: it was never registered.
        BackendUnavailableError: the engine does not answer.
    """
    return (services or current_services()).registry.get(id)


def retry_videos(
    ids: Iterable[str], *, listed: bool = False, services: Services | None = None
) -> list[VideoRecord]:
    """Enqueue failed or dead videos again, and reset their attempts.

    Args:
        ids: of the videos.
        listed: whether the ids were listed before: those that are neither failed nor dead by now,
            as somebody else has retried, registered or deleted them, are left out.
        services: what to work with; by default those of this process.

    Returns:
        Their records, in the order of the ids.

    Raises:
        RegistryError: a video is neither failed nor dead, or was never registered. Those before it
            are enqueued, and maybe some after it.
        BackendUnavailableError: the engine or the broker does not answer; call again.
    """
    services = services or current_services()
    records: list[VideoRecord] = []
    for batch in in_batches(ids):
        again = enqueue_many(services.registry.retry_many(batch), services=services)
        records += [
            one.require() for one in again if not (listed and isinstance(one.error, RegistryError))
        ]
    return records


def delete_video(id: str, *, services: Services | None = None) -> VideoRecord:
    """Delete a video from the index; searches no longer find it. Safe to repeat.

    The registry keeps a tombstone, until ``vidsearch videos purge``. In an attached index only the
    object ``video`` is removed from your document.

    Args:
        id: of the video.
        services: what to work with; by default those of this process.

    Raises:
        VideoNotRegisteredError: it was never registered.
        VersionConflictError: its document keeps changing; call again.
        BackendUnavailableError: the engine does not answer; call again.
    """
    from vidsearch import ingest

    services = services or current_services()
    return ingest.delete_video(services.registry, services.open_index(), id)


def update_fields(
    id: str, fields: Mapping[str, Any], *, services: Services | None = None
) -> VideoRecord:
    """Change some of a video's fields. Its file is not read and nothing is embedded.

    The document that searches show is changed at once, also where a later attempt has failed. A
    video that waits for a worker gets the new fields with its vectors, too; one that a worker has
    begun with is begun again. Safe to repeat.

    Args:
        id: of the video.
        fields: new values by name; others stay as they are, and ``None`` removes a field.
        services: what to work with; by default those of this process.

    Returns:
        The record, with all its fields.

    Raises:
        RegistryError: a field that cannot be stored, or an attached index, whose documents your
            application writes; the message says which.
        VideoNotRegisteredError: it was never registered, or was deleted.
        DocumentRejectedError: the index does not take a value, or would change a number; record
            and document have none of these values. Fields that others have set are not told here.
        BackendUnavailableError: the engine or the broker does not answer; call again.
    """
    from vidsearch import ingest
    from vidsearch.registry.queueing import is_unsent

    services = services or current_services()
    try:
        record = ingest.update_fields(services.registry, services.open_index(), id, fields)
    except VidsearchError:
        # A worker that had begun with it has lost it, whatever became of the fields.
        with suppress(VidsearchError):
            if is_unsent(services.registry.get(id)):
                enqueue(id, services=services)
        raise
    return enqueue(id, services=services) if is_unsent(record) else record
