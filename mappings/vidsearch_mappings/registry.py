"""The documents of the registry: one declaration for the record, its JSON and the mapping.

To add a field, add one line to :class:`VideoRecord`, with ``since=REGISTRY_VERSION + 1`` in its
:class:`Column`. Mapping, JSON and version follow from it; `vidsearch index upgrade` adds the field
to registries that exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timezone
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

from vidsearch_mappings.error_record import ErrorRecord
from vidsearch_mappings.side_index import side_index
from vidsearch_mappings.types import EngineKind, Json
from vidsearch_mappings.videos import MAX_KEYWORD

__all__ = [
    "GIVEN_UP",
    "IN_PROGRESS",
    "PRIORITIES",
    "REGISTRY_VERSION",
    "UNSETTLED",
    "UNWANTED",
    "WAITING",
    "Column",
    "ErrorRecord",
    "Priority",
    "State",
    "VideoRecord",
    "fitted",
    "from_stamp",
    "is_essential",
    "missing_fields",
    "registry_index",
    "registry_meta",
    "registry_version",
    "to_stamp",
]


@lru_cache(maxsize=1024)  # the records of a batch have one time
def to_stamp(seconds: float) -> str:
    """Seconds since the epoch as ``2026-01-31T12:00:00.000Z``, which also sorts as text."""
    whole, millis = divmod(round(seconds * 1000), 1000)
    moment = datetime.fromtimestamp(whole, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def from_stamp(stamp: str) -> float:
    """The inverse of :func:`to_stamp`."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


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


Priority = Literal["interactive", "bulk"]
"""Whether somebody waits for a video, or it is one of many."""
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""The first one goes first."""

WAITING = frozenset({State.REGISTERED, State.QUEUED})
"""A worker is still to begin."""
IN_PROGRESS = WAITING | {State.PROCESSING}
"""A worker is at it, or still to begin."""
GIVEN_UP = frozenset({State.FAILED, State.DEAD})
"""It ended without vectors, and is not tried again by itself."""
UNSETTLED = IN_PROGRESS | {State.DEAD}
"""It is not indexed now. What was indexed of it before still stands, and searches show it; but not
where it failed since then and is tried again: its document is removed."""
UNWANTED = GIVEN_UP | {State.DELETED}
"""Its document is removed, and its record may be purged."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one value of a record is stored."""

    mapping: Mapping[str, Any]
    """Of the field, as the engines take it."""
    encode: Callable[[Any], Any] = lambda value: value
    """From the value to JSON."""
    decode: Callable[[Any], Any] = lambda value: value
    """From JSON to the value."""
    since: int = 1
    """First version of the registry that has the field."""
    always: bool = False
    """Whether it is stored even where it has its default value."""
    essential: bool = False
    """Whether a record must not be written to a registry that lacks the field: without the value,
    the video would be ingested wrongly."""


_EMBEDDINGS = 2
"""Version of the registry with which files are known again by their content."""
_OPERATIONS = 3
"""Version of the registry with which videos have a priority, and waiting ones an age."""
_REINDEX = 4
"""Version of the registry with which other indices have fingerprints of their own."""
_KEYWORD = {"type": "keyword"}
_NOT_INDEXED = {"type": "object", "enabled": False}
_DATE = {"type": "date", "format": "strict_date_time||epoch_millis"}
_ERROR = {
    "properties": {
        "type": _KEYWORD,
        "stage": _KEYWORD,
        "message": {"type": "text"},
        "causes": {"type": "text", "index": False},
    },
}

