"""What goes into an engine and comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vidsearch_mappings.fusions import Hybrid, Retriever
from vidsearch_mappings.types import EngineKind, Json

__all__ = [
    "BulkResult",
    "Document",
    "EngineInfo",
    "EngineKind",
    "Features",
    "Json",
    "Revision",
    "ShardsRead",
    "Write",
    "routing_of",
]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What answers at the URL."""

    kind: EngineKind
    version: tuple[int, int, int]
    url: str
    """Without credentials."""

    @property
    def product(self) -> str:
        """Kind and version, for messages to those who are not told where it is."""
        return f"{self.kind} {'.'.join(map(str, self.version))}"

    def __str__(self) -> str:
        return f"{self.product} at {self.url}"


@dataclass(frozen=True, slots=True)
class Features:
    """What a cluster can do, by its version, its licence and its plugins."""

    licence: str | None
    """``basic``, ``trial``, ``enterprise``, …; ``None`` where the cluster does not say."""
    base64_vectors: Literal["big", "little"] | None
    """Byte order of the base64 vectors that a bulk takes; ``None``: JSON arrays only."""
    nested_filters: bool
    """Whether a kNN clause on segments may filter by fields of the segments."""
    exact_inner_hits: bool
    """Whether the inner hits of a rescored kNN clause are scored with the exact vectors."""
    retrievers: frozenset[Retriever]
    """Elasticsearch's native fusions that the licence allows."""
    hybrid: frozenset[Hybrid]
    """OpenSearch's native fusions, of its ``hybrid`` query with an inline pipeline."""
    quantizations: frozenset[str]
    """Presets of :data:`~vidsearch_mappings.types.Quantization` that an index can be made with."""


@dataclass(frozen=True, slots=True)
class Revision:
    """The state of one document, for compare-and-set."""

    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document with its revision."""

    id: str
    source: Json
    revision: Revision
    routing: str | None = None
    """What it was stored with, where that was not its id; a write of it has to repeat this."""
    version: int | None = None
    """Its version number, which the application may count itself."""


def routing_of(documents: Iterable[Document]) -> dict[str, str]:
    """By id, the routing of those that have one: for :meth:`Engine.mget`."""
    return {one.id: one.routing for one in documents if one.routing is not None}


@dataclass(frozen=True, slots=True)
class Write:
    """One action of a bulk write. ``update`` merges ``source`` into the stored document."""

    op: Literal["index", "create", "update", "delete"]
    id: str
    source: Mapping[str, Any] | None = None
    routing: str | None = None
    """Value that decides on the shard; the id where ``None``."""
    expect: Revision | Literal["absent"] | None = None
    """The revision that must still be stored, or ``"absent"`` for an ``index`` that only creates.
    Where it is not so, the id is among :attr:`BulkResult.conflicts`."""
    version: int | None = None
    """Of an ``index``: the number that the document has afterwards, and that no greater one may be
    stored than; else the id is among the conflicts. ``None`` counts one up."""
    pipeline: bool = True
    """``False`` passes the default ingest pipeline of the index by."""

    def __post_init__(self) -> None:
        if self.version is not None and (self.op != "index" or self.expect is not None):
            raise ValueError("a version goes with op index, and without expect")
        if isinstance(self.expect, Revision) and self.op == "create":
            raise ValueError("op create takes no revision as expect: use op index")
        if self.expect == "absent" and self.op in {"update", "delete"}:
            raise ValueError(f"op {self.op} cannot expect the document to be absent")


@dataclass(frozen=True, slots=True)
class ShardsRead:
    """What searches see of an index, and of single shards of it."""

    changes: Mapping[int, Sequence[Document]]
    """By shard, documents with greater numbers than were given, in their order."""
    answers: Sequence[Json]
    """To the searches of single shards."""
    count: int
    """Number of documents of all shards."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What a bulk write came to."""

    written: int
    """Writes that were done, deletes of absent documents included."""
    retried: int = 0
    """Writes that were sent again, counted each time."""
    requests: int = 0
    """Requests that were sent, repeated ones included."""
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    """Revision by id of each document that was written, unless it was deleted."""
    conflicts: tuple[str, ...] = ()
    """Ids of the writes with ``expect`` that found another revision, or none, and of those with
    ``version`` that found a greater one. They did nothing."""
    created: int = 0
    """Documents that were not there before."""
    deleted: int = 0
    """Documents that were there before. What was sent again may have been done twice: where
    anything was, it may not be among these two numbers."""
