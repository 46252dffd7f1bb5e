"""Changed fields of a registration go into the documents that searches show at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from vidsearch.errors import IndexNotFoundError, MappingConflictError
from vidsearch_mappings.registry import WAITING
from vidsearch_tasks.services import Services

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch.registry import FieldChange, NewVideo, Registration, VideoRecord

__all__ = ["index_to_write", "is_to_write", "own_change", "with_fields_written"]


def with_fields_written(
    videos: Sequence[NewVideo | Mapping[str, Any]],
    registrations: Sequence[Registration],
    services: Services,
) -> list[Registration]:
    """Changed fields go into the documents that searches show at once."""
    from vidsearch.ingest import lack_fields, write_fields

    changed = {
        one.id: own
        for video, one in zip(videos, registrations, strict=True)
        if one.record and (one.changed or lack_fields(one.record))
        for own in [own_change(one.record, video)]
        if is_to_write(one.record, own)
    }
    if not changed:
        return list(registrations)
    try:
        index = services.open_index()
    except (IndexNotFoundError, MappingConflictError) as error:
        # A worker writes the fields of those that wait, and no other is to wait for them.
        return [
            replace(one, error=error)
            if one.id in changed and one.record and lack_fields(one.record)
            else one
            for one in registrations
        ]
    after = write_fields(services.registry, index, list(changed), own=changed)
    written = {one.id: one for one in after}
    # What is refused is a registered video all the same, which a worker may have to embed.
    refused = [one.id for one in after if one.error and not one.record]
    stored = services.registry.stored_many(refused) if refused else {}
    ends = [written.get(one.id, one) for one in registrations]
    return [
        replace(end, stored=end.stored or stored.get(end.id))
        if end.error
        else replace(end, changed=end.changed or one.changed)
        for one, end in zip(registrations, ends, strict=True)
    ]


def index_to_write(services: Services, record: VideoRecord) -> VideosIndex | None:
    """What fields go into; ``None`` where it cannot be opened and the video waits for a worker
    anyway."""
    from vidsearch.ingest import lack_fields

    try:
        return services.open_index()
    except (IndexNotFoundError, MappingConflictError):
        if lack_fields(record):
            raise
        return None


def own_change(record: VideoRecord, video: NewVideo | Mapping[str, Any]) -> FieldChange:
    """What a registration has changed of the fields in the record that it returned."""
    from vidsearch.registry import FieldChange

    given = video.get if isinstance(video, Mapping) else partial(getattr, video)
    fields, defaults = given("fields", None), given("defaults", None)
    if fields is None:
        return FieldChange({})
    if defaults is None:
        return FieldChange(record.fields, removed=None, uri=record.uri)
    return FieldChange({name: record.fields[name] for name in fields}, uri=record.uri)


def is_to_write(record: VideoRecord, own: FieldChange) -> bool:
    """Whether the document that searches show may lack what was registered: also of a video that
    waits, perhaps for days, or failed the last time."""
    from vidsearch.ingest import lack_fields

    is_shown = record.indexed_at is not None and record.state in WAITING
    return lack_fields(record) or (is_shown and own.uri is not None)
