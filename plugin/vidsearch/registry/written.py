"""What a record of an indexed video notes of its documents: transitions that leave its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["fields_written", "filled"]


def fields_written(
    record: VideoRecord,
    now: float,
    *,
    fields: Mapping[str, Any],
    instead: Mapping[str, Any] | None = None,
) -> VideoRecord:
    """The document of an indexed video has these fields; until then, the sweep sees to it.

    Where others were set meanwhile, whoever set them writes them. ``instead`` are the fields that
    the document has kept, where the index refused these.
    """
    if record.state is not State.INDEXED or record.due_at is None or record.fields != fields:
        return record
    return record.changed(
        fields=fields if instead is None else instead, due_at=None, updated_at=now
    )


def filled(
    record: VideoRecord, now: float, *, index: str, of: str | None, fingerprint: str
) -> VideoRecord:
    """Its document in another index is made, with a fingerprint of its own.

    ``of`` is the video's fingerprint when that was begun: where it is another one by now, nothing
    is noted. The time of the last change stays: nothing that others could miss has changed.
    """
    if record.state is not State.INDEXED or record.fingerprint != of or of is None:
        return record
    after = {**record.fingerprints, index: {"of": of, "is": fingerprint}}
    return record if after == record.fingerprints else record.changed(fingerprints=after)
