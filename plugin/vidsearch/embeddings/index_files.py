"""Files in an index of the cluster, for those who want no other service beside it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vidsearch.batches import in_batches
from vidsearch.config import IndexSettings
from vidsearch.engines import Document, Engine, Write
from vidsearch.engines.creation import concrete_name, ensure_side_index
from vidsearch.errors import IndexNotFoundError, RequestTooLargeError
from vidsearch.media.file_store import StoredFile
from vidsearch_mappings.embeddings import embeddings_index
from vidsearch_mappings.registry import from_stamp, to_stamp

__all__ = ["IndexFiles", "drop_embeddings_index"]

_PART = 3 * 2**20
"""Bytes of a file per document: 4 MiB of base64, below the 5 MiB that no document exceeds."""
_SMALLEST_PART = 12 * 2**10
"""A cluster that does not take so much in one request takes no videos either."""
_PARTS_AT_ONCE = 8


class IndexFiles:
    """Files as base64 in the documents of an index, which is made with the first file.

    A file of several documents that is read while it is written, or whose writer was killed, counts
    as absent: all of them hold the checksum of the whole.

    Methods raise what :class:`~vidsearch.engines.Engine` raises.
    """

    def __init__(self, engine: Engine, settings: IndexSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._name = settings.embeddings
        self._part = _PART

    def __repr__(self) -> str:
        return f"IndexFiles({self._name!r})"

    @property
    def shown(self) -> str:
        """Where the files are, for messages."""
        return f"index {self._name!r}"

    def read(self, key: str) -> bytes | None:
        """The file, or ``None`` where there is none, or not the whole of it."""
        return self.read_many([key]).get(key)

    def read_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Some files, by their keys; those of which there is none, or not the whole, are left out.

        Files of one document each take one request.
        """
        try:
            first = self._engine.mget(self._name, [_id(key, 0) for key in keys])
            files = {
                key: self._whole(key, first[_id(key, 0)]) for key in keys if _id(key, 0) in first
            }
        except IndexNotFoundError:
            return {}
        return {key: data for key, data in files.items() if data is not None}

    def _whole(self, key: str, first: Document) -> bytes | None:
        """The file whose first part this is."""
        ids = [_id(key, part) for part in range(1, first.source["parts"])]
        parts = {first.id: first.source}
        for batch in in_batches(ids, _PARTS_AT_ONCE):
            found = self._engine.mget(self._name, batch)
            parts |= {id: document.source for id, document in found.items()}
        if len(parts) != len(ids) + 1:
            return None
        data = b"".join(base64.b64decode(parts[id]["data"]) for id in (first.id, *ids))
        checksum = hashlib.sha256(data).hexdigest()
        return data if all(one["checksum"] == checksum for one in parts.values()) else None

    def write(self, key: str, data: bytes) -> None:
        """Keep a file under a key, in place of one that is there.

        Where a proxy in front of the cluster takes less in one request, as nginx does by default,
        the parts are halved until it takes them.
        """
        while True:
            part = min(self._part, max(len(data), 1))
            try:
                self._write(key, data, part)
                return
            except RequestTooLargeError:
                if part <= _SMALLEST_PART:
                    raise
                self._part = max(part // 2, _SMALLEST_PART)

    def _write(self, key: str, data: bytes, part: int) -> None:
        parts = [data[at : at + part] for at in range(0, len(data), part)] or [b""]
        common = {
            "key": key,
            "parts": len(parts),
            "bytes": len(data),
            "checksum": hashlib.sha256(data).hexdigest(),
            "written": to_stamp(time.time()),
        }
        for number, content in enumerate(parts):
            document = {**common, "part": number, "data": base64.b64encode(content).decode()}
            self._put(_id(key, number), document)

    def files(self) -> Iterator[StoredFile]:
        """What is kept, in no order."""
        try:
            self._engine.refresh(self._name)
            for document in self._engine.scan(
                self._name, query={"term": {"part": 0}}, source=["key", "bytes", "written"]
            ):
                source = document.source
                yield StoredFile(source["key"], source["bytes"], from_stamp(source["written"]))
        except IndexNotFoundError:
            return

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is none of the others' matter."""
        for batch in in_batches(keys):
            query = {"terms": {"key": batch}}
            try:
                self._engine.refresh(self._name)
                ids = [one.id for one in self._engine.scan(self._name, query=query, source=False)]
                self._engine.bulk(self._name, [Write("delete", id) for id in ids], refresh=True)
            except IndexNotFoundError:
                return

    def _put(self, id: str, document: Mapping[str, Any]) -> None:
        try:
            self._engine.put(self._name, id, document)
        except IndexNotFoundError:
            self._create()
            self._engine.put(self._name, id, document)

    def _create(self) -> None:
        settings = self._settings
        body = embeddings_index(
            self._engine.kind, shards=settings.shards, replicas=settings.replicas
        )
        ensure_side_index(self._engine, self._name, body, advice=settings.side_advice)


def drop_embeddings_index(engine: Engine, settings: IndexSettings) -> None:
    """Drop the index of the embeddings where it exists."""
    for name in engine.indices_of(settings.embeddings):
        if name == concrete_name(settings.embeddings):
            engine.delete_index(name)


def _id(key: str, part: int) -> str:
    return f"{key}#{part}"
