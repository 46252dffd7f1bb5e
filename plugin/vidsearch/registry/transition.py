"""Compare-and-set on registry entries, and the lease that a worker holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vidsearch.engines.base import Revision
from vidsearch.errors import IndexNotFoundError, LeaseLostError, VersionConflictError
from vidsearch.registry.reader import RegistryReader
from vidsearch.registry.record import State, VideoRecord

__all__ = ["Lease", "RegistryStore"]

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a video, until ``record.lease_until``."""

    record: VideoRecord
    revision: Revision

    @property
    def id(self) -> str:
        """The video's id."""
        return self.record.id


class RegistryStore(RegistryReader):
    """The two ways to change an entry: by whoever looks again, and by the holder of a lease."""

    def _change(self, id: str, decide: Callable[[VideoRecord | None], VideoRecord | None]) -> Lease:
        """Read, decide, write if nobody else wrote meanwhile; else look again.

        Args:
            id: of the video.
            decide: from the stored record to the wanted one, ``None`` to leave it; may run often.
        """
        for _ in range(_TRIES):
            found = self._read(id)
            before = None if found is None else VideoRecord.from_source(id, found.source)
            after = decide(before)
            if after is None:
                assert found is not None
                assert before is not None
                return Lease(before, found.revision)
            try:
                return Lease(after, self._put(after, found.revision if found else None))
            except VersionConflictError:
                continue
        raise VersionConflictError(
            f"video {id!r} changed {_TRIES} times while it was to be changed"
        )

    def _step(self, lease: Lease, after: VideoRecord) -> Lease:
        """Write what the holder of a lease has decided.

        Raises:
            LeaseLostError: the stored entry is not the holder's any more.
        """
        revision = lease.revision
        for _ in range(_TRIES):
            try:
                return Lease(after, self._put(after, revision))
            except VersionConflictError as error:
                found = self._read(lease.id)
                record = VideoRecord.from_source(lease.id, found.source) if found else None
                if found is None or record is None or not _holds(lease, record):
                    raise _lost(lease, record) from error
                # Our own renewal, whose answer was lost on the way: a token is never used twice.
                revision = found.revision
        raise VersionConflictError(f"video {lease.id!r} changed {_TRIES} times while it was ours")

    def _put(self, record: VideoRecord, expect: Revision | None) -> Revision:
        try:
            return self._engine.put(
                self.index, record.id, record.to_source(), expect=expect or "absent"
            )
        except IndexNotFoundError as error:
            raise self._no_registry() from error


def _holds(lease: Lease, record: VideoRecord) -> bool:
    return record.state is State.PROCESSING and record.owner == lease.record.owner


def _lost(lease: Lease, record: VideoRecord | None) -> LeaseLostError:
    what = f"it is {record.state}" if record else "it is gone"
    who = f", owned by {record.owner}" if record and record.owner else ""
    return LeaseLostError(f"video {lease.id!r} is no longer ours: {what}{who}")
