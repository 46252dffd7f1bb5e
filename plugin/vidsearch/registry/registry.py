"""The registry: where each video stands, and the only ways from one state to the next.

::

    registered ──► queued ──► processing ──► indexed
        ▲             ▲           │  ├─────► failed     the video is at fault
        │             └───────────┘  └─────► dead       given up after max_attempts
        └── retry, reopen, sweep, or registered again with another uri or other fields
    any state ──► deleted (tombstone) ──► purged

Every transition is a compare-and-set on the stored revision. Two workers can thus never own one
video, and whoever acts on an outdated view loses: with ``LeaseLostError`` in the middle of the
work, or by looking again where the transition does not depend on a lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from os import getpid
from socket import gethostname
from typing import Any
from uuid import uuid4

from vidsearch.engines.base import Engine
from vidsearch.errors import (
    LeaseLostError,
    RegistryError,
    VersionConflictError,
    VideoNotRegisteredError,
)
from vidsearch.registry.reader import needs_sweep
from vidsearch.registry.record import ErrorRecord, State, VideoRecord
from vidsearch.registry.transition import Lease, RegistryStore
from vidsearch.registry.validation import check_fields, check_id, check_uri

__all__ = ["Registry"]


class Registry(RegistryStore):
    """The registry of one videos index. Thread-safe; keeps no state of its own.

    Args:
        engine: the cluster.
        index: name of the registry index.
        lease_seconds: a worker that is silent for so long has lost its video. The clocks of the
            workers must agree to a fraction of it.
        max_attempts: attempts before a video is ``dead``.
        reserved: name of our object in a video's document, which no host field may take.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        index: str,
        lease_seconds: float = 120.0,
        max_attempts: int = 3,
        reserved: str = "video",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(engine, index=index, lease_seconds=lease_seconds, clock=clock)
        self.max_attempts = max_attempts
        self._reserved = reserved

    # -- by the application

    def register(
        self,
        id: str,
        *,
        uri: str,
        fields: Mapping[str, Any] | None = None,
        routing: str | None = None,
    ) -> VideoRecord:
        """Make a video known. Safe to repeat.

        Nothing changes where the same uri and fields are indexed or on their way. Another uri or
        other fields, and a failed, dead or deleted video, start afresh.

        Args:
            id: of the video, and of its document.
            uri: of the file.
            fields: of the document, beside our object; none in an attached index.
            routing: of the host's document, in an attached index.

        Raises:
            RegistryError: an id, uri or field that cannot be stored; the message says which.
        """
        wanted = check_fields(fields or {}, reserved=self._reserved)
        check_id(id)
        check_uri(uri, id=id)

        def decide(old: VideoRecord | None) -> VideoRecord | None:
            now = self._clock()
            if old is None or old.state is State.DELETED:
                return VideoRecord(
                    id=id,
                    uri=uri,
                    fields=wanted,
                    routing=routing,
                    registered_at=now,
                    updated_at=now,
                )
            same = (old.uri, dict(old.fields), old.routing) == (uri, wanted, routing)
            if same and old.state not in {State.FAILED, State.DEAD}:
                return None
            return _afresh(old, now).changed(uri=uri, fields=wanted, routing=routing)

        return self._change(id, decide).record

    def mark_queued(self, id: str) -> VideoRecord:
        """Note that a message is in the queue. Nothing changes where a worker was faster."""

        def decide(old: VideoRecord | None) -> VideoRecord | None:
            if _known(old, id).state is not State.REGISTERED:
                return None
            now = self._clock()
            return _known(old, id).changed(state=State.QUEUED, due_at=now, updated_at=now)

        return self._change(id, decide).record

    def retry(self, id: str) -> VideoRecord:
        """Give a failed or dead video a new start with all its attempts.

        Raises:
            VideoNotRegisteredError: it was never registered.
            RegistryError: it is neither failed nor dead.
        """

        def decide(old: VideoRecord | None) -> VideoRecord:
            record = _known(old, id)
            if record.state not in {State.FAILED, State.DEAD}:
                raise RegistryError(
                    f"video {id!r} is {record.state}; only failed or dead videos are retried"
                )
            return _afresh(record, self._clock())

        return self._change(id, decide).record

    def reopen(self, id: str, *, forget: bool = False) -> VideoRecord:
        """Have a video ingested again, whatever came of it before.

        A video that is on its way already stays there, unless it is to forget.

        Args:
            id: of the video.
            forget: embed it again even where its fingerprint is the same.

        Raises:
            VideoNotRegisteredError: it was never registered, or was deleted.
        """

        def decide(old: VideoRecord | None) -> VideoRecord | None:
            record = _known(old, id)
            if record.state is State.DELETED:
                raise VideoNotRegisteredError(f"video {id!r} was deleted")
            on_its_way = {State.REGISTERED, State.QUEUED, State.PROCESSING}
            if record.state in on_its_way and not (forget and record.fingerprint):
                return None
            after = _afresh(record, self._clock())
            return after.changed(fingerprint=None) if forget else after

        return self._change(id, decide).record

    def delete(self, id: str, *, error: ErrorRecord | None = None) -> VideoRecord:
        """Leave a tombstone, so that an ingest that is still running cannot bring the video back.

        The lease of such an ingest is kept in the tombstone, for the sweep to look after it.

        Args:
            id: of the video.
            error: why, where nobody asked for it.

        Raises:
            VideoNotRegisteredError: it was never registered.
        """

        def decide(old: VideoRecord | None) -> VideoRecord | None:
            record = _known(old, id)
            if record.state is State.DELETED:
                return None
            lease = record.lease_until if record.state is State.PROCESSING else None
            return record.changed(
                state=State.DELETED,
                fields={},
                error=error,
                fingerprint=None,
                due_at=None,
                owner=record.owner if lease else None,
                lease_until=lease,
                updated_at=self._clock(),
            )

        return self._change(id, decide).record

    def purge(self, id: str) -> bool:
        """Drop the entry of a deleted, dead or failed video; ``False`` where it is not one.

        A tombstone whose ingest may still be running is kept.
        """
        found = self._read(id)
        if found is None:
            return False
        record = VideoRecord.from_source(id, found.source)
        if record.state not in {State.DELETED, State.DEAD, State.FAILED} or record.lease_until:
            return False
        try:
            return self._engine.delete(self.index, id, expect=found.revision)
        except VersionConflictError:
            return False

    # -- by the worker

    def claim(self, id: str, *, owner: str) -> Lease:
        """Take the lease and count an attempt.

        Args:
            id: of the video.
            owner: the message that is followed; the same for its retries, so that one which could
                not give the lease back during an outage takes it up again, uncounted.

        Raises:
            VideoNotRegisteredError: it was never registered.
            LeaseLostError: another lease is live, or nothing is to be done: a late duplicate.
        """
        # Used once, so that the holder of a lease knows it again by its token alone.
        token = f"{owner}#{gethostname()}:{getpid()}:{uuid4().hex[:8]}"

        def decide(old: VideoRecord | None) -> VideoRecord:
            record, now = _known(old, id), self._clock()
            mine = bool(record.owner) and str(record.owner).partition("#")[0] == owner
            if record.state is State.PROCESSING:
                if not mine and (record.lease_until or 0.0) >= now:
                    raise LeaseLostError(f"video {id!r} is being worked on by {record.owner}")
                if not mine and record.attempts >= self.max_attempts:
                    return self._recovered(record, now)
            elif record.state not in {State.REGISTERED, State.QUEUED}:
                raise LeaseLostError(f"video {id!r} is {record.state}, nothing is to be done")
            goes_on = record.state is State.PROCESSING and mine
            return record.changed(
                state=State.PROCESSING,
                attempts=record.attempts + (0 if goes_on else 1),
                owner=token,
                lease_until=now + self.lease_seconds,
                due_at=None,
                updated_at=now,
            )

        lease = self._change(id, decide)
        if lease.record.state is State.DEAD:
            raise LeaseLostError(f"video {id!r} is dead: {lease.record.error}")
        return lease

    def renew(self, lease: Lease) -> Lease:
        """Extend the lease from now.

        Raises:
            LeaseLostError: another worker has it, or the video was deleted or registered anew.
        """
        now = self._clock()
        return self._step(
            lease, lease.record.changed(lease_until=now + self.lease_seconds, updated_at=now)
        )

    def complete(
        self,
        lease: Lease,
        *,
        fingerprint: str,
        frames: int | None,
        damaged: int | None,
        segments: int | None,
        duration: float | None,
        seconds: Mapping[str, float],
    ) -> VideoRecord:
        """``processing → indexed``; call it once the vectors are written.

        Raises:
            LeaseLostError: see :meth:`renew`. What was written must be taken back.
        """
        after = self._given_back(lease).changed(
            state=State.INDEXED,
            error=None,
            fingerprint=fingerprint,
            frames=frames,
            damaged=damaged,
            segments=segments,
            duration=duration,
            seconds=dict(seconds),
            indexed_at=self._clock(),
        )
        return self._step(lease, after).record

    def fail(self, lease: Lease, error: ErrorRecord) -> VideoRecord:
        """``processing → failed``: the video is at fault, another attempt would end the same.

        Raises:
            LeaseLostError: see :meth:`renew`.
        """
        after = self._given_back(lease).changed(state=State.FAILED, error=error)
        return self._step(lease, after).record

    def vanish(self, lease: Lease, error: ErrorRecord) -> VideoRecord:
        """``processing → deleted``: the host deleted its document; registered anew, it starts anew.

        Raises:
            LeaseLostError: see :meth:`renew`.
        """
        after = self._given_back(lease).changed(
            state=State.DELETED, error=error, fingerprint=None, fields={}
        )
        return self._step(lease, after).record

    def release(
        self, lease: Lease, error: ErrorRecord, *, counted: bool, delay: float = 0.0
    ) -> VideoRecord:
        """``processing → queued`` for another try, or ``dead`` after the last attempt.

        Args:
            lease: as held.
            error: why the attempt ended.
            counted: ``False`` takes the attempt back: an outage is not the video's fault.
            delay: seconds before the retry is due.

        Raises:
            LeaseLostError: see :meth:`renew`.
        """
        attempts = lease.record.attempts - (0 if counted else 1)
        dead = counted and attempts >= self.max_attempts
        after = self._given_back(lease).changed(
            state=State.DEAD if dead else State.QUEUED,
            attempts=attempts,
            error=error,
            due_at=None if dead else self._clock() + delay,
        )
        return self._step(lease, after).record

    # -- by the sweep

    def recover(self, id: str) -> VideoRecord | None:
        """Take a forgotten video back to ``registered``, or to ``dead`` if out of attempts.

        Returns ``None`` where it is not forgotten (any more); see ``needs_sweep``. Of several
        sweeps at once, one gets the record.
        """

        made = False

        def decide(old: VideoRecord | None) -> VideoRecord | None:
            nonlocal made
            record, now = _known(old, id), self._clock()
            made = needs_sweep(record, now=now, patience=self.lease_seconds)
            return self._recovered(record, now) if made else None

        record = self._change(id, decide).record
        return record if made else None

    def _recovered(self, record: VideoRecord, now: float) -> VideoRecord:
        after = record.changed(owner=None, lease_until=None, due_at=None, updated_at=now)
        if record.state is State.DELETED:
            return after
        if record.state is not State.PROCESSING:
            return after.changed(state=State.REGISTERED)
        lost = f"worker {record.owner} fell silent in attempt {record.attempts}"
        error = ErrorRecord(type="WorkerLost", stage="processing", message=lost)
        dead = record.attempts >= self.max_attempts
        return after.changed(state=State.DEAD if dead else State.REGISTERED, error=error)

    def _given_back(self, lease: Lease) -> VideoRecord:
        return lease.record.changed(
            owner=None, lease_until=None, due_at=None, updated_at=self._clock()
        )


def _known(record: VideoRecord | None, id: str) -> VideoRecord:
    if record is None:
        raise VideoNotRegisteredError(f"no video {id!r} is registered")
    return record


def _afresh(record: VideoRecord, now: float) -> VideoRecord:
    return record.changed(
        state=State.REGISTERED,
        attempts=0,
        owner=None,
        lease_until=None,
        due_at=None,
        error=None,
        updated_at=now,
    )
