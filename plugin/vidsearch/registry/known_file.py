"""What a record knows of a video's file, from one reading to the next."""

from __future__ import annotations

from vidsearch_mappings.registry import WAITING, State, VideoRecord

__all__ = ["can_be_made", "must_answer", "to_be_asked", "unasked", "without_content"]


def can_be_made(record: VideoRecord) -> bool:
    """Whether the document that searches show of a video can be made in another index as well.

    Of one that waits for a worker, or is dead, what is known of the file has to be what was indexed
    last: not that of another file, nor of a new content that was being embedded in slices. One that
    a worker is at is left to that worker.
    """
    if record.state is State.INDEXED:
        return True
    is_left = record.state in WAITING or record.state is State.DEAD
    is_known = record.content is not None and "slices" not in record.source
    return is_left and is_known and record.fingerprint is not None


def without_content(record: VideoRecord) -> VideoRecord:
    """Nothing is known of the file: without it, nothing is made of the video."""
    return record.changed(content=None, source={})


def to_be_asked(record: VideoRecord, *, read: bool) -> VideoRecord:
    """The question is whether the file has changed, which only its place can answer.

    It is open until the place does: what is known counts where the file is gone, and does not end
    the question where its place is away. ``read`` has the file read, whatever its validator says.
    """
    kept = {name: known for name, known in record.source.items() if name != "validator" or not read}
    return record.changed(source={**kept, "must_answer": True})


def must_answer(record: VideoRecord) -> bool:
    """Whether the question of :func:`to_be_asked` is open."""
    return bool(record.source.get("must_answer"))


def unasked(record: VideoRecord) -> VideoRecord:
    """The record without that question: what is known counts, also where the place is away."""
    if not must_answer(record):
        return record
    kept = {name: known for name, known in record.source.items() if name != "must_answer"}
    return record.changed(source=kept)
