"""The registry's state machine: every transition as a pure function.

::

    registered ──► queued ──► processing ──► indexed
        ▲                         │  ├─────► failed     the video is at fault
        ├─────────────────────────┘  └─────► dead       given up after max_attempts, or by its age
        │
        └── release, retry, reopen, sweep, or registered again with another uri or other fields
    any state ──► deleted (tombstone) ──► purged

===============  ===========================================  =====================================
function         from                                         to
===============  ===========================================  =====================================
``register``     nothing, deleted, failed, dead;              registered
                 any with another uri or other fields;
                 indexed with other fields alone              the same
``set_fields``   processing; any other but deleted            registered; the same
``mark_queued``  registered                                   queued
``claim``        registered, queued;                          processing, or dead where a worker
                 processing with a lease that ran out         was lost in the last attempt
``renew``        processing                                   processing
``complete``     processing                                   indexed
``fail``         processing                                   failed
``mark_gone``    processing                                   deleted
``release``      processing                                   registered; dead after the last
                                                              attempt
``hand_back``    processing, of that owner                    registered
``hand_over``    processing                                   processing, owned by its slices
``retry``        failed, dead                                 registered
``reopen``       indexed, failed, dead; any to forget         registered
``delete``       all but deleted                              deleted
``mark_removed`` deleted                                      deleted
``recover``      what the sweep takes: see ``sweep_rule``      registered, dead; deleted stays
===============  ===========================================  =====================================

Each takes the record and the time, and returns the record after it: the very same one where nothing
is to be done. Those of a worker that holds the lease (``renew`` to ``release``) do not look at the
state, since the lease is what allows them. Nothing in here reads or writes;
:class:`~vidsearch.registry.Registry` does, by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vidsearch.engines import Json
from vidsearch.errors import LeaseLostError, RegistryError, VideoNotRegisteredError
from vidsearch.registry.holders import SLICES, is_handed_over, is_of, later
from vidsearch.registry.known_file import to_be_asked, without_content
from vidsearch.registry.queueing import WORKER_LOST
from vidsearch.registry.validation import NewVideo
from vidsearch.signed_urls import same_file
from vidsearch_mappings.registry import (
    GIVEN_UP,
    IN_PROGRESS,
    UNWANTED,
    WAITING,
    ErrorRecord,
    State,
    VideoRecord,
)

__all__ = [
    "claim",
    "complete",
    "delete",
    "fail",
    "hand_back",
    "hand_over",
    "is_purgeable",
    "mark_gone",
    "mark_queued",
    "mark_removed",
    "recover",
    "register",
    "release",
    "renew",
    "reopen",
    "retry",
    "set_fields",
]


def register(old: VideoRecord | None, now: float, *, video: NewVideo) -> VideoRecord:
    """Make a video known, or start afresh with what is other than before.

    Of an indexed video, other fields alone are only noted; see ``written.fields_written``.
    """
    wanted: Json = {
        "uri": video.uri,
        "fields": _wanted_fields(old, video),
        "routing": video.routing,
        "priority": video.priority or "interactive",
    }
    if old is None or old.state is State.DELETED:
        unknown = {} if old is None else old.unknown
        return VideoRecord(
            id=video.id, registered_at=now, updated_at=now, unknown=unknown, **wanted
        )
    same_place = (old.uri, old.routing) == (video.uri, video.routing)
    if same_place and dict(old.fields) == wanted["fields"] and old.state not in GIVEN_UP:
        return _hurried(old, now) if wanted["priority"] == "interactive" else old
    if same_place and old.state is State.INDEXED:
        return _with_fields(old, now, wanted["fields"])
    if not same_file(video.uri, old.uri):
        old = without_content(old)
    return _afresh(old, now).changed(**wanted)


def _wanted_fields(old: VideoRecord | None, video: NewVideo) -> dict[str, Any]:
    if old is None or old.state is State.DELETED:
        return {**(video.defaults or {}), **(video.fields or {})}
    kept = old.fields if video.fields is None or video.defaults is not None else {}
    return {**kept, **(video.fields or {})}


def set_fields(record: VideoRecord, now: float, *, fields: Mapping[str, Any]) -> VideoRecord:
    """Change some of the fields; ``None`` removes one.

    A worker that has begun has read the fields already, so the video starts afresh.

    Raises:
        VideoNotRegisteredError: it was deleted.
    """
    if record.state is State.DELETED:
        raise VideoNotRegisteredError(f"video {record.id!r} was deleted")
    after = {name: v for name, v in {**record.fields, **fields}.items() if v is not None}
    if after == dict(record.fields):
        return record
    if record.state is State.PROCESSING:
        return _afresh(record, now).changed(fields=after)
    if record.state is State.INDEXED:
        return _with_fields(record, now, after)
    return record.changed(fields=after, updated_at=now)


def mark_queued(record: VideoRecord, now: float, *, due_at: float | None = None) -> VideoRecord:
    """A message is in the queue, sent while this was due; no change where a worker was faster."""
    if record.state is not State.REGISTERED or record.due_at != due_at:
        return record
    return record.changed(state=State.QUEUED, due_at=now, updated_at=now)


def claim(
    record: VideoRecord,
    now: float,
    *,
    token: str,
    owners: Collection[str],
    lease_seconds: float,
    max_attempts: int,
) -> VideoRecord:
    """Take the lease and count an attempt.

    ``token`` is ``owner#…`` of who has the lease now; a lease of one of ``owners`` is taken up
    again, uncounted. A video whose worker was lost in the last attempt is dead.

    Raises:
        LeaseLostError: another lease is live, or nothing is to be done: a late duplicate.
    """
    attempts = record.attempts + 1
    if record.state is State.PROCESSING:
        if is_of(record, owners) or is_handed_over(record):
            attempts = record.attempts
        elif (record.lease_until or 0.0) >= now:
            raise LeaseLostError(f"video {record.id!r} is being worked on by {record.owner}")
        elif record.attempts >= max_attempts:
            return recover(record, now, max_attempts=max_attempts)
    elif record.state not in WAITING:
        raise LeaseLostError(f"video {record.id!r} is {record.state}, nothing is to be done")
    return record.changed(
        state=State.PROCESSING,
        attempts=attempts,
        owner=token,
        lease_until=later(now, lease_seconds),
        due_at=None,
        updated_at=now,
    )


def renew(record: VideoRecord, now: float, *, lease_seconds: float) -> VideoRecord:
    """Extend the lease from now."""
    return record.changed(lease_until=later(now, lease_seconds), updated_at=now)


def complete(record: VideoRecord, now: float, **made: Any) -> VideoRecord:
    """The vectors are written; ``made`` is what is known of them.

    Where it was embedded anew, its documents in other indices are outdated.
    """
    if "fingerprint" in made and made["fingerprint"] != record.fingerprint:
        made["fingerprints"] = {}
    return _ended(record, now).changed(state=State.INDEXED, error=None, indexed_at=now, **made)


def fail(record: VideoRecord, now: float, *, error: ErrorRecord) -> VideoRecord:
    """The video is at fault: another attempt would end the same."""
    return _ended(record, now).changed(state=State.FAILED, error=error)


def mark_gone(record: VideoRecord, now: float, *, error: ErrorRecord) -> VideoRecord:
    """The application deleted the document."""
    return without_content(_ended(record, now)).changed(
        state=State.DELETED, error=error, fingerprint=None, fingerprints={}, fields={}
    )


def release(
    record: VideoRecord,
    now: float,
    *,
    error: ErrorRecord,
    counted: bool,
    delay: float,
    max_attempts: int,
    give_up_after: float | None = None,
) -> VideoRecord:
    """Give the lease back for another try, when ``delay`` has passed.

    The last counted attempt ends dead. ``give_up_after`` is given for an outage, which ends dead
    where the first one in a row was so many seconds ago.
    """
    since = record.failing_since
    if give_up_after is None:
        is_last = counted and record.attempts >= max_attempts
        since = None if counted else since
    else:
        since = now if since is None else since
        is_last = now - since >= give_up_after
    ended = _ended(record, now).changed(error=error, failing_since=since)
    if is_last:
        return ended.changed(state=State.DEAD)
    attempts = record.attempts if counted else record.attempts - 1
    return ended.changed(state=State.REGISTERED, attempts=attempts, due_at=later(now, delay))


def hand_back(
    record: VideoRecord, now: float, *, owners: Collection[str], error: ErrorRecord | None
) -> VideoRecord:
    """Give the lease back for another worker to try at once, where an owner has it; uncounted."""
    if record.state is not State.PROCESSING or not is_of(record, owners):
        return record
    return _ended(record, now).changed(
        state=State.REGISTERED,
        attempts=record.attempts - 1,
        due_at=now,
        error=error,
        failing_since=record.failing_since,
    )


def hand_over(
    record: VideoRecord, now: float, *, lease_seconds: float, **known: Any
) -> VideoRecord:
    """Let the slices of a video have its lease; ``known`` is what was found out about its file.

    Whoever claims the video next gets the lease. The sweep sees to it when the lease has run out,
    where all the slices' workers were lost.
    """
    return record.changed(
        owner=SLICES,
        lease_until=later(now, lease_seconds),
        error=None,
        failing_since=None,
        updated_at=now,
        **known,
    )


def retry(record: VideoRecord, now: float) -> VideoRecord:
    """Give a failed or dead video a new start with all its attempts.

    Raises:
        RegistryError: it is neither failed nor dead.
    """
    if record.state not in GIVEN_UP:
        raise RegistryError(
            f"video {record.id!r} is {record.state}; only failed or dead videos are retried"
        )
    return _afresh(record, now)


def reopen(
    record: VideoRecord, now: float, *, forget: bool, replaced: bool = False, ask: bool = False
) -> VideoRecord:
    """Have a video ingested again; see :meth:`~vidsearch.registry.Registry.reopen_many`.

    Raises:
        VideoNotRegisteredError: it was deleted.
    """
    if record.state is State.DELETED:
        raise VideoNotRegisteredError(f"video {record.id!r} was deleted")
    if record.state in IN_PROGRESS and not (replaced or (forget and record.fingerprint)):
        return record
    after = _afresh(record, now).changed(priority="bulk")
    # The worker that loses its lease may still write the document.
    if forget or (replaced and record.state is State.PROCESSING):
        after = after.changed(fingerprint=None, fingerprints={})
    if replaced:
        return without_content(after)
    return to_be_asked(after, read=forget) if forget or ask else after


def delete(record: VideoRecord, now: float, *, error: ErrorRecord | None) -> VideoRecord:
    """Leave a tombstone for the sweep, until its document is known to be removed.

    It keeps the lease of an ingest that is still running; else the sweep may look after it at once.
    """
    if record.state is State.DELETED:
        return record
    lease = record.lease_until if record.state is State.PROCESSING else None
    return without_content(_ended(record, now)).changed(
        state=State.DELETED,
        fields={},
        error=error,
        fingerprint=None,
        fingerprints={},
        owner=record.owner if lease else None,
        lease_until=lease,
        due_at=None if lease else now,
    )


def mark_removed(record: VideoRecord, now: float) -> VideoRecord:
    """The document of a tombstone is removed; one whose ingest may be running is left as it is."""
    due = record.state is State.DELETED and record.due_at is not None
    return _ended(record, now) if due else record


def recover(record: VideoRecord, now: float, *, max_attempts: int) -> VideoRecord:
    """Take back what nobody takes care of; the caller has asked ``needs_sweep``.

    What is ``registered`` then is due at once: see :mod:`vidsearch.registry.queueing`.
    """
    if record.state is State.DELETED:
        return _ended(record, now)
    if record.state is State.INDEXED:
        return _afresh(record, now).changed(due_at=now)
    after = _ended(record, now).changed(
        state=State.REGISTERED, due_at=now, failing_since=record.failing_since
    )
    if record.state is not State.PROCESSING:
        return after
    if is_handed_over(record):
        return after.changed(attempts=record.attempts - 1)
    lost = f"worker {record.owner} fell silent in attempt {record.attempts}"
    error = ErrorRecord(type=WORKER_LOST, stage="processing", message=lost)
    if record.attempts >= max_attempts:
        return after.changed(state=State.DEAD, due_at=None, error=error)
    return after.changed(error=error)


def is_purgeable(record: VideoRecord) -> bool:
    """Whether the entry may be dropped: no tombstone whose ingest may still be running."""
    return record.state in UNWANTED and not record.lease_until


def _hurried(record: VideoRecord, now: float) -> VideoRecord:
    """A bulk video that somebody waits for now. One that is queued gets another message."""
    if record.priority == "interactive" or record.state not in WAITING:
        return record
    after = record.changed(priority="interactive", updated_at=now)
    if record.state is State.REGISTERED:
        return after
    return _ended(after, now).changed(state=State.REGISTERED)


def _afresh(record: VideoRecord, now: float) -> VideoRecord:
    return _ended(record, now).changed(
        state=State.REGISTERED, attempts=0, error=None, requested_at=now
    )


def _with_fields(record: VideoRecord, now: float, fields: Mapping[str, Any]) -> VideoRecord:
    return record.changed(fields=fields, due_at=now, updated_at=now)


def _ended(record: VideoRecord, now: float) -> VideoRecord:
    return record.changed(
        owner=None, lease_until=None, due_at=None, failing_since=None, updated_at=now
    )
