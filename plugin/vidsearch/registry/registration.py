"""What became of one of many videos."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidsearch.errors import VideoNotRegisteredError, VidsearchError
from vidsearch.registry.store import Stored
from vidsearch_mappings.registry import VideoRecord

__all__ = ["Registration", "registered"]


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of one of many videos."""

    id: str
    stored: Stored | None = field(default=None, repr=False)
    error: VidsearchError | None = None
    """Why nothing was changed, or why the video was not queued."""
    changed: bool = False
    """Whether the record was written; it was not where it says the same already."""

    @classmethod
    def of(cls, id: str, end: Stored | VidsearchError) -> Registration:
        """From what ``RecordStore.change_many`` says of a video."""
        if isinstance(end, Stored):
            return cls(id, end, changed=end.written)
        return cls(id, error=end)

    @property
    def record(self) -> VideoRecord | None:
        """As it stands now; ``None`` where it was not changed."""
        return self.stored.record if self.stored else None

    def require(self) -> VideoRecord:
        """The record. Raises ``error`` where there is one."""
        if self.error:
            raise self.error
        return registered(self.record, self.id)


def registered(record: VideoRecord | None, id: str) -> VideoRecord:
    """A record that must be there.

    Raises:
        VideoNotRegisteredError: it is not.
    """
    if record is None:
        raise VideoNotRegisteredError(f"no video {id!r} is registered")
    return record
