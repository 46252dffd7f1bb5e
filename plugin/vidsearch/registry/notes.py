"""Small documents that processes leave each other, in a side index that the first one makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.engines.creation import ensure_side_index
from vidsearch.errors import IndexNotFoundError
from vidsearch_mappings.operations import operations_index

__all__ = ["Notes"]

_MAX_NOTES = 10_000


class Notes:
    """Notes by id, each with a kind and a value of any shape. Thread-safe.

    Methods raise what :class:`~vidsearch.engines.Engine` raises.

    Args:
        engine: the cluster.
        index: alias of the index.
        replicas: of an index that is to be made.
        advice: what to do where an index template applies to its name.
    """

    def __init__(self, engine: Engine, *, index: str, replicas: int = 1, advice: str = "") -> None:
        self.index = index
        self._engine = engine
        self._replicas = replicas
        self._advice = advice

    @property
    def exist(self) -> bool:
        """Whether there ever was a note."""
        return bool(self._engine.indices_of(self.index))

    def get(self, id: str) -> Document | None:
        """One note in real time, ``None`` where absent; its value is ``source["value"]``."""
        try:
            return self._engine.get(self.index, id)
        except IndexNotFoundError:
            return None

    def put(
        self, id: str, kind: str, value: Mapping[str, Any], *, over: Document | None
    ) -> Revision:
        """Write a note over the one that was read; ``None``: there is to be none yet.

        Raises:
            VersionConflictError: another one was written meanwhile.
        """
        source: Json = {"kind": kind, "value": dict(value)}
        try:
            return self._engine.put(
                self.index, id, source, expect=over.revision if over else "absent"
            )
        except IndexNotFoundError:
            body = operations_index(self._engine.kind, replicas=self._replicas)
            ensure_side_index(self._engine, self.index, body, advice=self._advice)
            return self._engine.put(self.index, id, source, expect="absent")

    def delete(self, id: str, *, expect: Revision | None = None) -> None:
        """Delete a note; nothing happens where there is none.

        Raises:
            VersionConflictError: it is another one than was read (``expect``).
        """
        try:
            self._engine.delete(self.index, id, expect=expect)
        except IndexNotFoundError:
            return

    def of_kind(self, kind: str) -> dict[str, Json]:
        """The values of all notes of a kind, by id, in no order."""
        body = {"query": {"term": {"kind": kind}}, "size": _MAX_NOTES}
        try:
            self._engine.refresh(self.index)
            hits = self._engine.search(self.index, body)["hits"]["hits"]
        except IndexNotFoundError:
            return {}
        return {hit["_id"]: hit["_source"]["value"] for hit in hits}
