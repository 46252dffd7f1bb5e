"""The registry of one videos index: applies transitions by compare-and-set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import getpid
from socket import gethostname
from typing import Any
from uuid import uuid4

from vidsearch.batches import in_batches
from vidsearch.engines import Engine
from vidsearch.errors import LeaseLostError, RegistryError
from vidsearch.registry import queueing, transitions
from vidsearch.registry.changes import Changes, of_registered
from vidsearch.registry.field_change import FieldChange
from vidsearch.registry.registration import Registration
from vidsearch.registry.store import Lease, Stored
from vidsearch.registry.sweep_rule import needs_sweep, sweep_query
from vidsearch.registry.validation import NewVideo, check_id, checked, checked_fields
from vidsearch.registry.written import fields_taken_back, fields_written, filled
from vidsearch_mappings.registry import ErrorRecord, Priority, State, VideoRecord

__all__ = ["Registry"]


class Registry(Changes):
    """The registry of one videos index. Thread-safe.

    The transitions are in :mod:`vidsearch.registry.transitions`. Each is applied by compare-and-set
    on the stored revision. Two workers can thus never own one video. Whoever acts on an outdated
    record loses: a worker gets ``LeaseLostError``, all others look at the record again.

    Methods ``…_many`` change a batch of videos with one read and one bulk write, and report errors
    per video. Listings refresh the index first, so they show every earlier write. Every method
    raises ``IndexNotFoundError`` where the registry was never created, and
    ``VideoNotRegisteredError`` for a video that was never registered, but for ``find``.

    Args:
        engine: the cluster.
        index: name of the registry index.
        lease_seconds: a worker that is silent for so long has lost its video.
        max_attempts: attempts before a video is ``dead``.
        reserved: name of the vidsearch object in a video's document, which no other field may take.
        allow_credentials: whether uris may hold user and password, which are stored as they are.
        clock: seconds since the epoch, the same in all processes: see ``EngineClock``.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        index: str,
        lease_seconds: float = 120.0,
        max_attempts: int = 3,
        reserved: str = "video",
        allow_credentials: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(engine, index=index, clock=clock)
        self.lease_seconds = lease_seconds
        self.max_attempts = max_attempts
        self.allow_credentials = allow_credentials
        self._reserved = reserved
        self._checked = partial(checked, reserved=reserved, allow_credentials=allow_credentials)

    # -- by the application

    def register(
        self,
        id: str,
        *,
        uri: str,
        fields: Mapping[str, Any] | None = None,
        routing: str | None = None,
        priority: Priority = "interactive",
    ) -> VideoRecord:
        """Make a video known. Safe to repeat.

        Nothing changes where the same uri and fields are indexed or on their way. Another uri,
        other fields of a video that is on its way, and a failed, dead or deleted video start
        afresh. An indexed video with other fields alone stays ``indexed``; its ``due_at`` says that
        they are to be written into its document (``ingest.write_fields``), else the sweep sees to
        it.

        Args:
            id: of the video, and of its document.
            uri: of the file.
            fields: of the document, none in an attached index; ``None`` leaves those it has.
            routing: of the application's document, in an attached index.
            priority: ``interactive`` videos go before ``bulk`` ones. A ``bulk`` video that waits
                becomes ``interactive`` where it is registered so.

        Raises:
            RegistryError: an id, uri or field that cannot be stored; the message says which.
        """
        video = self._checked(NewVideo(id, uri, fields, routing, priority))
        return self._store.change(id, partial(transitions.register, video=video)).record

    def register_many(
        self, videos: Sequence[NewVideo | Mapping[str, Any]], *, priority: Priority = "bulk"
    ) -> tuple[Registration, ...]:
        """As :meth:`register`, in the order of the videos; an id may repeat with the same values.

        A dict has the names of :class:`NewVideo`; ``priority`` is of those that have none.
        Of a URL that is signed anew, the last one counts.

        Raises:
            BackendUnavailableError: the engine does not answer; some may be registered.
        """
        accepted: dict[str, NewVideo] = {}
        places: list[str | Registration] = []
        for video in videos:
            try:
                valid = self._checked(video)
                valid = replace(valid, priority=valid.priority or priority)
                if not accepted.get(valid.id, valid).is_same(valid):
                    raise RegistryError(f"id {valid.id!r} is given twice, for different videos")
                accepted[valid.id] = valid
                places.append(valid.id)
            except RegistryError as error:
                id = video.get("id") if isinstance(video, Mapping) else getattr(video, "id", None)
                places.append(Registration(str(id), error=error))
        ends = self._store.change_many(
            {id: partial(transitions.register, video=video) for id, video in accepted.items()}
        )
        return tuple(
            place if isinstance(place, Registration) else Registration.of(place, ends[place])
            for place in places
        )

    def set_fields(self, id: str, fields: Mapping[str, Any]) -> Stored:
        """Change some of a video's fields; ``None`` removes one.

        Its state stays, but of a video that a worker has begun with, which starts afresh.

        Returns the record, and in ``before`` the one that this call has changed, if it has.

        Raises:
            RegistryError: a field that cannot be stored; the message says which.
            VideoNotRegisteredError: it was deleted.
        """
        check_id(id)
        valid = checked_fields(fields, id=id, reserved=self._reserved, none_removes=True)
        return self._change(id, partial(transitions.set_fields, fields=valid))

    def mark_fields_written(
        self, written: Mapping[str, Mapping[str, Any]]
    ) -> tuple[Registration, ...]:
        """Note by id which fields the documents of indexed videos have; see ``written``."""
        changes = {
            id: of_registered(id, partial(fields_written, fields=fields))
            for id, fields in written.items()
        }
        ends = self._store.change_many(changes)
        return tuple(Registration.of(id, ends[id]) for id in changes)

    def take_back(self, id: str, change: FieldChange, *, kept: Mapping[str, Any]) -> VideoRecord:
        """Note that the index refused a change, and the fields that the document has kept."""
        return self._change(id, partial(fields_taken_back, change=change, kept=kept)).record

    def mark_filled(self, id: str, *, index: str, of: str | None, fingerprint: str) -> VideoRecord:
        """Note that a video's document in another index is made; see ``written.filled``."""
        return self._change(id, partial(filled, index=index, of=of, fingerprint=fingerprint)).record

    def mark_queued(self, id: str, *, due_at: float | None = None) -> VideoRecord:
        """Note that a message is in the queue; ``due_at`` as in the record that it was sent for.
        Nothing changes where a worker was faster."""
        return self._change(id, partial(transitions.mark_queued, due_at=due_at)).record

    def mark_many_queued(self, registrations: Iterable[Registration]) -> tuple[Registration, ...]:
        """As :meth:`mark_queued`, for those without an error; what is known is not read again."""
        queued = {one.id: one.stored for one in registrations if one.stored or not one.error}
        stored = {id: one for id, one in queued.items() if one}

        def mark(record: VideoRecord, now: float) -> VideoRecord:
            sent = stored.get(record.id)
            return transitions.mark_queued(record, now, due_at=sent.record.due_at if sent else None)

        return self._change_many(queued, mark, stored=stored)

    def defer(self, ids: Iterable[str]) -> tuple[Registration, ...]:
        """Leave registered videos to the sweep, as the queue is full."""
        return self._change_many(ids, queueing.defer)

    def retry(self, id: str) -> VideoRecord:
        """Give a failed or dead video a new start with all its attempts.

        What is asked of its file (``ask`` of :meth:`reopen_many`) is asked again.

        Raises:
            RegistryError: it is neither failed nor dead.
        """
        return self._change(id, transitions.retry).record

    def retry_many(self, ids: Iterable[str]) -> tuple[Registration, ...]:
        """As :meth:`retry`."""
        return self._change_many(ids, transitions.retry)

    def reopen(self, id: str, *, forget: bool = False) -> VideoRecord:
        """As :meth:`reopen_many`; raises ``VideoNotRegisteredError`` where it was deleted."""
        return self._change(id, partial(transitions.reopen, forget=forget)).record

    def reopen_many(
        self, ids: Iterable[str], *, forget: bool = False, replaced: bool = False, ask: bool = False
    ) -> tuple[Registration, ...]:
        """Have videos ingested again, whatever came of them before; those on their way stay there.

        What was read of a file before counts where its place is away, or has it no more; with
        ``ask``, for "has it changed?", a place that is away is asked again until it answers.
        ``forget`` does so, and embeds even what has not changed. ``replaced`` has the files read
        again, and embeds those whose bytes are others; a worker that has begun with a file before
        loses its video.
        """
        reopen = partial(transitions.reopen, forget=forget, replaced=replaced, ask=ask)
        return self._change_many(ids, reopen)

    def delete(self, id: str, *, error: ErrorRecord | None = None) -> VideoRecord:
        """Leave a tombstone, so that an ingest that is still running cannot bring the video back.

        The sweep looks after it until :meth:`mark_removed`, or until such an ingest has ended.
        ``error`` says why, where nobody asked for it.
        """
        return self._change(id, partial(transitions.delete, error=error)).record

    def delete_many(self, ids: Iterable[str]) -> tuple[Registration, ...]:
        """As :meth:`delete`."""
        return self._change_many(ids, partial(transitions.delete, error=None))

    def mark_removed(self, id: str) -> VideoRecord:
        """Note that the document of a deleted video is removed."""
        return self._change(id, transitions.mark_removed).record

    def purge(self, id: str) -> bool:
        """Drop the entry of a deleted, dead or failed video; ``False`` where it is not one.

        A tombstone whose ingest may still be running is kept.
        """
        return id in self.purge_many([id])

    def purge_many(self, ids: Iterable[str]) -> set[str]:
        """As :meth:`purge`; returns the ids of those that were dropped."""
        purged: set[str] = set()
        for batch in in_batches(ids):
            found = self._store.read_many(batch).values()
            dropped = [one for one in found if transitions.is_purgeable(one.record)]
            purged |= self._store.delete_many(dropped)
        return purged

    # -- by the worker

    def claim(self, id: str, *, owner: str) -> Lease:
        """Take the lease and count an attempt.

        ``owner`` is who follows a message. Where the lease could not be given back, as the engine
        was away, the same owner takes it up again, uncounted, and so does who follows the message
        that was put back: its ``owner`` has the names of those before it, and ends with its own,
        with spaces between.

        Raises:
            LeaseLostError: another lease is live, or nothing is to be done: a late duplicate.
        """
        names = owner.split()
        take = partial(
            transitions.claim,
            # Used once, so that the holder of a lease knows it again by its token alone.
            token=f"{names[-1]}#{gethostname()}:{getpid()}:{uuid4().hex[:8]}",
            owners=names,
            lease_seconds=self.lease_seconds,
            max_attempts=self.max_attempts,
        )
        lease = self._change(id, take)
        if lease.record.state is State.DEAD:
            raise LeaseLostError(f"video {id!r} is dead: {lease.record.error}")
        return lease

    def renew(self, lease: Lease) -> Lease:
        """Extend the lease from now.

        Raises:
            LeaseLostError: another worker has it, or the video was deleted or registered anew.
        """
        return self._change_held(lease, transitions.renew, lease_seconds=self.lease_seconds)

    def complete(self, lease: Lease, **made: Any) -> VideoRecord:
        """``processing → indexed``, once the vectors are written; ``made`` is known of them.

        Raises:
            LeaseLostError: see :meth:`renew`. What was written must be taken back.
        """
        return self._change_held(lease, transitions.complete, **made).record

    def fail(self, lease: Lease, error: ErrorRecord) -> VideoRecord:
        """``processing → failed``; raises as :meth:`renew`, like all that follow."""
        return self._change_held(lease, transitions.fail, error=error).record

    def mark_gone(self, lease: Lease, error: ErrorRecord) -> VideoRecord:
        """``processing → deleted``: the application deleted its document."""
        return self._change_held(lease, transitions.mark_gone, error=error).record

    def release(
        self,
        lease: Lease,
        error: ErrorRecord,
        *,
        counted: bool,
        delay: float = 0.0,
        give_up_after: float | None = None,
    ) -> VideoRecord:
        """``processing → registered`` for another try after ``delay`` seconds, or ``dead``.

        An attempt that is not ``counted`` is taken back. See ``transitions.release``.
        """
        return self._change_held(
            lease,
            transitions.release,
            error=error,
            counted=counted,
            delay=delay,
            max_attempts=self.max_attempts,
            give_up_after=give_up_after,
        ).record

    def hand_back(self, id: str, *, owner: str, error: ErrorRecord | None = None) -> VideoRecord:
        """Give back the lease that an owner has, if any, without what :meth:`claim` returned."""
        give = partial(transitions.hand_back, owners=owner.split(), error=error)
        return self._change(id, give).record

    def hand_over(self, lease: Lease, *, lease_seconds: float, **known: Any) -> VideoRecord:
        """Let the slices of a video have its lease; see ``transitions.hand_over``."""
        known["lease_seconds"] = lease_seconds
        return self._change_held(lease, transitions.hand_over, **known).record

    # -- by the sweep

    def sweepable(self, *, queued: bool = True) -> Iterator[VideoRecord]:
        """Videos that nobody takes care of; see ``sweep_rule.needs_sweep``.

        ``queued``: also those that have waited in the queue for longer than a lease.
        """
        query = sweep_query(now=self.now(), timeout=self.lease_seconds, queued=queued)
        return self._store.scan(query)

    def recover(self, id: str) -> VideoRecord | None:
        """Take a forgotten video back to ``registered``, or to ``dead`` if out of attempts.

        Returns ``None`` where it is not forgotten (any more); see ``needs_sweep``. Of several
        sweeps at once, one gets the record.
        """
        (end,) = self.recover_many([id])
        return end.require() if end.changed or end.error else None

    def recover_many(
        self, ids: Iterable[str], *, is_forgotten: Callable[[VideoRecord], bool] | None = None
    ) -> tuple[Registration, ...]:
        """As :meth:`recover`, where it says so in place of ``needs_sweep``; these ``changed``."""

        def recover(record: VideoRecord, now: float) -> VideoRecord:
            needs = is_forgotten or partial(needs_sweep, now=now, timeout=self.lease_seconds)
            after = partial(transitions.recover, max_attempts=self.max_attempts)
            return after(record, now) if needs(record) else record

        return self._change_many(ids, recover)

    def take_due(self, ids: Iterable[str]) -> tuple[Registration, ...]:
        """Mark due videos queued, whose messages are to be sent now; those are ``changed``."""
        return self._change_many(ids, queueing.take_due)

    def put_back(self, registrations: Iterable[Registration]) -> tuple[Registration, ...]:
        """Make videos due again that :meth:`take_due` took, and the broker did not take."""
        return self._change_stored(registrations, queueing.put_back)
