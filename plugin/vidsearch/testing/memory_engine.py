"""A search engine in memory, for tests without a node.

It keeps what vidsearch relies on: revisions with compare-and-set, create-only writes, aliases,
strict objects, dims of vectors, filters, exact kNN. It leaves out what a real node adds: writes are
visible at once, text scoring is a word share instead of BM25, and kNN is exact. The contract tests
hold it and the real adapters to the same behaviour.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, TypeVar

from vidsearch.engines import (
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
from vidsearch.engines.bulk import Progress
from vidsearch.engines.calls import Calls
from vidsearch.engines.features import elasticsearch_features
from vidsearch.engines.steps import Steps, run
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    IndexNotFoundError,
    MappingConflictError,
    VersionConflictError,
)
from vidsearch.testing.memory_calls import memory_calls, no_answer
from vidsearch.testing.memory_query import score
from vidsearch.testing.memory_search import filtered, search
from vidsearch.testing.memory_writes import MemoryIndex, apply_write, as_json

__all__ = ["MemoryEngine"]

_T = TypeVar("_T")


class MemoryEngine:
    """Implements the ``Engine`` protocol in a dictionary. Thread-safe."""

    def __init__(self) -> None:
        self._indices: dict[str, MemoryIndex] = {}
        self._points: dict[str, list[tuple[str, Document]]] = {}
        self._lock = threading.RLock()

    @property
    def kind(self) -> EngineKind:
        return "elasticsearch"

    @property
    def calls(self) -> Calls:
        return memory_calls(self)

    def run(self, steps: Steps[_T]) -> _T:
        return run(steps, no_answer)

    def info(self) -> EngineInfo:
        return EngineInfo("elasticsearch", (9, 2, 0), "memory://")

    def features(self) -> Features:
        """Those of a free licence; vectors are kept as lists."""
        features = elasticsearch_features(self.info().version, licence=None)
        return replace(features, exact_inner_hits=True)

    def create_index(self, name: str, body: Mapping[str, Any]) -> None:
        with self._lock:
            if name in self._indices or self._behind(name):
                raise MappingConflictError(f"index or alias {name!r} exists already")
            aliases = as_json(body.get("aliases", {}))
            settings = as_json(body.get("settings", {}).get("index", {}))
            self._indices[name] = MemoryIndex(as_json(body.get("mappings", {})), aliases, settings)

    def delete_index(self, name: str) -> None:
        with self._lock:
            if name not in self._indices:
                raise IndexNotFoundError(f"no index {name!r}")
            del self._indices[name]

    def indices_of(self, name: str) -> tuple[str, ...]:
        with self._lock:
            return self._behind(name)

    def indices_behind(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        with self._lock:
            return {name: self._behind(name) for name in names}

    def mapping(self, index: str) -> Json:
        return self._read(index, "mapping")

    def mappings_behind(self, name: str) -> dict[str, Json]:
        with self._lock:
            return {index: self._read(index, "mapping") for index in self._behind(name)}

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        with self._lock:
            mapping, added = self._one(index).mapping, as_json(body)
            mapping.setdefault("properties", {}).update(added.pop("properties", {}))
            mapping |= added

    def settings(self, index: str) -> Json:
        with self._lock:
            return {**self._read(index, "settings"), "uuid": self._one(index).uuid}

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> None:
        with self._lock:
            target = self._one(index)
            merged = {**target.settings, **as_json(settings)}
            target.settings = {k: v for k, v in merged.items() if v is not None}

    def aliases(self, index: str) -> Json:
        return self._read(index, "aliases")

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        if not actions:
            raise MappingConflictError("must specify at least one alias action")
        with self._lock:
            after = {name: dict(index.aliases) for name, index in self._indices.items()}
            for action in actions:
                ((verb, what),) = action.items()
                name = what["index"]
                if name not in after:
                    raise IndexNotFoundError(f"no index {name!r}")
                if verb == "remove_index":
                    del after[name]
                elif verb == "remove":
                    if after[name].pop(what["alias"], None) is None:
                        raise IndexNotFoundError(f"index {name!r} has no alias {what['alias']!r}")
                else:
                    if what["alias"] in after:
                        raise MappingConflictError(f"{what['alias']!r} is an index, not an alias")
                    options = {k: v for k, v in what.items() if k not in {"index", "alias"}}
                    after[name][what["alias"]] = options
            self._indices = {name: self._indices[name] for name in after}
            for name, aliases in after.items():
                self._indices[name].aliases = aliases

    def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        with self._lock:
            found = self._one(index).documents.get(id)
            # Two shards would have to hash alike; in here a wrong routing never finds anything.
            return None if found is None or found.routing != routing else _copy(found)

    def mget(
        self,
        index: str,
        ids: Sequence[str],
        *,
        routing: Mapping[str, str] | None = None,
        source: Sequence[str] | bool = True,
    ) -> dict[str, Document]:
        by_id = dict(routing or {})
        with self._lock:
            found = [self.get(index, id, routing=by_id.get(id)) for id in ids]
        return {d.id: replace(d, source=filtered(d.source, source)) for d in found if d}

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
        with self._lock:
            write = Write("index", id, source, routing, expect)
            revision = apply_write(self._one(index, to_write=True), write, version, index=index)
        assert revision is not None
        return revision

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
        with self._lock:
            self._one(index, to_write=True)
            if self.get(index, id, routing=routing) is None:
                return None
            return self._write(index, Write("update", id, partial, routing, expect))

    def delete(
        self,
        index: str,
        id: str,
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> bool:
        with self._lock:
            there = id in self._one(index, to_write=True).documents
            self._write(index, Write("delete", id, None, routing, expect))
        return there

    def bulk(
        self,
        index: str,
        writes: Sequence[Write],
        *,
        pipeline: bool = True,
        refresh: bool = False,
        is_there: bool = False,
    ) -> BulkResult:
        requests = min(len(writes), 1)
        progress = Progress(index, self.info().url, len(writes), requests=requests)
        with self._lock:
            documents = self._one(index, to_write=True).documents
            for write in writes:
                was = write.id in documents
                try:
                    revision = self._write(index, write)
                    what = {(False, True): "created", (True, False): "deleted"}
                    progress.done(write, revision, what=what.get((was, write.id in documents), ""))
                except VersionConflictError as error:
                    progress.conflict(write, error)
                except BackendError as error:
                    progress.fail(write.id, error)
        return progress.result()

    def search(self, index: str, body: Mapping[str, Any], *, refreshed: bool = True) -> Json:
        return search(self._snapshot(index), as_json(body))

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        documents = self._snapshot(index)
        return [search(documents, as_json(body)) for body in bodies]

    def count(
        self, index: str, query: Mapping[str, Any] | None = None, *, refreshed: bool = True
    ) -> int:
        found = search(self._snapshot(index), {"query": query or {"match_all": {}}, "size": 0})
        total: int = found["hits"]["total"]["value"]
        return total

    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]:
        for _, found in self._snapshot(index):
            if score(query or {"match_all": {}}, found.id, found.source) is not None:
                yield replace(found, source=filtered(found.source, source))

    def checkpoints(self, index: str) -> dict[int, int]:
        with self._lock:
            return {0: self._one(index).seq_no}

    def merging(self, indices: Sequence[str]) -> int:
        return 0

    def changes(
        self,
        index: str,
        *,
        after: Mapping[int, int],
        until: Mapping[int, int],
        page_size: int = 500,
    ) -> Iterator[Document]:
        found = [one for _, one in self._snapshot(index)]
        for one in sorted(found, key=lambda one: one.revision.seq_no):
            if after.get(0, -1) < one.revision.seq_no <= until[0]:
                yield one

    def search_shard(self, index: str, shard: int, body: Mapping[str, Any]) -> Json:
        return search(self._numbered(index), as_json(body))

    def read_shards(
        self,
        index: str,
        after: Mapping[int, int],
        *,
        size: int,
        bodies: Sequence[tuple[int, Mapping[str, Any]]] = (),
    ) -> ShardsRead:
        with self._lock:
            until = {0: self._one(index).seq_no}
        changes: dict[int, list[Document]] = {shard: [] for shard in after}
        if 0 in after:  # the one shard
            changes[0] = list(islice(self.changes(index, after=after, until=until), size))
        return ShardsRead(
            changes,
            [self.search_shard(index, shard, body) for shard, body in bodies],
            self.count(index),
        )

    def open_point_in_time(self, index: str, *, shard: int | None = None) -> str:
        with self._lock:
            point = f"point {len(self._points)} of {index}"
            self._points[point] = self._numbered(index)
        return point

    def search_point_in_time(self, point: str, body: Mapping[str, Any]) -> Json:
        return search(self._points[point], as_json(body))

    def close_point_in_time(self, point: str) -> None:
        self._points[point] = []

    def block_writes(self, index: str) -> None:
        self.put_settings(index, {"blocks.write": True})

    @contextmanager
    def scan_slices(
        self,
        index: str,
        slices: int,
        *,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Sequence[Iterator[Document]]]:
        found = list(self.scan(index, source=source))
        yield [iter(found[number::slices]) for number in range(slices)]

    def refresh(self, index: str) -> None:
        with self._lock:
            self._require(index)

    def close(self) -> None:
        return None

    def _read(self, index: str, part: Literal["mapping", "settings", "aliases"]) -> Json:
        with self._lock:
            copy: Json = as_json(getattr(self._one(index), part))
            return copy

    def _write(self, index: str, write: Write) -> Revision | None:
        with self._lock:
            return apply_write(self._one(index, to_write=True), write, write.version, index=index)

    def _behind(self, name: str) -> tuple[str, ...]:
        if name in self._indices:
            return (name,)
        return tuple(sorted(n for n, index in self._indices.items() if name in index.aliases))

    def _require(self, name: str) -> tuple[str, ...]:
        names = self._behind(name)
        if not names:
            raise IndexNotFoundError(f"no index or alias {name!r}")
        return names

    def _one(self, name: str, *, to_write: bool = False) -> MemoryIndex:
        names = self._require(name)
        if to_write and len(names) > 1:
            names = tuple(
                n for n in names if self._indices[n].aliases[name].get("is_write_index", False)
            )
        if len(names) != 1:
            behind = ", ".join(self._behind(name))
            raise MappingConflictError(f"{name!r} stands for {behind}, but one index is needed")
        found = self._indices[names[0]]
        if to_write and found.settings.get("blocks.write"):
            raise BackendAccessDeniedError(f"index {names[0]!r} is blocked: it refuses writes")
        return found

    def _snapshot(self, name: str) -> list[tuple[str, Document]]:
        with self._lock:
            return [
                (index, _copy(document))
                for index in self._require(name)
                for document in self._indices[index].documents.values()
                if score(self._filter(index, name), document.id, document.source) is not None
            ]

    def _numbered(self, name: str) -> list[tuple[str, Document]]:
        """As of :meth:`_snapshot`, with the number of its last write in each."""
        return [
            (index, replace(one, source={**one.source, "_seq_no": one.revision.seq_no}))
            for index, one in self._snapshot(name)
        ]

    def _filter(self, index: str, alias: str) -> Json:
        filter: Json = self._indices[index].aliases.get(alias, {}).get("filter", {"match_all": {}})
        return filter


def _copy(document: Document) -> Document:
    return replace(document, source=as_json(document.source))