_ALWAYS_TIME = Column(_DATE, encode=to_stamp, decode=from_stamp, always=True)
_Keyword = Annotated[str | None, Column(_KEYWORD)]
_Count = Annotated[int | None, Column({"type": "integer"})]
_Time = Annotated[float | None, Column(_DATE, encode=to_stamp, decode=from_stamp)]


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One entry of the registry. Times are seconds since the epoch, as ``time.time()`` counts."""

    id: str
    uri: Annotated[str, Column({"type": "keyword", "ignore_above": MAX_KEYWORD})] = field(
        repr=False  # may hold a signature or credentials
    )
    fields: Annotated[Mapping[str, Any], Column(_NOT_INDEXED, encode=dict)] = field(
        default_factory=dict, repr=False
    )
    """The application's own fields of the document, beside the vidsearch object."""
    routing: Annotated[str | None, Column(_KEYWORD, essential=True)] = None
    """What the document was stored with, in an attached index."""
    state: Annotated[State, Column(_KEYWORD, encode=str, decode=State, always=True)] = (
        State.REGISTERED
    )
    attempts: Annotated[int, Column({"type": "integer"}, always=True)] = 0
    """Times that work on it began; infrastructure outages are taken back."""
    owner: _Keyword = None
    lease_until: _Time = None
    fingerprint: _Keyword = None
    """Of the content, model, sampling and layout that were indexed last."""
    error: Annotated[
        ErrorRecord | None,
        Column(_ERROR, encode=ErrorRecord.to_source, decode=ErrorRecord.from_source),
    ] = None
    frames: _Count = None
    damaged: _Count = None
    """Of them (and of those left out), how many did not decode."""
    segments: _Count = None
    duration: Annotated[float | None, Column({"type": "float"})] = None
    """Of the video, in seconds."""
    seconds: Annotated[Mapping[str, float], Column(_NOT_INDEXED, encode=dict)] = field(
        default_factory=dict
    )
    """Seconds spent per stage of the attempt that indexed it."""
    registered_at: Annotated[float, _ALWAYS_TIME] = 0.0
    requested_at: Annotated[
        float | None, Column(_DATE, encode=to_stamp, decode=from_stamp, since=_OPERATIONS)
    ] = None
    """When it was last asked for, where that was later than ``registered_at``: changed, retried or
    reopened. No try moves it."""
    updated_at: Annotated[float, _ALWAYS_TIME] = 0.0
    due_at: _Time = None
    """When a queued video may be expected to start: now, or after the wait before a retry. Of a
    registered video, when the sweep is to send its message."""
    failing_since: Annotated[
        float | None, Column(_DATE, encode=to_stamp, decode=from_stamp, since=_OPERATIONS)
    ] = None
    """When the first of the outages in a row was, for which its last attempts ended."""
    indexed_at: _Time = None
    content: Annotated[str | None, Column(_KEYWORD, since=_EMBEDDINGS)] = None
    """SHA-256 of the file's bytes, as they were read last."""
    source: Annotated[Mapping[str, Any], Column(_NOT_INDEXED, encode=dict, since=_EMBEDDINGS)] = (
        field(default_factory=dict, repr=False)
    )
    """How the file is known again without reading it: its ``validator``, and the hashes of the
    subtitle files beside it (``subtitles``). ``must_answer``: what is known does not count while
    its place is away."""
    priority: Annotated[Priority, Column(_KEYWORD, since=_OPERATIONS)] = "interactive"
    """Which messages go before its own."""
    fingerprints: Annotated[
        Mapping[str, Mapping[str, str]], Column(_NOT_INDEXED, encode=dict, since=_REINDEX)
    ] = field(default_factory=dict, repr=False)
    """Of its documents in other concrete indices than the one that it was ingested into, by their
    names: ``is``, and the ``fingerprint`` that this goes with (``of``); see :meth:`is_current`. A
    reindex leaves them where the new index has another model or other segments."""
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Fields of a newer version, kept as they are by every change."""

    def to_source(self) -> Json:
        """As a document; the id is the document's own.

        A value that is its field's default is left out. A registry that lacks a field of this
        version can thus hold every record that does not use it.
        """
        source = dict(self.unknown)
        for name, column in _COLUMNS.items():
            value = getattr(self, name)
            if column.always or value != _DEFAULTS[name]:
                source[name] = None if value is None else column.encode(value)
        return source

    @classmethod
    def from_source(cls, id: str, source: Mapping[str, Any]) -> VideoRecord:
        """The inverse of :meth:`to_source`; fields of a newer version are kept in ``unknown``."""
        known = {
            name: column.decode(source[name])
            for name, column in _COLUMNS.items()
            if source.get(name) is not None
        }
        unknown = {name: value for name, value in source.items() if name not in _COLUMNS}
        return cls(id=id, unknown=unknown, **known)

    def to_json(self) -> Json:
        """For people and their scripts: every field of this version."""
        values = {name: getattr(self, name) for name in _COLUMNS}
        return {"id": self.id} | {
            name: None if value is None else _COLUMNS[name].encode(value)
            for name, value in values.items()
        }

    def is_current(self, fingerprint: str | None, *, index: str) -> bool:
        """Whether a document with that fingerprint, in a concrete index, was made of what is known
        of the video now.

        What was noted for another index than the one that the video was ingested into counts as
        long as ``fingerprint`` is the one that it was noted with: whoever ingests the video again,
        also a worker of a version that does not know the field, thereby outdates it.
        """
        if self.fingerprint is None or fingerprint is None:
            return False
        other = self.fingerprints.get(index, {})
        return fingerprint == self.fingerprint or other == {
            "of": self.fingerprint,
            "is": fingerprint,
        }

    def changed(self, **values: Any) -> VideoRecord:
        """A copy with some values changed."""
        return replace(self, **values)


def _columns() -> dict[str, Column]:
    hints = get_type_hints(VideoRecord, include_extras=True)
    return {
        name: part
        for name, hint in hints.items()
        for part in get_args(hint)[1:]
        if isinstance(part, Column)
    }


_COLUMNS = _columns()
_DEFAULTS = {
    f.name: f.default if f.default_factory is MISSING else f.default_factory()
    for f in fields(VideoRecord)
}

REGISTRY_VERSION = max(column.since for column in _COLUMNS.values())
"""Of the registry's mapping. Registries that were made before versions were counted have 0."""


