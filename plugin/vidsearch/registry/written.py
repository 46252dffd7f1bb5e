"""What a record notes of the documents of its video: transitions that leave its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.registry.field_change import FieldChange
from vidsearch.registry.known_file import can_be_made
from vidsearch.registry.transitions import set_fields
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["fields_taken_back", "fields_written", "filled"]


def fields_written(record: VideoRecord, now: float, *, fields: Mapping[str, Any]) -> VideoRecord:
    """The document of an indexed video has these fields; until then, the sweep sees to it.

    Where others were set meanwhile, whoever set them writes them.
    """
    if record.state is not State.INDEXED or record.due_at is None or record.fields != fields:
        return record
    return record.changed(due_at=None, updated_at=now)


def fields_taken_back(
    record: VideoRecord, now: float, *, change: FieldChange, kept: Mapping[str, Any]
) -> VideoRecord:
    """The index refused a change of fields, and the document has kept those that it had.

    What others have changed stays, and so it stays due where their fields are not written yet.
    """
    after = change.taken_back(record.fields, kept)
    if record.state is State.INDEXED and record.due_at is not None:
        due = None if after == dict(kept) else record.due_at
        return record.changed(fields=after, due_at=due, updated_at=now)
    if record.state is not State.INDEXED:
        after = change.taken_back(record.fields, change.former(kept))
    if record.state is State.DELETED or after == dict(record.fields):
        return record
    removed = dict.fromkeys(record.fields.keys() - after.keys())
    return set_fields(record, now, fields={**after, **removed})


def filled(
    record: VideoRecord, now: float, *, index: str, of: str | None, fingerprint: str
) -> VideoRecord:
    """Its document in another index is made, with a fingerprint of its own.

    ``of`` is the video's fingerprint when that was begun: where it is another one by now, nothing
    is noted. The time of the last change stays: nothing that others could miss has changed.
    """
    if not can_be_made(record) or record.fingerprint != of or of is None:
        return record
    after = {**record.fingerprints, index: {"of": of, "is": fingerprint}}
    return record if after == record.fingerprints else record.changed(fingerprints=after)
