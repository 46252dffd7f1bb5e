"""The seam to the search engine: thin, the same for every kind, no knowledge of videos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.engines.types import (
    BulkResult,
    Document,
    EngineInfo,
    EngineKind,
    Features,
    Json,
    Revision,
    ShardsRead,
    Write,
)

__all__ = ["AsyncEngine", "Engine"]

_T = TypeVar("_T")


class _Engine(Protocol):
    @property
    def kind(self) -> EngineKind:
        """Elasticsearch or OpenSearch."""

    @property
    def calls(self) -> Calls:
        """The methods of :class:`Engine` as steps, for code that serves sync and async engines."""


@runtime_checkable
class Engine(_Engine, Protocol):
    """Thin I/O over one cluster. Thread-safe.

    A write never creates an index, as the engines do by default. A search or count that did not
    reach every shard is an error. Only :meth:`bulk` retries; all else makes one attempt,
    unless it was connected with more ``tries``.

    A search, count or scan after :meth:`refresh` sees all that was written before it. In OpenSearch
    they are answered by the primary shards, as replicas of an index with ``replication.type:
    SEGMENT`` have that later. What users search by asks any copy: :meth:`msearch`, and a search or
    count with ``refreshed=False``.

    Every method maps the client library's exceptions:

    Raises:
        BackendUnavailableError: not reachable, timed out, overloaded (429, 5xx).
        BackendAccessDeniedError: 401 or 403.
        IndexNotFoundError: no such index or alias.
        MappingConflictError: a mapping or query that the engine rejects (400).
        VersionConflictError: a compare-and-set lost (409).
    """

    def run(self, steps: Steps[_T]) -> _T:
        """Carry steps out in this thread; gives what they return."""

    def info(self) -> EngineInfo:
        """Kind and version; asked once, then cached."""

    def features(self) -> Features:
        """What the cluster can do; asked once, then cached. Never an error for want of a right."""

    def create_index(self, name: str, body: Mapping[str, Any]) -> None:
        """Create an index. Raises MappingConflictError where it exists already."""

    def delete_index(self, name: str) -> None:
        """Drop a concrete index; an alias or a pattern is IndexNotFoundError."""

    def indices_of(self, name: str) -> tuple[str, ...]:
        """Concrete index names behind an index or alias name, sorted; empty where none."""

    def indices_behind(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """As :meth:`indices_of`, for several names in one request: what they stood for at one
        moment."""

    def mapping(self, index: str) -> Json:
        """The mapping (``_meta``, ``properties``) of the one index behind ``index``."""

    def mappings_behind(self, name: str) -> dict[str, Json]:
        """The mappings of the indices behind an index or alias name, by their own names, in one
        request: what it stood for at one moment; empty where none."""

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        """Add fields to the mapping of an index. ``_meta``, where given, is replaced as a whole."""

    def settings(self, index: str) -> Json:
        """What stands under ``index`` in the settings of one index; numbers may be texts."""

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> None:
        """Change settings under ``index``; ``None`` as a value resets one."""

    def aliases(self, index: str) -> Json:
        """The aliases of one index, each with its options (filter, routing, …)."""

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Run alias actions (``{"add": {"index": …, "alias": …}}``) in one atomic call."""

    def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        """Read one document in real time, vectors included; ``None`` where absent.

        A document that was stored with a routing is found only with it.
        """

    def mget(
        self,
        index: str,
        ids: Sequence[str],
        *,
        routing: Mapping[str, str] | None = None,
        source: Sequence[str] | bool = True,
    ) -> dict[str, Document]:
        """Read documents by their ids, in real time; those that are absent are left out.

        Args:
            index: index or alias.
            ids: of the documents.
            routing: by id, of the documents that were stored with one.
            source: names of the fields to bring, ``True`` for all of them, vectors included,
                ``False`` for ids and revisions only.
        """

    def put(
        self,
        index: str,
        id: str,
        source: Mapping[str, Any],
        *,
        expect: Revision | Literal["absent"] | None = None,
        version: int | None = None,
        routing: str | None = None,
        pipeline: bool = True,
        refresh: bool = False,
    ) -> Revision:
        """Write one whole document.

        Args:
            expect: the revision that must still be stored, ``"absent"`` for create-only,
                ``None`` for an unconditional write.
            version: the number that the document has afterwards, and that no greater one may be
                stored than; ``None`` counts one up. Not with ``expect``, as the engines take only
                one of the two.
            routing: value that decides on the shard; the id where ``None``.
            pipeline: ``False`` passes the default ingest pipeline of the index by.
            refresh: wait until the write is visible to searches.
        """

    def update(
        self,
        index: str,
        id: str,
        partial: Mapping[str, Any],
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> Revision | None:
        """Merge ``partial`` into one stored document; ``None`` where there is no such document.

        No ingest pipeline runs.

        Objects are merged; lists, nested ones too, and values are replaced. The rest of the
        document stays as it is, vectors included.

        Args:
            expect: the revision that must still be stored. Without it, writes in between are
                merged as well.
            routing: what the document was stored with.
            refresh: wait until the write is visible to searches.
        """

    def delete(
        self,
        index: str,
        id: str,
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> bool:
        """Delete one document; ``False`` where it was absent."""

    def bulk(
        self,
        index: str,
        writes: Sequence[Write],
        *,
        pipeline: bool = True,
        refresh: bool = False,
        is_there: bool = False,
    ) -> BulkResult:
        """Run many writes, in as few requests as their size allows; none is lost silently.

        Vectors in a source may be numpy arrays, ``(dims,)`` float32; they are sent as base64 where
        the engine takes it. Their length is the caller's to check: Elasticsearch 9.5 takes base64
        of half the bytes for bfloat16. Writes of one id are done in their order. ``delete`` of an
        absent id is not a failure. ``pipeline=False`` passes the default ingest pipeline by.
        ``is_there=True``: the caller has asked a moment ago whether the index exists, which is
        asked before else, as the engines would create it.

        What was turned away for load (429, 5xx), and whole requests without an answer, are sent
        again with backoff and jitter, a few times; requests that are too large (413) are halved.
        Where a write is repeated after its answer was lost and meets a conflict, the document is
        read: if it is what was written, the write counts as done.

        A write with ``expect`` that finds another revision, or one with ``version`` that finds a
        greater one, is no error; its id is among the ``conflicts`` of the result. A ``create``
        without ``expect`` that finds a document is rejected.

        Raises:
            BulkError: items were rejected for what they are; ``failures`` has the error of each,
                ``conflicts`` and ``revisions`` are as in the result. All others are written.
            BackendUnavailableError: items were still turned away at the last attempt; the message
                says how many were written.
        """

    def search(self, index: str, body: Mapping[str, Any], *, refreshed: bool = True) -> Json:
        """Run one ``_search`` and return the response."""

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        """Run several searches in one round trip. The first failed one is raised.

        A body may say its ``search_type``, which goes where the engines want it.
        """

    def count(
        self, index: str, query: Mapping[str, Any] | None = None, *, refreshed: bool = True
    ) -> int:
        """Number of matching documents."""

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        """All matching documents in no order, read page by page from one point in time.

        Args:
            index: index or alias.
            query: which documents; all where ``None``.
            source: names of the fields to bring, ``True`` for all of them, vectors included,
                ``False`` for ids and revisions only.
            page_size: documents per request, or as many as the index gives at once
                (``max_result_window``); each page must be used up within five minutes.
        """

    def scan_slices(
        self,
        index: str,
        slices: int,
        *,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> AbstractContextManager[Sequence[Iterator[Document]]]:
        """All documents as :meth:`scan`, in so many parts that threads may read side by side.

        A document is in one part only. Where the engine cannot read all parts from one point in
        time, each has its own, and a document that is written between them is in at most one.

            with engine.scan_slices(index, 2) as slices:
                …
        """

    def checkpoints(self, index: str) -> dict[int, int]:
        """By shard of one index, the number up to which every write is done on every copy of it.

        Writes are counted per shard, from 0 on; a document has the number of its last one
        (:attr:`~vidsearch.engines.types.Revision.seq_no`). After a refresh, searches see at least
        these. -1 where there was none yet. Writes that are not on disk yet, as with
        ``translog.durability: async``, do not count: it may be some seconds behind.
        """

    def merging(self, indices: Sequence[str]) -> int:
        """Number of merges of segments that run on shards of some indices, which slow down all."""

    def changes(
        self,
        index: str,
        *,
        after: Mapping[int, int],
        until: Mapping[int, int],
        page_size: int = 500,
    ) -> Iterator[Document]:
        """The documents that were written last between two :meth:`checkpoints`; refresh first.

        One that is written again while this reads is left out: it has a number above ``until``.

        Args:
            index: concrete index.
            after: by shard, the number that those before have at most.
            until: by shard, the greatest number.
            page_size: documents per request.
        """

    def search_shard(self, index: str, shard: int, body: Mapping[str, Any]) -> Json:
        """Run one ``_search`` over one shard of a concrete index, by its number."""

    def read_shards(
        self,
        index: str,
        after: Mapping[int, int],
        *,
        size: int,
        bodies: Sequence[tuple[int, Mapping[str, Any]]] = (),
    ) -> ShardsRead:
        """What was written last to shards of one concrete index, and more, in one round trip.

        Args:
            index: concrete index; refresh first.
            after: by shard, the number that those before have at most.
            size: documents of a shard at most, those with the smallest numbers.
            bodies: further searches, each with the number of its shard.
        """

    def open_point_in_time(self, index: str, *, shard: int | None = None) -> str:
        """Keep what searches see of an index now, for five minutes after the last search.

        ``shard`` is the number of one of its shards, ``None`` for all of them.
        """

    def search_point_in_time(self, point: str, body: Mapping[str, Any]) -> Json:
        """Run one ``_search`` over what :meth:`open_point_in_time` keeps."""

    def close_point_in_time(self, point: str) -> None:
        """Free what the cluster keeps for it."""

    def block_writes(self, index: str) -> None:
        """Have one concrete index refuse writes (403), and wait for those that are under way.

        :meth:`put_settings` with ``blocks.write: None`` allows them again.
        """

    def refresh(self, index: str) -> None:
        """Make earlier writes visible to searches."""

    def close(self) -> None:
        """Close connections; a client that was passed in stays open."""


@runtime_checkable
class AsyncEngine(_Engine, Protocol):
    """An :class:`Engine` for the tasks of one event loop: the same calls, run by ``await``."""

    async def run(self, steps: Steps[_T]) -> _T:
        """See :meth:`Engine.run`: ``await engine.run(engine.calls.search(index, body))``."""

    async def close(self) -> None:
        """Close connections; a client that was passed in stays open."""
