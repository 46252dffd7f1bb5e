"""What a record notes of the video's documents in other indices than its own."""

from __future__ import annotations

from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["filled"]


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
