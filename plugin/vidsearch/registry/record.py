"""What the registry knows of one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from vidsearch.engines.base import Json

__all__ = ["ErrorRecord", "State", "VideoRecord", "from_stamp", "to_stamp"]


class State(str, Enum):
    """Where a video stands."""

    REGISTERED = "registered"  # known, no message is in the queue yet
    QUEUED = "queued"  # a message is in the queue, or a retry is due
    PROCESSING = "processing"  # a worker holds the lease
    INDEXED = "indexed"  # its vectors can be searched
    FAILED = "failed"  # the video itself is at fault; never retried by itself
    DEAD = "dead"  # given up after the allowed number of attempts
    DELETED = "deleted"  # tombstone; an ingest that is still running must not bring it back

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Why the last attempt did not end well."""

    type: str
    """Name of the exception's class."""
    stage: str
    """What was being done: ``lease``, ``fetch``, ``decode``, ``encode``, ``write``, …"""
    message: str

    @classmethod
    def of(cls, error: BaseException, *, stage: str) -> ErrorRecord:
        """From an exception; long messages are cut, as they land in every listing."""
        message = " ".join(str(error).split()) or type(error).__name__
        return cls(type=type(error).__name__, stage=stage, message=message[:1000])

    def __str__(self) -> str:
        return f"{self.type} ({self.stage}): {self.message}"


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One entry of the registry. Times are seconds since the epoch, as ``time.time()`` counts."""

    id: str
    uri: str = field(repr=False)  # may hold a signature or credentials
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The host's own fields, which stand beside our object in the document."""
    routing: str | None = None
    """What the host's document was stored with, in an attached index."""
    state: State = State.REGISTERED
    attempts: int = 0
    """Times that work on it began; infrastructure outages are taken back."""
    owner: str | None = None
    lease_until: float | None = None
    fingerprint: str | None = None
    """Of the content, model, sampling and layout that were indexed last."""
    error: ErrorRecord | None = None
    frames: int | None = None
    damaged: int | None = None
    """Of them (and of those left out), how many did not decode: see ``FrameSummary.damaged``."""
    segments: int | None = None
    duration: float | None = None
    """Of the video, in seconds."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent per stage of the attempt that indexed it."""
    registered_at: float = 0.0
    updated_at: float = 0.0
    due_at: float | None = None
    """When a queued video may be expected to start: now, or after the wait before a retry."""
    indexed_at: float | None = None

    def to_source(self) -> Json:
        """As a document; the id is the document's own."""
        source: Json = {}
        for name in _NAMES:
            value = getattr(self, name)
            if name in _TIMES:
                value = None if value is None else to_stamp(value)
            elif isinstance(value, State):
                value = value.value
            elif isinstance(value, ErrorRecord):
                value = {"type": value.type, "stage": value.stage, "message": value.message}
            elif isinstance(value, Mapping):
                value = dict(value)
            source[name] = value
        if self.routing is None:
            del source["routing"]  # registries of older versions do not know it
        return source

    @classmethod
    def from_source(cls, id: str, source: Mapping[str, Any]) -> VideoRecord:
        """From a document; keys of a newer version are ignored."""
        values: dict[str, Any] = {}
        for name in _NAMES:
            value = source.get(name)
            if value is None:
                continue
            if name in _TIMES:
                value = from_stamp(value)
            elif name == "state":
                value = State(value)
            elif name == "error":
                value = ErrorRecord(**value)
            values[name] = value
        return cls(id=id, **values)

    def to_json(self) -> Json:
        """For people and their scripts."""
        return {"id": self.id, **self.to_source()}

    def changed(self, **values: Any) -> VideoRecord:
        """A copy with some values changed."""
        return replace(self, **values)


_NAMES = tuple(f.name for f in fields(VideoRecord) if f.name != "id")
_TIMES = frozenset({"lease_until", "registered_at", "updated_at", "due_at", "indexed_at"})


def to_stamp(seconds: float) -> str:
    """Seconds since the epoch as ``2026-01-31T12:00:00.000Z``, which also sorts as text."""
    whole, millis = divmod(round(seconds * 1000), 1000)
    moment = datetime.fromtimestamp(whole, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def from_stamp(stamp: str) -> float:
    """The inverse of :func:`to_stamp`."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