def registry_index(kind: EngineKind, *, shards: int, replicas: int) -> Json:
    """Settings and mapping of the registry, for ``PUT /<index>``: one document per video.

    What is only kept and never searched (the application's fields, seconds per stage) is not
    indexed, whatever it holds. Args and errors are those of :func:`side_index`.
    """
    return side_index(kind, _properties(), shards=shards, replicas=replicas, meta=registry_meta({}))


def registry_meta(meta: Mapping[str, Any]) -> Json:
    """The ``_meta`` of a live registry, with the version of this code."""
    vidsearch = {**meta.get("vidsearch", {}), "registry": {"version": REGISTRY_VERSION}}
    return {**meta, "vidsearch": vidsearch}


def registry_version(mapping: Mapping[str, Any]) -> int:
    """The version that a live mapping names; 0 where it names none."""
    found: Any = mapping.get("_meta")
    for key in ("vidsearch", "registry", "version"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, int) else 0


def missing_fields(mapping: Mapping[str, Any]) -> Json:
    """``properties`` to add to a live mapping so that it has every field of this version."""
    return _missing(_properties(), mapping.get("properties", {}))


def fitted(source: Mapping[str, Any], mapping: Mapping[str, Any]) -> tuple[Json, tuple[str, ...]]:
    """A document without the fields that a live mapping lacks, and their names."""
    kept: Json = {}
    left_out: list[str] = []
    live = mapping.get("properties", {})
    for name, value in source.items():
        if name not in live:
            left_out.append(name)
        elif isinstance(value, Mapping) and "properties" in live[name]:
            kept[name], inner = fitted(value, live[name])
            left_out += [f"{name}.{one}" for one in inner]
        else:
            kept[name] = value
    return kept, tuple(left_out)


def is_essential(name: str) -> bool:
    """Whether a record must not be written without that field: see :attr:`Column.essential`."""
    return name in _COLUMNS and _COLUMNS[name].essential


def _properties() -> Json:
    return {name: deepcopy(dict(column.mapping)) for name, column in _COLUMNS.items()}


def _missing(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Json:
    missing: Json = {}
    for name, mapping in wanted.items():
        if name not in live:
            missing[name] = mapping
        elif inner := _missing(mapping.get("properties", {}), live[name].get("properties", {})):
            missing[name] = {**live[name], "properties": {**live[name]["properties"], **inner}}
    return missing
